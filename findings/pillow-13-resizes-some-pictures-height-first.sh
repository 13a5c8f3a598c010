#!/bin/sh
# Pillow 13.0 makes other pixels than 11.3 and 12.3 when it resizes some pictures, without a word in
# a signature: it scales the height first where the height shrinks by more than twice what the width
# shrinks by, and the older ones always scale the width first. What lies between the two passes is
# rounded to 8 bits, so the order shows. Processors of vision models resize by Pillow, and models
# were trained with the older order: under 13.0 the same tall picture gives a tower other numbers.
# A wide picture is the same in all three. The script fails once that changes. It needs Python 3
# with venv, and 20 MB of packages.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cat >"$dir/resize.py" <<'PYTHON'
import random
import zlib

import PIL
from PIL import Image


def checksum(size, to):
    picture = Image.frombytes("RGB", size, random.Random(1).randbytes(3 * size[0] * size[1]))
    return zlib.crc32(picture.resize(to, Image.Resampling.BICUBIC).tobytes())


print(PIL.__version__, "tall", checksum((50, 400), (60, 40)))
print(PIL.__version__, "wide", checksum((400, 50), (40, 60)))
PYTHON
for version in 11.3.0 12.3.0 13.0.0; do
  python3 -m venv "$dir/$version"
  "$dir/$version/bin/pip" -q install "pillow==$version"
  "$dir/$version/bin/python" "$dir/resize.py"
done | tee "$dir/seen"
of() { awk -v version="$1" -v shape="$2" '$1 == version && $2 == shape { print $3 }' "$dir/seen"; }
[ "$(of 11.3.0 tall)" = "$(of 12.3.0 tall)" ] && [ "$(of 12.3.0 tall)" != "$(of 13.0.0 tall)" ] &&
  [ "$(of 11.3.0 wide)" = "$(of 12.3.0 wide)" ] && [ "$(of 12.3.0 wide)" = "$(of 13.0.0 wide)" ] ||
  { echo 'this has changed'; exit 1; }
echo 'as stated'
