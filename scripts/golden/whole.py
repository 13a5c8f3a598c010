"""What SmolVLM's processor shows its tower with do_image_splitting false: models/layout/testdata/whole/smolvlm.json. Set-up and pictures are those of
families.py.

    PYTHONPATH=GGUF python scripts/golden/whole.py
"""

import hashlib, json

import numpy as np
import PIL, transformers
from families import HALF, OUT, PICTURES, picture
from transformers.models.smolvlm.image_processing_pil_smolvlm import SmolVLMImageProcessorPil

images = SmolVLMImageProcessorPil(
    size=dict(longest_edge=2048),
    max_image_size=dict(longest_edge=512),
    do_image_splitting=False,
    **HALF,
)
pictures = []
for w, h in PICTURES:
    image = picture(w, h)
    seen = np.asarray(images([[image]], return_tensors="np")["pixel_values"], np.float32)[0]
    tiles = [
        np.rint((t.transpose(1, 2, 0) * 0.5 + 0.5) * 255).clip(0, 255).astype(np.uint8)
        for t in seen
    ]
    pictures.append(
        {
            "w": w,
            "h": h,
            "pixels_in": hashlib.sha256(np.array(image).tobytes()).hexdigest(),
            "tiles": [
                {
                    "w": t.shape[1],
                    "h": t.shape[0],
                    "sha256": hashlib.sha256(t.tobytes()).hexdigest(),
                }
                for t in tiles
            ],
        }
    )
(OUT / "whole").mkdir(exist_ok=True)
made_with = {
    "numpy": np.__version__,
    "PIL": PIL.__version__,
    "transformers": transformers.__version__,
}
(OUT / "whole/smolvlm.json").write_text(
    json.dumps(
        {"made_with": made_with, "processor": type(images).__name__, "pictures": pictures}, indent=1
    )
    + "\n"
)
