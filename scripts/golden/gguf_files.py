#!/usr/bin/env python3
"""Golden files for models/gguf, made and read back by the gguf Python package.

    python -m venv venv && venv/bin/pip install gguf==0.19.0 numpy==2.4.6
    venv/bin/python scripts/golden/gguf_files.py            # write models/gguf/testdata
    venv/bin/python scripts/golden/gguf_files.py --read F.gguf ...   # print what Python reads, as JSON

Every file is a few KB: one with all value types, nested arrays and several
tensor types at an alignment of 64, and one model split over two files.
golden.json holds what GGUFReader reads back from them, and the package's own
tables of types.
"""

import argparse
import hashlib
import importlib.metadata
import json
import math
import sys
from pathlib import Path

import numpy as np
from gguf import (
    GGML_QUANT_SIZES,
    GGMLQuantizationType,
    GGUFReader,
    GGUFValueType,
    GGUFWriter,
    LlamaFileType,
)
from gguf.quants import quantize

TESTDATA = Path(__file__).resolve().parents[2] / "models" / "gguf" / "testdata"
V = GGUFValueType
Q = GGMLQuantizationType


def plain(x):
    """x with the floats that JSON lacks as the strings that Value.MarshalJSON uses."""
    if isinstance(x, list):
        return [plain(e) for e in x]
    if isinstance(x, float) and not math.isfinite(x):
        return "NaN" if math.isnan(x) else "Infinity" if x > 0 else "-Infinity"
    return x


def read(path):
    r = GGUFReader(path)
    # A scalar lists its type; an array lists "ARRAY" for each level and the
    # elements' type; GGUFReader returns nested arrays flattened.
    fields = [
        {"key": f.name, "types": [t.name for t in f.types], "value": plain(f.contents())}
        for f in r.fields.values()
        if not f.name.startswith("GGUF.")
    ]
    tensors = [
        {
            "name": t.name,
            "type": t.tensor_type.name,
            "dims": [int(d) for d in t.shape],
            "elements": int(t.n_elements),
            "bytes": int(t.n_bytes),
            "offset": int(t.data_offset),
            "sha256": hashlib.sha256(np.ascontiguousarray(t.data).tobytes()).hexdigest(),
        }
        for t in r.tensors
    ]
    return {"alignment": int(r.alignment), "fields": fields, "tensors": tensors}


def write(w):
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def all_types(path, rng):
    w = GGUFWriter(path, "golden")
    w.add_custom_alignment(64)
    w.add_file_type(LlamaFileType.MOSTLY_Q4_K_M)
    limits = {
        V.UINT8: [0, 7, 2**8 - 1],
        V.INT8: [-(2**7), -1, 2**7 - 1],
        V.UINT16: [0, 258, 2**16 - 1],
        V.INT16: [-(2**15), -1, 2**15 - 1],
        V.UINT32: [0, 2**31, 2**32 - 1],
        V.INT32: [-(2**31), -1, 2**31 - 1],
        V.UINT64: [0, 2**63, 2**64 - 1],
        V.INT64: [-(2**63), -1, 2**63 - 1],
        V.FLOAT32: [0.1, -1e-38, 3.4e38, math.inf, -math.inf, math.nan],
        V.FLOAT64: [0.1, -5e-324, 1.7e308, math.inf, -math.inf, math.nan],
        V.BOOL: [True, False, True],
        V.STRING: ["", "text", "多语言 ünïcode", "a\x00b\n\"quoted\"", "x" * 300],
    }
    for t, values in limits.items():
        for i, x in enumerate(values):
            w.add_key_value(f"scalar.{t.name.lower()}.{i}", x, t)
        w.add_key_value(f"array.{t.name.lower()}", values, V.ARRAY, t)
    w.add_key_value("array.one", [42], V.ARRAY, V.UINT32)
    w.add_array("nested.int", [[1, 2], [3], [4, 5, 6]])
    w.add_array("nested.string", [["a", "bc"], ["def"]])
    w.add_array("nested.deep", [[[1.5], [2.5, 3.5]], [[4.5]]])

    f32 = lambda *shape: rng.standard_normal(shape).astype(np.float32)
    w.add_tensor("f32.1d", f32(5))
    w.add_tensor("f32.4d", f32(2, 3, 2, 3))
    w.add_tensor("f16.2d", f32(3, 8).astype(np.float16))
    w.add_tensor("f64.2d", f32(2, 2).astype(np.float64))
    for t in (np.int8, np.int16, np.int32, np.int64):
        w.add_tensor(f"i{np.dtype(t).itemsize * 8}.1d", np.arange(-3, 4).astype(t))
    for t in (Q.BF16, Q.Q8_0, Q.Q4_0, Q.Q5_1, Q.TQ1_0, Q.MXFP4):
        w.add_tensor(f"{t.name.lower()}.2d", quantize(f32(2, 256), t), raw_dtype=t)
    # The package cannot quantize to these: bytes of the right size will do.
    for t in (Q.Q4_K, Q.Q6_K, Q.IQ2_XXS, Q.NVFP4, Q.Q1_0):
        block, size = GGML_QUANT_SIZES[t]
        data = rng.integers(0, 256, (1, 256 // block * size), dtype=np.uint8)
        w.add_tensor(f"{t.name.lower()}.2d", data, raw_dtype=t)
    write(w)


def split(path, rng):
    w = GGUFWriter(path, "golden", split_max_tensors=2)
    w.add_name("split over two files")
    for i in range(3):
        w.add_tensor(f"blk.{i}.weight", rng.standard_normal((4, 3 + i)).astype(np.float32))
    write(w)


def main():
    p = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument(
        "--read", nargs="+", metavar="FILE", help="print what Python reads from FILE instead"
    )
    args = p.parse_args()
    if args.read:
        json.dump({f: read(f) for f in args.read}, sys.stdout, indent=1, ensure_ascii=False)
        return
    TESTDATA.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(1)
    all_types(TESTDATA / "all.gguf", rng)
    split(TESTDATA / "split.gguf", rng)
    golden = {
        "made_with": {m: importlib.metadata.version(m) for m in ("gguf", "numpy")},
        "files": {f.name: read(f) for f in sorted(TESTDATA.glob("*.gguf"))},
        "types": {
            t.name: [int(t), *GGML_QUANT_SIZES[t]]
            for t in GGMLQuantizationType
            if t in GGML_QUANT_SIZES
        },
        "value_types": {t.name: int(t) for t in GGUFValueType},
        "file_types": {t.name: int(t) for t in LlamaFileType},
    }
    (TESTDATA / "golden.json").write_text(json.dumps(golden, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
