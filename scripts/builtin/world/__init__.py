"""The built-in model's world: synthetic pictures with questions and answers, drawn from a seed.

sample() draws for training; kinds() lists what is scored. The same random.Random gives the same picture and questions with the
same Pillow and fonts, those of Debian's fonts-dejavu-core and fonts-liberation.
"""

from .charts import charts
from .outside import MISSING, REFUSAL, outside
from .practice import practice
from .shapes import captions, shapes
from .sketches import sketches
from .tables import tables
from .text import sums, text
from .words import pick

INSIDE = {shapes: 0.36, text: 0.28, sums: 0.08, charts: 0.10, sketches: 0.08, tables: 0.10}


def any_question(rng, beside=None):
    """A question about a picture of some kind, other than one."""
    kind = pick(rng, [k for k in INSIDE if k is not beside])
    return pick(rng, kind(rng)[1])[0]


def listed(rng, facts, most=5):
    """Some of a picture's facts, words and facts in random order. Whole questions about one thing of several were not learned in 1400 steps: to answer, a
    decoder must find the word that matters in the question, and what goes with it in the picture. Here each word is next to the one it goes with."""
    return " " + ", ".join(
        " ".join(rng.sample(fact, len(fact))) for fact in rng.sample(facts, min(most, len(facts)))
    )


def refusals(rng):
    return outside(rng), [(any_question(rng), REFUSAL) for _ in range(2)]


KINDS = [shapes, captions, text, sums, charts, sketches, tables, refusals]
SHARES = {**{k: s * 0.97 for k, s in INSIDE.items()}, refusals: 0.03}

# Questions that do not fit a picture of a kind, whatever the picture.
UNFIT = {
    "shapes": [
        "Read the text.",
        "What does the text say?",
        "Which bar is the tallest?",
        "Solve the problem.",
        "Write the table as JSON.",
        "Describe the chart.",
    ],
    "text": [
        "Which bar is the tallest?",
        "What color is the circle?",
        "Write the HTML for this sketch.",
        "Describe the chart.",
    ],
    "sums": [
        "Which bar is the tallest?",
        "What color is the circle?",
        "Write the HTML for this sketch.",
    ],
    "charts": ["What color is the star?", "Solve the problem.", "Write the HTML for this sketch."],
    "sketches": [
        "What color is the circle?",
        "Which bar is the tallest?",
        "Solve the problem.",
        "Write the table as JSON.",
    ],
    "tables": [
        "What color is the circle?",
        "Which bar is the tallest?",
        "Write the HTML for this sketch.",
    ],
}


def reworded(rng, question):
    """A question as people type it: sometimes small letters, no mark at the end, or a polite word before it."""
    u = rng.random()
    if u < 0.08:
        question = question.rstrip("?.")
    if u > 0.9:
        question = question[0].lower() + question[1:]
    if 0.8 < u < 0.84:
        question = "Please " + question[0].lower() + question[1:]
    return question


def sample(rng, spoil=0.25, practised=0.0):
    """A kind's name, a canvas, a finished picture and its questions with answers in random order. A share practised of the
    pictures are crowded ones without questions."""
    if rng.random() < practised:
        canvas = practice(rng)
        return "practice", canvas, canvas.finish(spoil), []
    kind = rng.choices(list(SHARES), list(SHARES.values()))[0]
    canvas, qa = kind(rng, training=True) if kind is shapes else kind(rng)
    if kind is charts and rng.random() < 0.7:  # what a short training learns last
        qa = [(q, a) for q, a in qa if q.startswith("Which")] + [
            (q, a) for q, a in qa if not q.startswith("Which") and rng.random() < 0.25
        ]
    if kind.__name__ in UNFIT and rng.random() < 0.06:
        qa = qa + [(pick(rng, UNFIT[kind.__name__]), MISSING)]
    rng.shuffle(qa)
    if canvas.facts:
        qa = [("What goes together?", listed(rng, canvas.facts))] + qa
    image = canvas.finish(0 if kind is refusals else spoil)
    return kind.__name__, canvas, image, [(reworded(rng, q), a) for q, a in qa]


def fresh(rng, kind):
    """A finished picture of a kind with one question and its answer, to score with."""
    canvas, qa = kind(rng)
    question, answer = pick(rng, [q for q in qa if kind is not shapes or " on " not in q[1]])
    return canvas.finish(0 if kind is refusals else 0.25), question, answer
