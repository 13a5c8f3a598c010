"""Draws two pictures of `make run`: a sum and the sketch of a page.

python demo.py [--out models/builtin/demo]
"""

import argparse
import pathlib
import random

from questions import png
from world.canvas import FONTS, SIZE, Canvas
from world.sketches import form, heading, paragraph

SCALE, PAPER, INK = 3, (250, 250, 248), (40, 40, 40)


def blank():
    return Canvas(random.Random(1), PAPER, scale=SCALE)


def written_sum():
    canvas = blank()
    canvas.centred(SIZE / 2, 46, "12 + 7 =", FONTS[0], 20, INK)
    return canvas.image


def page():
    canvas, y = blank(), 5
    for element in (heading, paragraph, form):
        height, _ = element(canvas.rng, canvas, 8, y, 92, INK)
        y += height
    return canvas.image


if __name__ == "__main__":
    p = argparse.ArgumentParser()
    p.add_argument(
        "--out",
        type=pathlib.Path,
        default=pathlib.Path(__file__).parents[2] / "models/builtin/demo",
    )
    out = p.parse_args().out
    for name, draw in (("sum.png", written_sum), ("page.png", page)):
        (out / name).write_bytes(png(draw()))
