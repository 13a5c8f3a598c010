"""Where the tower begins. What a convolutional network has by its build, a transformer must find out, and most of a short training goes
into that: what a patch shows beside its mean color, where it lies, and what its neighbours show. All three are put into the
weights to begin with; nothing holds them there.

Patch filters are principal components of patches, each nearly as strong as the others: a patch says most by its mean color, and edges, by
which shapes and characters differ, are a hundredth of its variance and drown in the norm behind the filters. Row and column of a patch
have numbers of the width of their own. The heads of the first layers look at one neighbour each.
"""

import numpy as np
import torch

import world
from batches import seeded
from model import HEAD, HEADS, MEAN, STD, WIDTH
from world.canvas import GRID, PATCH, tower_input

PICTURES, STRENGTH, POWER = 600, 0.8, 0.4  # a power of 0.5 would whiten wholly
CONTENT = WIDTH - 2 * GRID  # of the width; the rest says row and column
PLACE = 10.0  # strength of row and column: stronger than any patch, so that the norm leaves them alike for blank patches and full ones
SHARP = 0.6  # of a head's look at its neighbour
NEIGHBOURS = [
    [(0, -1), (0, 1), (-1, 0), (1, 0)],
    [(-1, -1), (-1, 1), (1, -1), (1, 1)],
    [(0, -1), (0, 1), (-1, 0), (1, 0)],
    [(0, -2), (0, 2), (-2, 0), (2, 0)],
]


def patches(seed):
    """Normalized patches of fresh pictures, [n, 3 * PATCH * PATCH] in the order of a filter's weights."""
    rng = seeded(seed)
    rgb = np.stack([tower_input(world.sample(rng, practised=0.3)[2]) for _ in range(PICTURES)])
    x = (rgb.astype(np.float32) / 255 - np.array(MEAN, np.float32)) / np.array(STD, np.float32)
    x = x.reshape(PICTURES, GRID, PATCH, GRID, PATCH, 3).transpose(0, 1, 3, 5, 2, 4)
    return torch.from_numpy(x.reshape(-1, 3 * PATCH * PATCH).copy())


def filters(seed=0):
    """[WIDTH, 3, PATCH, PATCH]"""
    x = patches(seed)
    values, vectors = torch.linalg.eigh(x.T @ x / len(x))
    values, vectors = values.flip(0)[:CONTENT], vectors.flip(1)[:, :CONTENT]
    w = (vectors * values.clamp(min=1e-3) ** -POWER).T
    busy = (x @ w.T).square().mean(1).sqrt()
    w = torch.cat([w * STRENGTH / busy.quantile(0.9), torch.zeros(WIDTH - CONTENT, w.shape[1])])
    return w.reshape(WIDTH, 3, PATCH, PATCH)


def places():
    """[1 + GRID * GRID, WIDTH]: nothing for the class token, row and column for each patch."""
    pos = torch.zeros(1 + GRID * GRID, WIDTH)
    for row in range(GRID):
        for column in range(GRID):
            pos[1 + row * GRID + column, [CONTENT + row, CONTENT + GRID + column]] = PLACE
    return pos


def look(block, head, rows, columns, generator):
    """Has a head look at the patch so many rows and columns away: query and key name rows and columns by the same vectors."""
    names, _ = torch.linalg.qr(torch.randn(HEAD, 2 * GRID, generator=generator))
    at = slice(head * HEAD, (head + 1) * HEAD)
    for first, by in ((0, rows), (GRID, columns)):
        for i in range(GRID):
            block.k.weight[at, CONTENT + first + i] = SHARP * names[:, first + i]
            block.q.weight[at, CONTENT + first + i] = (
                SHARP * names[:, first + i + by] if 0 <= i + by < GRID else 0
            )


@torch.no_grad()
def begin(tower):
    tower.patch.weight.copy_(filters())
    tower.pos.copy_(places())
    generator = torch.Generator().manual_seed(0)
    for block, offsets in zip(tower.blocks, NEIGHBOURS):
        for head, (rows, columns) in enumerate(offsets[:HEADS]):
            look(block, head, rows, columns, generator)
