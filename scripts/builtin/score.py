"""Scores the exported files on fresh questions through `eyelet eval`, and prints the tables of docs/builtin-model.md.

    make build
    python score.py [--seed 20261128] [--each 300] [--slope 100]

The shipped pair is asked --each questions a kind, through the native tower and through libmtmd. Each quantization of the language model (with
the F16 projector) and of the projector (with the F16 model) is asked --slope of each kind. Scores go to build/builtin/scores.json, too; what
stands there already for the same files and questions is not measured again.
"""

import argparse
import hashlib
import json
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).parents[2]
BUILD, EYELET = ROOT / "build/builtin", ROOT / "build/bin/eyelet"
KINDS = ["shapes", "captions", "text", "sums", "charts", "sketches", "tables", "refusals"]
MODELS = ["q8_0", "q6_k", "q5_k_m", "q4_k_m", "q3_k_m", "q2_k"]
PROJECTORS = ["q8_0", "q4_0"]


def questions(seed, each):
    folder = BUILD / f"questions-{seed}-{each}"
    if not (folder / "questions.jsonl").exists():
        subprocess.run(
            [
                sys.executable,
                pathlib.Path(__file__).with_name("questions.py"),
                "--seed",
                str(seed),
                "--each",
                str(each),
                "--out",
                folder,
            ],
            check=True,
        )
    return folder


def quantized(source, kind):
    """A file of the source's kind of weights; the exporter's own where it wrote one."""
    out = source.with_name(source.name.replace("-f16.", f"-{kind}."))
    if not out.exists() or out.stat().st_mtime < source.stat().st_mtime:
        subprocess.run(
            [EYELET, "quantize", source, "-o", out, "--type", kind, "--quiet", "--force"],
            check=True,
            stdout=subprocess.DEVNULL,
        )
    return out


class Scores:
    def __init__(self):
        self.path = BUILD / "scores.json"
        self.known = json.loads(self.path.read_text()) if self.path.exists() else {}

    def of(self, model, projector, folder, backend="native"):
        """Share of answers right to the letter, by kind."""
        files = "".join(
            hashlib.sha256(p.read_bytes()).hexdigest()[:8]
            for p in (model, projector, folder / "questions.jsonl")
        )
        key = f"{model.name} {projector.name} {folder.name} {backend} {files}"
        if key not in self.known:
            out = subprocess.run(
                [
                    EYELET,
                    "eval",
                    "--model",
                    model,
                    "--mmproj",
                    projector,
                    "--questions",
                    folder,
                    "--vision-backend",
                    backend,
                    "--json",
                ],
                check=True,
                capture_output=True,
            ).stdout
            self.known[key] = json.loads(out)
            self.path.write_text(json.dumps(self.known, indent=1) + "\n")
        e = self.known[key]
        return {k["kind"]: k["literal"] for k in e["kinds"]} | {"all": e["all"]["literal"]}


def row(name, scores, intervals=False):
    def cell(i):
        return (
            f"{100 * i['mean']:.1f} ({100 * i['low']:.0f} - {100 * i['high']:.0f})"
            if intervals
            else f"{100 * i['mean']:.0f}"
        )

    return f"| {name} | " + " | ".join(cell(scores[k]) for k in KINDS + ["all"]) + " |"


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--out", type=pathlib.Path, default=BUILD / "out", help="where export.py wrote")
    p.add_argument("--name", default="eyelet-builtin")
    p.add_argument("--seed", type=int, default=20261128)
    p.add_argument("--each", type=int, default=300)
    p.add_argument("--slope", type=int, default=100)
    args = p.parse_args()
    scores, many, few = (
        Scores(),
        questions(args.seed, args.each),
        questions(args.seed + 1, args.slope),
    )
    model, projector = args.out / f"{args.name}-f16.gguf", args.out / f"mmproj-{args.name}-f16.gguf"
    shipped = [args.out / f"{prefix}{args.name}-q8_0.gguf" for prefix in ("", "mmproj-")]
    head = "| | " + " | ".join(KINDS) + " | all |\n|---|" + "---|" * (len(KINDS) + 1)
    print(f"Q8_0, {args.each} questions a kind, percent with 95 % intervals\n\n{head}")
    print(row("native tower", scores.of(*shipped, many), True), flush=True)
    print(row("libmtmd", scores.of(*shipped, many, "mtmd"), True), flush=True)
    print(f"\nLanguage model, with the F16 projector; {args.slope} questions a kind\n\n{head}")
    print(row("F16", scores.of(model, projector, few)), flush=True)
    for kind in MODELS:
        print(row(kind.upper(), scores.of(quantized(model, kind), projector, few)), flush=True)
    print(f"\nProjector, with the F16 language model\n\n{head}")
    print(row("F16", scores.of(model, projector, few)))
    for kind in PROJECTORS:
        print(row(kind.upper(), scores.of(model, quantized(projector, kind), few)), flush=True)


if __name__ == "__main__":
    main()
