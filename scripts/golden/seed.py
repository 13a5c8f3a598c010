"""The built-in model in PyTorch, float32, with the (dequantized) weights of its GGUF files: transformers' CLIP tower
and Llama, and LLaVA's projector. What the golden scripts of the vision path and of the answers share."""

import pathlib
import sys

# The script gguf.py in this folder must not stand before the package of that name.
_path, _here = sys.path, pathlib.Path(__file__).resolve().parent
sys.path = [p for p in sys.path if pathlib.Path(p or ".").resolve() != _here]
import gguf

sys.path = _path
import numpy as np
import sentencepiece as spm
import torch
from PIL import Image
from sentencepiece import sentencepiece_model_pb2 as spm_pb2
from transformers import CLIPVisionConfig, CLIPVisionModel, LlamaConfig, LlamaForCausalLM

BUILTIN = pathlib.Path(__file__).parents[2] / "models/builtin"
torch.set_num_threads(2)


def read_gguf(path):
    """Metadata and float32 tensors of a GGUF file."""
    r = gguf.GGUFReader(path)
    meta = {k: f.contents() for k, f in r.fields.items()}
    tensors = {
        t.name: torch.from_numpy(np.array(gguf.dequantize(t.data, t.tensor_type), np.float32))
        for t in r.tensors
    }
    return meta, tensors


class Tower(torch.nn.Module):
    """The CLIP tower and projector of read_gguf's metadata and tensors; forward takes 8-bit RGB pictures of the tower's
    size, [b, h, w, 3]."""

    def __init__(self, meta, t):
        super().__init__()
        v = lambda key: meta["clip.vision." + key]
        act = (
            "gelu"
            if meta.get("clip.use_gelu")
            else "silu"
            if meta.get("clip.use_silu")
            else "quick_gelu"
        )
        config = CLIPVisionConfig(
            hidden_size=v("embedding_length"),
            intermediate_size=v("feed_forward_length"),
            num_hidden_layers=v("block_count"),
            num_attention_heads=v("attention.head_count"),
            image_size=v("image_size"),
            patch_size=v("patch_size"),
            hidden_act=act,
            layer_norm_eps=v("attention.layer_norm_epsilon"),
            attn_implementation="eager",
        )
        self.clip = CLIPVisionModel(config).eval()
        self.features = meta.get("clip.vision.feature_layer", [v("block_count")])
        self.size = v("image_size")
        self.mean, self.std = (
            torch.tensor(v(k), dtype=torch.float32).view(3, 1, 1)
            for k in ("image_mean", "image_std")
        )
        names = {"pre_layrnorm": "v.pre_ln"}
        for i in range(v("block_count")):
            up, down = "ffn_up", "ffn_down"
            if t[f"v.blk.{i}.{up}.weight"].shape[0] == v("embedding_length"):
                up, down = down, up  # the names are exchanged in old files
            for hf, ours in {
                "layer_norm1": "ln1",
                "layer_norm2": "ln2",
                "self_attn.q_proj": "attn_q",
                "self_attn.k_proj": "attn_k",
                "self_attn.v_proj": "attn_v",
                "self_attn.out_proj": "attn_out",
                "mlp.fc1": up,
                "mlp.fc2": down,
            }.items():
                names[f"encoder.layers.{i}.{hf}"] = f"v.blk.{i}.{ours}"
        state = {
            "embeddings.class_embedding": t["v.class_embd"],
            "embeddings.patch_embedding.weight": t["v.patch_embd.weight"],
            "embeddings.position_embedding.weight": t["v.position_embd.weight"],
        }
        for hf, ours in names.items():
            for part in ("weight", "bias"):
                state[f"{hf}.{part}"] = t[f"{ours}.{part}"]
        own = self.clip.state_dict()
        prefix = "vision_model." if "vision_model.embeddings.class_embedding" in own else ""
        missing, unexpected = self.clip.load_state_dict(
            {prefix + k: x for k, x in state.items()}, strict=False
        )
        assert not unexpected and all(
            "post_layernorm" in k or "position_ids" in k for k in missing
        ), (missing, unexpected)

        def linear(name):
            w = t[name + ".weight"]
            layer = torch.nn.Linear(w.shape[1], w.shape[0])
            layer.load_state_dict({"weight": w, "bias": t[name + ".bias"]})
            return layer

        if meta["clip.projector_type"] == "linear":
            self.projector = linear("mm.0")
        else:
            self.projector = torch.nn.Sequential(linear("mm.0"), torch.nn.GELU(), linear("mm.2"))

    @torch.no_grad()
    def forward(self, rgb):
        x = (
            torch.from_numpy(np.array(rgb)).permute(0, 3, 1, 2).float() / 255 - self.mean
        ) / self.std
        states = self.clip(x, output_hidden_states=True).hidden_states
        return self.projector(torch.cat([states[k][:, 1:] for k in self.features], -1))


def squared(image, size):
    """LLaVA 1.5's preprocessing: filled up to a square with CLIP's mean color, resized: uint8 [size, size, 3]."""
    side = max(image.size)
    square = Image.new("RGB", (side, side), (122, 116, 104))
    square.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
    return np.asarray(square.resize((size, size), Image.BICUBIC) if side != size else square)


class Seed:
    """The whole model: greedy answers about a picture."""

    def __init__(self, lm_path, mmproj_path):
        self.tower = Tower(*read_gguf(mmproj_path))
        meta, t = read_gguf(lm_path)
        m = lambda key: meta["llama." + key]
        heads, kv = m("attention.head_count"), m("attention.head_count_kv")
        config = LlamaConfig(
            vocab_size=len(meta["tokenizer.ggml.tokens"]),
            hidden_size=m("embedding_length"),
            intermediate_size=m("feed_forward_length"),
            num_hidden_layers=m("block_count"),
            num_attention_heads=heads,
            num_key_value_heads=kv,
            rms_norm_eps=m("attention.layer_norm_rms_epsilon"),
            max_position_embeddings=m("context_length"),
            rope_parameters={"rope_type": "default", "rope_theta": m("rope.freq_base")},
            attn_implementation="eager",
        )
        self.lm = LlamaForCausalLM(config).eval()

        def halves(w, n):
            """ggml's llama rotates neighbouring numbers of a head, transformers its two halves: reorder the rows."""
            return w.view(n, w.shape[0] // n // 2, 2, w.shape[1]).transpose(1, 2).reshape(w.shape)

        state = {
            "model.embed_tokens.weight": t["token_embd.weight"],
            "model.norm.weight": t["output_norm.weight"],
            "lm_head.weight": t["output.weight"],
        }
        for i in range(m("block_count")):
            for hf, ours in {
                "input_layernorm": "attn_norm",
                "post_attention_layernorm": "ffn_norm",
                "self_attn.q_proj": "attn_q",
                "self_attn.k_proj": "attn_k",
                "self_attn.v_proj": "attn_v",
                "self_attn.o_proj": "attn_output",
                "mlp.gate_proj": "ffn_gate",
                "mlp.up_proj": "ffn_up",
                "mlp.down_proj": "ffn_down",
            }.items():
                w = t[f"blk.{i}.{ours}.weight"]
                state[f"model.layers.{i}.{hf}.weight"] = (
                    halves(w, heads if ours == "attn_q" else kv)
                    if ours in ("attn_q", "attn_k")
                    else w
                )
        self.lm.load_state_dict(state, strict=True)
        self.sp = sentencepiece_of(meta)

    def embed(self, ids):
        return self.lm.get_input_embeddings()(torch.tensor([ids]))

    @torch.no_grad()
    def chat(self, rgb, questions, max_tokens=60):
        """Answers to questions asked one after the other in a conversation about one picture: [(text, token ids, margin)].

        The margin is the smallest distance between the best logit and the next along the answer: where it is near zero,
        other arithmetic may answer otherwise."""
        e, answers = [self.embed([1] + self.sp.encode("USER: ")), self.tower(rgb[None])], []
        for i, q in enumerate(questions):
            e.append(self.embed(self.sp.encode((" " if i == 0 else "USER: ") + q + " ASSISTANT:")))
            x, ids, past, margin = torch.cat(e, 1), [], None, float("inf")
            while len(ids) < max_tokens:
                out = self.lm(inputs_embeds=x, past_key_values=past, use_cache=True)
                best, next_best = out.logits[0, -1].topk(2).values.tolist()
                past, token, margin = (
                    out.past_key_values,
                    int(out.logits[0, -1].argmax()),
                    min(margin, best - next_best),
                )
                ids.append(token)
                if token == 2:
                    break
                x = self.embed([token])
            text = self.sp.decode([k for k in ids if k != 2])
            answers.append((text, ids, margin))
            e.append(
                self.embed(self.sp.encode(text) + [2])
            )  # right behind "ASSISTANT:", as the chat template has it
        return answers


def sentencepiece_of(meta):
    """The SentencePiece model that a GGUF file's vocabulary was made from."""
    proto = spm_pb2.ModelProto()
    for piece, score, kind in zip(
        *(meta["tokenizer.ggml." + k] for k in ("tokens", "scores", "token_type"))
    ):
        proto.pieces.add(piece=piece, score=score, type=kind)
    t, n = proto.trainer_spec, proto.normalizer_spec
    t.model_type, t.byte_fallback, t.unk_id, t.bos_id, t.eos_id, t.pad_id = (
        spm_pb2.TrainerSpec.BPE,
        True,
        0,
        1,
        2,
        -1,
    )
    t.vocab_size = len(proto.pieces)
    n.name, n.add_dummy_prefix, n.remove_extra_whitespaces, n.escape_whitespaces = (
        "identity",
        False,
        False,
        True,
    )
    return spm.SentencePieceProcessor(model_proto=proto.SerializeToString())
