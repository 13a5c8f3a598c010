"""SigLIP towers in transformers, and towers of real shapes whose weights every language can compute.

What models/vision/visiontest makes in Go, weights() makes here: number i of a tensor is a hash of i and of the CRC-32 of
the tensor's name. A golden of a tower with 400 million weights is then a few rows of numbers.
"""

import zlib

from seed import Tower, read_gguf
import numpy as np
import torch
from transformers import LlavaConfig, SiglipVisionConfig, SiglipVisionModel
from transformers.models.janus.configuration_janus import JanusVisionConfig
from transformers.models.janus.modeling_janus import JanusVisionAlignerMLP, JanusVisionModel
from transformers.models.llava.modeling_llava import LlavaMultiModalProjector


def hashed(name, n):
    """n numbers between -1 and 1, multiples of 2^-23: exact in float32."""
    x = np.arange(n, dtype=np.uint32) * np.uint32(2654435761)
    x ^= x >> np.uint32(15)
    x += np.uint32(zlib.crc32(name.encode()))
    x *= np.uint32(2246822519)
    x ^= x >> np.uint32(13)
    x *= np.uint32(3266489917)
    x ^= x >> np.uint32(16)
    return (x >> np.uint32(8)).astype(np.float32) * np.float32(2**-23) - np.float32(1)


def weights(name, *shape):
    """The tensor of that name in a synthetic tower. Matrices hold numbers that float16 can, whatever type a file
    stores them in; queries are doubled, that attention has something to choose."""
    u = hashed(name, int(np.prod(shape)))
    if len(shape) == 1 and name.endswith(".weight"):
        x = np.float32(1) + np.float32(0.1) * u
    elif len(shape) == 1:
        x = np.float32(0.5 if name == "v.class_embd" else 0.1) * u
    else:
        scale = np.sqrt(3 / np.prod(shape[1:])) if name != "v.position_embd.weight" else 0.5
        x = (
            (np.float32(scale * (2 if "attn_q" in name else 1)) * u)
            .astype(np.float16)
            .astype(np.float32)
        )
    return torch.from_numpy(x.reshape(shape))


def picture(size):
    """The picture that the goldens are of: hashed bytes over ramps, [size, size, 3]."""
    y, x, c = np.mgrid[0:size, 0:size, 0:3]
    rough = (
        ((hashed("picture", 3 * size * size) + np.float32(1)) * np.float32(64))
        .astype(np.int64)
        .reshape(size, size, 3)
    )
    return ((3 * x + 5 * y * (c + 1) >> 2) + rough & 255).astype(np.uint8)


def synthetic(
    family, image_size, patch_size, hidden, ff, heads, blocks, width, activation, post_norm, **_
):
    """The metadata and tensors that read_gguf would give for a synthetic tower."""
    meta = {
        "clip.use_gelu": activation == "gelu",
        "clip.use_silu": activation == "silu",
        "clip.projector_type": "mlp",
    }
    clip = family == "clip"
    for k, v in {
        "image_size": image_size,
        "patch_size": patch_size,
        "embedding_length": hidden,
        "feed_forward_length": ff,
        "block_count": blocks,
        "attention.head_count": heads,
        "attention.layer_norm_epsilon": float(np.float32(1e-5 if clip else 1e-6)),
        "image_mean": [0.48145466, 0.4578275, 0.40821073] if clip else [0.5] * 3,
        "image_std": [0.26862954, 0.26130258, 0.27577711] if clip else [0.5] * 3,
    }.items():
        meta["clip.vision." + k] = v
    shapes = {
        "v.patch_embd.weight": (hidden, 3, patch_size, patch_size),
        "v.position_embd.weight": ((image_size // patch_size) ** 2 + clip, hidden),
    }
    if clip:
        shapes["v.class_embd"] = (hidden,)
    else:
        shapes["v.patch_embd.bias"] = (hidden,)
    norms = (
        ["v.pre_ln"] * clip
        + ["v.post_ln"] * post_norm
        + [f"v.blk.{i}.ln{j}" for i in range(blocks) for j in (1, 2)]
    )
    linears = {"mm.0": (width, hidden), "mm.2": (width, width)}
    for i in range(blocks):
        for name in ("attn_q", "attn_k", "attn_v", "attn_out"):
            linears[f"v.blk.{i}.{name}"] = (hidden, hidden)
        linears[f"v.blk.{i}.ffn_up"], linears[f"v.blk.{i}.ffn_down"] = (ff, hidden), (hidden, ff)
    for name in norms:
        shapes[name + ".weight"] = shapes[name + ".bias"] = (hidden,)
    for name, shape in linears.items():
        shapes[name + ".weight"], shapes[name + ".bias"] = shape, shape[:1]
    return meta, {name: weights(name, *shape) for name, shape in shapes.items()}


class Siglip(torch.nn.Module):
    """A SigLIP tower and its projector; forward takes 8-bit RGB pictures of the tower's size, [b, h, w, 3]."""

    def __init__(self, meta, t):
        super().__init__()
        v = lambda key: meta["clip.vision." + key]
        self.kind, blocks, hidden = (
            meta["clip.projector_type"],
            v("block_count"),
            v("embedding_length"),
        )
        self.post, self.features = (
            "v.post_ln.weight" in t,
            list(meta.get("clip.vision.feature_layer", [blocks])),
        )
        self.mean, self.std = (
            torch.tensor(v(k), dtype=torch.float32).view(3, 1, 1)
            for k in ("image_mean", "image_std")
        )
        sizes = dict(
            hidden_size=hidden,
            num_hidden_layers=blocks,
            num_attention_heads=v("attention.head_count"),
            image_size=v("image_size"),
            patch_size=v("patch_size"),
            layer_norm_eps=v("attention.layer_norm_epsilon"),
            attn_implementation="eager",
        )
        names = {"embeddings.patch_embedding": "v.patch_embd"}
        out = "projection_layer" if self.kind == "janus_pro" else "out_proj"
        for i in range(blocks):
            for hf, ours in {
                "layer_norm1": "ln1",
                "layer_norm2": "ln2",
                "self_attn.q_proj": "attn_q",
                "self_attn.k_proj": "attn_k",
                "self_attn.v_proj": "attn_v",
                "self_attn." + out: "attn_out",
                "mlp.fc1": "ffn_up",
                "mlp.fc2": "ffn_down",
            }.items():
                names[f"encoder.layers.{i}.{hf}"] = f"v.blk.{i}.{ours}"
        if self.post:
            names["post_layernorm"] = "v.post_ln"
        if self.kind == "janus_pro":
            config = JanusVisionConfig(
                mlp_ratio=v("feed_forward_length") / hidden,
                projection_dim=t["mm.1.bias"].shape[0],
                **sizes,
            )
            self.tower, self.projector = (
                JanusVisionModel(config).eval(),
                JanusVisionAlignerMLP(config),
            )
            load(self.projector, t, {"fc1": "mm.0", "hidden_layers.0": "mm.1"})
        else:
            config = SiglipVisionConfig(intermediate_size=v("feed_forward_length"), **sizes)
            self.tower = SiglipVisionModel(config).eval()
            assert config.hidden_act == "gelu_pytorch_tanh"
            if self.kind == "linear":
                self.projector = torch.nn.Linear(
                    hidden * len(self.features), t["mm.0.bias"].shape[0]
                )
                load(self.projector, t, {"": "mm.0"})
            else:
                llava = LlavaConfig(vision_config=config, vision_feature_layer=self.features)
                llava.text_config.hidden_size = t["mm.2.bias"].shape[0]
                self.projector = LlavaMultiModalProjector(llava)
                load(self.projector, t, {"linear_1": "mm.0", "linear_2": "mm.2"})
        state = {
            f"{hf}.{part}": t[f"{ours}.{part}"]
            for hf, ours in names.items()
            for part in ("weight", "bias")
        }
        state["embeddings.position_embedding.weight"] = t["v.position_embd.weight"]
        missing, unexpected = self.tower.load_state_dict(state, strict=False)
        assert not unexpected and all(
            k.startswith(("head.", "post_layernorm")) or "position_ids" in k for k in missing
        ), (missing, unexpected)

    @torch.no_grad()
    def forward(self, rgb):
        x = (
            torch.from_numpy(np.array(rgb)).permute(0, 3, 1, 2).float() / 255 - self.mean
        ) / self.std
        o = self.tower(x, output_hidden_states=True)
        states = list(o.hidden_states)
        if self.post:
            states[-1] = o.last_hidden_state
        return self.projector(torch.cat([states[k] for k in self.features], -1))


def load(module, t, names):
    module.load_state_dict(
        {
            f"{hf}.{part}".lstrip("."): t[f"{ours}.{part}"]
            for hf, ours in names.items()
            for part in ("weight", "bias")
        }
    )


def tower(meta, t):
    return Tower(meta, t) if "v.class_embd" in t else Siglip(meta, t)


def read_tower(path):
    return tower(*read_gguf(path))
