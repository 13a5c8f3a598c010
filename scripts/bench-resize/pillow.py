"""Pillow's side of bench-resize: reads jobs, one JSON object a line, and answers each with the time that it took.

Load job:   {"load": FILE, "w": W, "h": H}                            raw RGB bytes; answers {}
Resize job: {"to_w": W, "to_h": H, "bg": [R, G, B] or null, "reps": N}    answers {"ms": per resize, "crc32": of the result}
"""

import json, platform, sys, time, zlib

from PIL import Image, __version__


def resize(im, job):
    if job["bg"]:
        # As expand2square of the original LLaVA does it.
        side = max(im.size)
        square = Image.new("RGB", (side, side), tuple(job["bg"]))
        square.paste(im, ((side - im.width) // 2, (side - im.height) // 2))
        im = square
    return im.resize((job["to_w"], job["to_h"]), Image.Resampling.BICUBIC)


print(json.dumps({"pillow": __version__, "python": platform.python_version()}), flush=True)
im = None
for line in sys.stdin:
    job = json.loads(line)
    answer = {}
    if "load" in job:
        with open(job["load"], "rb") as f:
            im = Image.frombytes("RGB", (job["w"], job["h"]), f.read())
    else:
        start = time.perf_counter()
        for _ in range(job["reps"]):
            out = resize(im, job)
        answer = {
            "ms": (time.perf_counter() - start) * 1e3 / job["reps"],
            "crc32": zlib.crc32(out.tobytes()),
        }
    print(json.dumps(answer), flush=True)
