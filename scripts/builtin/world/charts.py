"""Bar, line and pie charts."""

import math

from .canvas import BOLD, COLORS, FONTS, SIZE, Canvas, jitter
from .words import NUMBERS, pick

BLACK = (0, 0, 0)
LETTERS = "ABCDE"
HIGHEST, LOWEST = (
    ["highest", "tallest", "largest", "biggest", "longest"],
    ["lowest", "shortest", "smallest"],
)


def ground(rng):
    return Canvas(rng, jitter(rng, (250, 250, 250), 5))


def value_questions(rng, names, values, one, many):
    top, low = names[values.index(max(values))], names[values.index(min(values))]
    k = rng.randrange(len(names))
    return [
        (
            pick(
                rng,
                [
                    f"Which {one} is the tallest?",
                    f"Which {one} is the highest?",
                    "Which has the highest value?",
                ],
            ),
            top,
        ),
        (
            pick(
                rng,
                [
                    f"Which {one} is the shortest?",
                    f"Which {one} is the lowest?",
                    "Which has the lowest value?",
                ],
            ),
            low,
        ),
        (
            pick(
                rng,
                [
                    f"What is the value of {names[k]}?",
                    f"How much is {names[k]}?",
                    f"What value does {names[k]} have?",
                ],
            ),
            str(values[k]),
        ),
        (f"How many {many} are there?", NUMBERS[len(names)]),
    ]


def extreme(values, i):
    """The label place of charts: 1 for the highest of the values, 2 for the lowest, 0 for the others."""
    return 1 if values[i] == max(values) else 2 if values[i] == min(values) else 0


def facts(names, values, *columns):
    """Facts of a canvas: which name has the highest value and which the lowest, in each of the words, and what goes with each name."""
    high, low = names[values.index(max(values))], names[values.index(min(values))]
    return (
        [[word, high] for word in HIGHEST]
        + [[word, low] for word in LOWEST]
        + [list(row) for row in zip(names, *columns)]
    )


def described(kind, names, values):
    return f"a {kind} chart with " + ", ".join(f"{n} = {v}" for n, v in zip(names, values))


DESCRIBE = ["Describe the chart.", "What does the chart show?", "Describe this chart."]


def bars(rng):
    canvas, count = ground(rng), rng.randint(2, 5)
    names, values = LETTERS[:count], rng.sample(range(1, 11), count)
    colors = rng.sample([c for c in COLORS if c != "white"], count)
    path = pick(rng, [BOLD, BOLD, FONTS[0], FONTS[4]])
    upright = rng.random() < 0.75
    if upright:
        canvas.line((5, 95, SIZE - 4, 95), BLACK)
        canvas.line((5, 4, 5, 95), BLACK)
    else:
        canvas.line((16, 5, 16, 107), BLACK)
    step = (SIZE - 12) / count
    for i, value in enumerate(values):
        color = jitter(rng, COLORS[colors[i]])
        if upright:
            x, y = 9 + i * step, 95 - value * 7.6
            middle = x + step * 0.32
            canvas.label((x, 4, x + step * 0.65, 109), ordinal=i + 1, place=extreme(values, i))
            canvas.label((x, y, x + step * 0.65, 95), "bar", colors[i], i + 1)
            canvas.rectangle((x, y, x + step * 0.65, 94), fill=color)
            canvas.centred(middle, 99, names[i], path, 12, BLACK)
            canvas.centred(middle, y - 11, str(value), path, 12, BLACK)
        else:
            y, x = 7 + i * step, 17 + value * 7.4
            canvas.label((2, y, 110, y + step * 0.65), ordinal=i + 1, place=extreme(values, i))
            canvas.label((17, y, x, y + step * 0.65), "bar", colors[i], i + 1)
            canvas.rectangle((17, y, x, y + step * 0.65), fill=color)
            canvas.centred(8, y + step * 0.32 - 4, names[i], path, 12, BLACK)
            canvas.text(x + 3, y + step * 0.32 - 4, str(value), path, 12, BLACK)
    canvas.facts = facts(names, values, colors, map(str, values))
    qa = value_questions(rng, names, values, "bar", "bars")
    if not upright:
        qa = [(q.replace("tallest", "longest"), a) for q, a in qa]
    k = rng.randrange(count)
    qa += [
        (pick(rng, [f"What color is bar {names[k]}?", f"What color is {names[k]}?"]), colors[k]),
        (pick(rng, DESCRIBE), described("bar", names, values)),
    ]
    return canvas, qa


def line_chart(rng):
    canvas, count = ground(rng), rng.randint(3, 5)
    names, values = LETTERS[:count], rng.sample(range(1, 11), count)
    color = pick(rng, [c for c in COLORS if c != "white"])
    ink, path = jitter(rng, COLORS[color]), pick(rng, [BOLD, FONTS[0]])
    canvas.line((5, 95, SIZE - 4, 95), BLACK)
    canvas.line((5, 4, 5, 95), BLACK)
    step = (SIZE - 14) / count
    points = [(9 + (i + 0.5) * step, 92 - v * 7.2) for i, v in enumerate(values)]
    for a, b in zip(points, points[1:]):
        canvas.line((*a, *b), ink, 2)
    for i, (x, y) in enumerate(points):
        canvas.label(
            (x - step * 0.4, 4, x + step * 0.4, 109), ordinal=i + 1, place=extreme(values, i)
        )
        canvas.label((x - 5, y - 5, x + 5, y + 5), "point", color, i + 1)
        canvas.ellipse((x - 3, y - 3, x + 3, y + 3), fill=ink)
        canvas.centred(x, 99, names[i], path, 12, BLACK)
        canvas.centred(x, y - 15, str(values[i]), path, 12, BLACK)
    canvas.facts = facts(names, values, map(str, values))
    qa = [
        (q.replace("tallest", "highest").replace("shortest", "lowest"), a)
        for q, a in value_questions(rng, names, values, "point", "points")
    ]
    return canvas, qa + [
        ("What color is the line?", color),
        (pick(rng, DESCRIBE), described("line", names, values)),
    ]


def pie_chart(rng):
    canvas, count = ground(rng), rng.randint(2, 4)
    names = LETTERS[:count]
    while True:
        shares = [rng.randint(2, 9) for _ in range(count)]
        ranked = sorted(shares)
        if (
            min(shares) / sum(shares) > 0.1
            and ranked[-1] - ranked[-2] > 1
            and ranked[1] - ranked[0] > 1 - (count == 2)
        ):
            break
    colors = rng.sample([c for c in COLORS if c != "white"], count)
    r, angle = rng.uniform(34, 42), -90.0
    for i, share in enumerate(shares):
        end = angle + 360 * share / sum(shares)
        canvas.pie((56 - r, 56 - r, 56 + r, 56 + r), angle, end, jitter(rng, COLORS[colors[i]]))
        middle = math.radians((angle + end) / 2)
        x, y = 56 + 0.6 * r * math.cos(middle), 56 + 0.6 * r * math.sin(middle)
        canvas.label((x - 9, y - 9, x + 9, y + 9), "slice", colors[i], i + 1, extreme(shares, i))
        x, y = 56 + (r + 7) * math.cos(middle), 56 + (r + 7) * math.sin(middle)
        canvas.label((x - 3, y - 3, x + 3, y + 3), ordinal=i + 1, place=extreme(shares, i))
        canvas.centred(x, y - 5, names[i], BOLD, 12, BLACK)
        angle = end
    k = rng.randrange(count)
    canvas.facts = facts(names, shares, colors)
    return canvas, [
        (
            pick(rng, ["Which slice is the largest?", "Which slice is the biggest?"]),
            names[shares.index(max(shares))],
        ),
        ("Which slice is the smallest?", names[shares.index(min(shares))]),
        (pick(rng, [f"What color is slice {names[k]}?", f"What color is {names[k]}?"]), colors[k]),
        ("How many slices are there?", NUMBERS[count]),
        (
            pick(rng, DESCRIBE),
            "a pie chart with " + ", ".join(f"{n} {c}" for n, c in zip(names, colors)),
        ),
    ]


def charts(rng):
    u = rng.random()
    return bars(rng) if u < 0.65 else line_chart(rng) if u < 0.83 else pie_chart(rng)
