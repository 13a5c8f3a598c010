"""Where words look. A decoder that is taught by answers alone finds late, or never, that a word of the question names something in the picture: "Where
is the square?" stayed a guess after 2500 steps, while the tower knew each square. So six heads are taught where to look, in training only.

Naming: a word's row looks at the patches that show what the word names, every red one for "red", an m for a letter m.
Meant: the last word of a name looks at the thing itself, the red square and not the red ring, the table's row that begins with "milk".
Last and first: the rows of the answer look at the rows of the last and of the first thing that the question names.
Shown: the rows of the answer look at the last named thing itself; in a table, at the number of its row.
Read: a row behind which a character of the picture is to come looks at that character.
Where there is no such thing, a row looks at the first row of all, which shows nothing.

To look is not yet to say: an answer did not heed what its row looked at, because nothing behind read it. So the rows of a thing's last word
and of the answer are taught what the thing is, too, by labels of its patches that a linear layer reads off them.
"""

import re
from typing import NamedTuple

import numpy as np

from world.canvas import CHARACTERS, COLORS, GRID, OBJECTS
from world.shapes import SHAPES

NAMING, MEANT, LAST, FIRST, SHOWN, READ = range(6)
HEADS = {
    "naming": (1, 0),
    "meant": (2, 0),
    "last": (3, 0),
    "first": (3, 1),
    "shown": (4, 0),
    "read": (4, 1),
}  # layer and head: of those whose loss did least harm
TOLD = ["object", "color", "ordinal", "place"]  # labels that rows are taught
DIGITS = [CHARACTERS.index(c) + 1 for c in "0123456789"]


class Look(NamedTuple):
    """A head, the token whose row looks, and where to: patches [IMAGE_TOKENS], or the row of another token. thing are the patches of what is
    talked of, where a row is taught that."""

    head: int
    token: int
    patches: np.ndarray | None = None
    row: int | None = None
    thing: np.ndarray | None = None

    def told(self, dense):
        """The values of TOLD of the thing, 0 where there is nothing; None if no thing is talked of."""
        if self.thing is None:
            return None
        return [int(dense[name][self.thing].max(initial=0)) for name in TOLD]


def line(dense, n):
    """Patches of a line of writing: those labelled so, and those above and below without a label, into which its characters may reach."""
    labels = np.pad(dense["ordinal"].reshape(GRID, GRID), ((1, 1), (0, 0)))
    own = labels == n
    near = np.roll(own, 1, 0) | np.roll(own, -1, 0)
    return (own | near & (labels == 0))[1:-1].reshape(-1)


def at_shapes(said, dense):
    """Looks of the words of a conversation about shapes."""
    shows = lambda label, values, word: dense[label] == list(values).index(word) + 1
    for i, word in enumerate(said):
        word, before, after = (
            word.strip(),
            *(said[k].strip() if 0 <= k < len(said) else "" for k in (i - 1, i + 1)),
        )
        if word in COLORS:
            meant = naming = shows("color", COLORS, word) & (dense["object"] > 0)
        elif word in SHAPES:
            meant = naming = shows("object", OBJECTS, word)
            if before in COLORS:
                meant = naming & shows("color", COLORS, before)
        else:
            continue
        yield Look(NAMING, i, naming)
        if after not in SHAPES:
            yield Look(MEANT, i, meant, thing=meant)


def at_rows(said, dense, items):
    """Looks of the words of a conversation about a table, of which items are the first words of its rows."""
    text, begin = "".join(said), np.cumsum([0] + [len(s) for s in said])
    for row, item in enumerate(items):
        for found in re.finditer(rf"\b{item}\b", text.split("ASSISTANT:")[0]):
            inside = [
                i
                for i in range(len(said))
                if begin[i] < found.end() and begin[i + 1] > found.start()
            ]
            for i in inside:
                shown = [CHARACTERS.index(c) + 1 for c in said[i].strip() if c in CHARACTERS]
                if shown:
                    yield Look(
                        NAMING, i, np.isin(dense["left"], shown) | np.isin(dense["right"], shown)
                    )
            thing = dense["ordinal"] == row + 1
            yield Look(MEANT, inside[-1], thing, thing=thing)


def looks(vocab, kind, canvas, dense, ids):
    """The looks in a conversation about a picture of a kind; dense are the labels of its canvas."""
    said = [vocab.decode([i]) for i in ids]
    if kind in ("shapes", "captions"):
        found = list(at_shapes(said, dense))
    elif kind == "tables":
        found = list(at_rows(said, dense, canvas.items))
    else:
        found = []
    return found + asked(said, found, dense, bool(canvas.items)) + list(read(said, canvas, dense))


def answers(said):
    """The token before each answer, and the one that ends it, which has no text."""
    return [(i, said.index("", i)) for i, s in enumerate(said) if s.endswith("ASSISTANT:")]


def asked(said, found, dense, rows):
    """Looks of the rows that answer a question which names things; rows: in a table."""
    out, begin = [], 0
    for end, after in answers(said):
        named = [one for one in found if one.head == MEANT and begin <= one.token < end]
        if named:
            thing = shown = named[-1].patches
            if rows:
                shown = line(dense, dense["ordinal"][thing].max(initial=0)) & (
                    np.isin(dense["left"], DIGITS) | np.isin(dense["right"], DIGITS)
                )
            for i in range(end, after):
                out += [
                    Look(LAST, i, row=named[-1].token),
                    Look(FIRST, i, row=named[0].token),
                    Look(SHOWN, i, shown, thing=thing),
                ]
        begin = after + 1
    return out


def written(answer, canvas):
    """For each character of an answer that stands in the picture: its place in the answer, its line from 0, and its number in what was written with it."""
    if canvas.items:
        for row, found in enumerate(re.finditer(r'"(\w+)": (\d+)', answer)):
            for group in (1, 2):
                yield from ((found.start(group) + n, row, n) for n in range(len(found[group])))
        return
    lines, at = canvas.lines, 0
    if answer in lines:  # one of two, perhaps
        yield from ((n, lines.index(answer), n) for n in range(len(answer)))
    elif answer == "\n".join(lines):
        for row, line in enumerate(lines):
            yield from ((at + n, row, n) for n in range(len(line)))
            at += len(line) + 1
    elif lines and " = " in answer:
        shown = [i for i, c in enumerate(answer[: answer.index("=") + 1]) if c != " "]
        yield from ((i, 0, n) for n, i in enumerate(shown))


def read(said, canvas, dense):
    """Looks of the rows behind which a character of the picture is to come."""
    for end, after in answers(said):
        answer = "".join(said[end + 1 : after])
        begin = np.cumsum([0] + [len(s) for s in said[end + 1 : after]])
        for at, row, n in written(answer, canvas):
            token = int(np.searchsorted(begin, at, "right")) - 1
            c = CHARACTERS.find(answer[at]) + 1
            if c == 0 or answer[begin[token] : begin[token + 1]].strip() != answer[at]:
                continue
            patches = (dense["left"] == c) & (dense["left_ordinal"] == n + 1) | (
                dense["right"] == c
            ) & (dense["right_ordinal"] == n + 1)
            if len(canvas.lines) > 1 or canvas.items:
                patches = patches & line(dense, row + 1)
            if patches.any():
                yield Look(READ, end + token, patches)
