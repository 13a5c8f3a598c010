// Package builtin holds the small model that ships inside the program, so that a first answer, the
// demonstration and the tests need no download.
//
// It has LLaVA 1.5's architecture at toy size: a Llama language model of 6 layers and a CLIP vision
// tower of 6 layers, both 256 wide, trained from scratch on synthetic pictures of shapes, writing,
// charts, page sketches and tables. docs/builtin-model.md says what it can. It proves that the path
// from a picture to a sentence works, and is no substitute for a real model.
//
// It takes the same way as a model of seven billion parameters. [Extract] writes the two GGUF files
// to the cache directory, once, and whoever runs the model opens them by path:
//
//	model, projector, err := builtin.Extract("")
//
// [Demos] are pictures with questions that the model is known to answer rightly.
package builtin
