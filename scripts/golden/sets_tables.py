"""The tiny sets of scripts/golden/sets.py once more, in layouts that others store them in: the
tables between tabs of VLMEvalKit, REFER's pickles with COCO's instances.json, MDETR's COCO file,
VQA's questions and answers in two files.

    pip install pandas pyarrow pillow
    python scripts/golden/sets_tables.py

writes engine/bench/sets/testdata/tables, .../refer and .../joined. Pictures are those of the sets
that lie there already.
"""

import base64
import importlib.metadata
import json
import pathlib
import pickle

import pandas as pd

OUT = pathlib.Path(__file__).parents[2] / "engine/bench/sets/testdata"


def encoded(path):
    return base64.b64encode((OUT / path).read_bytes()).decode()


def load(path):
    value = json.loads((OUT / path).read_text())
    return value["data"] if isinstance(value, dict) else value


def table(name, rows):
    (OUT / "tables").mkdir(exist_ok=True)
    pd.DataFrame(rows).to_csv(OUT / "tables" / name, sep="\t", index=False)


def tables():
    rows, first = [], {}
    for q in load("textvqa-json/TextVQA_0.5.1_val.json"):
        picture = encoded(f"textvqa-json/train_images/{q['image_id']}.png")
        rows.append(
            {
                "index": q["question_id"],
                # a picture that a row before has is named by that row
                "image": first.setdefault(picture, picture),
                "question": q["question"],
                "answer": str(q["answers"]),
            }
        )
        first[picture] = q["question_id"]
    again = dict(rows[0], index=99, image=rows[0]["index"], question="and again?")
    table("TextVQA_VAL.tsv", rows + [again])

    table(
        "DocVQA_VAL.tsv",
        [
            {
                "index": q["questionId"],
                "image": encoded("docvqa-json/spdocvqa_images/" + pathlib.Path(q["image"]).name),
                "question": q["question"],
                "answer": str(q["answers"]),
            }
            for q in load("docvqa-json/val_v1.0_withQT.json")
        ],
    )
    rows = []
    for split in ("test_human", "test_augmented"):
        for q in load(f"chartqa-json/test/{split}.json"):
            rows.append(
                {
                    "index": len(rows),
                    "image": encoded("chartqa-json/test/png/" + q["imgname"]),
                    "question": q["query"],
                    "answer": q["label"],
                    "split": split,
                }
            )
    table("ChartQA_TEST.tsv", rows)
    table(
        "OCRBench.tsv",
        [
            {
                "index": i,
                "image": encoded("ocrbench-json/OCRBench_Images/" + q["image_path"]),
                "question": q["question"],
                "answer": str(q["answers"] if isinstance(q["answers"], list) else [q["answers"]]),
                "category": q["type"],
            }
            for i, q in enumerate(load("ocrbench-json/OCRBench/OCRBench.json"))
        ],
    )
    a, b = (encoded(f"textvqa-json/train_images/shapes-00{i}.png") for i in (0, 1))
    table(
        "MMMU_DEV_VAL.tsv",
        [
            {
                "index": 1,
                "id": "validation_Art_1",
                "image": a,
                "question": 'What is "in" <image 1>?\nSay it.',
                "A": "a circle",
                "B": "no [x]",
                "C": None,
                "answer": "A",
                "category": "Art",
                "split": "validation",
            },
            {
                "index": 2,
                "id": "validation_Math_2",
                "image": str([a, b]),
                "question": "Is <image 2> like <image 1>?",
                "A": "yes",
                "B": "no",
                "C": "[1, 2]",
                "answer": "C",
                "category": "Math",
                "split": "validation",
            },
            {
                "index": 3,
                "id": "dev_Math_3",
                "image": b,
                "question": "Which?",
                "A": "yes",
                "B": "no",
                "C": None,
                "answer": "B",
                "category": "Math",
                "split": "dev",
            },
        ],
    )
    table(
        "RefCOCO.tsv",
        [
            {
                "index": f"RefCOCO_val_{i}",
                "image": a,
                "question": "Please provide the bounding box coordinate of the region this sentence "
                f"describes: <ref>{text}</ref>",
                "width": 1.0,
                "height": 1.0,
                "bbox_x1": 0.1,
                "bbox_y1": 0.2,
                "bbox_x2": 0.6,
                "bbox_y2": 0.45,
                "split": split,
            }
            for i, (text, split) in enumerate(
                [("the circle", "RefCOCO_val"), ("it", "RefCOCO_testA"), ("all", "RefCOCOg_val")]
            )
        ],
    )


# three references to two objects of two pictures; the box is the one of the other RefCOCO sets
SENTENCES = [["the round one", "circle"], ["it’s the \\ second"], ["left"]]
PICTURES = ["COCO_train2014_000000000001.png", "COCO_train2014_000000000002.png"]
BOX = [11.2, 22.4, 56, 28]


def refer():
    (OUT / "refer").mkdir(exist_ok=True)
    refs = []
    for i, sentences in enumerate(SENTENCES):
        refs.append(
            {
                "ref_id": i,
                "ann_id": 1700 + i % 2,
                "image_id": 1 + i % 2,
                "category_id": 1,
                "split": ["val", "val", "testA"][i],
                "file_name": PICTURES[i % 2].replace(".png", f"_{i}.jpg"),
                "sent_ids": [2 * i + k for k in range(len(sentences))],
                "sentences": [
                    {"tokens": s.split(), "raw": s.title(), "sent": s, "sent_id": 2 * i + k}
                    for k, s in enumerate(sentences)
                ],
            }
        )
    for protocol in (0, 2, 4):
        (OUT / f"refer/refs-{protocol}.p").write_bytes(pickle.dumps(refs, protocol))
    instances = {
        "info": {"description": "tiny"},
        "images": [
            {"id": 1 + i, "file_name": name, "width": 112, "height": 112}
            for i, name in enumerate(PICTURES)
        ],
        "annotations": [
            {
                "id": 1700 + i,
                "image_id": 1 + i,
                "bbox": BOX,
                "category_id": 1,
                "segmentation": [[1, 2, 3, 4, 5, 6]],
                "iscrowd": 0,
            }
            for i in range(2)
        ],
        "categories": [{"id": 1, "name": "thing"}],
    }
    (OUT / "refer/instances.json").write_text(json.dumps(instances))


def joined():
    (OUT / "joined").mkdir(exist_ok=True)
    mdetr = {
        "info": {},
        "images": [
            {
                "file_name": PICTURES[0],
                "height": 112,
                "width": 112,
                "id": 7,
                "original_id": 1,
                "caption": "the round one",
                "dataset_name": "refcoco",
            }
        ],
        "annotations": [
            {
                "id": 3,
                "image_id": 7,
                "bbox": BOX,
                "category_id": 1,
                "original_id": 1700,
                "tokens_positive": [[0, 13]],
            }
        ],
        "categories": [],
    }
    (OUT / "joined/finetune_refcoco_val.json").write_text(json.dumps(mdetr))
    rows = load("textvqa-json/TextVQA_0.5.1_val.json")
    questions = [{k: q[k] for k in ("question_id", "image_id", "question")} for q in rows]
    answers = [
        {
            "question_id": q["question_id"],
            "image_id": q["image_id"],
            "answers": [
                {"answer": a, "answer_confidence": "yes", "answer_id": i + 1}
                for i, a in enumerate(q["answers"])
            ],
        }
        for q in rows
    ]
    lines = [
        {
            "image": f"data/textvqa/train_images/{q['image_id']}.png",
            "question": q["question"],
            "question_id": q["question_id"],
            "answer": q["answers"][0],
        }
        for q in rows
    ]
    for name, value in (("questions", questions), ("annotations", answers)):
        (OUT / f"joined/textvqa_val_{name}.json").write_text(json.dumps({name: value}))
    (OUT / "joined/textvqa_val.jsonl").write_text(
        "".join(json.dumps(line) + "\n" for line in lines)
    )
    pd.DataFrame(
        [
            {
                "question_id": q["question_id"],
                "image_id": q["image_id"],
                "question": q["question"],
                "answers": a["answers"],
                "image": {"bytes": None, "path": f"train_images/{q['image_id']}.png"},
            }
            for q, a in zip(rows, answers)
        ]
    ).to_parquet(OUT / "joined/textvqa-people.parquet")


tables()
refer()
joined()
versions = {name: importlib.metadata.version(name) for name in ("pandas", "pyarrow")}
(OUT / "tables/versions.json").write_text(json.dumps(versions) + "\n")
