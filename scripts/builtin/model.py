"""LLaVA 1.5's architecture at toy size: a CLIP tower with class token, a two-layer projector, a Llama decoder."""

import torch
from torch import nn
from torch.nn import functional as F

import look
from world.canvas import DENSE, GRID, PATCH, SIZE

WIDTH, LAYERS, HEADS = 256, 6, 4
TOWER_FFN, KV_HEADS, FFN = 1024, 2, 768
HEAD = WIDTH // HEADS
ROPE_BASE = 10000.0
IMAGE_TOKENS = GRID * GRID
ANSWERS = 0.25  # share of the answers' gradient that reaches the tower: whole, it drowns what the patches teach
TOLD_AFTER = look.HEADS["last"][
    0
]  # the layer behind which rows of text are taught what they talk of
MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


def heads(x, n):
    return x.view(x.shape[0], x.shape[1], n, HEAD).transpose(1, 2)


def attention(q, k, v, mask=None):
    """Plain products: twice as fast on a CPU with bfloat16 as PyTorch's fused attention, for so few rows."""
    scores = q @ k.transpose(-1, -2) * HEAD**-0.5
    if mask is not None:
        scores = scores.masked_fill(~mask, -1e9)
    return torch.softmax(scores, -1).to(v.dtype) @ v


class TowerBlock(nn.Module):
    def __init__(self):
        super().__init__()
        self.ln1, self.ln2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.q, self.k, self.v, self.o = (nn.Linear(WIDTH, WIDTH) for _ in range(4))
        self.up, self.down = nn.Linear(WIDTH, TOWER_FFN), nn.Linear(TOWER_FFN, WIDTH)

    def forward(self, x):
        h = self.ln1(x)
        a = attention(heads(self.q(h), HEADS), heads(self.k(h), HEADS), heads(self.v(h), HEADS))
        x = x + self.o(a.transpose(1, 2).reshape(x.shape))
        h = self.up(self.ln2(x))
        return x + self.down(h * torch.sigmoid(1.702 * h))


class Tower(nn.Module):
    """uint8 pictures [b, SIZE, SIZE, 3] to image tokens [b, IMAGE_TOKENS, WIDTH]."""

    def __init__(self):
        super().__init__()
        self.patch = nn.Conv2d(3, WIDTH, PATCH, PATCH, bias=False)
        self.cls = nn.Parameter(torch.randn(WIDTH) * 0.02)
        self.pos = nn.Parameter(torch.zeros(1 + IMAGE_TOKENS, WIDTH))
        self.pre = nn.LayerNorm(WIDTH)
        self.blocks = nn.ModuleList(TowerBlock() for _ in range(LAYERS))
        self.mm0, self.mm2 = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)
        self.register_buffer("mean", torch.tensor(MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(STD).view(3, 1, 1), persistent=False)

    def forward(self, rgb):
        x = (
            self.patch((rgb.permute(0, 3, 1, 2).float() / 255 - self.mean) / self.std)
            .flatten(2)
            .transpose(1, 2)
        )
        x = self.pre(torch.cat([self.cls.to(x.dtype).expand(len(x), 1, WIDTH), x], 1) + self.pos)
        for block in self.blocks:
            x = block(x)
        return self.mm2(F.gelu(self.mm0(x[:, 1:])))


class Norm(nn.Module):
    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.ones(WIDTH))

    def forward(self, x):
        return F.rms_norm(x, (WIDTH,), self.w.to(x.dtype), 1e-5)


def rotate(x, cos, sin):
    """Rotary positions on neighbouring numbers, as ggml's llama has them. cos and sin: [b, 1, n, HEAD / 2]."""
    a, b = x[..., 0::2], x[..., 1::2]
    return torch.stack([a * cos - b * sin, a * sin + b * cos], -1).flatten(-2)


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.n1, self.n2 = Norm(), Norm()
        self.q, self.o = nn.Linear(WIDTH, WIDTH, bias=False), nn.Linear(WIDTH, WIDTH, bias=False)
        self.k, self.v = (nn.Linear(WIDTH, KV_HEADS * HEAD, bias=False) for _ in range(2))
        self.gate, self.up = nn.Linear(WIDTH, FFN, bias=False), nn.Linear(WIDTH, FFN, bias=False)
        self.down = nn.Linear(FFN, WIDTH, bias=False)

    def forward(self, x, cos, sin, mask):
        h = self.n1(x)
        q, k, v = (
            rotate(heads(self.q(h), HEADS), cos, sin),
            rotate(heads(self.k(h), KV_HEADS), cos, sin),
            heads(self.v(h), KV_HEADS),
        )
        self.seen = q, k
        k, v = (t.repeat_interleave(HEADS // KV_HEADS, 1) for t in (k, v))
        a = attention(q, k, v, mask)
        x = x + self.o(a.transpose(1, 2).reshape(x.shape))
        h = self.n2(x)
        return x + self.down(F.silu(self.gate(h)) * self.up(h))


class Decoder(nn.Module):
    def __init__(self, vocabulary):
        super().__init__()
        self.emb = nn.Embedding(vocabulary, WIDTH)
        nn.init.normal_(
            self.emb.weight
        )  # as strong as what the layers add: at 0.02, layers behind the first do not see which word stands in a row
        self.blocks = nn.ModuleList(Block() for _ in range(LAYERS))
        self.norm = Norm()
        self.out = nn.Linear(WIDTH, vocabulary, bias=False)

    def forward(self, x, positions, mask):
        """Rows [b, n, WIDTH] at positions [b, n] to the last layer's normed rows; mask [b, 1, n, n] is true where a row may look."""
        inverse = ROPE_BASE ** (-torch.arange(0, HEAD, 2) / HEAD)
        angle = positions[:, None, :, None].float() * inverse
        cos, sin = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
        for i, block in enumerate(self.blocks):
            x = block(x, cos, sin, mask)
            if i == TOLD_AFTER:
                self.middle = F.rms_norm(x.float(), (WIDTH,), eps=1e-5)
        return self.norm(x)

    def scores(self, layer, head, pictures, rows):
        """Of the last pass: what rows [m] of pictures [m] score the columns by in a head, before the mask, [m, n]."""
        q, k = self.blocks[layer].seen
        return (
            torch.einsum(
                "md,mnd->mn", q[pictures, head, rows], k[pictures, head * KV_HEADS // HEADS]
            ).float()
            * HEAD**-0.5
        )


class Model(nn.Module):
    def __init__(self, vocabulary):
        super().__init__()
        self.vis, self.lm = Tower(), Decoder(vocabulary)
        self.dense = nn.Linear(
            WIDTH, sum(DENSE.values())
        )  # read off the image tokens in training only
        self.told = nn.Linear(WIDTH, sum(DENSE[name] for name in look.TOLD))  # and off rows of text

    def forward(self, rgb, prefix, text, positions, mask):
        """Image tokens, and normed rows of the text: prefix [p] stands before the picture, text [b, t] after it."""
        image = self.vis(rgb)
        seen = ANSWERS * image + (1 - ANSWERS) * image.detach()
        rows = torch.cat(
            [
                self.lm.emb(prefix).expand(len(rgb), -1, -1).to(image.dtype),
                seen,
                self.lm.emb(text).to(image.dtype),
            ],
            1,
        )
        return image, self.lm(rows, positions, mask)[:, len(prefix) + IMAGE_TOKENS :]
