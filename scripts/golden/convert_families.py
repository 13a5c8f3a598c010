"""Golden data of models/convert for the vision families: a folder of each, smaller than the bench's, with random weights, and what llama.cpp's own
converter makes of it.

    PYTHONPATH=GGUF python scripts/golden/convert_families.py [FAMILY ...]

What it needs is as in families.py. It writes models/convert/testdata/families/: NAME.zip, the folder as version 5 of transformers saves it, and NAME.json,
metadata and tensors (as hashes) of llama.cpp's files, as in convert.py. Weights have so few values that they pack well.
"""

import json, pathlib, sys, tempfile, zipfile

import families  # its vocabularies; sets what transformers reads on import
import convert
import gguf, torch, transformers
from conversion.base import ModelType

OUT = convert.OUT / "families"
TEXT = dict(
    hidden_size=32,
    intermediate_size=48,
    num_attention_heads=4,
    num_key_value_heads=2,
    num_hidden_layers=2,
    max_position_embeddings=512,
    rms_norm_eps=1e-6,
)
# llama.cpp's converter knows the last of a projector's layers only if the tower has more blocks than the layer's number.
TOWER = dict(hidden_size=32, intermediate_size=48, num_attention_heads=2, num_hidden_layers=4)
QWEN_TOWER = dict(
    depth=3, hidden_size=32, num_heads=2, intermediate_size=48, out_hidden_size=32, patch_size=8
)
FOLDERS = {}


def folder(f):
    FOLDERS[f.__name__.replace("_", "-")] = f
    return f


def randomize(model, seed):
    """Weights of nine values a tensor, which float16, bfloat16 and float32 hold alike."""
    g = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in sorted(model.named_parameters()):
            k = (torch.randn(p.shape, generator=g) * 1.5).round().clamp(-4, 4)
            p.copy_(k * 0.0625 + (1.0 if "norm" in name and name.endswith("weight") else 0.0))
    return model.eval()


@folder
def qwen2_vl(folder):
    return families.qwen(
        "Qwen2VL",
        folder,
        TEXT | families.rope(mrope_section=[2, 1, 1]),
        dict(depth=3, embed_dim=32, hidden_size=32, num_heads=2, mlp_ratio=2, patch_size=8),
        3,
        patch_size=8,
        **families.QWEN_PIXELS,
    )


@folder
def qwen2_5_vl(folder):
    return families.qwen(
        "Qwen2_5_VL",
        folder,
        TEXT | families.rope(mrope_section=[2, 1, 1]),
        QWEN_TOWER | dict(depth=4, window_size=112, fullatt_block_indexes=[1, 3]),
        3,
        patch_size=8,
        **families.QWEN_PIXELS,
    )


@folder
def qwen3_vl(folder):
    return families.qwen(
        "Qwen3VL",
        folder,
        TEXT
        | dict(head_dim=16)
        | families.rope(mrope_section=[4, 2, 2], mrope_interleaved=True),
        QWEN_TOWER | dict(num_position_embeddings=64, deepstack_visual_indexes=[0, 2]),
        3,
        size=dict(shortest_edge=65536, longest_edge=16777216),
        patch_size=8,
        **families.HALF,
    )


@folder
def gemma3(folder):
    scaled = dict(
        full_attention=dict(rope_type="linear", factor=8.0, rope_theta=1000000.0),
        sliding_attention=dict(rope_type="default", rope_theta=10000.0),
    )
    text = TEXT | dict(
        sliding_window=256, layer_types=["sliding_attention"] * 2, rope_parameters=scaled
    )
    vision = TOWER | dict(image_size=64, patch_size=8)
    return families.gemma3_model(folder, text, vision, 16, 3, tie_word_embeddings=True)


GEMMA4 = TEXT | dict(head_dim=16, sliding_window=256)
GEMMA4_TOWER = TOWER | dict(patch_size=8, position_embedding_size=64)


@folder
def gemma4(folder):
    """As the models of 26 and 31 billion weights: keys for values, a scale behind the tower."""
    text = GEMMA4 | dict(
        global_head_dim=32,
        num_global_key_value_heads=1,
        attention_k_eq_v=True,
        hidden_size_per_layer_input=0,
        layer_types=["sliding_attention", "full_attention"],
        final_logit_softcapping=30.0,
    )
    vision = GEMMA4_TOWER | dict(standardize=True)
    return families.gemma4_model(folder, text, vision, patch_size=8)


@folder
def gemma4_e(folder):
    """As the models for telephones: an embedding for each layer, shared keys and values, bounds in the tower, and a tower that hears."""
    text = GEMMA4 | dict(
        num_hidden_layers=4,
        global_head_dim=32,
        hidden_size_per_layer_input=8,
        num_kv_shared_layers=2,
        use_double_wide_mlp=True,
        layer_types=["sliding_attention", "full_attention"] * 2,
    )
    vision = GEMMA4_TOWER | dict(use_clipped_linears=True)
    audio = dict(
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        subsampling_conv_channels=[8, 4],
        output_proj_dims=32,
    )
    return families.gemma4_model(folder, text, vision, audio, patch_size=8)


@folder
def glm4v(folder):
    text = TEXT | dict(head_dim=16, num_attention_heads=2, num_key_value_heads=1)
    return families.glm4v_model(
        folder,
        text | families.rope(10000.0, partial_rotary_factor=0.5, mrope_section=[1, 1, 2]),
        QWEN_TOWER | dict(image_size=64),
        3,
        patch_size=8,
    )


@folder
def internvl3(folder):
    vision = TOWER | dict(image_size=32, patch_size=8)
    return families.internvl_model(folder, TEXT, vision, 4, 3)


def pixtral_family(folder, merge=None):
    t = families.pixtral_vocabulary(
        folder, "tekken", families.template("mistral-small-3.1"), add_bos_token=True
    )
    return families.pixtral_model(t, TEXT, TOWER | dict(image_size=64, patch_size=8), merge, 3)


@folder
def pixtral(folder):
    return pixtral_family(folder)


@folder
def mistral3(folder):
    return pixtral_family(folder, merge=2)


@folder
def idefics3(folder):
    t = families.idefics3_vocabulary(folder, "{{ messages }}", 2, 2)
    model, processor = families.idefics3_model(
        "Idefics3",
        t,
        dict(vocab_size=len(t) + 3) | TEXT | families.rope(),
        TOWER | dict(image_size=32, patch_size=8),
        2,
        128,
        pad_token_id=2,
    )
    return model, processor, "qwen2"


@folder
def qwen3(folder):
    """A language model alone, which InternVL 3.5 is made of."""
    t, _ = families.qwen_vocabulary(folder)
    config = transformers.Qwen3Config(
        vocab_size=len(t) + 3, head_dim=16, tie_word_embeddings=True, **TEXT, **families.rope()
    )
    return transformers.Qwen3ForCausalLM(config), None, "qwen2"


def converted(path, kind, pre):
    """llama.cpp's converter wants names of classes and of tensors that version 5 of transformers does not write; the folder that it gets has them."""
    config = json.loads((path / "config.json").read_text())
    if config["model_type"] == "internvl":
        families.internvl_names(config)
        (path / "config.json").write_text(json.dumps(config))
    return convert.llamacpp(path, kind, pre)


def make(name):
    with tempfile.TemporaryDirectory() as tmp:
        path = pathlib.Path(tmp) / name
        path.mkdir()
        model, processor, pre = FOLDERS[name](path)
        randomize(model, sum(map(ord, name)))
        tokenizer = (path / "tokenizer_config.json").read_bytes()
        model.to(torch.bfloat16).save_pretrained(path)
        (path / "generation_config.json").unlink(missing_ok=True)
        if processor:
            processor.save_pretrained(path)
        (path / "tokenizer_config.json").write_bytes(tokenizer)
        with zipfile.ZipFile(
            OUT / f"{name}.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=9
        ) as archive:
            for file in sorted(path.iterdir()):
                info = zipfile.ZipInfo(file.name, (2026, 1, 1, 0, 0, 0))
                info.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(info, file.read_bytes())
        print(
            name,
            sorted(p.name for p in path.iterdir()),
            sorted(convert.load_file(path / "model.safetensors")),
        )
        families.old_names(model, path)
        golden = {
            "made_with": {m.__name__: m.__version__ for m in (torch, transformers)},
            "model": converted(path, ModelType.TEXT, pre),
            "mmproj": converted(path, ModelType.MMPROJ, pre) if processor else None,
        }
    (OUT / f"{name}.json").write_text(
        json.dumps(golden, separators=(",", ":"), ensure_ascii=False) + "\n"
    )


if __name__ == "__main__":
    OUT.mkdir(parents=True, exist_ok=True)
    convert.TYPES = {"f32": gguf.LlamaFileType.ALL_F32, **convert.TYPES}
    for name in sys.argv[1:] or FOLDERS:
        make(name)
