#!/bin/sh
# Pillow 11.3.0 obeys "white is zero" (PhotometricInterpretation 0, TIFF 6.0 section 3) in grey TIFF files of 8 bits and not in
# those of 16: the picture comes out as a negative, without a word. Big-endian, the same file is "not identified".
# Whoever feeds a vision model through Pillow, as transformers does, shows it the negative of such a scan.
# The script fails once that changes.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check pillow==11.3.0
"$dir/venv/bin/python" - <<'EOF'
import io, struct
import PIL
from PIL import Image


def tiff(order, bits, photometric, values):
    """A TIFF file of one row of grey samples."""
    data = struct.pack(order + {8: "4B", 16: "4H"}[bits], *values)
    tags = [(256, 3, 4), (257, 3, 1), (258, 3, bits), (259, 3, 1), (262, 3, photometric), (273, 4, 8), (277, 3, 1), (278, 3, 1), (279, 4, len(data))]
    entry = lambda tag, kind, v: struct.pack(order + "HHI", tag, kind, 1) + (struct.pack(order + "HH", v, 0) if kind == 3 else struct.pack(order + "I", v))
    head = (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, 8 + len(data))
    return head + data + struct.pack(order + "H", len(tags)) + b"".join(entry(*t) for t in tags) + b"\0" * 4


def seen(*args):
    try:
        return list(Image.open(io.BytesIO(tiff(*args))).getdata())
    except PIL.UnidentifiedImageError:
        return "not identified"


few, deep = (0, 100, 200, 255), (0, 25600, 51200, 65535)
got = {
    "8 bits, black is zero": seen("<", 8, 1, few),
    "8 bits, white is zero": seen("<", 8, 0, few),
    "16 bits, black is zero": seen("<", 16, 1, deep),
    "16 bits, white is zero": seen("<", 16, 0, deep),
    "16 bits, white is zero, big-endian": seen(">", 16, 0, deep),
}
print("Pillow", PIL.__version__)
for name, values in got.items():
    print(f"  {name}: {values}")
assert list(got.values()) == [list(few), [255, 155, 55, 0], list(deep), list(deep), "not identified"], "Pillow has changed"
EOF
