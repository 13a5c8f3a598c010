"""Writes fresh questions for `eyelet eval`: a folder, or a zip file, with questions.jsonl and pictures.

    python questions.py --seed 5 --each 300 --out build/builtin/fresh
    python questions.py --seed 5 --each 50 --small --out questions.zip

--small stores pictures of more than 8 KB, which are those with noise, at the size of the tower's input and in 64 colors.

A line of questions.jsonl has kind, picture, question and answers. The trainer's seeds are above 1,000,000.
"""

import argparse
import io
import json
import pathlib
import random
import zipfile

import numpy as np
from PIL import Image

import world
from world.canvas import SIZE

LARGE = 8 << 10


def png(image):
    """The smaller of a PNG with a palette, if the colors fit one, and a PNG without; both decode to the same pixels."""
    candidates = [image]
    colors = image.getcolors(256)
    if colors:
        palette = {color: i for i, (_, color) in enumerate(sorted(colors, reverse=True))}
        indexed = Image.new("P", image.size)
        indexed.putpalette([channel for color in palette for channel in color])
        indexed.putdata(
            [palette[tuple(pixel)] for pixel in np.asarray(image).reshape(-1, 3).tolist()]
        )
        candidates.append(indexed)
    files = []
    for candidate in candidates:
        file = io.BytesIO()
        candidate.save(file, "PNG", optimize=True)
        files.append(file.getvalue())
    return min(files, key=len)


def small(image):
    file = png(image)
    if len(file) <= LARGE:
        return file
    if max(image.size) > SIZE:
        image = image.resize(
            (
                round(image.width * SIZE / max(image.size)),
                round(image.height * SIZE / max(image.size)),
            ),
            Image.BICUBIC,
        )
    return png(image.quantize(64, dither=Image.Dither.NONE).convert("RGB"))


class Folder:
    def __init__(self, path):
        self.path = path
        path.mkdir(parents=True, exist_ok=True)

    def add(self, name, data):
        (self.path / name).write_bytes(data)


class Archive:
    def __init__(self, path):
        self.zip = zipfile.ZipFile(path, "w")

    def add(self, name, data):
        self.zip.writestr(
            zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0)), data, zipfile.ZIP_DEFLATED, 9
        )


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--seed", type=int, required=True)
    p.add_argument("--each", type=int, default=300, help="questions a kind")
    p.add_argument("--kinds", default="", help="kinds, divided by commas; all if empty")
    p.add_argument("--small", action="store_true", help="store large pictures smaller")
    p.add_argument("--out", type=pathlib.Path, required=True)
    args = p.parse_args()
    out = Archive(args.out) if args.out.suffix == ".zip" else Folder(args.out)
    lines = []
    for kind in world.KINDS:
        name = kind.__name__
        if args.kinds and name not in args.kinds.split(","):
            continue
        rng = random.Random(f"{args.seed} {name}")
        for i in range(args.each):
            image, question, answer = world.fresh(rng, kind)
            out.add(f"{name}-{i:03}.png", (small if args.small else png)(image))
            lines.append(
                json.dumps(
                    {
                        "kind": name,
                        "picture": f"{name}-{i:03}.png",
                        "question": question,
                        "answers": [answer],
                    }
                )
            )
    out.add("questions.jsonl", ("\n".join(lines) + "\n").encode())


if __name__ == "__main__":
    main()
