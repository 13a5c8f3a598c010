"""Batches: pictures, each with several conversations packed behind it that do not see one another."""

import random

import numpy as np
import torch

import look
import world
from model import IMAGE_TOKENS
from vocab import BOS, EOS
from world.canvas import DENSE, tower_input
from world.text import problem, solved

IGNORE = -100
LIMIT = 112  # tokens behind a picture
SOLVE = ["Solve the problem.", "What is the answer?", "Calculate."]


def turn(vocab, question, answer, before):
    """Tokens and labels of a question with its answer; before is what stands before the question."""
    asked = vocab.encode(before + question + " ASSISTANT:")
    said = vocab.encode(answer) + [EOS]
    return asked + said, [IGNORE] * len(asked) + said


def arithmetic(rng, vocab):
    """A sum of which only the result is asked: it needs no picture, and stands behind any."""
    parts, value = problem(rng)
    whole = solved(parts, value)
    ids, _ = turn(vocab, rng.choice(SOLVE), whole, rng.choice([" ", "\n"]))
    tail = len(vocab.encode(f" {value}")) + 1
    return ids, [IGNORE] * (len(ids) - tail) + ids[-tail:]


def conversations(rng, vocab, qa, sums):
    """Packed blocks: tokens, labels, number of the block, and position within it of each token, and which kind of block it is."""
    blocks, size = [], 0
    i = 0
    while i < len(qa):
        ids, labels = turn(vocab, *qa[i], rng.choice([" ", "\n"]))
        i += 1
        if i < len(qa) and rng.random() < 0.25:  # a second turn leans on the first
            more = turn(vocab, *qa[i], "USER: ")
            ids, labels = ids + more[0], labels + more[1]
            i += 1
        if size + len(ids) <= LIMIT:
            blocks.append((ids, labels, False))
            size += len(ids)
    for _ in range(sums):
        ids, labels = arithmetic(rng, vocab)
        if size + len(ids) <= LIMIT:
            blocks.append((ids, labels, True))
            size += len(ids)
    return blocks


class Batch:
    """rgb uint8 [b, SIZE, SIZE, 3]; dense {name: [b, IMAGE_TOKENS]}; text and labels [b, t], labels shifted so that each stands at
    the row that foretells it; weights [b, t] of the labels, less for those of long answers; blocks [b, t] (-1: padding);
    positions [b, p + IMAGE_TOKENS + t]; mask [b, 1, n, n]; kinds."""

    def __init__(self, rng, vocab, size, sums=1, practised=0.0):
        self.kinds, pictures, dense, packed, looks = [], [], [], [], []
        for _ in range(size):
            kind, canvas, image, qa = world.sample(rng, practised=practised)
            self.kinds.append(kind)
            pictures.append(tower_input(image))
            dense.append(canvas.dense())
            packed.append(conversations(rng, vocab, qa, sums))
            at = 0
            for ids, _, _ in packed[-1]:
                looks += [
                    (len(packed) - 1, at, one, one.told(dense[-1]))
                    for one in look.looks(vocab, kind, canvas, dense[-1], ids)
                ]
                at += len(ids)
        self.rgb = torch.from_numpy(np.stack(pictures))
        self.dense = {name: torch.from_numpy(np.stack([d[name] for d in dense])) for name in DENSE}
        self._pack(vocab, packed)
        self._look(looks)

    def _look(self, looks):
        """looks: for each head that is taught where to look, pictures [m], rows [m] and the columns to look at [m, n]; told: the rows that
        are taught what a thing is, pictures [m], rows [m] and labels [m, len(look.TOLD)]."""
        before, n = len(self.prefix) + IMAGE_TOKENS, self.mask.shape[-1]
        indices = lambda values: torch.tensor(values, dtype=torch.long)
        self.looks = []
        for head in range(len(look.HEADS)):
            found = [
                (picture, before + start, one)
                for picture, start, one, _ in looks
                if one.head == head
            ]
            columns = torch.zeros(len(found), n, dtype=torch.bool)
            for i, (_, start, one) in enumerate(found):
                if one.row is not None:
                    columns[i, start + one.row] = True
                else:
                    columns[i, len(self.prefix) : before] = torch.from_numpy(one.patches)
                    columns[i, 0] = not one.patches.any()
            self.looks.append(
                (
                    indices([picture for picture, _, _ in found]),
                    indices([start + one.token for _, start, one in found]),
                    columns,
                )
            )
        found = [
            (picture, before + start + one.token, told)
            for picture, start, one, told in looks
            if told
        ]
        self.told = tuple(indices([f[i] for f in found]) for i in range(3))

    def _pack(self, vocab, packed):
        self.prefix = torch.tensor([BOS] + vocab.encode("USER: "))
        before = len(self.prefix) + IMAGE_TOKENS
        size, length = len(packed), max(sum(len(b[0]) for b in blocks) for blocks in packed)
        self.text = torch.full((size, length), EOS)
        self.labels = torch.full((size, length), IGNORE)
        self.blocks = torch.full((size, length), -1)
        self.drill = torch.zeros(size, length, dtype=torch.bool)
        self.weights = torch.zeros(size, length)
        positions = torch.arange(before + length).repeat(size, 1)
        for row, blocks in enumerate(packed):
            at = 0
            for n, (ids, labels, drill) in enumerate(blocks):
                end = at + len(ids)
                self.text[row, at:end] = torch.tensor(ids)
                self.labels[row, at : end - 1] = torch.tensor(labels[1:])
                self.blocks[row, at:end] = n
                self.drill[row, at:end] = drill
                self.weights[row, at:end] = sum(label != IGNORE for label in labels) ** -0.5
                positions[row, before + at : before + end] = before + torch.arange(len(ids))
                at = end
        self.positions = positions
        owner = torch.cat([torch.full((size, before), -2), self.blocks], 1)
        n = before + length
        same = (owner[:, None, :] == owner[:, :, None]) | (owner[:, None, :] == -2)
        self.mask = (same & torch.ones(n, n, dtype=torch.bool).tril())[:, None]


def exact(batch, right):
    """Share of right answers by kind: (kind, blocks wholly right, blocks). right: [b, t], whether each label was foretold.

    A model that always takes the best token gives an answer to the letter if and only if each of its tokens is foretold."""
    for row, kind in enumerate(batch.kinds):
        for n in range(int(batch.blocks[row].max()) + 1):
            at = (batch.blocks[row] == n) & (batch.labels[row] != IGNORE)
            yield (
                ("drill" if bool(batch.drill[row][at].any()) else kind),
                bool(right[row][at].all()),
            )


def seeded(seed):
    return random.Random(seed)
