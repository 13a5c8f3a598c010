"""Golden data of models/vision: embeddings by Hugging Face transformers in float32.

    pip install torch transformers pillow numpy gguf sentencepiece protobuf
    python scripts/golden/vision.py

writes models/vision/testdata/: for the built-in model's tower the image tokens of the pictures seed-*.png, and two
small towers with random weights (other activations, projectors, tensor types, feature layers, the exchanged names of
old files) with the image tokens of a random picture. NAME.f32 holds the tokens, little-endian float32, row after row.
"""
import json, pathlib

from seed import BUILTIN, Tower, gguf
import numpy as np
import PIL, torch, transformers
from PIL import Image

OUT = pathlib.Path(__file__).parents[2] / "models/vision/testdata"
T = gguf.GGMLQuantizationType


def random_tower(path, seed, act, projector, features, types, old_names, hidden=32, ff=64, heads=2, blocks=3, size=28, patch=7, width=24):
    """Writes a tower with random weights, their types taken in turn."""
    rng = np.random.default_rng(seed)
    w = gguf.GGUFWriter(path, "clip")
    w.add_bool("clip.has_vision_encoder", True)
    w.add_string("clip.projector_type", projector)
    w.add_bool("clip.use_gelu", act == "gelu")
    w.add_bool("clip.use_silu", act == "silu")
    for k, v in {"image_size": size, "patch_size": patch, "embedding_length": hidden, "feed_forward_length": ff,
                 "projection_dim": width, "block_count": blocks, "attention.head_count": heads}.items():
        w.add_uint32("clip.vision." + k, v)
    w.add_float32("clip.vision.attention.layer_norm_epsilon", 1e-6)
    w.add_array("clip.vision.image_mean", [0.4, 0.5, 0.6])
    w.add_array("clip.vision.image_std", [0.2, 0.25, 0.3])
    if features:
        w.add_array("clip.vision.feature_layer", features)
    count = 0

    def put(name, *shape, mean=0.0):
        nonlocal count
        a = (rng.standard_normal(shape) * (shape[-1] ** -0.5 if len(shape) > 1 else 0.1) + mean).astype(np.float32)
        kind = types[count % len(types)] if len(shape) > 1 else T.F32
        kind = T.F16 if kind == T.Q8_0 and shape[-1] % 32 else kind
        count += 1
        w.add_tensor(name, gguf.quantize(a, kind), raw_dtype=kind) if kind not in (T.F32, T.F16) else w.add_tensor(
            name, a.astype(np.float16 if kind == T.F16 else np.float32))

    def linear(name, out, into):
        put(name + ".weight", out, into)
        put(name + ".bias", out)

    put("v.class_embd", hidden)
    put("v.patch_embd.weight", hidden, 3, patch, patch)
    put("v.position_embd.weight", (size // patch) ** 2 + 1, hidden)
    up, down = ("ffn_down", "ffn_up") if old_names else ("ffn_up", "ffn_down")
    for norm in ["v.pre_ln"] + [f"v.blk.{i}.ln{j}" for i in range(blocks) for j in (1, 2)]:
        put(norm + ".weight", hidden, mean=1.0)
        put(norm + ".bias", hidden)
    for i in range(blocks):
        for name in ("attn_q", "attn_k", "attn_v", "attn_out"):
            linear(f"v.blk.{i}.{name}", hidden, hidden)
        linear(f"v.blk.{i}.{up}", ff, hidden)
        linear(f"v.blk.{i}.{down}", hidden, ff)
    into = hidden * max(1, len(features))
    if projector == "linear":
        linear("mm.0", width, into)
    else:
        linear("mm.0", 40, into)
        linear("mm.2", width, 40)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def write(name, tokens):
    tokens.numpy().astype("<f4").tofile(OUT / f"{name}.f32")
    return list(tokens.shape)


if __name__ == "__main__":
    cases = []
    tower = Tower(BUILTIN / "mmproj-eyelet-seed-q8_0.gguf")
    for png in sorted(OUT.glob("seed-*.png")):
        rgb = np.asarray(Image.open(png).convert("RGB"))
        cases.append({"tower": "", "picture": png.name, "tokens": f"{png.stem}.f32", "shape": write(png.stem, tower(rgb[None])[0])})
    rgb = np.random.default_rng(5).integers(0, 256, (28, 28, 3), dtype=np.uint8)
    Image.fromarray(rgb).save(OUT / "noise.png")
    towers = {"gelu-linear": dict(seed=1, act="gelu", projector="linear", features=[2], types=[T.F16, T.BF16, T.Q8_0], old_names=False),
              "silu-mlp": dict(seed=2, act="silu", projector="mlp", features=[1, 3], types=[T.F32, T.F16], old_names=True),
              "quick-mlp": dict(seed=3, act="quick_gelu", projector="mlp", features=[], types=[T.BF16], old_names=False, blocks=1)}
    for name, options in towers.items():
        random_tower(OUT / f"{name}.gguf", **options)
        tokens = Tower(OUT / f"{name}.gguf")(rgb[None])[0]
        cases.append({"tower": f"{name}.gguf", "picture": "noise.png", "tokens": f"{name}.f32", "shape": write(name, tokens)})
    made_with = {m.__name__: m.__version__ for m in (np, PIL, torch, transformers)}
    (OUT / "goldens.json").write_text(json.dumps({"made_with": made_with, "cases": cases}, indent=1) + "\n")
