"""The built-in model's world: synthetic pictures of 112 x 112 pixels with questions and answers, drawn from a seed.

There are five kinds: shapes, text, sums, charts and page sketches. The model was trained on what sample() draws; what
is drawn, and how the questions are put, therefore belongs to the model. The order of the random draws must not change:
the same random.Random gives the same picture and questions to the byte, with the same Pillow and fonts. The fonts are
those of the Debian packages in FONT_PACKAGES:

    apt-get install fonts-dejavu-core fonts-liberation fonts-freefont-ttf
"""
import functools
import math

from PIL import Image, ImageDraw, ImageFont

SIZE = 112
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
BACKGROUNDS = {"gray": (150, 150, 150), "pink": (250, 200, 210), "cyan": (170, 230, 235), "beige": (235, 222, 195)}
SHAPES = ["circle", "square", "triangle", "star", "cross", "ring"]
PLACES = [["top left", "top", "top right"], ["left", "middle", "right"], ["bottom left", "bottom", "bottom right"]]
NUMBERS = ["zero", "one", "two", "three", "four", "five"]
PAPER_AND_INK = [
    ((255, 255, 255), (20, 20, 20)),
    ((245, 240, 225), (30, 30, 90)),
    ((25, 25, 30), (240, 240, 240)),
    ((250, 250, 210), (150, 20, 20)),
]
WORDS = (
    "apple bread chair dance eagle flame grape house igloo juice knife lemon mouse night ocean piano queen river "
    "sugar table under voice water xenon yacht zebra stop exit open sale push pull hello world code data cloud "
    "paris rome tokyo cairo north south east west alpha beta gamma delta moon star sun tree fish bird"
).split()
CAPITALS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

FONT_PACKAGES = ["fonts-dejavu-core", "fonts-liberation", "fonts-freefont-ttf"]
_TRUETYPE = "/usr/share/fonts/truetype/"
FONTS = [
    _TRUETYPE + "dejavu/DejaVuSans.ttf",
    _TRUETYPE + "dejavu/DejaVuSans-Bold.ttf",
    _TRUETYPE + "dejavu/DejaVuSansMono.ttf",
    _TRUETYPE + "dejavu/DejaVuSerif.ttf",
    _TRUETYPE + "liberation/LiberationSans-Regular.ttf",
    _TRUETYPE + "freefont/FreeSans.ttf",
]
BOLD = FONTS[1]


@functools.cache
def font(path, size):
    return ImageFont.truetype(path, size)


def pick(rng, items):
    """An item, by randrange: choice would draw the same today, but promises nothing."""
    return items[rng.randrange(len(items))]


def with_article(noun):
    return ("an " if noun[0] in "aeiou" else "a ") + noun


def enumeration(items):
    return items[0] if len(items) == 1 else ", ".join(items[:-1]) + " and " + items[-1]


def canvas(color):
    image = Image.new("RGB", (SIZE, SIZE), color)
    return image, ImageDraw.Draw(image)


# Shapes


def star(cx, cy, r):
    """The corners of a five-pointed star, the first above the centre."""
    points = []
    for i in range(10):
        angle = -math.pi / 2 + i * math.pi / 5
        reach = r * 1.15 if i % 2 == 0 else r * 0.5
        points.append((cx + reach * math.cos(angle), cy + reach * math.sin(angle)))
    return points


def draw_shape(draw, shape, color, cx, cy, r, background):
    box = (cx - r, cy - r, cx + r, cy + r)
    if shape == "circle":
        draw.ellipse(box, fill=color)
    elif shape == "square":
        draw.rectangle(box, fill=color)
    elif shape == "triangle":
        draw.polygon([(cx, cy - r), (cx - r, cy + r), (cx + r, cy + r)], fill=color)
    elif shape == "star":
        draw.polygon(star(cx, cy, r), fill=color)
    elif shape == "cross":
        w = r * 0.38
        draw.rectangle((cx - w, cy - r, cx + w, cy + r), fill=color)
        draw.rectangle((cx - r, cy - w, cx + r, cy + w), fill=color)
    else:
        hole = r * 0.55
        draw.ellipse(box, fill=color)
        draw.ellipse((cx - hole, cy - hole, cx + hole, cy + hole), fill=background)


def new_shape(rng, used):
    """A shape and color that are not in the picture yet."""
    while True:
        shape, color = pick(rng, SHAPES), pick(rng, list(COLORS))
        if (shape, color) not in used:
            return shape, color


def shapes(rng):
    """One to four colored shapes, each about the middle of a cell of a 3 x 3 grid."""
    background = pick(rng, list(BACKGROUNDS))
    image, draw = canvas(BACKGROUNDS[background])
    count = rng.choice([1, 1, 2, 2, 3, 3, 4])
    cells = rng.sample([(row, column) for row in range(3) for column in range(3)], count)
    objects, used = [], set()
    # What image.info holds trains the tower by itself: which shape and color stands in which cell.
    labels = image.info.setdefault("cells", [])
    for row, column in sorted(cells):
        shape, color = new_shape(rng, used)
        used.add((shape, color))
        r = rng.uniform(9, 15)
        cx = 19 + column * 37 + rng.uniform(-3, 3)
        cy = 19 + row * 37 + rng.uniform(-3, 3)
        draw_shape(draw, shape, COLORS[color], cx, cy, r, BACKGROUNDS[background])
        objects.append((shape, color, PLACES[row][column]))
        labels.append((row * 3 + column, SHAPES.index(shape), list(COLORS).index(color)))
    return image, shape_questions(rng, background, objects, used)


def shape_questions(rng, background, objects, used):
    caption = enumeration([with_article(f"{color} {shape}") for shape, color, _ in objects])
    caption += f" on {with_article(background)} background"
    describe = ["What is in this picture?", "Describe the image.", "What do you see?", "Write a caption for this image."]
    count = ["How many shapes are there?", "Count the shapes.", "How many objects are in the image?"]
    questions = [(pick(rng, describe), caption), (pick(rng, count), NUMBERS[len(objects)])]
    shape, color, place = pick(rng, objects)
    # Questions that say less than shape and color are asked only where one object fits.
    if sum(other[0] == shape for other in objects) == 1:
        questions.append((pick(rng, [f"What color is the {shape}?", f"What is the color of the {shape}?"]), color))
        questions.append((f"Where is the {shape}?", place))
    if sum(other[1] == color for other in objects) == 1:
        questions.append((pick(rng, [f"What shape is {color}?", f"Which shape is {color}?"]), shape))
    questions.append((f"Where is the {color} {shape}?", place))
    if rng.random() < 0.5:
        questions.append((f"Is there {with_article(color + ' ' + shape)}?", "yes"))
    else:
        shape, color = new_shape(rng, used)
        questions.append((f"Is there {with_article(color + ' ' + shape)}?", "no"))
    questions.append(("What color is the background?", background))
    return questions


# Text and sums


def text_picture(rng, text, smallest=15, largest=30):
    """One line of text, made smaller until it fits, in a random place."""
    paper, ink = rng.choice(PAPER_AND_INK)
    image, draw = canvas(paper)
    path, size = pick(rng, FONTS), rng.randint(smallest, largest)
    while True:
        face = font(path, size)
        left, top, right, bottom = draw.textbbox((0, 0), text, font=face)
        width, height = right - left, bottom - top
        if width <= SIZE - 8 or size <= 10:
            break
        size -= 1
    x = rng.uniform(4, max(4, SIZE - 4 - width))
    y = rng.uniform(4, SIZE - 8 - height)
    draw.text((x - left, y - top), text, font=face, fill=ink)
    return image


def random_text(rng):
    kind = rng.random()
    if kind < 0.35:
        text = pick(rng, WORDS)
    elif kind < 0.6:
        text = "".join(rng.choice(CAPITALS.lower()) for _ in range(rng.randint(2, 5)))
    elif kind < 0.8:
        text = str(rng.randint(0, 99999))
    else:
        text = "".join(rng.choice(CAPITALS + "0123456789") for _ in range(rng.randint(2, 5)))
    if text.isalpha() and text.islower() and rng.random() < 0.4:
        text = text.upper()
    return text


def text(rng):
    """A word, random letters or digits."""
    written = random_text(rng)
    read = ["What does the text say?", "Read the text.", "What is written here?", "Transcribe the image."]
    questions = [(pick(rng, read), written), ("How many characters are there?", str(len(written)))]
    return text_picture(rng, written), questions


def sums(rng):
    """A sum, difference or product to work out; the answer repeats the problem."""
    operator = rng.choice("++--x")
    a, b = rng.randint(0, 20), rng.randint(0, 20)
    if operator == "x":
        a, b = rng.randint(0, 9), rng.randint(0, 9)
    if operator == "-" and b > a:
        a, b = b, a
    result = {"+": a + b, "-": a - b, "x": a * b}[operator]
    problem = f"{a}{operator}{b}=" + rng.choice(["?", ""])
    if rng.random() < 0.5:
        problem = problem.replace(operator, f" {operator} ")
    ask = pick(rng, ["Solve the problem.", "What is the answer?", "Compute the result."])
    return text_picture(rng, problem, 16, 28), [(ask, f"{a} {operator} {b} = {result}")]


# Charts


def charts(rng):
    """A bar chart of two to five bars of different colors and heights, their values above and names below."""
    count = rng.randint(2, 5)
    values = rng.sample(range(1, 11), count)
    image, draw = canvas((255, 255, 255))
    names, width = "ABCDE"[:count], (SIZE - 12) / count
    colors = rng.sample([c for c in COLORS if c != "white"], count)
    face, black = font(BOLD, 12), (0, 0, 0)
    draw.line((5, 95, SIZE - 4, 95), fill=black)
    draw.line((5, 4, 5, 95), fill=black)
    for i, value in enumerate(values):
        x, y = 9 + i * width, 95 - value * 7.6
        middle = x + width * 0.32
        draw.rectangle((x, y, x + width * 0.65, 94), fill=COLORS[colors[i]])
        draw.text((middle - 4, 97), names[i], font=face, fill=black)
        draw.text((middle - (4 if value < 10 else 7), y - 14), str(value), font=face, fill=black)
    tallest, shortest = names[values.index(max(values))], names[values.index(min(values))]
    one = rng.randrange(count)
    return image, [
        ("Which bar is the tallest?", tallest),
        ("Which bar is the shortest?", shortest),
        (f"What is the value of {names[one]}?", str(values[one])),
        (f"What color is bar {names[one]}?", colors[one]),
        ("How many bars are there?", NUMBERS[count]),
        ("Describe the chart.", "a bar chart with " + ", ".join(f"{n} = {v}" for n, v in zip(names, values))),
    ]


# Page sketches: each element is drawn from height y down, and returns the height it takes and its HTML.

LINE = (40, 40, 40)


def draw_heading(rng, draw, y):
    draw.rectangle((8 + rng.uniform(-1, 1), y, 75 + rng.uniform(-1, 1), y + 11), fill=LINE)
    return 19, "<h1>Title</h1>"


def draw_paragraph(rng, draw, y):
    for i in range(3):
        end = rng.choice([100, 96, 70] if i == 2 else [100, 104])
        draw.line((8, y + 2 + i * 5, end, y + 2 + i * 5), fill=LINE)
    return 20, "<p>Text</p>"


def draw_input(rng, draw, y):
    draw.rectangle((8 + rng.uniform(-1, 1), y, 100 + rng.uniform(-1, 1), y + 13), outline=LINE)
    draw.line((12, y + 3, 12, y + 10), fill=LINE)
    return 21, "<input>"


def draw_button(rng, draw, y):
    box = (8 + rng.uniform(-1, 1), y, 55 + rng.uniform(-1, 1), y + 15)
    draw.rounded_rectangle(box, radius=6, outline=LINE, width=2)
    draw.line((20, y + 8, 43, y + 8), fill=LINE, width=2)
    return 22, "<button>OK</button>"


def draw_image(_, draw, y):
    draw.rectangle((8, y, 60, y + 28), outline=LINE)
    draw.line((8, y, 60, y + 28), fill=LINE)
    draw.line((8, y + 28, 60, y), fill=LINE)
    return 36, "<img>"


def draw_rule(_, draw, y):
    draw.line((4, y + 3, 108, y + 3), fill=LINE, width=2)
    return 12, "<hr>"


ELEMENTS = [draw_heading, draw_paragraph, draw_input, draw_button, draw_image, draw_rule]


def sketches(rng):
    """Up to four elements of a web page, drawn as on paper; the answer is their HTML."""
    image, draw = canvas((252, 252, 250))
    y, html = 5, []
    while y < 92 and len(html) < 4:
        height, element = rng.choice(ELEMENTS)(rng, draw, y)
        y += height
        html.append(element)
    write = ["Write the HTML for this sketch.", "Turn this sketch into HTML.", "Generate code for this page."]
    return image, [(pick(rng, write), "".join(html)), ("How many elements are there?", NUMBERS[len(html)])]


# The kinds, with the share that each has of the training data.
KINDS = {shapes: 0.60, text: 0.12, sums: 0.04, charts: 0.12, sketches: 0.12}


def sample(rng):
    """A kind's name, a picture and its questions with answers in random order."""
    u = rng.random()
    for kind, share in KINDS.items():
        if u < share:
            break
        u -= share
    image, questions = kind(rng)
    rng.shuffle(questions)
    return kind.__name__, image, questions
