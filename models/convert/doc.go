// Package convert turns a Hugging Face model folder into GGUF: the language
// model, and for a model that sees, its vision tower and projector ("mmproj").
//
//	result, err := convert.Run(ctx, convert.Options{Dir: "llava-1.5-7b-hf", Model: "llava.gguf", Type: gguf.F16})
//
// It knows Llama, Mistral, Qwen 2 and 3; LLaVA 1.5 and 1.6 over a CLIP tower,
// SmolVLM and Idefics 3, Qwen2-VL, Qwen2.5-VL and Qwen3-VL, Gemma 3 and 4, GLM-4V,
// InternVL in the layout of transformers, Pixtral and Mistral Small 3, as versions 4
// and 5 of transformers save them. Names, orders and kinds of tensors and the keys of the
// metadata are those of llama.cpp 0.7 and its converter (conversion/*.py of
// https://github.com/ggml-org/llama.cpp), which refuses LLaVA's CLIP towers;
// those are written for package vision and libmtmd alike. Keys beyond the
// converter's stand in a file only where the folder's image processor has other
// numbers than its family's usual ones, and where libmtmd needs one that the
// converter forgets (Gemma 4's activation).
//
// Everything is checked before the first byte is written: each tensor of the
// model must be there, with the shape that config.json calls for, and no tensor
// may be left over. Tensors then stream from the folder to the file a few
// megabytes at a time. The files appear under their names when both are whole.
package convert
