"""Golden data of kernels/ref: position embeddings resampled by PyTorch in float64.

    pip install torch numpy
    python scripts/golden/positions.py

writes kernels/ref/testdata/interpolate.json.
"""

import json, pathlib

import numpy as np
import torch

OUT = pathlib.Path(__file__).parents[2] / "kernels/ref/testdata"
CASES = [
    (3, 3, 3, 3),
    (4, 4, 2, 3),
    (2, 3, 5, 4),
    (1, 1, 2, 2),
    (1, 5, 3, 2),
    (5, 4, 1, 1),
    (7, 7, 6, 8),
]

if __name__ == "__main__":
    rng, cases = np.random.default_rng(1), []
    for h, w, to_h, to_w in CASES:
        x = rng.standard_normal((h, w, 2)).round(4)
        for mode in ("bilinear", "bicubic"):
            planes = torch.from_numpy(x).permute(2, 0, 1)[None]
            y = torch.nn.functional.interpolate(
                planes, size=(to_h, to_w), mode=mode, align_corners=False
            )[0].permute(1, 2, 0)
            cases.append(
                {
                    "kernel": mode,
                    "from": [h, w],
                    "to": [to_h, to_w],
                    "x": x.ravel().tolist(),
                    "y": y.ravel().tolist(),
                }
            )
    OUT.mkdir(exist_ok=True)
    (OUT / "interpolate.json").write_text(
        json.dumps({"torch": torch.__version__, "cases": cases}, indent=None, separators=(",", ":"))
        + "\n"
    )
