"""Sketches of web pages; the answer is their HTML. Each element is drawn from height y down and returns its height and HTML."""

from .canvas import Canvas, jitter
from .words import NUMBERS, pick

WRITE = [
    "Write the HTML for this sketch.",
    "Turn this sketch into HTML.",
    "Generate code for this page.",
    "Write the HTML.",
    "What is the HTML of this page?",
]


def heading(rng, c, x, y, w, ink):
    c.rectangle((x + rng.uniform(-1, 1), y, x + w * 0.72 + rng.uniform(-1, 1), y + 11), fill=ink)
    return 19, "<h1>Title</h1>"


def paragraph(rng, c, x, y, w, ink):
    for i in range(3):
        end = rng.choice([1, 0.95, 0.67]) if i == 2 else rng.choice([1, 0.97])
        c.line((x, y + 2 + i * 5, x + w * end, y + 2 + i * 5), ink)
    return 20, "<p>Text</p>"


def field(rng, c, x, y, w, ink):
    c.rectangle((x + rng.uniform(-1, 1), y, x + w + rng.uniform(-1, 1), y + 13), outline=ink)
    c.line((x + 4, y + 3, x + 4, y + 10), ink)
    return 21, "<input>"


def button(rng, c, x, y, w, ink):
    c.rounded(
        (x + rng.uniform(-1, 1), y, x + min(w, 47) + rng.uniform(-1, 1), y + 15),
        6,
        outline=ink,
        width=2,
    )
    c.line((x + 12, y + 8, x + min(w, 47) - 12, y + 8), ink, 2)
    return 22, "<button>OK</button>"


def picture(rng, c, x, y, w, ink):
    w = min(w, 52)
    c.rectangle((x, y, x + w, y + 26), outline=ink)
    c.line((x, y, x + w, y + 26), ink)
    c.line((x, y + 26, x + w, y), ink)
    return 33, "<img>"


def rule(rng, c, x, y, w, ink):
    c.line((x - 4, y + 3, x + w + 4, y + 3), ink, 2)
    return 12, "<hr>"


def bullets(rng, c, x, y, w, ink):
    n = rng.choice([2, 3])
    for i in range(n):
        c.ellipse((x, y + 1 + i * 8, x + 4, y + 5 + i * 8), fill=ink)
        c.line((x + 9, y + 3 + i * 8, x + w * 0.7, y + 3 + i * 8), ink)
    return n * 8 + 6, "<ul>" + "<li>Item</li>" * n + "</ul>"


def menu(rng, c, x, y, w, ink):
    n = rng.choice([2, 3, 4])
    c.rectangle((x - 4, y, x + w + 4, y + 11), fill=(205, 205, 205), outline=ink)
    for i in range(n):
        c.line((x + 4 + i * 24, y + 6, x + 18 + i * 24, y + 6), ink, 2)
    return 18, "<nav>" + "<a>Link</a>" * n + "</nav>"


def nested(rng, c, x, y, w, ink, parts, tag):
    top, html = y, ""
    y += 5
    for part in parts:
        height, inner = part(rng, c, x + 6, y, w - 12, ink)
        y += height
        html += inner
    c.rounded((x, top, x + w, y - 2), 3, outline=ink)
    return y - top + 5, f"<{tag}>{html}</{tag}>"


def card(rng, c, x, y, w, ink):
    return nested(
        rng,
        c,
        x,
        y,
        w,
        ink,
        rng.choice([[heading, paragraph], [picture, paragraph], [paragraph, button]]),
        "div",
    )


def form(rng, c, x, y, w, ink):
    return nested(
        rng, c, x, y, w, ink, rng.choice([[field, button], [field, field, button]]), "form"
    )


ELEMENTS = {
    "h1": heading,
    "p": paragraph,
    "input": field,
    "button": button,
    "img": picture,
    "hr": rule,
    "ul": bullets,
    "card": card,
    "form": form,
}
NAMES = {
    "h1": "a heading",
    "p": "a paragraph",
    "input": "an input",
    "button": "a button",
    "img": "an image",
    "hr": "a rule",
    "ul": "a list",
    "nav": "a menu",
    "card": "a card",
    "form": "a form",
}
COMMON = ["h1", "p", "input", "button", "img", "hr"]


def sketches(rng):
    paper, ink = jitter(rng, (250, 250, 248), 5), jitter(rng, (40, 40, 40), 25)
    c = Canvas(rng, paper)
    y, html, kinds = 5, [], []
    if rng.random() < 0.15:
        height, element = menu(rng, c, 8, y, 92, ink)
        c.label((4, y, 108, y + 11), "nav", ordinal=1)
        y, html, kinds = y + height, [element], ["nav"]
    while y < 92 and len(html) < 4:
        name = rng.choice(COMMON) if rng.random() < 0.8 else rng.choice(["ul", "card", "form"])
        if name in ("card", "form") and y > 40 or name == "ul" and y > 84:
            continue
        height, element = ELEMENTS[name](rng, c, 8, y, 92, ink)
        c.label((8, y, 100, y + height - 7), name, ordinal=len(html) + 1)
        y += height
        html.append(element)
        kinds.append(name)
    return c, [
        (pick(rng, WRITE), "".join(html)),
        ("How many elements are there?", NUMBERS[len(html)]),
        (
            pick(rng, ["What is at the top of the page?", "Which element is the first?"]),
            NAMES[kinds[0]],
        ),
        (
            pick(rng, ["What is at the bottom of the page?", "Which element is the last?"]),
            NAMES[kinds[-1]],
        ),
    ]
