"""Fresh questions to score the built-in model on: pictures it never saw, questions of the kinds it was trained for, the
right answers, and what the model in PyTorch answers (greedily, float32, the dequantized weights of the Q8_0 files).

    apt-get install fonts-dejavu-core fonts-liberation fonts-freefont-ttf
    pip install torch transformers pillow numpy gguf sentencepiece protobuf
    python scripts/golden/questions.py

writes models/builtin/testdata/questions.zip: questions.jsonl (a question a line: kind, picture, question, answer, said,
margin as of Seed.chat), the pictures, and made_with.json with the seed and the versions. Prints PyTorch's scores.

The seed is none of those that the model was trained, watched or scored with (1, 7, 99, 20261123).
"""
import io, json, random, zipfile

import numpy as np
import PIL, torch, transformers
from PIL import Image

import scenes
from seed import BUILTIN, Seed

SEED, A_KIND, MAX_TOKENS = 31415926, 100, 60
OUT = BUILTIN / "testdata/questions.zip"


def png(image):
    """The smallest of a PNG with a palette, if the colors fit one, and a PNG without; both decode to the same pixels."""
    candidates = [image]
    colors = image.getcolors(256)
    if colors:
        # A palette of exactly the picture's colors: quantize could merge some.
        palette = {color: i for i, (_, color) in enumerate(sorted(colors, reverse=True))}
        indexed = Image.new("P", image.size)
        indexed.putpalette([channel for color in palette for channel in color])
        indexed.putdata([palette[tuple(pixel)] for pixel in np.asarray(image).reshape(-1, 3).tolist()])
        candidates.append(indexed)
    files = []
    for candidate in candidates:
        file = io.BytesIO()
        candidate.save(file, "PNG", optimize=True)
        assert Image.open(file).convert("RGB").tobytes() == image.tobytes()
        files.append(file.getvalue())
    return min(files, key=len)


def add(archive, name, data):
    """Adds a file with a date that does not change from run to run."""
    archive.writestr(zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0)), data, zipfile.ZIP_DEFLATED, 9)


if __name__ == "__main__":
    model = Seed(BUILTIN / "eyelet-seed-q8_0.gguf", BUILTIN / "mmproj-eyelet-seed-q8_0.gguf")
    rng, lines, scores = random.Random(SEED), [], {}
    with zipfile.ZipFile(OUT, "w") as archive:
        for kind in scenes.KINDS:
            name = kind.__name__
            for i in range(A_KIND):
                image, questions = kind(rng)
                question, answer = questions[rng.randrange(len(questions))]
                [(said, _, margin)] = model.chat(np.asarray(image), [question], MAX_TOKENS)
                picture = f"{name}-{i:02}.png"
                add(archive, picture, png(image))
                lines.append(json.dumps({"kind": name, "picture": picture, "question": question, "answer": answer,
                                         "said": said, "margin": round(margin, 3)}))
                scores[name] = scores.get(name, 0) + (said == answer) / A_KIND
            print(f"{name}: {scores[name]:.2f}", flush=True)
        add(archive, "questions.jsonl", "\n".join(lines) + "\n")
        made_with = {"seed": SEED, **{m.__name__: m.__version__ for m in (np, PIL, torch, transformers)}}
        add(archive, "made_with.json", json.dumps(made_with) + "\n")
    print(f"{OUT.name}: {OUT.stat().st_size} bytes")
