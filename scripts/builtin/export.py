"""Writes a checkpoint as GGUF files in llama.cpp's layout of LLaVA 1.5.

    python export.py [--checkpoint build/builtin/ckpt/last.pt] [--out build/builtin/out] [--name eyelet-builtin]

writes NAME-f16.gguf, NAME-q8_0.gguf, mmproj-NAME-f16.gguf and mmproj-NAME-q8_0.gguf; `eyelet quantize` makes other types of the first.
The weights are the running average that the trainer keeps.
"""

import argparse
import os
import pathlib

import gguf
import numpy as np
import torch

import model as m
import warm
from vocab import BOS, BYTES, EOS, UNK, Vocabulary
from world.canvas import PATCH, SIZE

BUILD = pathlib.Path(__file__).parents[2] / "build/builtin"
# An answer begins right behind "ASSISTANT:", so that read text is spelled as it stands (vocab.py).
TEMPLATE = (
    "{% for m in messages %}{% if m['role'] == 'user' %}{{ 'USER: ' + m['content'] + ' ' }}{% elif m['role'] == 'assistant' %}"
    "{{ 'ASSISTANT:' + m['content'] + '</s>' }}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}"
)
DESCRIPTION = "A small LLaVA trained on synthetic pictures"


def add(writer, name, tensor, q8):
    a = tensor.float().numpy()
    if a.ndim == 1:
        writer.add_tensor(name, a)
    elif q8 and a.ndim == 2 and a.shape[-1] % 32 == 0 and "position" not in name:
        kind = gguf.GGMLQuantizationType.Q8_0
        writer.add_tensor(name, gguf.quants.quantize(a, kind), raw_dtype=kind)
    else:
        writer.add_tensor(name, a.astype(np.float16))


def finish(writer):
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def begin(path, arch, name, q8):
    w = gguf.GGUFWriter(path, arch)
    w.add_name(name)
    w.add_description(DESCRIPTION)
    w.add_license("MIT")
    w.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0 if q8 else gguf.LlamaFileType.MOSTLY_F16)
    return w


def language_model(path, state, vocab, name, q8):
    w = begin(path, "llama", name, q8)
    w.add_context_length(2048)
    w.add_embedding_length(m.WIDTH)
    w.add_block_count(m.LAYERS)
    w.add_feed_forward_length(m.FFN)
    w.add_head_count(m.HEADS)
    w.add_head_count_kv(m.KV_HEADS)
    w.add_layer_norm_rms_eps(1e-5)
    w.add_rope_dimension_count(m.HEAD)
    w.add_rope_freq_base(m.ROPE_BASE)
    w.add_vocab_size(len(vocab))
    tokenizer(w, vocab)
    for ours, theirs in warm.names()[0].items():
        add(w, theirs, state["lm." + ours], q8)
    finish(w)


def tokenizer(w, vocab):
    pieces = ["<unk>", "<s>", "</s>"] + [f"<0x{b:02X}>" for b in range(BYTES)] + vocab.pieces
    kinds = (
        [gguf.TokenType.UNKNOWN]
        + [gguf.TokenType.CONTROL] * 2
        + [gguf.TokenType.BYTE] * BYTES
        + [gguf.TokenType.NORMAL] * len(vocab.pieces)
    )
    w.add_tokenizer_model("llama")
    w.add_token_list([p.encode() for p in pieces])
    w.add_token_scores([0.0] * vocab.first + [-float(i) for i in range(len(vocab.pieces))])
    w.add_token_types([int(k) for k in kinds])
    w.add_bos_token_id(BOS)
    w.add_eos_token_id(EOS)
    w.add_unk_token_id(UNK)
    w.add_add_bos_token(True)
    w.add_add_eos_token(False)
    w.add_add_space_prefix(False)
    w.add_chat_template(TEMPLATE)


def projector(path, state, name, q8):
    w = begin(path, "clip", name, q8)
    w.add_bool("clip.has_text_encoder", False)
    w.add_bool("clip.has_vision_encoder", True)
    w.add_bool("clip.has_llava_projector", True)
    w.add_string("clip.projector_type", "mlp")
    w.add_bool("clip.use_gelu", False)
    w.add_bool("clip.use_silu", False)
    for key, value in {
        "image_size": SIZE,
        "patch_size": PATCH,
        "embedding_length": m.WIDTH,
        "feed_forward_length": m.TOWER_FFN,
        "projection_dim": m.WIDTH,
        "block_count": m.LAYERS,
        "attention.head_count": m.HEADS,
    }.items():
        w.add_uint32("clip.vision." + key, value)
    w.add_float32("clip.vision.attention.layer_norm_epsilon", 1e-5)
    w.add_array("clip.vision.image_mean", list(m.MEAN))
    w.add_array("clip.vision.image_std", list(m.STD))
    for ours, theirs in warm.names()[1].items():
        add(w, theirs, state["vis." + ours], q8)
    finish(w)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--checkpoint", type=pathlib.Path, default=BUILD / "ckpt/last.pt")
    p.add_argument("--out", type=pathlib.Path, default=BUILD / "out")
    p.add_argument("--name", default="eyelet-builtin")
    args = p.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    saved, vocab = torch.load(args.checkpoint, weights_only=True), Vocabulary()
    for q8, label in ((False, "f16"), (True, "q8_0")):
        for prefix, write in (
            ("", lambda path: language_model(path, saved["average"], vocab, args.name, q8)),
            ("mmproj-", lambda path: projector(path, saved["average"], args.name, q8)),
        ):
            path = args.out / f"{prefix}{args.name}-{label}.gguf"
            part = path.with_suffix(".part")
            write(part)
            os.replace(part, path)
            print(path, path.stat().st_size, "bytes")
    print("step", saved["step"])


if __name__ == "__main__":
    main()
