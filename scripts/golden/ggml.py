"""Golden data of cgo/ggml, made by the gguf package's own NumPy conversions.

    pip install gguf==0.19.0 numpy
    python scripts/golden/ggml.py

writes cgo/ggml/testdata/quants.json: for each type random blocks with the values they stand for, and, where the package
can quantize, one row of values with the blocks it becomes. Bytes and float32 values are little-endian in base64.
"""

import base64, importlib.metadata, json, pathlib, sys

# A neighbour of this script shares its name with the package; keep the folder off the path.
sys.path = [
    p
    for p in sys.path
    if pathlib.Path(p or ".").resolve() != pathlib.Path(__file__).resolve().parent
]

import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, quants

OUT = pathlib.Path(__file__).parents[2] / "cgo/ggml/testdata/quants.json"


def b64(a):
    return base64.b64encode(np.ascontiguousarray(a).tobytes()).decode()


def random_blocks(rng, qtype):
    """256 values' worth of random bytes that stand for finite numbers of a size that weights have."""
    block, size = GGML_QUANT_SIZES[qtype]
    n = max(1, 256 // block)
    out = []
    while len(out) < n:
        blob = rng.integers(0, 256, size, dtype=np.uint8)
        with np.errstate(all="ignore"):
            values = quants.dequantize(blob, qtype)
        if np.isfinite(values).all() and 1e-6 < np.abs(values).max() < 1e4:
            out.append(blob)
    return np.concatenate(out)


def main():
    rng = np.random.default_rng(2)
    row = (rng.standard_normal(512) * np.exp2(rng.integers(-6, 3, 512))).astype(np.float32)
    dequantized, quantized = [], []
    for qtype in [GGMLQuantizationType.F16, *quants._type_traits]:
        blob = random_blocks(rng, qtype)
        dequantized.append(
            {
                "type": int(qtype),
                "name": qtype.name,
                "bytes": b64(blob),
                "values": b64(quants.dequantize(blob, qtype).astype(np.float32)),
            }
        )
        try:
            quantized.append(
                {"type": int(qtype), "name": qtype.name, "bytes": b64(quants.quantize(row, qtype))}
            )
        except NotImplementedError:
            pass
    OUT.parent.mkdir(parents=True, exist_ok=True)
    version = importlib.metadata.version("gguf")
    OUT.write_text(
        json.dumps(
            {
                "made_by": f"gguf {version}",
                "row": b64(row),
                "dequantized": dequantized,
                "quantized": quantized,
            },
            indent=1,
        )
        + "\n"
    )


main()
