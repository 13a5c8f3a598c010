"""Golden data of kernels/patch: position embeddings resampled by PyTorch in float64.

    pip install torch numpy
    python scripts/golden/positions.py

writes kernels/patch/testdata/positions.json.
"""

import json, pathlib

import numpy as np
import torch

OUT = pathlib.Path(__file__).parents[2] / "kernels/patch/testdata/positions.json"
# The side of the learned grid, and the columns and rows of the new one.
CASES = [(4, 7, 7), (16, 24, 20), (12, 8, 8), (1, 3, 3), (3, 1, 1), (5, 5, 5), (6, 11, 3)]

if __name__ == "__main__":
    rng, cases = np.random.default_rng(1), []
    for side, cols, rows in CASES:
        x = rng.standard_normal((side, side, 2)).round(4)
        y = torch.nn.functional.interpolate(
            torch.from_numpy(x).permute(2, 0, 1)[None],
            size=(rows, cols),
            mode="bicubic",
            align_corners=False,
        )[0].permute(1, 2, 0)
        cases.append(
            {
                "side": side,
                "cols": cols,
                "rows": rows,
                "x": x.ravel().tolist(),
                "y": y.numpy().round(8).ravel().tolist(),
            }
        )
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(
        json.dumps({"torch": torch.__version__, "cases": cases}, separators=(",", ":")) + "\n"
    )
