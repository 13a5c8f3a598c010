// Package convert turns a Hugging Face model folder into GGUF: the language
// model, and for a model that sees, its vision tower and projector ("mmproj").
//
//	result, err := convert.Run(ctx, convert.Options{Dir: "llava-1.5-7b-hf", Model: "llava.gguf", Type: gguf.F16})
//
// It knows Llama, Mistral and Qwen 2, LLaVA 1.5 and 1.6 over a CLIP tower, and
// SmolVLM and Idefics 3. Names, orders and kinds of tensors and the keys of the
// metadata are those of llama.cpp 0.7 and its converter (conversion/*.py of
// https://github.com/ggml-org/llama.cpp), which refuses LLaVA's CLIP towers;
// those are written for package vision and libmtmd alike.
//
// Everything is checked before the first byte is written: each tensor of the
// model must be there, with the shape that config.json calls for, and no tensor
// may be left over. Tensors then stream from the folder to the file a few
// megabytes at a time. The files appear under their names when both are whole.
package convert
