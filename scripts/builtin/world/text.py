"""Written text to read, and written sums to work out."""

from .canvas import FONTS, SIZE, Canvas, jitter
from .words import NUMBERS, WORDS, pick

PAPER_AND_INK = [
    ((255, 255, 255), (20, 20, 20)),
    ((245, 240, 225), (30, 30, 90)),
    ((25, 25, 30), (240, 240, 240)),
    ((250, 250, 210), (150, 20, 20)),
    ((225, 235, 250), (20, 60, 30)),
]
SMALL = "abcdefghijklmnopqrstuvwxyz"
DISTINCT = "ABCDEFGHJKLMNPQRSTUVWXYZ0123456789"  # without I and O, which some fonts draw as 1 and 0


def written(rng, lines, low, high):
    """A canvas with lines of text."""
    paper, ink = pick(rng, PAPER_AND_INK)
    paper, ink = jitter(rng, paper, 5), jitter(rng, ink)
    height = SIZE if rng.random() < 0.7 else rng.randint(44 if len(lines) == 1 else 64, SIZE)
    canvas = Canvas(rng, paper, SIZE, height)
    canvas.lines = lines
    path, size = pick(rng, FONTS), rng.randint(low, high)
    while size > 10:
        sizes = [canvas.text_size(line, path, size) for line in lines]
        if (
            max(w for w, _ in sizes) <= SIZE - 8
            and sum(h for _, h in sizes) + 6 * (len(lines) - 1) <= height - 12
        ):
            break
        size -= 1
    sizes = [canvas.text_size(line, path, size) for line in lines]
    x = rng.uniform(4, max(4, SIZE - 4 - max(w for w, _ in sizes)))
    total = sum(h for _, h in sizes) + 8 * (len(lines) - 1)
    y = rng.uniform(5, max(5, height - 7 - total))
    for i, (line, (w, h)) in enumerate(zip(lines, sizes)):
        canvas.text(x, y, line, path, size, ink)
        canvas.label((x, y, x + w, y + h), ordinal=i + 1)
        y += max(h, size * 0.7) + 8
    if rng.random() < 0.2:
        canvas.rotate(rng.uniform(-5, 5), paper)
    return canvas


def line_of_text(rng):
    u = rng.random()
    if u < 0.45:
        s = pick(rng, WORDS)
        return rng.choice([s, s, s.upper(), s.capitalize()])
    if u < 0.62:
        s = "".join(rng.choice(SMALL) for _ in range(rng.randint(3, 6)))
        return s if rng.random() < 0.6 else s.upper()
    if u < 0.8:
        return str(rng.randint(0, 99999)) + ("%" if rng.random() < 0.1 else "")
    if u < 0.95:
        return "".join(rng.choice(DISTINCT) for _ in range(rng.randint(3, 6)))
    return pick(rng, WORDS).capitalize() + rng.choice("!?.:")


def text(rng):
    lines = [line_of_text(rng)]
    if rng.random() < 0.2:
        lines.append(line_of_text(rng))
    qa = [
        (
            pick(
                rng,
                [
                    "What does the text say?",
                    "Read the text.",
                    "What is written here?",
                    "Transcribe the image.",
                    "Read this.",
                    "What does it say?",
                ],
            ),
            "\n".join(lines),
        )
    ]
    if len(lines) == 1:
        qa += [
            (
                pick(
                    rng,
                    ["How many characters are there?", "How many characters does the text have?"],
                ),
                str(len(lines[0])),
            )
        ]
        qa += [
            (
                pick(rng, ["What is the first character?", "What does the text begin with?"]),
                lines[0][0],
            ),
            (
                pick(rng, ["What is the last character?", "What does the text end with?"]),
                lines[0][-1],
            ),
        ]
    else:
        qa += [
            ("How many lines are there?", NUMBERS[2]),
            ("Read the first line.", lines[0]),
            ("Read the second line.", lines[1]),
        ]
    return canvas_of(rng, lines), qa


def canvas_of(rng, lines):
    return written(rng, lines, 15, 27)


def problem(rng):
    """The operands with operators between them, and the result."""
    op = rng.choice("++--x/3")
    if op == "3":
        a, b, c = rng.randint(0, 9), rng.randint(0, 9), rng.randint(0, 9)
        if rng.random() < 0.5 and a + b >= c:
            return [a, "+", b, "-", c], a + b - c
        return [a, "+", b, "+", c], a + b + c
    a, b = rng.randint(0, 20), rng.randint(0, 20)
    if op == "x":
        a, b = rng.randint(0, 9), rng.randint(0, 9)
    if op == "/":
        b = rng.randint(1, 9)
        a = b * rng.randint(0, 9)
    if op == "-" and b > a:
        a, b = b, a
    return [a, op, b], {"+": a + b, "-": a - b, "x": a * b, "/": a // max(b, 1)}[op]


def solved(parts, value):
    return " ".join(map(str, parts)) + f" = {value}"


def sums(rng):
    parts, value = problem(rng)
    gap = rng.choice(["", " "])
    shown = gap.join(map(str, parts)) + gap + "=" + rng.choice(["?", ""])
    qa = [
        (
            pick(
                rng,
                [
                    "Solve the problem.",
                    "What is the answer?",
                    "Compute the result.",
                    "What is the result?",
                    "Work it out.",
                    "Calculate.",
                ],
            ),
            solved(parts, value),
        )
    ]
    return written(rng, [shown], 14, 26), qa
