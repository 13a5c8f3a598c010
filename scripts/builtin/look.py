"""Where words look. A decoder that is taught by answers alone finds late, or never, that a word of the question names something in the picture: "Where
is the square?" stayed a guess after 2500 steps, while the tower knew each square. So four heads are taught where to look, in training only.

Naming: a word's row looks at the patches that show what the word names, every red one for "red", an m for a letter m.
Meant: the last word of a name looks at the thing itself, the red square and not the red ring, the table's row that begins with "milk".
Last and first: the rows of the answer look at the rows of the last and of the first thing that the question names.
Shown: the rows of the answer look at the last named thing itself; in a table, at the number of its row.
Where there is no such thing, a row looks at the first row of all, which shows nothing.

To look is not yet to say: an answer did not heed what its row looked at, because nothing behind read it. So the rows of a thing's last word
and of the answer are taught what the thing is, too, by labels of its patches that a linear layer reads off them.
"""
import re
from typing import NamedTuple

import numpy as np

from world.canvas import CHARACTERS, COLORS, OBJECTS
from world.shapes import SHAPES

NAMING, MEANT, LAST, FIRST, SHOWN = range(5)
HEADS = [(1, 0), (2, 0), (3, 0), (3, 1), (4, 0)]  # layer and head of each: of those whose loss did least harm
TOLD = ["object", "color", "ordinal", "place"]  # labels that rows are taught
DIGITS = [CHARACTERS.index(c) + 1 for c in "0123456789"]


class Look(NamedTuple):
    """A head, the token whose row looks, and where to: patches [IMAGE_TOKENS], or the row of another token."""
    head: int
    token: int
    patches: np.ndarray | None = None
    row: int | None = None

    def told(self, dense):
        """The values of TOLD of what is looked at, 0 where there is nothing."""
        at = np.flatnonzero(self.patches)
        return [int(dense[name][at[0]]) if len(at) else 0 for name in TOLD]


def at_shapes(said, dense):
    """Looks of the words of a conversation about shapes."""
    shows = lambda label, values, word: dense[label] == list(values).index(word) + 1
    for i, word in enumerate(said):
        word, before, after = word.strip(), *(said[k].strip() if 0 <= k < len(said) else "" for k in (i - 1, i + 1))
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
            yield Look(MEANT, i, meant)


def at_rows(said, dense, items):
    """Looks of the words of a conversation about a table, of which items are the first words of its rows."""
    text, begin = "".join(said), np.cumsum([0] + [len(s) for s in said])
    for row, item in enumerate(items):
        for found in re.finditer(rf"\b{item}\b", text.split("ASSISTANT:")[0]):
            inside = [i for i in range(len(said)) if begin[i] < found.end() and begin[i + 1] > found.start()]
            for i in inside:
                shown = [CHARACTERS.index(c) + 1 for c in said[i].strip() if c in CHARACTERS]
                if shown:
                    yield Look(NAMING, i, np.isin(dense["left"], shown) | np.isin(dense["right"], shown))
            yield Look(MEANT, inside[-1], dense["ordinal"] == row + 1)


def looks(vocab, kind, canvas, dense, ids):
    """The looks in a conversation about a picture of a kind; dense are the labels of its canvas."""
    said = [vocab.decode([i]) for i in ids]
    if kind in ("shapes", "captions"):
        found = list(at_shapes(said, dense))
    elif kind == "tables":
        found = list(at_rows(said, dense, canvas.items))
    else:
        found = []
    return found + asked(said, found, dense)


def asked(said, found, dense):
    """Looks of the rows that answer, from where an answer begins to where it ends."""
    out, begin = [], 0
    for end in [i for i, s in enumerate(said) if s.endswith("ASSISTANT:")]:
        after = said.index("", end)  # the token that ends an answer has no text
        named = [one for one in found if one.head == MEANT and begin <= one.token < end]
        if named:
            shown = named[-1].patches
            if dense["left"].any():  # written: the number
                shown = shown & (np.isin(dense["left"], DIGITS) | np.isin(dense["right"], DIGITS))
            for i in range(end, after):
                out += [Look(LAST, i, row=named[-1].token), Look(FIRST, i, row=named[0].token), Look(SHOWN, i, shown)]
        begin = after + 1
    return out
