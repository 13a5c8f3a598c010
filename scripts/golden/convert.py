"""Golden data of models/convert: small models with random weights as Hugging Face folders, what llama.cpp's own converter
makes of them, and what transformers computes with them in float32.

    scripts/setup --peers                       # llama.cpp's converter, from Debian's llama.cpp-tools
    pip install torch==2.9.1 transformers==5.24.0 tokenizers==0.23.3 sentencepiece==0.2.3 safetensors==0.8.0 numpy==2.4.6 pillow==11.3.0 \
        protobuf==7.36.2 pyyaml==6.0.4 requests==2.34.2 tqdm==4.70.1 jinja2==3.1.6
    PYTHONPATH=GGUF python scripts/golden/convert.py

GGUF is a folder with the Python package gguf of the same llama.cpp: Debian's python3-gguf, unpacked (dpkg -x). It writes
models/convert/testdata/: NAME/, the folders; NAME.json, metadata and tensors (as hashes) of llama.cpp's files, the ids of a
text and the logits after it; picture.png and wide.png, what LLaVA is shown, and square.png, which SmolVLM is. And
models/safetensors/testdata/.

llama.cpp's converter knows a byte-level tokenizer by the hash of the ids that it gives a text, which a tokenizer trained
here cannot have: its name is given by hand. Everything else is the converter's own doing.
"""

import copy, hashlib, io, json, pathlib, shutil, sys, tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "build/sysroot/usr/share/llama.cpp/llama.cpp-tools"))
import conversion, gguf
import numpy as np
import safetensors, sentencepiece, tokenizers, torch, transformers
from conversion.base import ModelType, TextModel
from PIL import Image
from safetensors.torch import load_file, save_file
from tokenizers import (
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers.models.llava_next.image_processing_pil_llava_next import (
    LlavaNextImageProcessorPil,
)
from transformers.models.smolvlm.image_processing_pil_smolvlm import SmolVLMImageProcessorPil
from transformers import (
    AutoTokenizer,
    CLIPVisionConfig,
    LlamaConfig,
    LlamaForCausalLM,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaNextConfig,
    LlavaNextForConditionalGeneration,
    MistralConfig,
    Qwen2Config,
    Qwen2ForCausalLM,
    SmolVLMConfig,
    SmolVLMForConditionalGeneration,
)

OUT = ROOT / "models/convert/testdata"
TYPES = {
    "f16": gguf.LlamaFileType.MOSTLY_F16,
    "bf16": gguf.LlamaFileType.MOSTLY_BF16,
    "q8_0": gguf.LlamaFileType.MOSTLY_Q8_0,
}
# The text that the tokenizers are trained on and tried with: words, digits, contractions, scripts, spaces, an emoji.
CORPUS = (ROOT / "LICENSE").read_text().splitlines()[:120]
TEXT = "He said: \"we'll see 3 tigers, 1234567 birds and l'été\" \n\n  \t naïve 漢字 Привет 🦙 END.  x=1;\n"
GPT4_SPLIT = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN_SPLIT = GPT4_SPLIT.replace("{1,3}", "")
TEXT_MODEL = dict(
    hidden_size=32,
    intermediate_size=64,
    num_attention_heads=4,
    num_key_value_heads=2,
    num_hidden_layers=2,
    max_position_embeddings=512,
)
VICUNA = (
    "{% for message in messages %}{{ message['role'].upper() + ': ' }}{% for c in message['content'] | selectattr('type', 'equalto', 'image') %}"
    "{{ '<image>\n' }}{% endfor %}{% for c in message['content'] | selectattr('type', 'equalto', 'text') %}{{ c['text'] }}{% endfor %} {% endfor %}"
    "{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}"
)


def sentencepiece_tokenizer(folder, added):
    """tokenizer.model as Llama 2's, smaller, and the files beside it that LLaVA's folders have."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(CORPUS),
        model_writer=model,
        vocab_size=340,
        model_type="bpe",
        byte_fallback=True,
        character_coverage=0.99,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        split_digits=True,
        allow_whitespace_only_pieces=True,
        minloglevel=2,
    )
    (folder / "tokenizer.model").write_bytes(model.getvalue())
    size = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue()).vocab_size()
    entries = {i: {"content": t, "special": True} for i, t in enumerate(["<unk>", "<s>", "</s>"])}
    entries |= {size + i: {"content": t, "special": t != "<plain>"} for i, t in enumerate(added)}
    for e in entries.values():
        e |= {"lstrip": False, "rstrip": False, "normalized": False, "single_word": False}
    config = {
        "tokenizer_class": "LlamaTokenizer",
        "add_bos_token": True,
        "add_eos_token": False,
        "bos_token": "<s>",
        "eos_token": "</s>",
        "unk_token": "<unk>",
        "legacy": False,
        "added_tokens_decoder": {str(i): e for i, e in entries.items()},
    }
    if "<pad>" in added:
        config["pad_token"] = "<pad>"
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=1))
    if added:
        (folder / "added_tokens.json").write_text(
            json.dumps({t: size + i for i, t in enumerate(added)}, indent=1)
        )
    # tokenizer.json as real folders have it beside tokenizer.model, which transformers makes of the two.
    made = AutoTokenizer.from_pretrained(folder)
    with tempfile.TemporaryDirectory() as other:
        made.save_pretrained(other)
        shutil.copy(pathlib.Path(other) / "tokenizer.json", folder)
    return size + len(added)


def bytes_tokenizer(folder, split, special, config, normalizer=None, post=None, plain=()):
    """tokenizer.json of byte-level BPE, as Llama 3, Qwen 2 and SmolLM have it."""
    t = Tokenizer(models.BPE(ignore_merges=config.pop("ignore_merges", False)))
    t.pre_tokenizer, t.decoder, t.normalizer = split, decoders.ByteLevel(), normalizer
    t.train_from_iterator(
        CORPUS,
        trainers.BpeTrainer(
            vocab_size=360,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    t.add_special_tokens(special)
    t.add_tokens(list(plain))
    if post:
        t.post_processor = post(t)
    t.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "PreTrainedTokenizerFast", **config}, indent=1)
    )
    return t.get_vocab_size()


def split_by(regex):
    return pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(regex), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )


def randomize(model, seed):
    """Weights that float16, bfloat16 and float32 hold alike, so that every file of a model has the same."""
    g = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in sorted(model.named_parameters()):
            scale = 0.1 if p.ndim < 2 else p.shape[-1] ** -0.5
            p.copy_(
                (
                    torch.randn(p.shape, generator=g) * scale
                    + (1.0 if "norm" in name and name.endswith("weight") else 0.0)
                ).to(torch.bfloat16)
            )
    return model.float().eval()


def save(folder, model, dtype, shard="1GB", config=None):
    # A copy, since the tables of the rotary embedding would be rounded with the weights.
    copy.deepcopy(model).to(dtype).save_pretrained(folder, max_shard_size=shard)
    (folder / "generation_config.json").unlink(missing_ok=True)
    if config:
        (folder / "config.json").write_text(json.dumps(config, indent=1))


def old_config(model, architecture, **more):
    """config.json as transformers wrote it before version 5: what differs from the defaults, and the defaults of the parts left out."""
    text = model.config.text_config.to_dict()
    keep = (
        "hidden_size",
        "intermediate_size",
        "num_attention_heads",
        "num_key_value_heads",
        "num_hidden_layers",
        "max_position_embeddings",
        "rms_norm_eps",
        "vocab_size",
        "model_type",
    )
    vision = model.config.vision_config.to_dict()
    tower = (
        "hidden_size",
        "intermediate_size",
        "num_attention_heads",
        "num_hidden_layers",
        "image_size",
        "patch_size",
        "model_type",
        "projection_dim",
        "vocab_size",
    )
    return {
        "architectures": [type(model).__name__],
        "image_token_index": model.config.image_token_id,
        "model_type": model.config.model_type,
        "projector_hidden_act": "gelu",
        "vision_feature_layer": -2,
        "vision_feature_select_strategy": "default",
        "torch_dtype": "float16",
        "text_config": {
            "architectures": [architecture],
            "rope_theta": text["rope_parameters"]["rope_theta"],
        }
        | {k: text[k] for k in keep},
        "vision_config": {k: vision[k] for k in tower if k in vision},
        "tie_word_embeddings": False,
    } | more


def preprocessor(folder, **more):
    config = {
        "image_mean": [0.48145466, 0.4578275, 0.40821073],
        "image_std": [0.26862954, 0.26130258, 0.27577711],
        "do_normalize": True,
        "do_rescale": True,
        "do_resize": True,
        "rescale_factor": 1 / 255,
        "resample": 3,
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(config | more, indent=1))


def llama_spm(folder):
    vocab = sentencepiece_tokenizer(folder, [])
    model = randomize(
        LlamaForCausalLM(
            LlamaConfig(
                vocab_size=vocab + 4,
                rms_norm_eps=1e-5,
                bos_token_id=1,
                eos_token_id=2,
                **TEXT_MODEL,
            )
        ),
        1,
    )
    save(folder, model, torch.float16, shard="60KB")
    (folder / "README.md").write_text(
        "---\nlicense: apache-2.0\nlicense_name: of the test\ntags:\n- test\n---\n# Nothing\n"
    )
    (folder / "generation_config.json").write_text(
        json.dumps({"temperature": 0.6, "top_p": 0.9, "top_k": 40, "repetition_penalty": 1.1})
    )
    return model, None


def llama3(folder):
    post = lambda t: processors.TemplateProcessing(
        single="<|begin_of_text|> $A",
        pair="<|begin_of_text|> $A <|begin_of_text|> $B",
        special_tokens=[("<|begin_of_text|>", t.token_to_id("<|begin_of_text|>"))],
    )
    vocab = bytes_tokenizer(
        folder,
        split_by(GPT4_SPLIT),
        ["<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>"],
        {
            "bos_token": "<|begin_of_text|>",
            "eos_token": "<|eot_id|>",
            "chat_template": "{{ bos_token }}{{ messages[0]['content'] }}",
            "ignore_merges": True,
        },
        post=post,
    )
    scaling = dict(
        rope_type="llama3",
        rope_theta=500000.0,
        factor=8.0,
        low_freq_factor=1.0,
        high_freq_factor=4.0,
        original_max_position_embeddings=64,
    )
    model = randomize(
        LlamaForCausalLM(
            LlamaConfig(
                vocab_size=vocab,
                rms_norm_eps=1e-5,
                rope_parameters=scaling,
                tie_word_embeddings=True,
                head_dim=32,
                **{**TEXT_MODEL, "num_attention_heads": 2, "num_key_value_heads": 1},
            )
        ),
        2,
    )
    save(folder, model, torch.bfloat16)
    return model, "llama-bpe"


def qwen2(folder):
    vocab = bytes_tokenizer(
        folder,
        split_by(QWEN_SPLIT),
        ["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        {
            "eos_token": "<|im_end|>",
            "pad_token": "<|endoftext|>",
            "bos_token": None,
            "add_bos_token": False,
            "chat_template": "{{ messages }}",
        },
        normalizer=normalizers.NFC(),
        post=lambda t: processors.ByteLevel(trim_offsets=False),
        plain=["<tool_call>"],
    )
    model = randomize(
        Qwen2ForCausalLM(
            Qwen2Config(
                vocab_size=vocab + 8,
                rms_norm_eps=1e-6,
                tie_word_embeddings=True,
                **TEXT_MODEL,
                rope_parameters=dict(rope_type="default", rope_theta=1000000.0),
            )
        ),
        3,
    )
    save(folder, model, torch.float32)
    return model, "qwen2"


def smolvlm(folder):
    split = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
        ]
    )
    vocab = bytes_tokenizer(
        folder,
        split,
        [
            "<|endoftext|>",
            "<|im_start|>",
            "<|im_end|>",
            "<image>",
            "<end_of_utterance>",
            "<fake_token_around_image>",
            "<global-img>",
        ],
        {
            "bos_token": "<|im_start|>",
            "eos_token": "<end_of_utterance>",
            "pad_token": "<|im_end|>",
            "unk_token": "<|endoftext|>",
        },
    )
    (folder / "chat_template.json").write_text(
        json.dumps({"chat_template": "<|im_start|>{% for m in messages %}{{ m }}{% endfor %}"})
    )
    config = SmolVLMConfig(
        text_config=dict(
            model_type="llama",
            architectures=["VLlama3ForCausalLM"],
            vocab_size=vocab,
            rms_norm_eps=1e-5,
            pad_token_id=2,
            **TEXT_MODEL,
            rope_parameters=dict(rope_type="default", rope_theta=273768.0),
        ),
        vision_config=dict(
            hidden_size=32,
            intermediate_size=48,
            num_attention_heads=2,
            num_hidden_layers=2,
            image_size=32,
            patch_size=8,
        ),
        scale_factor=2,
        image_token_id=vocab - 4,
        pad_token_id=2,
        tie_word_embeddings=False,
    )
    model = randomize(SmolVLMForConditionalGeneration(config), 4)
    save(folder, model, torch.bfloat16)
    preprocessor(
        folder,
        image_mean=[0.5, 0.5, 0.5],
        image_std=[0.5, 0.5, 0.5],
        resample=1,
        size={"longest_edge": 64},
        max_image_size={"longest_edge": 32},
    )
    return model, "smollm"


CLIP = dict(
    hidden_size=32,
    intermediate_size=64,
    num_attention_heads=2,
    num_hidden_layers=3,
    image_size=28,
    patch_size=7,
    projection_dim=16,
    vocab_size=32000,
    model_type="clip_vision_model",
)


def llava15(folder):
    vocab = sentencepiece_tokenizer(folder, ["<image>", "<pad>"])
    config = LlavaConfig(
        text_config=LlamaConfig(vocab_size=vocab + 6, rms_norm_eps=1e-5, **TEXT_MODEL),
        vision_config=CLIPVisionConfig(**CLIP),
        image_token_id=vocab - 2,
        vision_feature_layer=-2,
        vision_feature_select_strategy="default",
    )
    model = randomize(LlavaForConditionalGeneration(config), 5)
    save(folder, model, torch.float16, "60KB", old_config(model, "LlamaForCausalLM"))
    (folder / "chat_template.json").write_text(json.dumps({"chat_template": VICUNA}))
    preprocessor(
        folder,
        crop_size={"height": 28, "width": 28},
        do_center_crop=True,
        size={"shortest_edge": 28},
        image_processor_type="CLIPImageProcessor",
    )
    return model, None


def llava16(folder):
    vocab = sentencepiece_tokenizer(folder, ["<image>", "<pad>", "<plain>"])
    grid = [[28, 56], [56, 28], [56, 56], [84, 28], [28, 84]]
    config = LlavaNextConfig(
        text_config=MistralConfig(
            vocab_size=vocab + 5,
            rms_norm_eps=1e-5,
            sliding_window=None,
            **TEXT_MODEL,
            rope_parameters=dict(rope_type="default", rope_theta=1000000.0),
        ),
        vision_config=CLIPVisionConfig(**CLIP),
        image_token_id=vocab - 3,
        vision_feature_layer=-2,
        image_grid_pinpoints=grid,
        vision_feature_select_strategy="default",
    )
    model = randomize(LlavaNextForConditionalGeneration(config), 6)
    save(
        folder,
        model,
        torch.float16,
        "60KB",
        old_config(
            model, "MistralForCausalLM", image_grid_pinpoints=grid, use_image_newline_parameter=True
        ),
    )
    rename(folder, lambda k: k.replace("vision_tower.", "vision_tower.vision_model."))
    preprocessor(
        folder,
        crop_size={"height": 28, "width": 28},
        do_center_crop=True,
        size={"shortest_edge": 28},
        image_grid_pinpoints=grid,
        image_processor_type="LlavaNextImageProcessor",
        do_pad=True,
    )
    return model, None


def plain(value):
    """A metadata value as JSON holds it: numbers as they are, floats as float32 has them."""
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    return float(np.float32(value)) if isinstance(value, (float, np.floating)) else value


def read(path):
    r = gguf.GGUFReader(path)
    metadata = {
        k: {"type": "/".join(t.name for t in f.types), "value": plain(f.contents())}
        for k, f in r.fields.items()
        if not k.startswith("GGUF.")
    }
    tensors = [
        {
            "name": t.name,
            "type": t.tensor_type.name,
            "dims": [int(n) for n in t.shape],
            "sha256": hashlib.sha256(t.data.tobytes()).hexdigest(),
        }
        for t in r.tensors
    ]
    return {"metadata": metadata, "tensors": tensors}


def llamacpp(folder, kind, pre):
    """What llama.cpp's converter makes of a folder, by type; None for what it refuses."""
    TextModel.get_vocab_base_pre = lambda self, tokenizer: pre
    made = {}
    for name, ftype in TYPES.items():
        with tempfile.TemporaryDirectory() as tmp:
            out = pathlib.Path(tmp) / "out.gguf"
            try:
                hparams = conversion.ModelBase.load_hparams(folder, False)
                architecture = conversion.get_model_architecture(hparams, kind)
                conversion.get_model_class(architecture, mmproj=kind == ModelType.MMPROJ)(
                    folder, ftype, out
                ).write()
            except (NotImplementedError, ValueError) as e:
                print(f"llama.cpp refuses {folder.name} ({kind.name}): {e}")
                return None
            made[name] = read(out)
    return {
        "metadata": made["f16"]["metadata"],
        "tensors": {name: m["tensors"] for name, m in made.items()},
    }


def safetensors_file():
    """A file by the format's own library, for models/safetensors: many types, a scalar, an empty tensor."""
    out = ROOT / "models/safetensors/testdata"
    out.mkdir(parents=True, exist_ok=True)
    g = torch.Generator().manual_seed(1)
    types = (
        torch.float64,
        torch.float32,
        torch.float16,
        torch.bfloat16,
        torch.float8_e4m3fn,
        torch.int64,
        torch.int32,
        torch.int16,
        torch.int8,
        torch.uint8,
        torch.bool,
    )
    tensors = {
        f"of {str(t).removeprefix('torch.')}": (torch.randn(3, 5, generator=g) * 10).to(t)
        for t in types
    }
    tensors |= {
        "scalar": torch.tensor(1.5),
        "empty": torch.zeros(0, 7),
        "x": torch.arange(24).reshape(2, 3, 4),
    }
    save_file(tensors, out / "types.safetensors", metadata={"format": "pt", "of": "test"})
    described = {
        k: {
            "shape": list(v.shape),
            "sha256": hashlib.sha256(
                v.reshape(-1).view(torch.uint8).numpy().tobytes() if v.numel() else b""
            ).hexdigest(),
        }
        for k, v in tensors.items()
    }
    (out / "types.json").write_text(
        json.dumps(
            {
                "made_with": {"safetensors": safetensors.__version__, "torch": torch.__version__},
                "tensors": described,
            },
            indent=1,
        )
        + "\n"
    )


def rename(folder, names):
    """Gives tensors of a split model the names of older files."""
    index_file = folder / "model.safetensors.index.json"
    index = json.loads(index_file.read_text())
    for part in set(index["weight_map"].values()):
        tensors = {names(k): v for k, v in load_file(folder / part).items()}
        save_file(tensors, folder / part, metadata={"format": "pt"})
    index["weight_map"] = {names(k): v for k, v in index["weight_map"].items()}
    index_file.write_text(json.dumps(index, indent=1))


def pictures():
    """A picture of the tower's size, one that LLaVA 1.6 cuts into tiles, and one that SmolVLM cuts without resizing it."""
    for name, size in (("picture", (28, 28, 3)), ("wide", (30, 40, 3)), ("square", (64, 64, 3))):
        Image.fromarray(np.random.default_rng(9).integers(0, 256, size, dtype=np.uint8)).save(
            OUT / f"{name}.png"
        )


def see(model, folder):
    """The inputs and the image tokens of a picture."""
    if folder.name == "llava15":
        rgb = (
            torch.from_numpy(np.array(Image.open(OUT / "picture.png"))).permute(2, 0, 1).float()
            / 255
        )
        config = json.loads((folder / "preprocessor_config.json").read_text())
        mean, std = (torch.tensor(config[k])[:, None, None] for k in ("image_mean", "image_std"))
        inputs = {"pixel_values": ((rgb - mean) / std)[None]}
    elif folder.name == "smolvlm":
        # The tiles alone: the small copy of the whole picture that follows them depends on who resamples it.
        made = SmolVLMImageProcessorPil.from_pretrained(folder)(
            [[Image.open(OUT / "square.png")]], return_tensors="pt"
        )
        inputs = {"pixel_values": made["pixel_values"][:, :-1]}
        return inputs, torch.cat(model.model.get_image_features(**inputs).pooler_output)
    else:
        made = LlavaNextImageProcessorPil.from_pretrained(folder)(
            Image.open(OUT / "wide.png"), return_tensors="pt"
        )
        inputs = {"pixel_values": made["pixel_values"], "image_sizes": made["image_sizes"]}
    return inputs, model.get_image_features(**inputs).pooler_output[0]


@torch.no_grad()
def answers(model, folder):
    """The ids of TEXT, and the logits after them, after a picture where the model sees one."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    ids = tokenizer.encode(TEXT, add_special_tokens=False)
    result, inputs, before = {"text": TEXT, "ids": ids}, {}, []
    if (folder / "preprocessor_config.json").exists():
        inputs, tokens = see(model, folder)
        before = [tokenizer.bos_token_id] + [model.config.image_token_id] * len(tokens)
        result |= {"image_tokens": tokens.reshape(-1).tolist(), "image_shape": list(tokens.shape)}
    logits = model(input_ids=torch.tensor([before + ids]), **inputs).logits
    return result | {"logits": logits[0, -1].tolist()}


if __name__ == "__main__":
    versions = {
        m.__name__: m.__version__
        for m in (np, safetensors, sentencepiece, tokenizers, torch, transformers)
    }
    OUT.mkdir(parents=True, exist_ok=True)
    pictures()
    safetensors_file()
    for make in (llama_spm, llama3, qwen2, smolvlm, llava15, llava16):
        folder = OUT / make.__name__.replace("_", "-")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        model, pre = make(folder)
        golden = {
            "made_with": versions,
            "model": llamacpp(folder, ModelType.TEXT, pre),
            "mmproj": None,
        }
        if (folder / "preprocessor_config.json").exists():
            golden["mmproj"] = llamacpp(folder, ModelType.MMPROJ, pre)
        golden["answers"] = answers(model, folder)
        (OUT / f"{folder.name}.json").write_text(
            json.dumps(golden, separators=(",", ":"), ensure_ascii=False) + "\n"
        )
