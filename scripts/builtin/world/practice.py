"""Crowded pictures for the tower alone: a picture of one word teaches five patches what characters look like, a page of writing fifty."""

from .canvas import FONTS, SIZE, Canvas, jitter
from .shapes import scene
from .text import PAPER_AND_INK, line_of_text, problem, solved
from .words import ITEMS, pick


def words(rng):
    u = rng.random()
    return solved(*problem(rng)) if u < 0.2 else pick(rng, ITEMS) if u < 0.35 else line_of_text(rng)


def practice(rng):
    return scene(rng, (7, 8, 9))[0] if rng.random() < 0.25 else page(rng)


def page(rng):
    """Lines of unlike fonts and sizes."""
    paper, ink = pick(rng, PAPER_AND_INK)
    paper, ink = jitter(rng, paper, 8), jitter(rng, ink, 20)
    canvas, y = Canvas(rng, paper), rng.uniform(2, 6)
    while True:
        path, size = (
            pick(rng, FONTS),
            rng.choice([12, 12, 13, 13, 14, 14, 15, 15, 16, 17, 18, 20, 22, 24, 26]),
        )
        height = canvas.text_size("Ag", path, size)[1]
        if y + height > SIZE - 1:
            break
        x = rng.uniform(2, 12)
        while True:
            word = words(rng)
            width = canvas.text_size(word, path, size)[0]
            if x + width > SIZE - 1:
                break
            canvas.text(x, y, word, path, size, ink)
            x += width + size * rng.uniform(0.25, 0.7)
        y += height + rng.uniform(1, 5)
    if rng.random() < 0.2:
        canvas.rotate(rng.uniform(-5, 5), paper)
    return canvas
