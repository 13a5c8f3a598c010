"""Scores twenty questions with lm-evaluation-harness, once over transformers and once through a server's /v1/completions, and compares
the log-likelihood of every choice.

usage: lm_eval_compare.py URL MODEL WEIGHTS        WEIGHTS is the folder of transformers that the server's model was made of
"""

import json
import os
import pathlib
import sys
import tempfile

os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", TOKENIZERS_PARALLELISM="false")

import lm_eval
from lm_eval.tasks import TaskManager

url, model, weights = sys.argv[1:]
here = pathlib.Path(__file__).parent / "lm_eval"


def run(name, args, folder):
    out = lm_eval.simple_evaluate(
        model=name,
        model_args=args,
        tasks=["eyelet20"],
        task_manager=TaskManager(include_path=folder, include_defaults=False),
        batch_size=4,
        bootstrap_iters=0,
        log_samples=True,
    )
    return out["results"]["eyelet20"]["acc,none"], [
        [float(r[0]) for r in s["filtered_resps"]]
        for s in sorted(out["samples"]["eyelet20"], key=lambda s: s["doc_id"])
    ]


with tempfile.TemporaryDirectory() as folder:
    os.environ["HF_HOME"] = folder
    text = (
        (here / "eyelet20.yaml")
        .read_text()
        .replace("QUESTIONS", str((here / "questions.jsonl").resolve()))
    )
    pathlib.Path(folder, "eyelet20.yaml").write_text(text)
    want_acc, want = run("hf", f"pretrained={weights},dtype=float32,device=cpu", folder)
    got_acc, got = run(
        "local-completions",
        f"model={model},base_url={url}/v1/completions,tokenizer={weights},num_concurrent=1,max_retries=1",
        folder,
    )
differences = [abs(a - b) for x, y in zip(want, got) for a, b in zip(x, y)]
print(
    json.dumps(
        {
            "questions": len(got),
            "choices": len(differences),
            "acc_transformers": want_acc,
            "acc_server": got_acc,
            "largest_difference": max(differences),
            "mean_difference": sum(differences) / len(differences),
            "mean_loglikelihood": sum(map(sum, want)) / len(differences),
        }
    )
)
