// Package hf reads what a Hugging Face model folder tells about a model beside
// its weights: sizes and kinds from config.json, vocabulary and chat template
// from the tokenizer's files, the normalisation of pictures from the
// preprocessor's, licence and sampling defaults.
//
//	c, err := hf.ReadConfig(dir)
//	tok, err := hf.ReadTokenizer(dir, c)
//
// config.json leaves out what equals the defaults of the transformers library:
// LLaVA's, for one, says of its language model little more than that it is a
// Llama. The defaults of the kinds that this package knows are in defaults.go.
//
// The tokenizer comes out in the terms of llama.cpp, whose converter
// (conversion/base.py and gguf-py/gguf/vocab.py of
// https://github.com/ggml-org/llama.cpp) decides what a model in GGUF says.
//
// Files may come from anywhere, so that sizes are bounded and nothing is
// believed; errors name the file and what is wrong with it, and wrap
// [ErrInvalid], [ErrUnsupported], [ErrLimit] or the operating system's error
// (fs.ErrNotExist for a file that is missing).
package hf

import "errors"

var (
	// ErrInvalid: a file contradicts itself or its format.
	ErrInvalid = errors.New("invalid")
	// ErrUnsupported: the model is of a kind that this package does not know.
	ErrUnsupported = errors.New("unsupported")
	// ErrLimit: a file is larger in some respect than this package allows.
	ErrLimit = errors.New("over the limit")
)

// Limits of the reader, far above any model.
const (
	maxConfig    = 4 << 20  // bytes of a configuration file
	maxTokenizer = 64 << 20 // bytes of a tokenizer's file
	maxVocab     = 1 << 21  // tokens, and merges
	maxWidth     = 1 << 17
	maxFF        = 1 << 19
	maxLayers    = 1 << 10
	maxContext   = 1 << 30
	maxSide      = 1 << 14 // pixels
	maxPixels    = 1 << 28 // of a picture
	maxMerge     = 1 << 5  // patches of a token's side
	maxTiles     = 1 << 6
)
