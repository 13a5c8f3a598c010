"""Golden data of models/vision: embeddings by Hugging Face transformers in float32.

    pip install torch transformers pillow numpy gguf sentencepiece protobuf
    python scripts/golden/vision.py

writes models/vision/testdata/: for the built-in model's tower the image tokens of the pictures seed-*.png; small CLIP
and SigLIP towers with random weights (other activations, projectors, tensor types, feature layers, the exchanged names
of old files) with the image tokens of a random picture; and some image tokens of towers of real shapes, whose weights
the tests make themselves (see towers.py). NAME.f32 holds tokens, little-endian float32, row after row.
"""

import json, pathlib

from seed import BUILTIN, gguf
from towers import picture, read_tower, synthetic, tower
import numpy as np
import PIL, torch, transformers
from PIL import Image

OUT = pathlib.Path(__file__).parents[2] / "models/vision/testdata"
T = gguf.GGMLQuantizationType


def random_tower(
    path,
    seed,
    act,
    projector,
    features,
    types,
    old_names=False,
    hidden=32,
    ff=64,
    heads=2,
    blocks=3,
    size=28,
    patch=7,
    width=24,
    family="clip",
    post=False,
    inner=40,
    tiling=False,
):
    """Writes a tower with random weights, their types taken in turn."""
    rng = np.random.default_rng(seed)
    w = gguf.GGUFWriter(path, "clip")
    w.add_bool("clip.has_vision_encoder", True)
    w.add_string("clip.projector_type", projector)
    w.add_bool("clip.use_gelu", act == "gelu")
    w.add_bool("clip.use_silu", act == "silu")
    for k, v in {
        "image_size": size,
        "patch_size": patch,
        "embedding_length": hidden,
        "feed_forward_length": ff,
        "projection_dim": width,
        "block_count": blocks,
        "attention.head_count": heads,
    }.items():
        w.add_uint32("clip.vision." + k, v)
    w.add_float32("clip.vision.attention.layer_norm_epsilon", 1e-6)
    w.add_array("clip.vision.image_mean", [0.4, 0.5, 0.6])
    w.add_array("clip.vision.image_std", [0.2, 0.25, 0.3])
    if features:
        w.add_array("clip.vision.feature_layer", features)
    if tiling:
        w.add_array("clip.vision.image_grid_pinpoints", [28, 56, 56, 28])
        w.add_string("clip.vision.mm_patch_merge_type", "spatial_unpad")
        w.add_string("clip.vision.image_aspect_ratio", "anyres")
        w.add_uint32("clip.vision.image_crop_resolution", 28)
    count = 0

    def put(name, *shape, mean=0.0):
        nonlocal count
        a = (
            rng.standard_normal(shape) * (shape[-1] ** -0.5 if len(shape) > 1 else 0.1) + mean
        ).astype(np.float32)
        kind = types[count % len(types)] if len(shape) > 1 else T.F32
        kind = T.F16 if kind == T.Q8_0 and shape[-1] % 32 else kind
        count += 1
        w.add_tensor(name, gguf.quantize(a, kind), raw_dtype=kind) if kind not in (
            T.F32,
            T.F16,
        ) else w.add_tensor(name, a.astype(np.float16 if kind == T.F16 else np.float32))

    def linear(name, out, into):
        put(name + ".weight", out, into)
        put(name + ".bias", out)

    if family == "clip":
        put("v.class_embd", hidden)
    else:
        put("v.patch_embd.bias", hidden)
    put("v.patch_embd.weight", hidden, 3, patch, patch)
    put("v.position_embd.weight", (size // patch) ** 2 + (family == "clip"), hidden)
    up, down = ("ffn_down", "ffn_up") if old_names else ("ffn_up", "ffn_down")
    for norm in (
        ["v.pre_ln"] * (family == "clip")
        + ["v.post_ln"] * post
        + [f"v.blk.{i}.ln{j}" for i in range(blocks) for j in (1, 2)]
    ):
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
        linear("mm.0", inner, into)
        linear("mm.1" if projector == "janus_pro" else "mm.2", width, inner)
    if tiling:
        put("model.image_newline", width)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def write(name, tokens):
    tokens.numpy().astype("<f4").tofile(OUT / f"{name}.f32")
    return list(tokens.shape)


TOWERS = {
    "gelu-linear": dict(
        seed=1, act="gelu", projector="linear", features=[2], types=[T.F16, T.BF16, T.Q8_0]
    ),
    "silu-mlp": dict(
        seed=2, act="silu", projector="mlp", features=[1, 3], types=[T.F32, T.F16], old_names=True
    ),
    "quick-mlp": dict(
        seed=3, act="quick_gelu", projector="mlp", features=[], types=[T.BF16], blocks=1
    ),
    # What converters write for SigLIP's activation, gelu_pytorch_tanh: "gelu", or nothing (older ones).
    "siglip-mlp": dict(
        family="siglip",
        seed=4,
        act="gelu",
        projector="mlp",
        features=[],
        types=[T.F16, T.BF16, T.Q8_0],
        inner=24,
        size=31,
    ),
    "siglip-features": dict(
        family="siglip",
        seed=5,
        act="",
        projector="mlp",
        features=[0, 2],
        types=[T.F16],
        inner=24,
        blocks=2,
        tiling=True,
    ),
    "siglip-linear": dict(
        family="siglip",
        seed=6,
        act="gelu",
        projector="linear",
        features=[],
        types=[T.F32, T.BF16],
        post=True,
        blocks=1,
    ),
    "siglip-janus": dict(
        family="siglip",
        seed=7,
        act="gelu",
        projector="janus_pro",
        features=[],
        types=[T.F16, T.F32],
        post=True,
        blocks=1,
        inner=24,
    ),
}

def shape(family, image_size, patch_size, hidden, ff, heads, blocks, width, activation, post_norm):
    return dict(locals())


SHAPES = {
    "tiny-clip": shape("clip", 28, 7, 32, 64, 2, 2, 16, "quick_gelu", False),
    "tiny-siglip": shape("siglip", 31, 7, 48, 68, 2, 2, 16, "gelu", True),
    "vit-l-14-336": shape("clip", 336, 14, 1024, 4096, 16, 23, 2048, "quick_gelu", False),
    "so400m-14-384": shape("siglip", 384, 14, 1152, 4304, 16, 26, 896, "gelu", False),
}


def pictures():
    cases = []
    seed = read_tower(BUILTIN / "mmproj-eyelet-builtin-q8_0.gguf")
    for png in sorted(OUT.glob("seed-*.png")):
        rgb = np.asarray(Image.open(png).convert("RGB"))
        cases.append(
            {
                "tower": "",
                "picture": png.name,
                "tokens": f"{png.stem}.f32",
                "shape": write(png.stem, seed(rgb[None])[0]),
            }
        )
    for size, name in ((28, "noise"), (31, "noise-31")):
        rgb = np.random.default_rng(5).integers(0, 256, (size, size, 3), dtype=np.uint8)
        Image.fromarray(rgb).save(OUT / f"{name}.png")
        for tower_name, options in TOWERS.items():
            if options.get("size", 28) == size:
                random_tower(OUT / f"{tower_name}.gguf", **options)
                tokens = read_tower(OUT / f"{tower_name}.gguf")(rgb[None])[0]
                cases.append(
                    {
                        "tower": f"{tower_name}.gguf",
                        "picture": f"{name}.png",
                        "tokens": f"{tower_name}.f32",
                        "shape": write(tower_name, tokens),
                    }
                )
    return cases


def real_shapes():
    cases = []
    for name, spec in SHAPES.items():
        tokens = tower(*synthetic(**spec))(picture(spec["image_size"])[None])[0]
        rows = np.linspace(0, len(tokens) - 1, 12).astype(
            int
        )  # of the first patch, the last, and some between
        cases.append(
            {
                "name": name,
                "spec": spec,
                "rows": rows.tolist(),
                "tokens": f"{name}.f32",
                "shape": write(name, tokens[rows]),
            }
        )
    return cases


if __name__ == "__main__":
    made_with = {m.__name__: m.__version__ for m in (np, PIL, torch, transformers)}
    (OUT / "goldens.json").write_text(
        json.dumps({"made_with": made_with, "cases": pictures(), "real": real_shapes()}, indent=1)
        + "\n"
    )
