"""A drawing that knows what it shows.

Coordinates are in units of the tower's input: the longer side of a canvas is SIZE units, however many pixels it is drawn
with. Beside the picture a canvas keeps labels, from which dense() makes what the tower is taught for each patch.
"""

import functools
import io
import itertools
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

SIZE, PATCH = 112, 14
GRID = SIZE // PATCH
MEAN_COLOR = (122, 116, 104)  # CLIP's mean, with which LLaVA 1.5 fills a picture up to a square

_TRUETYPE = "/usr/share/fonts/truetype/"
FONTS = [
    _TRUETYPE + name
    for name in (
        "dejavu/DejaVuSans.ttf",
        "dejavu/DejaVuSans-Bold.ttf",
        "dejavu/DejaVuSansMono.ttf",
        "dejavu/DejaVuSerif.ttf",
        "liberation/LiberationSans-Regular.ttf",
        "liberation/LiberationSerif-Bold.ttf",
    )
]
BOLD = FONTS[1]

COLORS = {
    "red": (214, 40, 40),
    "green": (46, 139, 70),
    "blue": (38, 84, 200),
    "yellow": (240, 200, 30),
    "orange": (240, 130, 20),
    "purple": (130, 50, 160),
    "black": (20, 20, 20),
    "white": (250, 250, 250),
}
BACKGROUNDS = {
    "gray": (150, 150, 150),
    "pink": (250, 200, 210),
    "cyan": (170, 230, 235),
    "beige": (235, 222, 195),
}
CHARACTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-/=?.!:%"
OBJECTS = [
    "circle",
    "square",
    "triangle",
    "star",
    "cross",
    "ring",
    "bar",
    "point",
    "slice",
    "h1",
    "p",
    "input",
    "button",
    "img",
    "hr",
    "ul",
    "nav",
    "card",
    "form",
    "row",
]

# What is taught for a patch: the name of a label and how many values it has; 0 stands for nothing. A patch is 14 units wide
# and may show two characters, one in each half; a large character is shown by several patches.
DENSE = {
    "object": len(OBJECTS) + 1,
    "color": len(COLORS) + 1,
    "ordinal": 10,
    "place": 10,
    "left": len(CHARACTERS) + 1,
    "right": len(CHARACTERS) + 1,
    "left_ordinal": 25,
    "right_ordinal": 25,
    "ground": len(BACKGROUNDS) + 1,
}


@functools.cache
def font(path, pixels):
    return ImageFont.truetype(path, pixels)


def jitter(rng, color, by=10):
    """A color near another."""
    return tuple(max(0, min(255, c + rng.randint(-by, by))) for c in color)


class Character(NamedTuple):
    """A character with the middle and half the extent of its box, and its number in what was written with it, from 0, blanks not counted."""

    c: str
    x: float
    y: float
    half_width: float
    half_height: float
    n: int


class Canvas:
    def __init__(self, rng, background, width=SIZE, height=SIZE, scale=None):
        """scale is the pixels a unit, drawn at random if None."""
        self.rng, self.width, self.height = rng, width, height
        self.scale = scale or rng.choice([1, 1, 2, 2, 3])
        self.image = Image.new(
            "RGB", (round(width * self.scale), round(height * self.scale)), background
        )
        self.draw = ImageDraw.Draw(self.image)
        self.boxes, self.characters = [], []
        self.ground = None  # the background's name, if it has one
        self.lines, self.items = (
            [],
            [],
        )  # what is written to be read, and the first words of a table's rows
        self.facts = []  # what belongs together in the picture: lists of words, of which one tells the others

    def _px(self, values):
        return [v * self.scale for v in values]

    def _width(self, width):
        return max(1, round(width * self.scale))

    def ellipse(self, box, **colors):
        self.draw.ellipse(self._px(box), width=self._width(1), **colors)

    def rectangle(self, box, width=1, **colors):
        self.draw.rectangle(self._px(box), width=self._width(width), **colors)

    def rounded(self, box, radius, width=1, **colors):
        self.draw.rounded_rectangle(
            self._px(box), radius=radius * self.scale, width=self._width(width), **colors
        )

    def line(self, points, color, width=1):
        self.draw.line(self._px(points), fill=color, width=self._width(width))

    def polygon(self, points, color):
        self.draw.polygon([(x * self.scale, y * self.scale) for x, y in points], fill=color)

    def pie(self, box, start, end, color):
        self.draw.pieslice(self._px(box), start, end, fill=color)

    def text_size(self, text, path, size):
        left, top, right, bottom = font(path, round(size * self.scale)).getbbox(text)
        return (right - left) / self.scale, (bottom - top) / self.scale

    def text(self, x, y, text, path, size, color):
        """Writes text with the left upper corner of its ink at x, y."""
        face = font(path, round(size * self.scale))
        left, top, _, bottom = face.getbbox(text)
        self.draw.text((x * self.scale - left, y * self.scale - top), text, font=face, fill=color)
        half, n = (bottom - top) / 2 / self.scale, 0
        for i, c in enumerate(text):
            if c != " ":
                begin, end = (
                    x + (face.getlength(text[:k]) - left) / self.scale for k in (i, i + 1)
                )
                self.characters.append(
                    Character(c, (begin + end) / 2, y + half, (end - begin) / 2, half, n)
                )
                n += 1

    def centred(self, x, y, text, path, size, color):
        """Writes text with its ink centred at x, its upper edge at y."""
        self.text(x - self.text_size(text, path, size)[0] / 2, y, text, path, size, color)

    def label(self, box, object=None, color=None, ordinal=0, place=0):
        """Says what a box shows. ordinal and place count from 1. Later labels go before earlier ones, where they say anything."""
        self.boxes.append(
            (
                box,
                {
                    "object": OBJECTS.index(object) + 1 if object else 0,
                    "color": list(COLORS).index(color) + 1 if color else 0,
                    "ordinal": ordinal,
                    "place": place,
                },
            )
        )

    def rotate(self, degrees, background):
        """Turns the picture and its characters about its centre."""
        self.image = self.image.rotate(degrees, Image.BICUBIC, fillcolor=background)
        c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        cx, cy = self.width / 2, self.height / 2
        self.characters = [
            ch._replace(
                x=cx + (ch.x - cx) * c + (ch.y - cy) * s, y=cy - (ch.x - cx) * s + (ch.y - cy) * c
            )
            for ch in self.characters
        ]

    def finish(self, spoil=0.25):
        """The picture, sometimes spoiled by noise, blur or JPEG."""
        u = self.rng.random()
        if u < spoil / 3:
            return noisy(self.rng, self.image)
        if u < spoil * 2 / 3:
            return self.image.filter(
                ImageFilter.GaussianBlur(self.rng.uniform(0.2, 0.6) * self.scale)
            )
        if u < spoil:
            file = io.BytesIO()
            self.image.save(file, "JPEG", quality=self.rng.randint(50, 90))
            return Image.open(file).convert("RGB")
        return self.image

    def dense(self):
        """The labels of the patches after the picture is filled up to a square: {name: int64 [GRID * GRID]}."""
        out = {name: np.zeros((GRID, GRID), np.int64) for name in DENSE}
        dx, dy = (SIZE - self.width) / 2, (SIZE - self.height) / 2
        if self.ground:
            out["ground"][:] = list(BACKGROUNDS).index(self.ground) + 1
        for (x0, y0, x1, y1), values in self.boxes:
            columns = _patches(x0 + dx, x1 + dx)
            rows = _patches(y0 + dy, y1 + dy)
            for name, value in values.items():
                if value:
                    out[name][rows, columns] = min(value, DENSE[name] - 1)
        nearest = np.full((GRID, 2 * GRID), np.inf)
        for ch in self.characters:
            rows, columns = (
                _cells(ch.y + dy, ch.half_height, PATCH, GRID),
                _cells(ch.x + dx, ch.half_width, PATCH / 2, 2 * GRID),
            )
            for row, column in itertools.product(rows, columns):
                distance = abs(ch.x + dx - (column + 0.5) * PATCH / 2)
                if distance < nearest[row, column] and ch.c in CHARACTERS:
                    nearest[row, column] = distance
                    side = "right" if column % 2 else "left"
                    out[side][row, column // 2] = CHARACTERS.index(ch.c) + 1
                    out[side + "_ordinal"][row, column // 2] = min(
                        ch.n + 1, DENSE[side + "_ordinal"] - 1
                    )
        return {name: grid.reshape(-1) for name, grid in out.items()}


def _cells(middle, half, size, count):
    """The cells of a size of which an interval covers the centre, and the one that holds its middle."""
    first, last = (
        int(np.ceil((middle - half) / size - 0.5)),
        int(np.floor((middle + half) / size - 0.5)),
    )
    own = int(middle // size)
    return range(max(0, min(first, own)), min(count - 1, max(last, own)) + 1)


def _patches(low, high):
    """The patches of which an interval covers the centre, or else the one that holds its middle."""
    first, last = int(np.ceil(low / PATCH - 0.5)), int(np.floor(high / PATCH - 0.5))
    if last < first:
        first = last = int((low + high) / 2 // PATCH)
    return slice(max(0, first), min(GRID, last + 1))


def noisy(rng, image):
    noise = np.random.default_rng(rng.getrandbits(32)).normal(
        0, rng.uniform(3, 12), (image.height, image.width, 3)
    )
    return Image.fromarray((np.asarray(image) + noise).clip(0, 255).astype(np.uint8))


def tower_input(image):
    """The picture as the engine hands it to the tower, LLaVA 1.5's way: filled up to a square, resized: uint8 [SIZE, SIZE, 3]."""
    side = max(image.size)
    if image.size != (side, side):
        square = Image.new("RGB", (side, side), MEAN_COLOR)
        square.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
        image = square
    if side != SIZE:
        image = image.resize((SIZE, SIZE), Image.BICUBIC)
    return np.asarray(image)
