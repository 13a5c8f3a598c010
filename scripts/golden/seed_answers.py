"""Greedy answers of the built-in model about the pictures in models/builtin/testdata/pictures, by PyTorch in float32 on
the dequantized weights of the shipped Q8_0 files.

    pip install torch transformers pillow numpy gguf sentencepiece protobuf
    python scripts/golden/seed_answers.py

writes models/builtin/testdata/answers.json: what the model answers, right or wrong. The questions of one case are
turns of one conversation. "margins" tells how clear each answer was: see Seed.chat.
"""

import json

from seed import BUILTIN, Seed
import numpy as np
import torch, transformers
from PIL import Image

BACKGROUND, WHAT = "What color is the background?", "What is in this picture?"
CASES = [
    ("shape-1", [WHAT, "What color is the ring?", BACKGROUND]),
    ("shape-1", [BACKGROUND]),
    ("shape-2", [WHAT, BACKGROUND]),
    ("shape-2", ["What color is the star?"]),
    ("shape-3", [WHAT]),
    ("shape-3", ["Where is the purple ring?", BACKGROUND]),
    ("shape-4", [BACKGROUND, "What color is the circle?"]),
    ("shape-4", ["How many shapes are there?"]),
    ("shapes-2", ["Describe the image."]),
    ("shapes-2", ["Which shape is blue?", BACKGROUND]),
    ("shapes-2", ["How many objects are in the image?"]),
    ("shapes-3", ["Describe the image."]),
    ("shapes-3", ["Is there a yellow triangle?", "Where is the triangle?"]),
    ("text-1", ["Read the text."]),
    ("text-1", ["How many characters are there?"]),
    ("text-2", ["What does the text say?"]),
    ("sum", ["What is the answer?"]),
    ("chart-1", ["Which bar is the tallest?", "How many bars are there?"]),
    ("chart-1", ["Describe the chart."]),
    ("chart-2", ["What color is bar C?"]),
    ("chart-2", ["What is the value of C?"]),
    ("sketch-1", ["Write the HTML for this sketch."]),
    ("sketch-1", ["How many elements are there?"]),
    ("sketch-2", ["Generate code for this page."]),
]

if __name__ == "__main__":
    seed = Seed(BUILTIN / "eyelet-builtin-q8_0.gguf", BUILTIN / "mmproj-eyelet-builtin-q8_0.gguf")
    out = BUILTIN / "testdata"
    rows = []
    for picture, questions in CASES:
        rgb = np.asarray(Image.open(out / f"pictures/{picture}.png").convert("RGB"))
        answers = seed.chat(rgb, questions)
        rows.append(
            json.dumps(
                {
                    "picture": f"{picture}.png",
                    "questions": questions,
                    "answers": [text for text, _, _ in answers],
                    "tokens": [ids for _, ids, _ in answers],
                    "margins": [round(margin, 3) for _, _, margin in answers],
                }
            )
        )
    made_with = json.dumps({m.__name__: m.__version__ for m in (np, torch, transformers)})
    (out / "answers.json").write_text(
        '{"made_with": %s, "cases": [\n%s\n]}\n' % (made_with, ",\n".join(rows))
    )
