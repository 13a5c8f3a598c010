// Package safetensors reads safetensors files, the format in which Hugging Face
// models keep their tensors:
//
//	header size u64 | header, a JSON object | tensor data
//
// The header maps each tensor's name to its type, its shape and the range of
// bytes that it takes in the data; "__metadata__" maps strings to strings.
// Everything is little-endian. The format is described at
// https://github.com/huggingface/safetensors, whose own reader this package
// follows in what it refuses. A large model is split over several files, which
// model.safetensors.index.json lists: [OpenFolder] opens them as one.
//
//	f, err := safetensors.OpenFolder("llava-1.5-7b-hf")
//	if err != nil {
//		return err
//	}
//	defer f.Close()
//	t, ok := f.Tensor("lm_head.weight")
//	io.Copy(w, t.Reader())
//
// A file may come from anywhere, so nothing in it is believed: every range lies
// in the file, has the size that type and shape call for, and shares no byte
// with another; names are unique; a part of a split model is a file of the same
// folder. What is wrong comes back as an error that names the file and the
// tensor, and that [errors.Is] tells apart: [ErrNotSafetensors],
// [ErrTruncated], [ErrCorrupt], [ErrUnsupported], [ErrLimit]. Tensors are read
// rather than mapped, so that a file that shrinks meanwhile is an error.
package safetensors

import "errors"

// What can be wrong with a file. Errors of this package wrap one of these, or
// the operating system's error (fs.ErrNotExist, fs.ErrPermission …).
var (
	// ErrNotSafetensors: the file does not begin as a safetensors file does, or
	// is no regular file at all.
	ErrNotSafetensors = errors.New("not a safetensors file")
	// ErrTruncated: the file ends before what its header promises.
	ErrTruncated = errors.New("truncated")
	// ErrCorrupt: the file contradicts itself or the format.
	ErrCorrupt = errors.New("corrupt")
	// ErrUnsupported: an element type that this package does not know.
	ErrUnsupported = errors.New("unsupported")
	// ErrLimit: the file is larger in some respect than this package allows.
	ErrLimit = errors.New("over the limit")
)

// Limits of the reader.
const (
	maxHeader  = 100_000_000 // bytes, that of the format's own reader
	maxIndex   = 32 << 20    // bytes of model.safetensors.index.json
	maxTensors = 1 << 18     // as many as package gguf takes
	maxName    = 1<<16 - 1   // bytes
	maxDims    = 8
	maxParts   = 1 << 10
)
