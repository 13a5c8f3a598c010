"""Coloured shapes on a plain background: captions, count, color, place, size, relation."""

import math

from .canvas import BACKGROUNDS, COLORS, SIZE, Canvas, jitter
from .words import NUMBERS, article, listed, pick

SHAPES = ["circle", "square", "triangle", "star", "cross", "ring"]
PLACES = [
    ["top left", "top", "top right"],
    ["left", "middle", "right"],
    ["bottom left", "bottom", "bottom right"],
]
DESCRIBE = [
    "What is in this picture?",
    "Describe the image.",
    "What do you see?",
    "Write a caption for this image.",
    "Describe this picture.",
    "What does the picture show?",
    "Caption this.",
    "Tell me what you see.",
]


def draw_shape(canvas, shape, color, cx, cy, r, background):
    box = (cx - r, cy - r, cx + r, cy + r)
    if shape == "circle":
        canvas.ellipse(box, fill=color)
    elif shape == "square":
        canvas.rectangle(box, fill=color)
    elif shape == "triangle":
        canvas.polygon([(cx, cy - r), (cx - r, cy + r), (cx + r, cy + r)], color)
    elif shape == "star":
        angles = [-math.pi / 2 + i * math.pi / 5 for i in range(10)]
        reach = [r * (0.5 if i % 2 else 1.15) for i in range(10)]
        canvas.polygon(
            [(cx + q * math.cos(a), cy + q * math.sin(a)) for q, a in zip(reach, angles)], color
        )
    elif shape == "cross":
        w = r * 0.38
        canvas.rectangle((cx - w, cy - r, cx + w, cy + r), fill=color)
        canvas.rectangle((cx - r, cy - w, cx + r, cy + w), fill=color)
    else:
        hole = r * 0.55
        canvas.ellipse(box, fill=color)
        canvas.ellipse((cx - hole, cy - hole, cx + hole, cy + hole), fill=background)


def new_shape(rng, used):
    while True:
        one = pick(rng, SHAPES), pick(rng, list(COLORS))
        if one not in used:
            return one


def scene(rng, counts=(1, 1, 2, 2, 3, 3, 4)):
    """A canvas, its shapes in reading order as (shape, color, row, column, radius), and the background's name."""
    width, height = SIZE, SIZE
    if rng.random() < 0.2:
        width, height = rng.choice([(SIZE, rng.randint(80, SIZE)), (rng.randint(80, SIZE), SIZE)])
    name = pick(rng, list(BACKGROUNDS))
    background = jitter(rng, BACKGROUNDS[name])
    canvas = Canvas(rng, background, width, height)
    canvas.ground = name
    cells = sorted(rng.sample([(r, c) for r in range(3) for c in range(3)], rng.choice(counts)))
    objects, w, h = [], width / 3, height / 3
    for i, (row, column) in enumerate(cells):
        shape, color = new_shape(rng, {o[:2] for o in objects})
        r = rng.uniform(8, min(15.5, min(w, h) / 2 - 1.5))
        cx = (column + 0.5) * w + rng.uniform(-3, 3)
        cy = (row + 0.5) * h + rng.uniform(-3, 3)
        draw_shape(canvas, shape, jitter(rng, COLORS[color]), cx, cy, r, background)
        canvas.label((cx - r, cy - r, cx + r, cy + r), shape, color, i + 1, row * 3 + column + 1)
        objects.append((shape, color, row, column, r))
    return canvas, objects, name


def caption_of(objects, background):
    return (
        listed([article(f"{o[1]} {o[0]}") for o in objects])
        + f" on {article(background)} background"
    )


def relation(rng, a, b):
    """A question with yes or no about the places of two shapes."""
    words = [
        ("above", a[2] < b[2]),
        ("below", a[2] > b[2]),
        ("left of", a[3] < b[3]),
        ("right of", a[3] > b[3]),
    ]
    word, holds = pick(rng, words)
    word = "to the " + word if word.endswith("of") else word
    return f"Is the {a[1]} {a[0]} {word} the {b[1]} {b[0]}?", "yes" if holds else "no"


def placed(rng, one):
    """The question where a shape is."""
    shape, color, row, column, _ = one
    return pick(
        rng,
        [f"Where is the {color} {shape}?", f"In which part of the picture is the {color} {shape}?"],
    ), PLACES[row][column]


def told_apart(rng, objects, one):
    """Questions that name a shape by its kind alone, or by its color alone, where no other has it."""
    shape, color, row, column, _ = one
    qa = []
    if [o[0] for o in objects].count(shape) == 1:
        qa += [
            (
                pick(
                    rng,
                    [
                        f"What color is the {shape}?",
                        f"What is the color of the {shape}?",
                        f"Which color does the {shape} have?",
                    ],
                ),
                color,
            ),
            (f"Where is the {shape}?", PLACES[row][column]),
        ]
    if [o[1] for o in objects].count(color) == 1:
        qa += [
            (
                pick(
                    rng,
                    [
                        f"What shape is {color}?",
                        f"Which shape is {color}?",
                        f"What is the {color} shape?",
                    ],
                ),
                shape,
            )
        ]
    return qa


def present(rng, objects):
    """A question whether there is a shape, which half of the time there is."""
    one, other = pick(rng, objects), new_shape(rng, {o[:2] for o in objects})
    asked, answer = (one, "yes") if rng.random() < 0.5 else (other, "no")
    return pick(rng, ["Is there {}?", "Do you see {}?", "Is {} in the picture?"]).format(
        article(f"{asked[1]} {asked[0]}")
    ), answer


def lookups(rng, objects):
    """Questions about each of the shapes: what a short training learns last."""
    qa = []
    for one in objects:
        qa += [placed(rng, one), *told_apart(rng, objects, one), present(rng, objects)]
    if len(objects) > 1:
        qa += [relation(rng, *rng.sample(objects, 2)) for _ in range(2)]
    return qa


def shapes(rng, training=False):
    canvas, objects, background = scene(rng)
    one = pick(rng, objects)
    qa = [
        (
            pick(
                rng,
                [
                    "How many shapes are there?",
                    "Count the shapes.",
                    "How many objects are in the image?",
                    "How many shapes do you see?",
                ],
            ),
            NUMBERS[len(objects)],
        ),
        placed(rng, one),
        (
            pick(
                rng,
                [
                    "What color is the background?",
                    "What is the background color?",
                    "Which color is the background?",
                ],
            ),
            background,
        ),
    ]
    qa += [*told_apart(rng, objects, one), present(rng, objects)]
    if len(objects) > 1:
        a, b = rng.sample(objects, 2)
        qa += [relation(rng, a, b)]
        radii = sorted(o[4] for o in objects)
        if radii[-1] - radii[-2] > 2.5:
            biggest = max(objects, key=lambda o: o[4])
            qa += [
                (
                    pick(rng, ["Which shape is the biggest?", "Which shape is the largest?"]),
                    f"the {biggest[1]} {biggest[0]}",
                )
            ]
    if training and rng.random() < 0.3:
        return canvas, qa[3:] + lookups(rng, objects)
    qa += [(pick(rng, DESCRIBE), caption_of(objects, background))]
    return canvas, qa


def captions(rng):
    canvas, objects, background = scene(rng)
    return canvas, [(pick(rng, DESCRIBE), caption_of(objects, background))]
