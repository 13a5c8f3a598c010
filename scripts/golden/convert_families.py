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
TEKKEN_SPLIT = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|"
    r"\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
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


def rope(**more):
    return dict(rope_type="default", rope_theta=1000000.0, **more)


def qwen(kind, folder, text, vision):
    t, ids = families.qwen_vocabulary(folder)
    config = getattr(transformers, f"{kind}Config")(
        text_config=dict(
            vocab_size=len(t) + 3, bos_token_id=t.pad_token_id, tie_word_embeddings=False, **text
        ),
        vision_config=vision,
        tie_word_embeddings=False,
        **ids,
    )
    return getattr(transformers, f"{kind}ForConditionalGeneration")(config), t


@folder
def qwen2_vl(folder):
    model, t = qwen(
        "Qwen2VL",
        folder,
        TEXT | dict(rope_parameters=rope(mrope_section=[2, 1, 1])),
        dict(
            depth=3,
            embed_dim=32,
            hidden_size=32,
            num_heads=2,
            mlp_ratio=2,
            patch_size=8,
            spatial_merge_size=2,
            temporal_patch_size=2,
        ),
    )
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    images = Qwen2VLImageProcessorPil(min_pixels=3136, max_pixels=12845056, patch_size=8)
    return (
        model,
        transformers.Qwen2VLProcessor(
            images, t, transformers.Qwen2VLVideoProcessor(), chat_template=t.chat_template
        ),
        "qwen2",
    )


@folder
def qwen2_5_vl(folder):
    model, t = qwen(
        "Qwen2_5_VL",
        folder,
        TEXT | dict(rope_parameters=rope(mrope_section=[2, 1, 1])),
        dict(
            depth=4,
            hidden_size=32,
            num_heads=2,
            intermediate_size=48,
            out_hidden_size=32,
            patch_size=8,
            spatial_merge_size=2,
            temporal_patch_size=2,
            window_size=112,
            fullatt_block_indexes=[1, 3],
        ),
    )
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    images = Qwen2VLImageProcessorPil(min_pixels=3136, max_pixels=12845056, patch_size=8)
    return (
        model,
        transformers.Qwen2_5_VLProcessor(
            images, t, transformers.Qwen2VLVideoProcessor(), chat_template=t.chat_template
        ),
        "qwen2",
    )


@folder
def qwen3_vl(folder):
    model, t = qwen(
        "Qwen3VL",
        folder,
        TEXT
        | dict(head_dim=16, rope_parameters=rope(mrope_section=[4, 2, 2], mrope_interleaved=True)),
        dict(
            depth=3,
            hidden_size=32,
            num_heads=2,
            intermediate_size=48,
            out_hidden_size=32,
            patch_size=8,
            spatial_merge_size=2,
            temporal_patch_size=2,
            num_position_embeddings=64,
            deepstack_visual_indexes=[0, 2],
        ),
    )
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    images = Qwen2VLImageProcessorPil(
        size=dict(shortest_edge=65536, longest_edge=16777216), patch_size=8, **families.HALF
    )
    return (
        model,
        transformers.Qwen3VLProcessor(
            images, t, transformers.Qwen3VLVideoProcessor(), chat_template=t.chat_template
        ),
        "qwen2",
    )


@folder
def gemma3(folder):
    from transformers import Gemma3Config, Gemma3ForConditionalGeneration, Gemma3Processor
    from transformers.models.gemma3.image_processing_pil_gemma3 import Gemma3ImageProcessorPil

    t = families.gemma_vocabulary(
        folder,
        [
            "<start_of_turn>",
            "<end_of_turn>",
            "<start_of_image>",
            "<end_of_image>",
            "<image_soft_token>",
        ],
        dict(
            boi_token="<start_of_image>",
            eoi_token="<end_of_image>",
            image_token="<image_soft_token>",
        ),
        families.template("gemma-3"),
    )
    scaled = dict(
        full_attention=dict(rope_type="linear", factor=8.0, rope_theta=1000000.0),
        sliding_attention=dict(rope_type="default", rope_theta=10000.0),
    )
    config = Gemma3Config(
        text_config=dict(
            vocab_size=len(t) + 3,
            head_dim=16,
            sliding_window=256,
            query_pre_attn_scalar=16,
            layer_types=["sliding_attention"] * 2,
            rope_parameters=scaled,
            tie_word_embeddings=True,
            **TEXT,
        ),
        vision_config=dict(image_size=64, patch_size=8, **TOWER),
        mm_tokens_per_image=16,
        image_token_id=t.image_token_id,
        boi_token_index=t.boi_token_id,
        eoi_token_index=t.eoi_token_id,
        tie_word_embeddings=True,
    )
    images = Gemma3ImageProcessorPil(
        size=dict(height=64, width=64), image_seq_length=16, **families.HALF
    )
    return (
        Gemma3ForConditionalGeneration(config),
        Gemma3Processor(images, t, image_seq_length=16, chat_template=t.chat_template),
        None,
    )


@folder
def internvl3(folder):
    from transformers import (
        InternVLConfig,
        InternVLForConditionalGeneration,
        InternVLProcessor,
        InternVLVideoProcessor,
    )
    from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import GotOcr2ImageProcessorPil

    t = families.bytes_vocabulary(
        folder,
        [
            "<|endoftext|>",
            "<|im_start|>",
            "<|im_end|>",
            "<img>",
            "</img>",
            "<IMG_CONTEXT>",
            "<video>",
        ],
        template="{{ messages }}",
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        extra_special_tokens=dict(
            start_image_token="<img>",
            end_image_token="</img>",
            context_image_token="<IMG_CONTEXT>",
            video_token="<video>",
        ),
    )
    config = InternVLConfig(
        text_config=dict(
            model_type="qwen2",
            vocab_size=len(t) + 3,
            tie_word_embeddings=False,
            rope_parameters=rope(),
            **TEXT,
        ),
        vision_config=dict(attention_bias=True, image_size=[32, 32], patch_size=[8, 8], **TOWER),
        image_token_id=t.convert_tokens_to_ids("<IMG_CONTEXT>"),
        image_seq_length=4,
        downsample_ratio=0.5,
        tie_word_embeddings=False,
    )
    images = GotOcr2ImageProcessorPil(
        size=dict(height=32, width=32),
        crop_to_patches=True,
        min_patches=1,
        max_patches=12,
        image_mean=[0.485, 0.456, 0.406],
        image_std=[0.229, 0.224, 0.225],
    )
    return (
        InternVLForConditionalGeneration(config),
        InternVLProcessor(
            images, t, InternVLVideoProcessor(), image_seq_length=4, chat_template=t.chat_template
        ),
        "qwen2",
    )


def tekken(folder):
    convert.bytes_tokenizer(
        folder,
        convert.split_by(TEKKEN_SPLIT),
        [
            "<unk>",
            "<s>",
            "</s>",
            "[INST]",
            "[/INST]",
            "[SYSTEM_PROMPT]",
            "[/SYSTEM_PROMPT]",
            "[IMG]",
            "[IMG_BREAK]",
            "[IMG_END]",
        ],
        dict(add_bos_token=True, bos_token="<s>", eos_token="</s>", unk_token="<unk>"),
    )
    (folder / "chat_template.jinja").write_text(families.template("mistral-small-3.1"))
    t = transformers.AutoTokenizer.from_pretrained(folder)
    t.chat_template = families.template("mistral-small-3.1")
    return t


@folder
def pixtral(folder):
    from transformers import (
        LlavaConfig,
        LlavaForConditionalGeneration,
        MistralConfig,
        PixtralProcessor,
        PixtralVisionConfig,
    )
    from transformers.models.pixtral.image_processing_pil_pixtral import PixtralImageProcessorPil

    t = tekken(folder)
    config = LlavaConfig(
        text_config=MistralConfig(
            vocab_size=len(t) + 3,
            head_dim=16,
            sliding_window=None,
            tie_word_embeddings=False,
            rope_parameters=rope(),
            **TEXT,
        ),
        vision_config=PixtralVisionConfig(image_size=64, patch_size=8, **TOWER),
        image_token_id=t.convert_tokens_to_ids("[IMG]"),
        vision_feature_layer=-1,
        vision_feature_select_strategy="full",
        tie_word_embeddings=False,
        multimodal_projector_bias=True,
    )
    images = PixtralImageProcessorPil(
        size=dict(longest_edge=64), patch_size=dict(height=8, width=8)
    )
    return (
        LlavaForConditionalGeneration(config),
        PixtralProcessor(images, t, patch_size=8, chat_template=t.chat_template),
        "tekken",
    )


@folder
def mistral3(folder):
    from transformers import (
        Mistral3Config,
        Mistral3ForConditionalGeneration,
        MistralConfig,
        PixtralProcessor,
        PixtralVisionConfig,
    )
    from transformers.models.pixtral.image_processing_pil_pixtral import PixtralImageProcessorPil

    t = tekken(folder)
    config = Mistral3Config(
        text_config=MistralConfig(
            vocab_size=len(t) + 3,
            head_dim=16,
            sliding_window=None,
            tie_word_embeddings=False,
            rope_parameters=rope(),
            **TEXT,
        ),
        vision_config=PixtralVisionConfig(image_size=64, patch_size=8, **TOWER),
        image_token_index=t.convert_tokens_to_ids("[IMG]"),
        spatial_merge_size=2,
        vision_feature_layer=-1,
        multimodal_projector_bias=False,
        tie_word_embeddings=False,
    )
    images = PixtralImageProcessorPil(
        size=dict(longest_edge=64), patch_size=dict(height=16, width=16)
    )
    return (
        Mistral3ForConditionalGeneration(config),
        PixtralProcessor(
            images, t, patch_size=8, spatial_merge_size=2, chat_template=t.chat_template
        ),
        "tekken",
    )


@folder
def idefics3(folder):
    from transformers import Idefics3Config, Idefics3ForConditionalGeneration, Idefics3Processor
    from transformers.models.idefics3.image_processing_pil_idefics3 import Idefics3ImageProcessorPil

    t = families.bytes_vocabulary(
        folder,
        families.idefics_specials("<|begin_of_text|>", 2, 2),
        template="{{ messages }}",
        bos_token="<|begin_of_text|>",
        eos_token="<end_of_utterance>",
        pad_token="<|im_end|>",
    )
    config = Idefics3Config(
        text_config=dict(
            model_type="llama",
            architectures=["LlamaForCausalLM"],
            vocab_size=len(t) + 3,
            tie_word_embeddings=False,
            rope_parameters=rope(),
            **TEXT,
        ),
        vision_config=dict(image_size=32, patch_size=8, **TOWER),
        scale_factor=2,
        image_token_id=t.convert_tokens_to_ids("<image>"),
        pad_token_id=2,
        tie_word_embeddings=False,
    )
    images = Idefics3ImageProcessorPil(
        size=dict(longest_edge=128), max_image_size=dict(longest_edge=32), **families.HALF
    )
    return (
        Idefics3ForConditionalGeneration(config),
        Idefics3Processor(images, t, image_seq_len=4, chat_template=t.chat_template),
        "qwen2",
    )


@folder
def qwen3(folder):
    """A language model alone, which InternVL 3.5 is made of."""
    t, _ = families.qwen_vocabulary(folder)
    config = transformers.Qwen3Config(
        vocab_size=len(t) + 3, head_dim=16, tie_word_embeddings=True, rope_parameters=rope(), **TEXT
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
