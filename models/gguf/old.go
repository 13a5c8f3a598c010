package gguf

import (
	"encoding/binary"
	"fmt"
)

// oldMagics are the formats of ggml's files before GGUF, by their magic as the bytes stand in the
// file: a number whose digits spell the name.
var oldMagics = map[string]string{"lmgg": "ggml", "fmgg": "ggmf", "tjgg": "ggjt", "algg": "ggla"}

const (
	fromOriginal = "convert the original model from Hugging Face with 'eyelet convert'"
	oldScript    = "llama.cpp's convert_llama_ggml_to_gguf.py"
)

// oldFormat names a file of a format before GGUF by its first 4 or 8 bytes, and says what to do
// with it. It returns an empty string for anything else.
func oldFormat(head []byte) string {
	if len(head) < 4 {
		return ""
	}
	name := oldMagics[string(head[:4])]
	version := uint32(0)
	if len(head) >= 8 && name != "ggml" { // which has none
		version = binary.LittleEndian.Uint32(head[4:])
	}
	switch {
	case name == "":
		return ""
	case name == "ggla":
		return "a LoRA adapter in the format ggla of 2023; convert the original adapter (PEFT) with llama.cpp's convert_lora_to_gguf.py"
	case name == "ggjt" && version == 3:
		return "a model in the format ggjt v3 of 2023; " + fromOriginal + ", or this file with " +
			oldScript
	case version == 0:
		return fmt.Sprintf("a model in the format %s of 2023; %s, or this file, if it is not quantized, with %s", name, fromOriginal, oldScript)
	}
	return fmt.Sprintf("a model in the format %s v%d of 2023; %s, or this file, if it is not quantized, with %s", name, version, fromOriginal, oldScript)
}

// oldVersion says what to do with a file of GGUF's first version, whose counts had 32 bits.
const oldVersion = "GGUF version 1, of August 2023, is no longer read; " + fromOriginal +
	", or copy this file with the program quantize of a llama.cpp of autumn 2023 (quantize OLD NEW COPY)"
