#!/bin/sh
# Pillow 12.3.0 lays a half-transparent frame of an animated PNG over what is there (blend_op 1, "over") with less opacity
# than the PNG specification asks for: an opaque canvas becomes see-through (alpha 191 for 255), and two layers of alpha 128
# come out as alpha 128, where they cover 192 of 255. Frames of opaque and of wholly transparent pixels are right.
# A program that lays such a frame over white, as processors of vision models do, sees the white shine through.
# The script fails once that changes.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check pillow==12.3.0
"$dir/venv/bin/python" - <<'EOF'
import io, struct, zlib
import PIL
from PIL import Image


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def animation(first, second):
    """An animated PNG of one pixel: the second frame is laid over the first."""
    control = lambda number: chunk(b"fcTL", struct.pack(">IIIIIHHBB", number, 1, 1, 0, 0, 1, 10, 0, number and 1))
    row = lambda pixel: zlib.compress(b"\0" + bytes(pixel))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 6, 0, 0, 0)) + chunk(b"acTL", struct.pack(">II", 2, 0))
            + control(0) + chunk(b"IDAT", row(first)) + control(1) + chunk(b"fdAT", struct.pack(">I", 2) + row(second)) + chunk(b"IEND", b""))


def seen(first, second):
    img = Image.open(io.BytesIO(animation(first, second)))
    img.seek(1)
    return img.convert("RGBA").getpixel((0, 0))


def specified(first, second):
    """Porter and Duff's "over", of values that are not premultiplied."""
    a, b = first[3] / 255, second[3] / 255
    alpha = b + a * (1 - b)
    return tuple(round((s * b + f * a * (1 - b)) / alpha) for f, s in zip(first[:3], second[:3])) + (round(255 * alpha),)


red, blue = (255, 0, 0), (0, 0, 255)
cases = {
    "opaque over half": (red + (128,), blue + (255,)),
    "nothing over half": (red + (128,), blue + (0,)),
    "half over opaque": (red + (255,), blue + (128,)),
    "half over half": (red + (128,), blue + (128,)),
}
print("Pillow", PIL.__version__)
got = {}
for name, frames in cases.items():
    got[name] = seen(*frames)
    print(f"  {name}: {got[name]}, specified {specified(*frames)}")
assert got["opaque over half"] == specified(*cases["opaque over half"]), "Pillow has changed"
assert got["nothing over half"] == specified(*cases["nothing over half"]), "Pillow has changed"
assert got["half over opaque"][3] == 191 and specified(*cases["half over opaque"])[3] == 255, "Pillow has changed"
assert got["half over half"][3] == 128 and specified(*cases["half over half"])[3] == 192, "Pillow has changed"
EOF
