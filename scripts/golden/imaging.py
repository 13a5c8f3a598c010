"""Golden data of kernels/imaging, made by Pillow.

    pip install pillow==11.3.0 pillow-heif numpy
    python scripts/golden/imaging.py

writes kernels/imaging/testdata/: resize.json (Pillow's resampling over random size pairs), files/ (small pictures in
every format) and files.json (their pixels as Pillow decodes them).

Pillow stays below 12.3, which began to run the vertical pass first when a picture is much taller than it becomes
(python-pillow #9524, #9549). That rounds differently, and the models were trained before it.
"""
import base64, json, pathlib, random, shutil, zlib

import numpy as np
import PIL
import pillow_heif
from PIL import Image, ImageOps

OUT = pathlib.Path(__file__).parents[2] / "kernels/imaging/testdata"
FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC, "lanczos": Image.Resampling.LANCZOS}


def noise(w, h, seed):
    """The test picture of a seed: byte i is the top byte of a hash of i and the seed. The Go test computes the same."""
    mask = np.uint64(0xFFFFFFFF)
    x = (np.arange(3 * w * h, dtype=np.uint64) * np.uint64(2654435761) + np.uint64(seed) * np.uint64(40503)) & mask
    x ^= x >> np.uint64(15)
    x = (x * np.uint64(2246822519)) & mask
    x ^= x >> np.uint64(13)
    x = (x * np.uint64(3266489917)) & mask
    return (x >> np.uint64(24)).astype(np.uint8).reshape(h, w, 3)


def resize_cases():
    rng = random.Random(20261123)
    side = lambda: rng.choice([1, 2, 3, rng.randint(1, 16), rng.randint(1, 80), rng.randint(1, 400)])
    fixed = [(640, 480, 336, 336), (112, 112, 112, 112), (17, 17, 336, 336), (500, 333, 500, 336), (300, 200, 224, 200),
             (1, 1, 5, 7), (1, 400, 1, 3), (400, 1, 3, 1), (7, 9, 1, 1), (1000, 3, 2, 3)]
    pairs = fixed + [(side(), side(), side(), side()) for _ in range(80)]
    cases = []
    for seed, (w, h, ow, oh) in enumerate(pairs):
        for name, f in FILTERS.items():
            out = np.asarray(Image.fromarray(noise(w, h, seed)).resize((ow, oh), f))
            case = {"w": w, "h": h, "seed": seed, "to_w": ow, "to_h": oh, "filter": name, "crc32": zlib.crc32(out.tobytes())}
            if ow * oh <= 64:
                case["pix"] = base64.b64encode(out.tobytes()).decode()
            cases.append(case)
    return cases


def smooth(w, h):
    """A picture that lossy coders keep well: gradients and a block of another colour, no symmetry."""
    y, x = np.mgrid[0:h, 0:w]
    p = np.stack([40 + 4 * x, 220 - 5 * y, 60 + 2 * x + 3 * y], -1)
    p[2:9, 3:16] = (230, 40, 50)
    return p.clip(0, 255).astype(np.uint8)


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
        got = ImageOps.exif_transpose(Image.open(d / name))
        if got.mode.startswith("I;16"):
            got = Image.fromarray((np.asarray(got) >> 8).astype(np.uint8))
        if got.mode == "P" or got.has_transparency_data:
            got = Image.alpha_composite(Image.new("RGBA", got.size, "white"), got.convert("RGBA"))
        got = got.convert("RGB")
        found.append({"file": name, "w": got.width, "h": got.height, "mean_error": tolerance,
                      "pix": base64.b64encode(got.tobytes()).decode()})

    # Lossy files are compared by mean error: decoders differ in chroma upsampling.
    add("photo.jpg", im, 5, quality=90)
    add("progressive.jpg", im, 5, quality=90, progressive=True)
    add("444.jpg", im, 1, quality=95, subsampling=0)
    add("grey.jpg", im.convert("L"), 1, quality=90)
    add("cmyk.jpg", im.convert("CMYK"), 2.5, quality=95)
    add("rgb.png", im)
    add("grey.png", im.convert("L"))
    add("grey16.png", Image.fromarray(np.asarray(im.convert("L")).astype(np.uint16) * 257))
    add("one-bit.png", im.convert("1"))
    add("palette.png", im.convert("P", palette=Image.Palette.ADAPTIVE, colors=16))
    # Alpha blending rounds differently by at most one.
    add("alpha.png", rgba, 0.5)
    add("grey-alpha.png", Image.merge("LA", (im.convert("L"), alpha)), 0.5)
    add("palette-transparent.png", im.quantize(16), transparency=3)
    add("still.gif", im.convert("P", palette=Image.Palette.ADAPTIVE, colors=16))
    add("animated.gif", im.convert("P"), save_all=True, append_images=[Image.new("P", im.size, 7)])
    add("lossless.webp", im, lossless=True)
    add("lossy.webp", im, 5, quality=90)
    add("lossy-black-and-white.webp", Image.fromarray(np.repeat(np.where(np.mgrid[0:32, 0:32][1:] < 16, 0, 255), 3, 0)
        .transpose(1, 2, 0).astype(np.uint8)), 0.5, quality=95)
    add("alpha.webp", rgba, 0.5, lossless=True, exact=True)
    add("rgb.bmp", im)
    add("palette.bmp", im.convert("P", palette=Image.Palette.ADAPTIVE, colors=16))
    add("raw.tiff", im)
    add("lzw.tiff", im, compression="tiff_lzw")
    add("deflate.tiff", im, compression="tiff_adobe_deflate")
    pillow_heif.register_heif_opener()
    add("photo.heic", Image.fromarray(smooth(100, 40)), 1, quality=95, chroma=444)
    add("grey.heic", Image.fromarray(smooth(110, 24)).convert("L"), 1, quality=95)
    add("narrow.heic", im, quality=95)
    found.pop()  # refused: see minHEICWidth
    for o in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = o
        add(f"orientation-{o}.jpg", im, 1, quality=95, subsampling=0, exif=exif)
    exif = Image.Exif()
    exif[0x0112] = 6
    add("orientation-6.png", im, exif=exif)
    add("orientation-6.webp", im, lossless=True, exif=exif)
    add("orientation-6.tiff", im, exif=exif)
    Image.new("RGB", (8, 8)).save(d / "animated.webp", save_all=True, append_images=[Image.new("RGB", (8, 8), "red")])
    return found


if __name__ == "__main__":
    made_with = {"pillow": PIL.__version__, "pillow_heif": pillow_heif.__version__, "numpy": np.__version__}
    found = files()
    for name, data in (("resize.json", resize_cases()), ("files.json", found)):
        rows = ",\n".join(json.dumps(row) for row in data)
        (OUT / name).write_text('{"made_with": %s, "cases": [\n%s\n]}\n' % (json.dumps(made_with), rows))
