"""What the built-in model in PyTorch answers to the questions of models/builtin/testdata/questions.zip (greedily, float32, the
dequantized weights of the Q8_0 files).

    pip install torch transformers pillow numpy gguf sentencepiece protobuf
    python scripts/golden/said.py

writes models/builtin/testdata/said.json: an object a question, in their order, with the answer and its margin (see Seed.chat). Prints
PyTorch's scores. The questions are made by

    python scripts/builtin/questions.py --seed 31415926 --each 50 --small --out models/builtin/testdata/questions.zip
"""

import collections
import io
import json
import zipfile

import numpy as np
import torch, transformers
from PIL import Image

from seed import BUILTIN, Seed, squared

MAX_TOKENS = 100

if __name__ == "__main__":
    model = Seed(BUILTIN / "eyelet-builtin-q8_0.gguf", BUILTIN / "mmproj-eyelet-builtin-q8_0.gguf")
    said, right = [], collections.defaultdict(list)
    with zipfile.ZipFile(BUILTIN / "testdata/questions.zip") as archive:
        for line in archive.read("questions.jsonl").splitlines():
            q = json.loads(line)
            picture = Image.open(io.BytesIO(archive.read(q["picture"]))).convert("RGB")
            [(text, _, margin)] = model.chat(
                squared(picture, model.tower.size), [q["question"]], MAX_TOKENS
            )
            said.append(json.dumps({"said": text, "margin": round(margin, 3)}))
            right[q["kind"]].append(text in q["answers"])
    for kind, hits in right.items():
        print(f"{kind}: {np.mean(hits):.2f} of {len(hits)}")
    made_with = json.dumps({m.__name__: m.__version__ for m in (np, torch, transformers)})
    (BUILTIN / "testdata/said.json").write_text(
        '{"made_with": %s, "said": [\n%s\n]}\n' % (made_with, ",\n".join(said))
    )
