"""Writes a GGUF model as a folder of transformers in float32.

usage: dequantize.py FOLDER FILE OUT
"""

import sys

from transformers import AutoModelForCausalLM, AutoTokenizer

folder, file, out = sys.argv[1:]
model = AutoModelForCausalLM.from_pretrained(folder, gguf_file=file, dtype="float32")
model.hf_quantizer = None
if hasattr(model.config, "quantization_config"):  # what is written is not quantized any more
    del model.config.quantization_config
model.save_pretrained(out)
AutoTokenizer.from_pretrained(folder, gguf_file=file).save_pretrained(out)
