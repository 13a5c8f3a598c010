"""Small tables and receipts; the answer is JSON."""

import json

from .canvas import BOLD, FONTS, SIZE, Canvas, jitter
from .words import ITEMS, NUMBERS, pick

WRITE = [
    "Write the table as JSON.",
    "Turn this into JSON.",
    "Give me this as JSON.",
    "Convert the receipt to JSON.",
]


def tables(rng):
    paper, ink = jitter(rng, (250, 250, 246), 5), jitter(rng, (25, 25, 25), 20)
    canvas = Canvas(rng, paper)
    path = pick(rng, [BOLD, FONTS[0], FONTS[2], FONTS[4]])
    rows = [(item, rng.randint(1, 20)) for item in rng.sample(ITEMS, rng.randint(2, 4))]
    receipt = rng.random() < 0.35
    if receipt:
        rows = rows[:3]
        rows.append(("total", sum(v for _, v in rows)))
    canvas.items = [item for item, _ in rows]
    step = rng.uniform(20, 26) if len(rows) < 4 else rng.uniform(19, 24)
    y, size = rng.uniform(6, SIZE - 4 - step * len(rows)), rng.choice([13, 14, 15])
    ruled = rng.random() < 0.5
    if ruled:
        canvas.rectangle((4, y - 4, 108, y + step * len(rows) - 4), outline=ink)
        canvas.line((70, y - 4, 70, y + step * len(rows) - 4), ink)
    for i, (item, value) in enumerate(rows):
        if i and (ruled or receipt and i == len(rows) - 1):
            canvas.line((4, y - 4, 108, y - 4), ink)
        canvas.label((4, y, 108, y + 11), ordinal=i + 1)
        canvas.text(8, y + 2, item, path, size, ink)
        canvas.text(80, y + 2, str(value), path, size, ink)
        y += step
    item, value = pick(rng, rows)
    qa = [
        (pick(rng, WRITE), json.dumps(dict(rows))),
        (
            pick(
                rng,
                [
                    f"What is the price of {item}?",
                    f"How much is the {item}?",
                    f"What is the value of {item}?",
                ],
            )
            if item != "total"
            else pick(rng, ["What is the total?", "How much is the total?"]),
            str(value),
        ),
        ("How many rows are there?", NUMBERS[len(rows)]),
    ]
    if not receipt:
        return canvas, qa + [
            ("What is the first item?", rows[0][0]),
            ("What is the last item?", rows[-1][0]),
        ]
    return canvas, qa + [("What is the first item?", rows[0][0])]
