"""Golden data of kernels/imaging, made by Pillow.

    pip install pillow==11.3.0 pillow-heif pillow-jxl-plugin numpy
    python scripts/golden/imaging.py

with ffmpeg and cjxl (Debian: libjxl-tools) on the PATH, writes kernels/imaging/testdata/: resize.json (Pillow's resampling over random size pairs), files/ (small pictures in
every format), files.json (their pixels as Pillow decodes them) and frames.json (all frames of the animated ones).

Pillow stays below 13.0, which began to run the vertical pass first when a picture is much taller than it becomes
(python-pillow #9524, #9549). That rounds differently, and the models were trained before it.
"""

import base64, importlib.metadata, json, pathlib, random, shutil, struct, subprocess, zlib

import numpy as np
import PIL
import pillow_heif
import pillow_jxl
from PIL import Image, ImageOps, ImageSequence

from pictures import noise

OUT = pathlib.Path(__file__).parents[2] / "kernels/imaging/testdata"
FILTERS = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


def resize_cases():
    """Checksums of noise resampled by every filter, over random size pairs."""
    rng = random.Random(20261123)
    side = lambda: rng.choice(
        [1, 2, 3, rng.randint(1, 16), rng.randint(1, 80), rng.randint(1, 400), rng.randint(1, 900)]
    )
    fixed = [
        (640, 480, 336, 336),
        (112, 112, 112, 112),
        (17, 17, 336, 336),
        (500, 333, 500, 336),
        (300, 200, 224, 200),
        (1, 1, 5, 7),
        (1, 400, 1, 3),
        (400, 1, 3, 1),
        (7, 9, 1, 1),
        (1000, 3, 2, 3),
        (1, 30000, 1, 336),
        (30000, 1, 336, 1),
        (20000, 2, 7, 300),
        (2, 20000, 300, 7),
        (3, 2, 3000, 40),
        (2, 3, 40, 3000),
        (1, 1, 1000, 1),
        (1200, 900, 336, 336),
        (900, 1600, 448, 448),
        (1001, 997, 1000, 998),
        (336, 336, 672, 672),
        (2000, 16, 1999, 15),
        (16, 2000, 15, 1999),
    ]
    pairs = fixed + [(side(), side(), side(), side()) for _ in range(240)]
    cases = []
    for seed, (w, h, ow, oh) in enumerate(pairs):
        im = Image.fromarray(noise(w, h, seed))
        sums = {name: zlib.crc32(im.resize((ow, oh), f).tobytes()) for name, f in FILTERS.items()}
        cases.append({"w": w, "h": h, "to_w": ow, "to_h": oh, "crc32": sums})
    return cases


def smooth(w, h):
    """A picture that lossy coders keep well: gradients and a block of another colour, no symmetry."""
    y, x = np.mgrid[0:h, 0:w]
    p = np.stack([40 + 4 * x, 220 - 5 * y, 60 + 2 * x + 3 * y], -1)
    p[2:9, 3:16] = (230, 40, 50)
    return p.clip(0, 255).astype(np.uint8)


def png(w, h, depth, colour_type, interlace, rows):
    """A PNG file of rows that are already filtered."""
    chunk = lambda kind, data: (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    )
    header = struct.pack(">IIBBBBB", w, h, depth, colour_type, 0, 0, interlace)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def adam7(image):
    """An interlaced PNG file: Pillow reads such files and writes none."""
    pixels = np.asarray(image)
    passes = [
        (0, 0, 8, 8),
        (0, 4, 8, 8),
        (4, 0, 8, 4),
        (0, 2, 4, 4),
        (2, 0, 4, 2),
        (0, 1, 2, 2),
        (1, 0, 2, 1),
    ]
    rows = [
        b"\0" + row.tobytes() for y, x, dy, dx in passes for row in pixels[y::dy, x::dx] if row.size
    ]
    return png(image.width, image.height, 8, 2, 1, b"".join(rows))


def gif(w, h, palette, background, frames):
    """A GIF file of frames (x, y, indices, disposal, transparent index or None, palette of its own or None), with palettes
    of 128 colours. Pillow's own writer decides by itself what a frame covers. The codes are never of more than 8 bits: the
    table of the coder is cleared before they grow."""
    out = b"GIF89a" + struct.pack("<HHBBB", w, h, 0x80 | 6, background, 0) + palette.tobytes()
    for x, y, indices, disposal, transparent, own in frames:
        flags = disposal << 2 | (transparent is not None)
        out += b"!\xf9\x04" + struct.pack("<BHBB", flags, 5, transparent or 0, 0)
        out += b"," + struct.pack(
            "<HHHHB", x, y, indices.shape[1], indices.shape[0], 0 if own is None else 0x80 | 6
        )
        out += b"" if own is None else own.tobytes()
        flat = indices.tobytes()
        codes = b"".join(b"\x80" + flat[i : i + 100] for i in range(0, len(flat), 100)) + b"\x81"
        out += (
            b"\x07"
            + b"".join(
                bytes([len(codes[i : i + 255])]) + codes[i : i + 255]
                for i in range(0, len(codes), 255)
            )
            + b"\0"
        )
    return out + b";"


def animations():
    """Writes animations with all ways of disposal and returns their frames as Pillow shows them, over white."""
    rng = np.random.default_rng(20261123)
    w, h, found = 13, 9, []
    # The first frame covers the canvas, and animations erase to transparency only if they begin with some: see gifAnimation.
    for name, disposals, transparency in (
        ("keep.gif", (1, 0), True),
        ("background.gif", (2,), True),
        ("previous.gif", (3, 1), True),
        ("background-opaque.gif", (1, 2), False),
        ("mixed.gif", (0, 1, 2, 3), True),
    ):
        colours = lambda: rng.integers(0, 256, (128, 3), np.uint8)
        frames = []
        for i in range(7):
            x, y = (0, 0) if i == 0 else (int(rng.integers(0, w - 3)), int(rng.integers(0, h - 3)))
            fw, fh = (
                (w, h)
                if i == 0
                else (int(rng.integers(1, w - x + 1)), int(rng.integers(1, h - y + 1)))
            )
            indices = rng.integers(0, 128, (fh, fw), np.uint8)
            transparent = (
                int(rng.integers(0, 128))
                if transparency and (i == 0 or rng.random() < 0.8)
                else None
            )
            if transparent is not None:
                indices[rng.random(indices.shape) < 0.3] = transparent
            frames.append(
                (
                    x,
                    y,
                    indices,
                    int(rng.choice(disposals)),
                    transparent,
                    colours() if rng.random() < 0.4 else None,
                )
            )
        path = OUT / "files" / name
        path.write_bytes(gif(w, h, colours(), int(rng.integers(0, 128)), frames))
        shown = []
        for frame in ImageSequence.Iterator(Image.open(path)):
            over_white = Image.alpha_composite(
                Image.new("RGBA", frame.size, "white"), frame.convert("RGBA")
            ).convert("RGB")
            shown.append(base64.b64encode(over_white.tobytes()).decode())
        found.append({"file": name, "w": w, "h": h, "frames": shown})
    return found


def files():
    """Writes the pictures and returns what is to be found in them."""
    d = OUT / "files"
    shutil.rmtree(d, ignore_errors=True)
    d.mkdir(parents=True)
    im = Image.fromarray(smooth(37, 23))
    alpha = Image.fromarray(np.tile(np.linspace(0, 255, 37).astype(np.uint8), (23, 1)))
    rgba = im.copy()
    rgba.putalpha(alpha)
    found = []

    def add(name, image, tolerance=0, **options):
        image.save(d / name, **options)
        see(name, tolerance)

    def see(name, tolerance=0):
        got = ImageOps.exif_transpose(Image.open(d / name))
        if got.mode.startswith("I;16"):
            got = Image.fromarray((np.asarray(got) >> 8).astype(np.uint8))
        if got.mode == "P" or got.has_transparency_data:
            got = Image.alpha_composite(Image.new("RGBA", got.size, "white"), got.convert("RGBA"))
        got = got.convert("RGB")
        found.append(
            {
                "file": name,
                "w": got.width,
                "h": got.height,
                "mean_error": tolerance,
                "turbo_error": 0 if name.endswith(".jpg") else tolerance,
                "pix": base64.b64encode(got.tobytes()).decode(),
            }
        )

    def png16(name, samples, colour_type):
        h, w = samples.shape[:2]
        rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)
        (d / name).write_bytes(png(w, h, 16, colour_type, 0, rows))
        see(name)

    # Lossy files are compared by mean error: decoders differ in chroma upsampling. libjpeg-turbo is the one that Pillow uses,
    # and has to agree in every byte (turbo_error).
    add("photo.jpg", im, 5, quality=90)
    add("progressive.jpg", im, 5, quality=90, progressive=True)
    add("444.jpg", im, 1, quality=95, subsampling=0)
    add("grey.jpg", im.convert("L"), 1, quality=90)
    add("cmyk.jpg", im.convert("CMYK"), 2.5, quality=95)
    add("422.jpg", im, 5, quality=90, subsampling=1)
    # Pillow writes neither YCCK nor 4:4:0. Files of the same structure that say they are read as such; what they show is odd.
    data = bytearray((d / "cmyk.jpg").read_bytes())
    data[data.index(b"Adobe") + 11] = 2
    (d / "ycck.jpg").write_bytes(data)
    see("ycck.jpg", 2.5)
    add("440.jpg", Image.fromarray(smooth(32, 16)), 5, quality=90, subsampling=1)
    found.pop()
    data = bytearray((d / "440.jpg").read_bytes())
    sof = data.index(b"\xff\xc0")
    assert data[sof + 11] == 0x21
    data[sof + 11] = 0x12
    (d / "440.jpg").write_bytes(data)
    see("440.jpg", 5)
    add("rgb.png", im)
    add("grey.png", im.convert("L"))
    add("grey16.png", Image.fromarray(np.asarray(im.convert("L")).astype(np.uint16) * 257))
    add("one-bit.png", im.convert("1"))
    add("palette.png", im.convert("P", palette=Image.Palette.ADAPTIVE, colors=16))
    add("palette-2-bit.png", im.convert("P", palette=Image.Palette.ADAPTIVE, colors=4), bits=2)
    (d / "interlaced.png").write_bytes(adam7(im))
    see("interlaced.png")
    png16("rgb16.png", np.asarray(im).astype(np.uint16) * 251, 2)
    png16("rgba16.png", np.asarray(rgba).astype(np.uint16) * 257, 6)
    png16("grey-alpha16.png", np.asarray(rgba.convert("LA")).astype(np.uint16) * 257, 4)
    add("rgb-transparent.png", im, transparency=(230, 40, 50))
    add("alpha.png", rgba)
    add("grey-alpha.png", Image.merge("LA", (im.convert("L"), alpha)))
    add("palette-transparent.png", im.quantize(16), transparency=3)
    add("still.gif", im.convert("P", palette=Image.Palette.ADAPTIVE, colors=16))
    add("animated.gif", im.convert("P"), save_all=True, append_images=[Image.new("P", im.size, 7)])
    add("lossless.webp", im, lossless=True)
    add("lossy.webp", im, quality=90)
    add(
        "lossy-black-and-white.webp",
        Image.fromarray(
            np.repeat(np.where(np.mgrid[0:32, 0:32][1:] < 16, 0, 255), 3, 0)
            .transpose(1, 2, 0)
            .astype(np.uint8)
        ),
        quality=95,
    )
    add("alpha.webp", rgba, lossless=True, exact=True)
    add("rgb.bmp", im)
    add("palette.bmp", im.convert("P", palette=Image.Palette.ADAPTIVE, colors=16))
    add("raw.tiff", im)
    add("lzw.tiff", im, compression="tiff_lzw")
    add("deflate.tiff", im, compression="tiff_adobe_deflate")
    pillow_heif.register_heif_opener()
    add("photo.heic", Image.fromarray(smooth(100, 40)), 1, quality=95, chroma=444)
    add("grey.heic", Image.fromarray(smooth(110, 24)).convert("L"), 1, quality=95)
    add("narrow.heic", im, 4, quality=95)
    # Decoders of AVIF and of lossy JPEG XL round differently, and upsample chroma differently.
    add("photo.avif", Image.fromarray(smooth(100, 40)), 4, quality=95)
    add("444.avif", im, 1, quality=95, subsampling="4:4:4")
    add("grey.avif", im.convert("L"), 1, quality=95)
    add("alpha.avif", rgba, 1, quality=95, subsampling="4:4:4")
    add("animated.avif", im, 4, quality=95, save_all=True, append_images=[Image.new("RGB", im.size)])
    subprocess.run(
        ["ffmpeg", "-v", "error", "-y", "-i", d / "rgb.png", "-pix_fmt", "yuv444p10le"]
        + ["-c:v", "libaom-av1", "-still-picture", "1", "-crf", "1", d / "ten-bit.avif"],
        check=True,
    )
    see("ten-bit.avif", 1)
    add("lossless.jxl", im, lossless=True)
    add("lossy.jxl", im, 0.5, quality=90)
    add("grey.jxl", im.convert("L"), lossless=True)
    add("alpha.jxl", rgba, lossless=True)
    for o in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = o
        add(f"orientation-{o}.jpg", im, 1, quality=95, subsampling=0, exif=exif)
        add(f"orientation-{o}.avif", im, 1, quality=95, subsampling="4:4:4", exif=exif)
    # cjxl keeps a JPEG file's coefficients, and its orientation in the header; what EXIF says in a JPEG XL file does not count.
    for o in (2, 6, 7):
        jpg = d / f"orientation-{o}.jpg"
        subprocess.run(["cjxl", "--quiet", jpg, d / f"orientation-{o}.jxl"], check=True)
        found.append(found[-1] | {"file": f"orientation-{o}.jxl", "turbo_error": 1})
        found[-1]["pix"] = base64.b64encode(ImageOps.exif_transpose(Image.open(jpg)).tobytes()).decode()
        found[-1]["w"], found[-1]["h"] = ImageOps.exif_transpose(Image.open(jpg)).size
    exif = Image.Exif()
    exif[0x0112] = 6
    add("orientation-6.png", im, exif=exif)
    add("orientation-6.webp", im, lossless=True, exif=exif)
    add("orientation-6.tiff", im, exif=exif)
    Image.new("RGB", (8, 8)).save(
        d / "animated.webp", save_all=True, append_images=[Image.new("RGB", (8, 8), "red")]
    )
    return found


if __name__ == "__main__":
    made_with = {
        "pillow": PIL.__version__,
        "pillow_heif": pillow_heif.__version__,
        "pillow_jxl": importlib.metadata.version("pillow-jxl-plugin"),
        "numpy": np.__version__,
    }
    found, frames = files(), animations()
    for name, data in (
        ("resize.json", resize_cases()),
        ("files.json", found),
        ("frames.json", frames),
    ):
        rows = ",\n".join(json.dumps(row) for row in data)
        (OUT / name).write_text(
            '{"made_with": %s, "cases": [\n%s\n]}\n' % (json.dumps(made_with), rows)
        )
