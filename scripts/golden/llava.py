"""Golden data of models/llava, made by Hugging Face transformers.

    pip install torch torchvision transformers pillow==11.3.0 numpy
    python scripts/golden/llava.py

writes models/llava/testdata/:
  tiles.json   what the image processors (their PIL versions) make of noise pictures, before and after normalisation
  rows.json    the order in which LLaVA-NeXT takes the tower's rows, by its own pack_image_features

Pillow stays below 13.0 for the reason that scripts/golden/imaging.py gives.
"""

import json, pathlib, random, zlib
from types import SimpleNamespace

import numpy as np
import PIL, torch, transformers
from PIL import Image
from transformers.image_processing_utils import select_best_resolution
from transformers.models.llava.image_processing_pil_llava import LlavaImageProcessorPil
from transformers.models.llava_next.image_processing_pil_llava_next import (
    LlavaNextImageProcessorPil,
)
from transformers.models.llava_next.modeling_llava_next import (
    LlavaNextModel,
    image_size_to_num_patches,
)
from transformers.models.llava_next.processing_llava_next import LlavaNextProcessor

from pictures import noise

OUT = pathlib.Path(__file__).parents[2] / "models/llava/testdata"

# Towers, and pinpoints as (height, width).
LAYOUTS = {
    "llava-1.6": (336, 14, [[336, 672], [672, 336], [672, 672], [1008, 336], [336, 1008]]),
    "small": (112, 14, [[112, 224], [224, 112], [224, 224], [336, 112], [112, 336]]),
    "many": (48, 16, [[48 * r, 48 * c] for r in range(1, 7) for c in range(1, 7) if r * c <= 12]),
    "odd": (35, 5, [[35, 35], [70, 35], [105, 70]]),
}

# Landscape, portrait, square, exact tiles and grids, tiny, long.
SIZES = [
    (640, 480),
    (480, 640),
    (1000, 1000),
    (1920, 1080),
    (1080, 1920),
    (336, 336),
    (672, 336),
    (336, 672),
    (672, 672),
    (1008, 336),
    (336, 1008),
    (335, 337),
    (337, 335),
    (1, 1),
    (2, 3),
    (17, 5),
    (5, 17),
    (100, 99),
    (400, 900),
    (900, 401),
    (640, 1316),
    (1300, 200),
    (201, 1301),
    (2000, 50),
    (51, 2000),
    (4000, 3),
    (3, 4000),
    (10000, 1),
    (1, 10000),
    (1601, 1203),
]


def processor(mode, size, pinpoints):
    options = {"size": {"shortest_edge": size}, "crop_size": {"height": size, "width": size}}
    if mode == "anyres":
        return LlavaNextImageProcessorPil(image_grid_pinpoints=pinpoints, **options)
    return LlavaImageProcessorPil(do_pad=mode == "pad", **options)


def tiles(mode, size, pinpoints, picture, **options):
    """The tiles as an array of shape (tiles, 3, size, size)."""
    pixels = processor(mode, size, pinpoints)(Image.fromarray(picture), **options)["pixel_values"][
        0
    ]
    return np.asarray(pixels).reshape(-1, 3, size, size)


def crc(array):
    return zlib.crc32(np.ascontiguousarray(array).tobytes())


def tile_cases():
    for name, modes in (
        ("llava-1.6", ("pad", "crop", "anyres")),
        ("small", ("pad", "crop", "anyres")),
        ("many", ("anyres",)),
        ("odd", ("anyres",)),
    ):
        size, patch, pinpoints = LAYOUTS[name]
        for seed, (w, h) in enumerate(SIZES):
            picture = noise(w, h, seed)
            for mode in modes:
                if max(w, h) > 100 * min(w, h) and (
                    mode == "crop" or mode == "pad" and name == "small"
                ):
                    continue  # gigabytes, or slow
                raw = tiles(mode, size, pinpoints, picture, do_rescale=False, do_normalize=False)
                assert raw.dtype == np.uint8
                case = {
                    "layout": name,
                    "mode": mode,
                    "w": w,
                    "h": h,
                    "seed": seed,
                    "crc32": [crc(t.transpose(1, 2, 0)) for t in raw],
                }
                if seed % 10 == 0:  # rescaled and normalised
                    x = tiles(mode, size, pinpoints, picture)
                    assert x.dtype == np.float32
                    case["float_crc32"] = [crc(t.astype("<f4")) for t in x]
                    case["floats"] = [float(v) for v in x.reshape(-1)[:: x.size // 5][:5]]
                yield case


def rows(size, patch, pinpoints, w, h):
    """pack_image_features over features that are their own indices, the newline's -1."""
    n = size // patch
    model = SimpleNamespace(
        config=SimpleNamespace(
            vision_config=SimpleNamespace(image_size=size, patch_size=patch),
            image_grid_pinpoints=pinpoints,
        )
    )
    count = image_size_to_num_patches((h, w), pinpoints, size)
    features = torch.arange(count * n * n, dtype=torch.float64).reshape(count, n * n, 1)
    packed, lengths = LlavaNextModel.pack_image_features(
        model, [features], [(h, w)], "default", torch.tensor([-1.0], dtype=torch.float64)
    )
    return count, packed[0].reshape(-1).numpy().astype("<i4")


def promised(size, patch, pinpoints, w, h):
    """The number of placeholders that LLaVA-NeXT's processor puts into the prompt."""
    p = SimpleNamespace(
        image_processor=SimpleNamespace(image_grid_pinpoints=pinpoints),
        patch_size=patch,
        num_additional_image_tokens=1,
    )
    p._get_unpadded_features = lambda *a: LlavaNextProcessor._get_unpadded_features(p, *a)
    return (
        LlavaNextProcessor._get_number_of_features(p, h, w, size, size) - 1
    )  # "default" drops the class token


def runs(values):
    """Consecutive values as [first, count]."""
    out = []
    for v in values.tolist():
        if out and v >= 0 and v == out[-1][0] + out[-1][1]:
            out[-1][1] += 1
        else:
            out.append([v, 1])
    return out


def row_cases():
    rng = random.Random(20261123)
    side = lambda: rng.choice(
        [
            rng.randint(1, 12),
            rng.randint(1, 400),
            rng.randint(1, 1500),
            rng.randint(300, 6000),
            24 * rng.randint(1, 60),
        ]
    )
    random_sizes = [(side(), side()) for _ in range(150)]
    whole = [
        (328, 861),
        (376, 799),
        (376, 893),
        (1192, 2831),
    ]  # the kept columns are whole numbers but for rounding
    for name, (size, patch, pinpoints) in LAYOUTS.items():
        for w, h in SIZES + whole + random_sizes:
            count, order = rows(size, patch, pinpoints, w, h)
            assert len(order) == promised(size, patch, pinpoints, w, h)
            best = select_best_resolution((h, w), pinpoints)
            case = {
                "layout": name,
                "w": w,
                "h": h,
                "best": list(best),
                "tiles": count,
                "rows": len(order),
                "crc32": crc(order),
            }
            if name == "odd" and (w, h) in SIZES[:12]:
                case["runs"] = runs(order)
            yield case


if __name__ == "__main__":
    OUT.mkdir(parents=True, exist_ok=True)
    made_with = {
        "transformers": transformers.__version__,
        "torch": torch.__version__,
        "pillow": PIL.__version__,
        "numpy": np.__version__,
    }
    layouts = {name: {"size": s, "patch": p, "pinpoints": g} for name, (s, p, g) in LAYOUTS.items()}
    for name, data in (("tiles.json", tile_cases()), ("rows.json", row_cases())):
        lines = ",\n".join(json.dumps(row, separators=(",", ":")) for row in data)
        (OUT / name).write_text(
            '{"made_with": %s,\n"layouts": %s,\n"cases": [\n%s\n]}\n'
            % (json.dumps(made_with), json.dumps(layouts), lines)
        )
