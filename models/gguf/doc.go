// Package gguf reads and writes GGUF, the file format of ggml models: a list
// of typed key/value pairs that describe a model, followed by its tensors.
//
//	magic "GGUF" | version u32 | tensor count u64 | key count u64
//	key/value pairs: key, value type u32, value
//	tensor infos:    name, dims u32, dim u64 ..., type u32, offset u64
//	padding to general.alignment (32 unless said otherwise)
//	tensor data, each tensor padded to the same alignment
//
// Everything is little-endian; a string is a u64 length and its bytes; an
// array is an element type, a u64 count and the elements, which may be arrays
// again. The specification is docs/gguf.md of https://github.com/ggml-org/ggml,
// and where it is silent this package follows ggml's own reader, gguf.cpp.
//
// # Reading
//
// [Open] maps a model into memory and checks all of its metadata; a model that
// is split over several files is opened whole from the path of any part.
// [Read] takes metadata from any [io.ReaderAt], [Parse] from a byte slice.
//
//	f, err := gguf.Open("model.gguf")
//	if err != nil {
//		return err
//	}
//	defer f.Close()
//	layers, ok := f.Uint(f.Architecture() + ".block_count")
//	t, ok := f.Tensor("token_embd.weight")
//
// A file may come from anywhere, so nothing in it is believed: sizes are
// computed with checked arithmetic and compared with the bytes that are really
// there before memory is allocated for them, so that the memory a file costs
// is proportional to its metadata, whatever its counts claim. On top of that
// stand fixed limits far above any model: 128 MiB of metadata, 65 536 keys,
// 262 144 tensors, names of 65 535 bytes, arrays nested 8 deep, 1 048 576
// nested arrays, 1024 parts of a split model. What is wrong with a file comes
// back as an error that names the file and the key or tensor, and that
// [errors.Is] tells apart: [ErrNotGGUF], [ErrTruncated], [ErrCorrupt],
// [ErrUnsupported], [ErrLimit].
//
// # Writing
//
// [Writer] collects keys and tensors and streams them out in the order in
// which they were added: the same calls always give the same bytes.
package gguf

import "errors"

// What can be wrong with a file. Errors of this package wrap one of these, or
// the operating system's error (fs.ErrNotExist, fs.ErrPermission …).
var (
	// ErrNotGGUF: the file does not begin with the magic "GGUF", or is no
	// regular file at all.
	ErrNotGGUF = errors.New("not a GGUF file")
	// ErrTruncated: the file ends before what its header promises.
	ErrTruncated = errors.New("truncated")
	// ErrCorrupt: the file contradicts itself or the specification.
	ErrCorrupt = errors.New("corrupt")
	// ErrUnsupported: a version, byte order or type this package cannot read.
	ErrUnsupported = errors.New("unsupported")
	// ErrLimit: the file is larger in some respect than this package allows.
	ErrLimit = errors.New("over the limit")
)

const (
	magic            = "GGUF"
	versionWritten   = 3
	defaultAlignment = 32

	keyAlignment         = "general.alignment"
	keyArchitecture      = "general.architecture"
	keyFileType          = "general.file_type"
	keySplitNo           = "split.no"
	keySplitCount        = "split.count"
	keySplitTensorsCount = "split.tensors.count"
)

// Limits of the reader; see the package comment.
const (
	maxMetadata = 128 << 20 // bytes before the tensor data
	maxKeys     = 1 << 16
	maxTensors  = 1 << 18
	maxName     = 1<<16 - 1 // bytes in a key (the specification's limit) or tensor name
	maxDims     = 4         // GGML_MAX_DIMS
	maxDepth    = 8         // arrays of arrays
	maxNested   = 1 << 20   // arrays inside arrays, in the whole file
	maxParts    = 1 << 10   // files of a split model
)
