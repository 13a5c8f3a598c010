"""Perplexity and divergence after pictures by transformers in float32: the yardstick of what
`eyelet bench quants` says of a vision model. Of the built-in model and its Q4_K_M edition, both with
their weights as float32, so that neither side rounds what it multiplies by.

    pip install torch transformers pillow numpy gguf sentencepiece protobuf
    python scripts/golden/after_pictures.py build/bin/eyelet

writes engine/bench/testdata/after_pictures.gguf: the logits of both at each place of right answers to
questions of several kinds, and the figures that NumPy makes of them (divergence.py). Tests give those
logits to the very code that measures, and hold its figures to NumPy's; and they hold Eyelet's own
logits to transformers'.

    python scripts/golden/after_pictures.py build/bin/eyelet QUESTIONS

asks so many questions (24, say) on both sides, with Eyelet's tower, cache and products in float32,
prints each figure of both, and fails if one is further off than NEAR. A minute or two on a quiet
machine.

    python scripts/golden/after_pictures.py build/bin/eyelet exact

prints how far transformers' logits in float32 are from those in float64, and the mean KL divergence of
both, with the base in the sixteen bits in which it is kept and without: what no float32 can be held to.
"""

import json
import pathlib
import subprocess
import sys
import tempfile
import zipfile

import divergence
import seed
from seed import BUILTIN, Seed, squared
import numpy as np
import torch
import transformers
from PIL import Image
from transformers.models.llama.modeling_llama import LlamaRMSNorm

OUT = pathlib.Path(__file__).parents[2] / "engine/bench/testdata/after_pictures.gguf"
NEAR = 1e-3
FIGURES = [  # of divergence.py, which have the names of Eyelet's
    "perplexity",
    "perplexity_error",
    "kl_mean",
    "kl_mean_error",
    "perplexity_ratio",
    "perplexity_ratio_error",
    "ln_perplexity_correlation",
    "p_change",
    "p_change_error",
    "p_change_rms",
    "p_change_rms_error",
    "same_top",
    "same_top_error",
]


@torch.no_grad()
def logits_of(model, picture, question, answer):
    """The logits at each token of the right answer and at its end, and the tokens after it."""
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


def exact(model):
    """Makes the model compute in float64 throughout. Transformers' own code rounds norms, rotations and
    the weights of attention to float32, whatever the type of the rest."""
    lm, tower = model.lm.double(), model.tower.double()
    for part in (lm, tower.clip):
        part.set_attn_implementation("sdpa")
    for part in lm.modules():
        if isinstance(part, LlamaRMSNorm):
            part.forward = lambda x, norm=part: (
                norm.weight
                * x
                * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + norm.variance_epsilon)
            )
    width = lm.config.hidden_size // lm.config.num_attention_heads
    theta = float(lm.config.rope_parameters["rope_theta"])
    frequencies = theta ** (-torch.arange(0, width, 2, dtype=torch.float64) / width)

    def rotate(_, position_ids):
        angles = (position_ids[..., None].double() * frequencies).repeat(1, 1, 2)
        return angles.cos(), angles.sin()

    lm.model.rotary_emb.forward = rotate


def reference(base, other, mmproj, folder, questions, double=False):
    """The logits of both models, and the tokens that follow."""
    all_logits, follow = [], []
    for path in (base, other):
        model, list_, follow = Seed(path, mmproj), [], []
        if double:
            exact(model)
        for q in questions:
            logits, next_ids = logits_of(
                model, folder / q["picture"], q["question"], q["answers"][0]
            )
            list_.append(logits)
            follow += next_ids
        all_logits.append(np.concatenate(list_))
    return *all_logits, np.array(follow, np.int32)


def files(eyelet, folder):
    """The built-in model, its Q4_K_M edition and its projector, all with weights in float32."""
    base, small, other, mmproj = (
        folder / name for name in ("m-f32.gguf", "m-q4.gguf", "m-q4-f32.gguf", "mmproj-f32.gguf")
    )
    again = ["--allow-requantize"]
    for source, out, kind, flags in (
        (BUILTIN / "eyelet-builtin-q8_0.gguf", base, "f32", again),
        (base, small, "q4_k_m", []),
        (small, other, "f32", again),
        (BUILTIN / "mmproj-eyelet-builtin-q8_0.gguf", mmproj, "f32", []),
    ):
        run(eyelet, "quantize", source, "-o", out, "--type", kind, *flags)
    return base, other, mmproj


def run(eyelet, *args):
    done = subprocess.run([eyelet, *map(str, args)], check=True, capture_output=True, text=True)
    return done.stdout


def of_each_kind(questions):
    """A question of each kind whose answer is neither one word nor long."""
    found = {}
    for q in questions:
        if 8 <= len(q["answers"][0]) <= 30:
            found.setdefault(q["kind"], q)
    return list(found.values())


def write_golden(base, other, follow, questions):
    w = seed.gguf.GGUFWriter(OUT, "golden")
    versions = {m.__name__: m.__version__ for m in (torch, transformers, np)}
    w.add_string("golden.made_with", json.dumps(versions))
    w.add_string("golden.questions", json.dumps(questions))
    w.add_string("golden.figures", json.dumps(divergence.figures(base, other, follow)))
    w.add_tensor("base", base)
    w.add_tensor("other", other)
    w.add_tensor("follow", follow)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()
    print(f"{OUT}: {len(questions)} questions, {len(follow)} places")


def measured(eyelet, base, other, mmproj, folder):
    """What `eyelet bench quants` says of the other model, in float32 throughout."""
    flags = "--no-accel --vision-precision f32 --kv f32 --only quality --count 0 --json".split()
    results = json.loads(
        run(
            eyelet,
            *("bench", "quants", base, other, "--base", base, "-p", mmproj),
            *("--questions", folder, *flags),
        )
    )
    quality = next(q for name, q in results["qualities"].items() if "q4" in name)["after_image"]
    return {**quality, **quality["against_base"]}


def compare(eyelet, base, other, mmproj, folder, questions):
    """Prints the figures of both sides, and returns how many are far from each other."""
    ours = measured(eyelet, base, other, mmproj, folder)
    *logits, follow = reference(base, other, mmproj, folder, questions)
    want = divergence.figures(*logits, follow)
    print(f"{len(questions)} questions, {len(follow)} places; eyelet counts {ours['tokens']}")
    far = len(follow) != ours["tokens"]
    quantiles = zip(
        ("median", "90 %", "95 %", "99 %", "99.9 %", "largest"),
        want["kl_quantiles"],
        (q["value"] for q in ours["kl_quantiles"]),
    )
    rows = [(name, want[name], ours[name]) for name in FIGURES]
    rows += [("KL, " + name, x, y) for name, x, y in quantiles]
    for name, theirs, own in rows:
        off = abs(own - theirs) / max(abs(theirs), 1e-12)
        far += off > NEAR
        mark = "  FAR" if off > NEAR else ""
        print(f"{name:28} transformers {theirs:.8g}  eyelet {own:.8g}  {off:.1e}{mark}")
    return far


def whole_divergence(base, other):
    """The mean KL divergence from a base that is not rounded."""
    p, q = divergence.log_softmax(base), divergence.log_softmax(other)
    return (np.exp(p) * (p - q)).sum(-1).mean()


def print_exact(models, folder, questions):
    """Compares float32 with float64."""
    *single, follow = reference(*models, folder, questions)
    *double, _ = reference(*models, folder, questions, double=True)
    far = max(np.abs(a - b).max() for a, b in zip(single, double))
    print(f"logits in float32 are at most {far:.2g} from those in float64")
    for name, of in (
        ("with the base in 16 bits", lambda x: divergence.figures(*x, follow)["kl_mean"]),
        ("without", lambda x: whole_divergence(*x)),
    ):
        a, b = of(single), of(double)
        print(f"KL {name}: float32 {a:.9g}, float64 {b:.9g}, {abs(a / b - 1):.1e}")


def main():
    eyelet = sys.argv[1]
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        with zipfile.ZipFile(BUILTIN / "testdata/questions.zip") as z:
            z.extractall(folder)
        lines = (folder / "questions.jsonl").read_text().splitlines()
        models = files(eyelet, folder)
        if len(sys.argv) < 3 or sys.argv[2] == "exact":
            questions = of_each_kind(json.loads(line) for line in lines)
            if len(sys.argv) < 3:
                write_golden(*reference(*models, folder, questions), questions)
            else:
                print_exact(models, folder, questions)
            return
        count = int(sys.argv[2])
        lines = lines[:: len(lines) // count][:count]  # of all kinds
        (folder / "questions.jsonl").write_text("\n".join(lines) + "\n")
        questions = [json.loads(line) for line in lines]
        sys.exit(compare(eyelet, *models, folder, questions) > 0)


if __name__ == "__main__":
    main()
