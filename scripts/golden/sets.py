"""Tiny public sets in their published layouts, and the scores that lmms-eval's own functions give to answers: the yardstick of engine/bench/sets.

    pip install torch transformers datasets pillow numpy loguru sacrebleu accelerate tenacity python-dotenv evaluate pytablewriter Levenshtein sympy
    pip install --no-deps lmms-eval==0.7.3
    python scripts/golden/sets.py

writes engine/bench/sets/testdata: metrics.json, and a folder for each layout, Parquet by Hugging Face's datasets or JSON beside pictures as the
authors published them. Pictures and questions are the built-in model's.
"""

import importlib.metadata
import io
import json
import pathlib
import random
import re
import shutil
import zipfile

import datasets
from PIL import Image

from lmms_eval.api.metrics import anls
from lmms_eval.tasks._task_utils import mmmu_mcq_utils
from lmms_eval.tasks._task_utils.vqa_eval_metric import EvalAIAnswerProcessor
from lmms_eval.tasks.ai2d.utils import MultiChoiceRegexFilter
from lmms_eval.tasks.chartqa.utils import relaxed_correctness
from lmms_eval.tasks.mmmu.utils import eval_open, parse_open_response
from lmms_eval.tasks.ocrbench.utils import ocrbench_process_results
from lmms_eval.tasks.refcoco.utils_rec import compute_iou, parse_float_sequence_within
from lmms_eval.tasks.textvqa.utils import textvqa_process_results

ROOT = pathlib.Path(__file__).parents[2]
OUT = ROOT / "engine/bench/sets/testdata"
rng = random.Random(31)


# ---- metrics

TEXTS = [
    "Yes",
    "no.",
    "the red bus",
    "A Red  Bus!",
    "two",
    "2",
    "2.50",
    "2,500",
    "it's 5 o'clock",
    "its 5 oclock",
    "dont know",
    "10%",
    "9.6 %",
    "0.1",
    "1e3",
    "1_000",
    " 42 ",
    "nan",
    "-inf",
    "San-Francisco / CA",
    "St. Mary's",
    "e.g. this",
    "3.14.15",
    "\"quoted\"",
    "a\nb\tc",
    "Ａ１２",
    "Straße",
    "ÉCOLE",
    "İstanbul",
    "none",
    "(c) 2019",
    "y'all'dve",
    "wouldnt",
    "wont've",
    "coca-cola",
    "coca cola",
    "COCA  COLA",
    "$3.50",
    "$3,500.75",
    "8:30 am",
    "www.example.com",
    "<=d.",
    "......",
    "",
    "  ",
    "the",
    "an",
    "[x] {y}",
    "x = 5; y = 6",
    "100",
    "104.9",
    "105.1",
    "95",
]
SENTENCES = [
    "The answer is {}.",
    "{}",
    "So it could be {} or so",
    "Therefore the final answer is {}",
    "x = {}",
    "I think:\n\nresult is {}\nThank you",
    "{} {}",
    "It shows {}, which is {}.",
]


def typo(s):
    s = list(s)
    for _ in range(rng.randrange(3)):
        if s:
            i = rng.randrange(len(s))
            s[i : i + 1] = rng.choice(
                [[], [s[i], s[i]], [rng.choice("aeiou 1.,'-")], [s[i].upper()]]
            )
    return "".join(s)


def said_for(right):
    return rng.choice(
        [
            right,
            typo(right),
            typo(right),
            rng.choice(TEXTS),
            rng.choice(SENTENCES).replace("{}", right),
        ]
    )


def vqa():
    for _ in range(250):
        pool = rng.sample(TEXTS, 3)
        answers = [
            rng.choice(pool) if rng.random() < 0.8 else typo(rng.choice(pool)) for _ in range(10)
        ]
        said = said_for(rng.choice(answers))
        yield {
            "said": said,
            "answers": list(answers),
            "score": textvqa_process_results({"question_id": 1, "answers": list(answers)}, [said])[
                "exact_match"
            ],
        }


def normal():
    words = EvalAIAnswerProcessor.CONTRACTIONS
    for text in (
        TEXTS
        + [k for k in words if "I" not in k]
        + [typo(rng.choice(TEXTS)) for _ in range(150)]
        + ["." * 40 + "a" + "." * 9]
    ):
        yield {"text": text, "plain": EvalAIAnswerProcessor()(text)}


def document():
    for _ in range(250):
        answers = [a for a in rng.sample(TEXTS, rng.randrange(1, 4)) if a.strip()] or ["x"]
        said = said_for(rng.choice(answers))
        yield {"said": said, "answers": answers, "score": anls(answers, [said])["anls"]}


def chart():
    numbers = ["12", "0.5", "50%", "-3", "0", "7.25", "1000", "3.4%"]
    for _ in range(250):
        right = rng.choice(numbers + TEXTS)
        said = said_for(right)
        if rng.random() < 0.4:
            try:
                said = repr(float(right) * rng.choice([1.04, 1.05, 1.06, 0.951, 0.949, -1]))
            except ValueError:
                pass
        yield {"said": said, "answers": [right], "score": float(relaxed_correctness(said, right))}


def ocr():
    for _ in range(200):
        answers = [a for a in rng.sample(TEXTS, rng.randrange(1, 4)) if a.strip()] or ["x"]
        said, dataset = said_for(rng.choice(answers)), rng.choice(["IIIT5K", "HME100k"])
        doc = {"answer": answers, "dataset": dataset, "question_type": "x"}
        yield {
            "said": said,
            "answers": answers,
            "formula": dataset == "HME100k",
            "score": float(ocrbench_process_results(doc, [said])["ocrbench_accuracy"]["score"]),
        }


class NoAnswer(Exception):
    pass


def no_lot(_):
    raise NoAnswer


def choice():
    mmmu_mcq_utils.random.choice, keep = no_lot, mmmu_mcq_utils.random.choice
    forms = [
        "{}",
        "({})",
        "{}.",
        "{}. {}",
        "The answer is {}.",
        "The answer is ({}) because (B) is wrong",
        "{}) yes",
        "I would say {} or maybe C here",
        "answer: {}",
        "None of these at all, I am afraid",
        "Well, considering everything in it, the picture shows {} clearly",
        "B or {}",
        "a{} B ",
        "{},",
    ]
    for _ in range(300):
        options = rng.sample([t for t in TEXTS if t.strip()], rng.randrange(2, 6))
        index2ans, letters = mmmu_mcq_utils.get_multi_choice_info(options)
        said = rng.choice(forms)
        said = re.sub(
            r"\{\}", lambda _: rng.choice([rng.choice(letters), rng.choice(options)]), said
        )
        try:
            letter = mmmu_mcq_utils.parse_mmmu_multi_choice_response(said, letters, index2ans)
        except NoAnswer:
            letter = ""
        yield {"said": said, "choices": options, "letter": letter}
    mmmu_mcq_utils.random.choice = keep


def openly():
    numbers = ["5", "3.14", "1,234", "-2.5e3", "0.005", "2.675", "x^2", "b", "12.0"]
    for _ in range(300):
        right = rng.choice(numbers + [t for t in TEXTS if t.strip()])
        answers = [right] if rng.random() < 0.7 else [right, rng.choice(numbers)]
        said = rng.choice(SENTENCES).replace(
            "{}", rng.choice([right, right, typo(right), rng.choice(numbers)])
        )
        yield {
            "said": said,
            "answers": answers,
            "score": float(eval_open(answers, parse_open_response(said))),
        }


def letter():
    for _ in range(120):
        right = rng.choice("ABCD")
        said = rng.choice(
            [
                "{}",
                "{}.",
                " {}. the cat",
                "({})",
                "{}) x",
                "{}, ",
                "the answer is {}",
                "{} cat",
                "{}:",
            ]
        ).replace("{}", rng.choice([right, right.lower(), "C"]))
        got = MultiChoiceRegexFilter().apply([[said]], [{}])[0]
        table = str.maketrans(
            "", "", "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"
        )  # as exact_match does with ignore_case and ignore_punctuation
        yield {
            "said": said,
            "answers": [right],
            "score": float(got.lower().translate(table) == right.lower().translate(table)),
        }


def boxes():
    for _ in range(200):
        x, y = sorted([rng.random(), rng.random()]), sorted([rng.random(), rng.random()])
        box = [round(v, 3) for v in (x[0], y[0], x[1] + 0.01, y[1] + 0.01)]
        near = [round(v + rng.uniform(-0.1, 0.1), 2) for v in box]
        said = rng.choice(
            [
                "{}",
                "The box is {}.",
                "{} or [0, 0, 1, 1]",
                "none",
                "[0.1, 0.2, 0.3]",
                "(0.1, 0.2, 0.3, 0.4)",
            ]
        ).replace("{}", str(near))
        yield {
            "said": said,
            "box": box,
            "score": compute_iou(box, parse_float_sequence_within(said)),
        }


# ---- sets


def questions():
    with zipfile.ZipFile(ROOT / "models/builtin/testdata/questions.zip") as z:
        for line in z.read("questions.jsonl").decode().splitlines():
            q = json.loads(line)
            q["png"] = z.read(q["picture"])
            yield q


ALL = list(questions())


def of(*kinds, n=6):
    return [q for q in ALL if q["kind"] in kinds and len(q["png"]) < 2500][:n]


def image(q):
    return Image.open(io.BytesIO(q["png"])).convert("RGB")


def features(**columns):
    kinds = {
        "s": datasets.Value("string"),
        "i": datasets.Value("int64"),
        "d": datasets.Value("float64"),
        "p": datasets.Image(),
    }
    return datasets.Features(
        {k: datasets.Sequence(kinds[v[1]]) if len(v) > 1 else kinds[v] for k, v in columns.items()}
    )


def parquet(path, rows, **columns):
    path = OUT / path
    path.parent.mkdir(parents=True, exist_ok=True)
    datasets.Dataset.from_list(rows, features=features(**columns)).to_parquet(path)


def files(folder, rows, name):
    for q in rows:
        path = OUT / folder / name(q)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(q["png"])


def write(path, value):
    path = OUT / path
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=1) + "\n")


def stem(q):
    return q["picture"][:-4]


def ten(q, i):
    right = q["answers"][0]
    return [right] * (i % 5 + 3) + ["the " + right + "."] * 2 + ["unanswerable"] * (5 - i % 5)


def textvqa():
    rows = of("shapes")
    common = [
        {
            "question_id": 34602 + i,
            "image_id": stem(q),
            "question": q["question"].lower(),
            "question_tokens": q["question"].lower().split(),
            "image_width": 112,
            "image_height": 112,
            "answers": ten(q, i),
            "image_classes": ["Drawing"],
            "set_name": "val",
        }
        for i, q in enumerate(rows)
    ]
    parquet(
        "textvqa/data/validation-00000-of-00001.parquet",
        [{**c, "image": image(q)} for c, q in zip(common, rows)],
        image_id="s",
        question_id="i",
        question="s",
        question_tokens="ls",
        image="p",
        image_width="i",
        image_height="i",
        answers="ls",
        image_classes="ls",
        set_name="s",
    )
    parquet(
        "textvqa/data/test-00000-of-00001.parquet",
        [{**c, "image": image(q), "answers": []} for c, q in zip(common, rows)],
        image_id="s",
        question_id="i",
        question="s",
        question_tokens="ls",
        image="p",
        image_width="i",
        image_height="i",
        answers="ls",
        image_classes="ls",
        set_name="s",
    )
    write(
        "textvqa-json/TextVQA_0.5.1_val.json",
        {
            "dataset_type": "val",
            "dataset_name": "textvqa",
            "dataset_version": "0.5.1",
            "data": common,
        },
    )
    files("textvqa-json/train_images", rows, lambda q: q["picture"])


def docvqa():
    rows = [*of("tables", n=3), *of("text", n=3)]
    common = [
        {
            "questionId": 49153 + i,
            "question": q["question"],
            "question_types": ["table/list"] if q["kind"] == "tables" else ["handwritten", "form"],
            "docId": 14465,
            "ucsf_document_id": "pybv0228",
            "ucsf_document_page_no": "81",
            "answers": q["answers"] + ["another"],
            "data_split": "val",
        }
        for i, q in enumerate(rows)
    ]
    parquet(
        "docvqa/DocVQA/validation-00000-of-00001.parquet",
        [
            {**c, "questionId": str(c["questionId"]), "image": image(q)}
            for c, q in zip(common, rows)
        ],
        questionId="s",
        question="s",
        question_types="ls",
        image="p",
        docId="i",
        ucsf_document_id="s",
        ucsf_document_page_no="s",
        answers="ls",
        data_split="s",
    )
    write(
        "docvqa-json/val_v1.0_withQT.json",
        {
            "dataset_name": "SP-DocVQA",
            "dataset_version": "1.0",
            "dataset_split": "val",
            "data": [{**c, "image": "documents/" + q["picture"]} for c, q in zip(common, rows)],
        },
    )
    files("docvqa-json/spdocvqa_images", rows, lambda q: q["picture"])


def chartqa():
    rows = [*of("tables", n=4), *of("charts", n=4)]
    parquet(
        "chartqa/data/test-00000-of-00001.parquet",
        [
            {
                "type": "human_test" if i % 2 else "augmented_test",
                "question": q["question"],
                "answer": q["answers"][0],
                "image": image(q),
            }
            for i, q in enumerate(rows)
        ],
        type="s",
        question="s",
        answer="s",
        image="p",
    )
    parquet(
        "chartqa-m4/data/test-00000-of-00001.parquet",
        [
            {
                "image": image(q),
                "query": q["question"],
                "label": [q["answers"][0]],
                "human_or_machine": i % 2,
            }
            for i, q in enumerate(rows)
        ],
        image="p",
        query="s",
        label="ls",
        human_or_machine="i",
    )
    for i, kind in enumerate(["human", "augmented"]):
        write(
            f"chartqa-json/test/test_{kind}.json",
            [
                {"imgname": q["picture"], "query": q["question"], "label": q["answers"][0]}
                for q in rows[i::2]
            ],
        )
    files("chartqa-json/test/png", rows, lambda q: q["picture"])
    write("chartqa-json/train/train_human.json", [])


def ocrbench():
    rows = [*of("sums", n=2), *of("shapes", n=4)]
    kinds = ["Regular Text Recognition", "Handwritten Mathematical Expression Recognition"]
    common = [
        (q, kinds[q["kind"] == "sums"], "HME100k" if q["kind"] == "sums" else "IIIT5K")
        for q in rows
    ]
    parquet(
        "ocrbench/data/test-00000-of-00001.parquet",
        [
            {
                "dataset": d,
                "question": q["question"],
                "question_type": t,
                "answer": q["answers"],
                "image": image(q),
            }
            for q, t, d in common
        ],
        dataset="s",
        question="s",
        question_type="s",
        answer="ls",
        image="p",
    )
    write(
        "ocrbench-json/OCRBench/OCRBench.json",
        [
            {
                "dataset_name": d,
                "type": t,
                "id": i,
                "image_path": f"{d}/{q['picture']}",
                "question": q["question"],
                "answers": q["answers"] if i % 2 else q["answers"][0],
            }
            for i, (q, t, d) in enumerate(common)
        ],
    )
    files(
        "ocrbench-json/OCRBench_Images",
        rows,
        lambda q: ("HME100k/" if q["kind"] == "sums" else "IIIT5K/") + q["picture"],
    )


def mmmu():
    rows = of("shapes", n=5)
    none = {f"image_{k}": None for k in range(1, 8)}
    list_ = [
        {
            **none,
            "id": f"validation_Art_{i + 1}",
            "question": f"<image 1> {q['question']}",
            "options": str([q["answers"][0], "it's none of \"these\"", "a\\b", "5"]),
            "explanation": "",
            "image_1": image(q),
            "img_type": "['Drawings']",
            "answer": "A",
            "topic_difficulty": "Easy",
            "question_type": "multiple-choice",
            "subfield": "Art",
        }
        for i, q in enumerate(rows)
    ]
    list_[3].update(
        question_type="open", options="[]", answer=str([rows[3]["answers"][0], "12.50"])
    )
    list_[4].update(
        question=f"Compare <image 2> with <image 1>. {rows[4]['question']}",
        options=str(["<image 1>", "<image 2>"]),
        image_2=image(rows[0]),
    )
    columns = dict(
        id="s",
        question="s",
        options="s",
        explanation="s",
        **{k: "p" for k in none},
        img_type="s",
        answer="s",
        topic_difficulty="s",
        question_type="s",
        subfield="s",
    )
    parquet("mmmu/Art/validation-00000-of-00001.parquet", list_[:4], **columns)
    parquet(
        "mmmu/Math/validation-00000-of-00001.parquet",
        [{**list_[4], "id": "validation_Math_1"}],
        **columns,
    )
    parquet("mmmu/Math/dev-00000-of-00001.parquet", [{**list_[4], "id": "dev_Math_1"}], **columns)


def choices():
    rows = of("shapes")
    parquet(
        "choice/data/test-00000-of-00001.parquet",
        [
            {
                "question": q["question"],
                "options": ["cyan", q["answers"][0], "seven"],
                "answer": "1",
                "image": image(q),
            }
            for q in rows
        ],
        question="s",
        options="ls",
        answer="s",
        image="p",
    )
    parquet(
        "choice-columns/data/dev-00000-of-00001.parquet",
        [
            {
                "index": i,
                "question": q["question"],
                "hint": "Look closely." if i else "nan",
                "A": q["answers"][0],
                "B": "cyan",
                "C": "nan",
                "D": "nan",
                "answer": "A",
                "category": "shape",
                "image": image(q),
            }
            for i, q in enumerate(rows)
        ],
        index="i",
        question="s",
        hint="s",
        A="s",
        B="s",
        C="s",
        D="s",
        answer="s",
        category="s",
        image="p",
    )


def refcoco():
    rows = of("shapes", n=3)
    parquet(
        "refcoco/data/val-00000-of-00001.parquet",
        [
            {
                "question_id": str(i),
                "image": image(q),
                "question": "Please carefully observe the area circled in the image",
                "answer": ["the shape", "it"][: 2 - i % 2],
                "segmentation": [1.0, 2.0],
                "bbox": [11.2, 22.4, 56.0, 28.0],
                "iscrowd": 0,
                "file_name": q["picture"],
            }
            for i, q in enumerate(rows)
        ],
        question_id="s",
        image="p",
        question="s",
        answer="ls",
        segmentation="ld",
        bbox="ld",
        iscrowd="i",
        file_name="s",
    )
    path = OUT / "refcoco-json/refcoco_testA.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        "".join(
            json.dumps(
                {
                    "image": "data/coco/train2014/" + q["picture"],
                    "sent": "the shape",
                    "bbox": [11.2, 22.4, 67.2, 50.4],
                    "height": 112,
                    "width": 112,
                }
            )
            + "\n"
            for q in rows
        )
    )
    files("refcoco-json/train2014", rows, lambda q: q["picture"])


def main():
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    versions = {
        p: importlib.metadata.version(p) for p in ["lmms-eval", "datasets", "pyarrow", "pillow"]
    }
    metrics = {
        f.__name__: list(f())
        for f in [vqa, normal, document, chart, ocr, choice, openly, letter, boxes]
    }
    (OUT / "metrics.json").write_text(
        json.dumps({"versions": versions, **metrics}, indent=None, separators=(",", ":")) + "\n"
    )
    for make in [textvqa, docvqa, chartqa, ocrbench, mmmu, choices, refcoco]:
        make()
    for f in OUT.rglob("*.json"):
        if f.name == "dataset_info.json":
            f.unlink()


if __name__ == "__main__":
    main()
