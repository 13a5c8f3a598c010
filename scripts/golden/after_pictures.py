"""Perplexity and divergence after pictures, by transformers in float32, beside `eyelet bench quants` on the same files: the
built-in model and its Q4_K_M edition, both with their weights as float32, so that neither side rounds what it multiplies by.

    pip install torch transformers pillow numpy gguf sentencepiece protobuf
    python scripts/golden/after_pictures.py build/bin/eyelet [QUESTIONS]

asks so many questions (24), prints each figure of both and fails if one is further off than FAR. A minute or two on a quiet machine.

Of 24 questions perplexities agree within 1.1e-4 and the mean divergence within 8e-4; the error bars and the changes of probabilities, which few
places of 161 decide, within 1.7e-2. libllama's attention without its fused kernel is no nearer, nor are ggml's products.
"""

import json
import pathlib
import subprocess
import sys
import tempfile
import zipfile

from divergence import figures
from seed import BUILTIN, Seed, squared
import numpy as np
import torch
from PIL import Image

FAR = 3e-2
NAMES = {  # eyelet's, by those of divergence.py
    "perplexity": "perplexity",
    "perplexity_error": "perplexity_error",
    "kl_mean": "kl_mean",
    "kl_mean_error": "kl_mean_error",
    "perplexity_ratio": "perplexity_ratio",
    "perplexity_ratio_error": "perplexity_ratio_error",
    "ln_perplexity_correlation": "ln_perplexity_correlation",
    "p_change": "p_change",
    "p_change_rms": "p_change_rms",
    "same_top": "same_top",
}


@torch.no_grad()
def logits_of(model, picture, question, answer):
    """The logits at each token of the right answer and at its end, and the tokens that follow there."""
    rgb = squared(Image.open(picture).convert("RGB"), model.tower.size)
    ids = model.sp.encode(answer)
    e = torch.cat(
        [
            model.embed([1] + model.sp.encode("USER: ")),
            model.tower(rgb[None]),
            model.embed(model.sp.encode("\n" + question + " ASSISTANT:") + ids),
        ],
        1,
    )
    logits = model.lm(inputs_embeds=e).logits[0, -len(ids) - 1 :]
    return logits.numpy(), ids + [2]


def reference(base, other, mmproj, folder, questions):
    all_logits, follow = [], []
    for path in (base, other):
        model, list_, follow = Seed(path, mmproj), [], []
        for q in questions:
            logits, next_ids = logits_of(
                model, folder / q["picture"], q["question"], q["answers"][0]
            )
            list_.append(logits)
            follow += next_ids
        all_logits.append(np.concatenate(list_))
    return figures(*all_logits, np.array(follow)), len(follow)


def main():
    eyelet, count = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 24
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        with zipfile.ZipFile(BUILTIN / "testdata/questions.zip") as z:
            z.extractall(folder)
        lines = (folder / "questions.jsonl").read_text().splitlines()
        lines = lines[:: len(lines) // count][:count]  # of all kinds
        (folder / "questions.jsonl").write_text("\n".join(lines) + "\n")
        run = lambda *args: (
            subprocess.run(
                [eyelet, *map(str, args)], check=True, capture_output=True, text=True
            ).stdout
        )
        base, small, other, mmproj = (
            folder / name
            for name in ("m-f32.gguf", "m-q4.gguf", "m-q4-f32.gguf", "mmproj-f32.gguf")
        )
        run(
            "quantize",
            BUILTIN / "eyelet-builtin-q8_0.gguf",
            "-o",
            base,
            "--type",
            "f32",
            "--allow-requantize",
        )
        run("quantize", base, "-o", small, "--type", "q4_k_m")
        run("quantize", small, "-o", other, "--type", "f32", "--allow-requantize")
        run("quantize", BUILTIN / "mmproj-eyelet-builtin-q8_0.gguf", "-o", mmproj, "--type", "f32")
        results = json.loads(
            run(
                "bench",
                "quants",
                base,
                other,
                "--base",
                base,
                "-p",
                mmproj,
                "--kv",
                "f32",
                "--only",
                "quality",
                "--questions",
                folder,
                "--count",
                0,
                "--json",
            )
        )
        quality = next(q for name, q in results["qualities"].items() if "q4" in name)["after_image"]
        ours = {**quality, **quality["against_base"]}
        want, places = reference(base, other, mmproj, folder, [json.loads(line) for line in lines])
    far = 0
    print(f"{count} questions, {places} places; eyelet counts {ours['tokens']}")
    far += places != ours["tokens"]
    for name, own in NAMES.items():
        if own not in ours:
            print(f"{name:28} {want[name]:.8g}  not told: {sorted(ours)}")
            far += 1
            continue
        off = abs(ours[own] - want[name]) / max(abs(want[name]), 1e-12)
        far += off > FAR
        print(
            f"{name:28} transformers {want[name]:.8g}  eyelet {ours[own]:.8g}  {off:.1e}{'  FAR' if off > FAR else ''}"
        )
    sys.exit(far > 0)


if __name__ == "__main__":
    main()
