"""Writes the sounds of kernels/sound's tests, and what ffmpeg makes of each: one channel of float32 samples at the rate of the file.

    python3 scripts/golden/sound.py

It needs ffmpeg with libmp3lame, and numpy. Versions are recorded in made_with.txt.
"""

import pathlib
import re
import subprocess

import numpy as np

OUT = pathlib.Path(__file__).resolve().parents[2] / "kernels" / "sound" / "testdata"

# The flavours: name, arguments of ffmpeg behind the input.
FLAVOURS = {
    "s16.wav": ["-c:a", "pcm_s16le"],
    "u8.wav": ["-c:a", "pcm_u8"],
    "s24.wav": ["-c:a", "pcm_s24le"],
    "s32.wav": ["-c:a", "pcm_s32le"],
    "f32.wav": ["-c:a", "pcm_f32le"],
    "f64.wav": ["-c:a", "pcm_f64le"],
    "mono.wav": ["-ac", "1", "-ar", "8000", "-c:a", "pcm_s16le"],
    "s16.flac": ["-c:a", "flac"],
    "s24.flac": ["-c:a", "flac", "-sample_fmt", "s32"],
    "mono.flac": ["-ac", "1", "-c:a", "flac", "-compression_level", "0"],
    "low.mp3": ["-ac", "1", "-ar", "22050", "-c:a", "libmp3lame", "-b:a", "32k"],  # MPEG-2
    "joint.mp3": ["-c:a", "libmp3lame", "-b:a", "64k"],
    "mono.mp3": [
        "-ac",
        "1",
        "-c:a",
        "libmp3lame",
        "-b:a",
        "48k",
        "-id3v2_version",
        "3",
        "-metadata",
        "title=chirp",
    ],
}


def chirp(rate: int, seconds: float) -> np.ndarray:
    """Two channels: a tone that rises from 200 Hz to 3 kHz, and a lower one that falls."""
    t = np.arange(int(rate * seconds)) / rate
    left = 0.6 * np.sin(2 * np.pi * (200 * t + (3000 - 200) * t * t / (2 * seconds)))
    right = 0.3 * np.sin(2 * np.pi * (1500 * t - 1000 * t * t / (2 * seconds)))
    return np.stack([left, right], axis=1).astype("<f4")


def run(*args: str, data: bytes = b"") -> bytes:
    return subprocess.run(
        ["ffmpeg", "-hide_banner", "-loglevel", "error", *args],
        input=data,
        stdout=subprocess.PIPE,
        check=True,
    ).stdout


def main() -> None:
    OUT.mkdir(parents=True, exist_ok=True)
    source = chirp(44100, 0.15).tobytes()
    for name, args in FLAVOURS.items():
        path = OUT / name
        run(
            "-y",
            "-f",
            "f32le",
            "-ar",
            "44100",
            "-ac",
            "2",
            "-i",
            "-",
            *args,
            "-fflags",
            "+bitexact",
            str(path),
            data=source,
        )
        # Channels are averaged, in whole samples: ffmpeg's own mix to one channel scales otherwise for some layouts.
        raw = np.frombuffer(run("-i", str(path), "-f", "f32le", "-"), "<f4")
        channels = 1 if name.startswith("mono") else 2
        mean = raw.reshape(-1, channels).mean(axis=1)
        if name == "low.mp3":
            continue  # which is refused
        (OUT / (name + ".f16")).write_bytes(mean.astype("<f2").tobytes())
    version = subprocess.run(
        ["ffmpeg", "-version"], stdout=subprocess.PIPE, check=True, text=True
    ).stdout
    number = re.match(r"ffmpeg version (\S+)", version)[1]
    (OUT / "made_with.txt").write_text(f"ffmpeg {number}, numpy {np.__version__}\n")


if __name__ == "__main__":
    main()
