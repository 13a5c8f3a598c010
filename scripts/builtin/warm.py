"""Weights to begin with: those of a pair of GGUF files of this architecture, another vocabulary included."""

import gguf
import numpy as np
import torch

from model import LAYERS
from vocab import SPACE

BLOCK = {
    "n1.w": "attn_norm.weight",
    "n2.w": "ffn_norm.weight",
    "q.weight": "attn_q.weight",
    "k.weight": "attn_k.weight",
    "v.weight": "attn_v.weight",
    "o.weight": "attn_output.weight",
    "gate.weight": "ffn_gate.weight",
    "up.weight": "ffn_up.weight",
    "down.weight": "ffn_down.weight",
}
TOWER_BLOCK = {
    "ln1": "ln1",
    "ln2": "ln2",
    "q": "attn_q",
    "k": "attn_k",
    "v": "attn_v",
    "o": "attn_out",
    "up": "ffn_up",
    "down": "ffn_down",
}


def names():
    """Our parameters' names with those in the GGUF files, language model's and projector's."""
    lm = {
        "emb.weight": "token_embd.weight",
        "out.weight": "output.weight",
        "norm.w": "output_norm.weight",
    }
    vis = {
        "cls": "v.class_embd",
        "patch.weight": "v.patch_embd.weight",
        "pos": "v.position_embd.weight",
        "pre.weight": "v.pre_ln.weight",
        "pre.bias": "v.pre_ln.bias",
    }
    for i in range(LAYERS):
        lm |= {f"blocks.{i}.{a}": f"blk.{i}.{b}" for a, b in BLOCK.items()}
        vis |= {
            f"blocks.{i}.{a}.{p}": f"v.blk.{i}.{b}.{p}"
            for a, b in TOWER_BLOCK.items()
            for p in ("weight", "bias")
        }
    vis |= {f"mm{n}.{p}": f"mm.{n}.{p}" for n in (0, 2) for p in ("weight", "bias")}
    return lm, vis


def read(path):
    reader = gguf.GGUFReader(path)
    return reader, {
        t.name: torch.from_numpy(np.array(gguf.dequantize(t.data, t.tensor_type), np.float32))
        for t in reader.tensors
    }


def load(model, vocab, lm_path, projector_path=None):
    """Fills the decoder from a GGUF file, and the tower from another if it is given. Pieces that the file's vocabulary lacks begin as the mean
    of the pieces that spell them."""
    lm_names, vis_names = names()
    if projector_path:
        _, tensors = read(projector_path)
        model.vis.load_state_dict(
            {
                ours: tensors[theirs].view(model.vis.state_dict()[ours].shape)
                for ours, theirs in vis_names.items()
            }
        )
    reader, tensors = read(lm_path)
    old = {piece: i for i, piece in enumerate(reader.fields["tokenizer.ggml.tokens"].contents())}
    spelled = [
        spell(old, p)
        for p in ["<unk>", "<s>", "</s>"] + [f"<0x{b:02X}>" for b in range(256)] + vocab.pieces
    ]
    state = {}
    for ours, theirs in lm_names.items():
        state[ours] = tensors[theirs]
        if ours in ("emb.weight", "out.weight"):
            state[ours] = torch.stack([tensors[theirs][ids].mean(0) for ids in spelled])
    strength = state["emb.weight"].square().mean().sqrt()
    if strength < 0.5:  # as the first edition's, which layers behind the first hardly saw
        state["emb.weight"] /= strength
    model.lm.load_state_dict(state)


def spell(old, piece):
    if piece in old:
        return [old[piece]]
    ids, i = [], 0
    while i < len(piece):
        n = next((n for n in range(len(piece) - i, 0, -1) if piece[i : i + n] in old), 0)
        ids.append(old[piece[i : i + n]] if n else old.get(SPACE, 0))
        i += max(n, 1)
    return ids
