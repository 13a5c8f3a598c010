"""The model's vocabulary: a SentencePiece BPE vocabulary that spells what is read and has a token for each word it speaks itself.

Every piece of several characters is a word of questions or answers with the space before it, a tag of HTML, or the beginning of
one. So merges start at a space or at "<" and nowhere else: text that was read (which follows "ASSISTANT:" without a space),
numbers, and the words of tables are single characters, one for each that the tower sees.

    python vocab.py    writes vocab.txt, a piece a line, as JSON strings
"""

import collections
import json
import pathlib
import random
import re

import world
from world.words import ITEMS

FILE = pathlib.Path(__file__).with_name("vocab.txt")
SPACE = "\u2581"
UNK, BOS, EOS, BYTES = 0, 1, 2, 256
TAGS = [
    "<h1>Title",
    "</h1>",
    "<p>Text",
    "</p>",
    "<input>",
    "<button>OK",
    "</button>",
    "<img>",
    "<hr>",
    "<ul>",
    "</ul>",
    "<li>Item",
    "</li>",
    "<nav>",
    "</nav>",
    "<a>Link",
    "</a>",
    "<div>",
    "</div>",
    "<form>",
    "</form>",
]


def build():
    words = collections.Counter({"ASSISTANT:": 10**6})
    rng = random.Random(7)
    for _ in range(20000):
        kind, _, _, qa = world.sample(rng)
        for question, answer in qa:
            spelled = kind in ("text", "tables", "sums") and answer != world.MISSING
            for text in [question] if spelled else [question, answer]:
                words.update(re.findall(r"[A-Za-z]{2,}:?", text))
    chains = [SPACE + w for w, n in words.items() if n >= 40 and w not in ITEMS] + TAGS
    pieces = {chain[:n] for chain in chains for n in range(2, len(chain) + 1)}
    singles = SPACE + "".join(chr(c) for c in range(33, 127))
    return sorted(pieces, key=lambda p: (len(p), p)) + list(singles)


class Vocabulary:
    def __init__(self):
        self.pieces = json.loads(FILE.read_text())
        self.first = BYTES + 3  # ids: unk, <s>, </s>, 256 bytes, pieces
        self.ids = {p: self.first + i for i, p in enumerate(self.pieces)}
        self.cache = {}

    def __len__(self):
        return self.first + len(self.pieces)

    def encode(self, text):
        """Token ids, as SentencePiece gives them without its dummy prefix."""
        if text not in self.cache:
            if len(self.cache) > 100_000:
                self.cache.clear()
            self.cache[text] = self._encode(text.replace(" ", SPACE))
        return self.cache[text]

    def _encode(self, text):
        ids, i = [], 0
        while i < len(text):
            n = 1
            while i + n < len(text) and text[i : i + n + 1] in self.ids:
                n += 1
            piece = text[i : i + n]
            ids += [self.ids[piece]] if piece in self.ids else [3 + b for b in piece.encode()]
            i += n
        return ids

    def decode(self, ids):
        out = b""
        for i in ids:
            out += (
                self.pieces[i - self.first].replace(SPACE, " ").encode()
                if i >= self.first
                else bytes([i - 3])
                if i >= 3
                else b""
            )
        return out.decode(errors="replace")


if __name__ == "__main__":
    pieces = build()
    FILE.write_text("[\n" + ",\n".join(map(json.dumps, pieces)) + "\n]\n")
    print(len(pieces) + 3 + BYTES, "tokens")
