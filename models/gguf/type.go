package gguf

import (
	"fmt"

	"github.com/eyelet-engine/eyelet/models/internal/shape"
)

// Type is the storage format of a tensor's elements, numbered as ggml_type in
// ggml.h. Quantized formats store elements in blocks that share scales.
type Type uint32

// The tensor types of ggml 0.27. The missing numbers (4, 5, 31-33, 36-38)
// were formats that ggml has removed.
const (
	F32     Type = 0
	F16     Type = 1
	Q4_0    Type = 2
	Q4_1    Type = 3
	Q5_0    Type = 6
	Q5_1    Type = 7
	Q8_0    Type = 8
	Q8_1    Type = 9
	Q2_K    Type = 10
	Q3_K    Type = 11
	Q4_K    Type = 12
	Q5_K    Type = 13
	Q6_K    Type = 14
	Q8_K    Type = 15
	IQ2_XXS Type = 16
	IQ2_XS  Type = 17
	IQ3_XXS Type = 18
	IQ1_S   Type = 19
	IQ4_NL  Type = 20
	IQ3_S   Type = 21
	IQ2_S   Type = 22
	IQ4_XS  Type = 23
	I8      Type = 24
	I16     Type = 25
	I32     Type = 26
	I64     Type = 27
	F64     Type = 28
	IQ1_M   Type = 29
	BF16    Type = 30
	TQ1_0   Type = 34
	TQ2_0   Type = 35
	MXFP4   Type = 39
	NVFP4   Type = 40
	Q1_0    Type = 41
	Q2_0    Type = 42
)

// types holds what ggml_type_name, ggml_blck_size and ggml_type_size of
// libggml 0.27 return. A removed format keeps its name and has no size.
var types = [...]struct {
	name  string
	block int // elements
	size  int // bytes of one block
}{
	F32:     {"F32", 1, 4},
	F16:     {"F16", 1, 2},
	Q4_0:    {"Q4_0", 32, 18},
	Q4_1:    {"Q4_1", 32, 20},
	4:       {name: "Q4_2"},
	5:       {name: "Q4_3"},
	Q5_0:    {"Q5_0", 32, 22},
	Q5_1:    {"Q5_1", 32, 24},
	Q8_0:    {"Q8_0", 32, 34},
	Q8_1:    {"Q8_1", 32, 36},
	Q2_K:    {"Q2_K", 256, 84},
	Q3_K:    {"Q3_K", 256, 110},
	Q4_K:    {"Q4_K", 256, 144},
	Q5_K:    {"Q5_K", 256, 176},
	Q6_K:    {"Q6_K", 256, 210},
	Q8_K:    {"Q8_K", 256, 292},
	IQ2_XXS: {"IQ2_XXS", 256, 66},
	IQ2_XS:  {"IQ2_XS", 256, 74},
	IQ3_XXS: {"IQ3_XXS", 256, 98},
	IQ1_S:   {"IQ1_S", 256, 50},
	IQ4_NL:  {"IQ4_NL", 32, 18},
	IQ3_S:   {"IQ3_S", 256, 110},
	IQ2_S:   {"IQ2_S", 256, 82},
	IQ4_XS:  {"IQ4_XS", 256, 136},
	I8:      {"I8", 1, 1},
	I16:     {"I16", 1, 2},
	I32:     {"I32", 1, 4},
	I64:     {"I64", 1, 8},
	F64:     {"F64", 1, 8},
	IQ1_M:   {"IQ1_M", 256, 56},
	BF16:    {"BF16", 1, 2},
	31:      {name: "Q4_0_4_4"},
	32:      {name: "Q4_0_4_8"},
	33:      {name: "Q4_0_8_8"},
	TQ1_0:   {"TQ1_0", 256, 54},
	TQ2_0:   {"TQ2_0", 256, 66},
	36:      {name: "IQ4_NL_4_4"},
	37:      {name: "IQ4_NL_4_8"},
	38:      {name: "IQ4_NL_8_8"},
	MXFP4:   {"MXFP4", 32, 17},
	NVFP4:   {"NVFP4", 64, 36},
	Q1_0:    {"Q1_0", 128, 18},
	Q2_0:    {"Q2_0", 64, 18},
}

// String returns ggml's name in upper case, as in "Q4_K" or "BF16", and
// "Type(99)" for a number ggml does not define.
func (t Type) String() string {
	if int64(t) < int64(len(types)) {
		return types[t].name
	}
	return fmt.Sprintf("Type(%d)", uint32(t))
}

// BlockSize returns how many elements one block holds, 1 for plain numbers,
// and 0 for a type that ggml does not define or has removed.
func (t Type) BlockSize() int {
	if int64(t) < int64(len(types)) {
		return types[t].block
	}
	return 0
}

// TypeSize returns how many bytes one block takes, and 0 for a type that ggml
// does not define or has removed. A row of n elements takes
// n / BlockSize() * TypeSize() bytes.
func (t Type) TypeSize() int {
	if int64(t) < int64(len(types)) {
		return types[t].size
	}
	return 0
}

// extent returns the number of elements and bytes of a tensor, or an error
// when the type has no size, a row is not whole blocks, or a count does not
// fit in int64, which is what ggml keeps them in.
func (t Type) extent(dims []uint64) (elements uint64, size int64, err error) {
	block := uint64(t.BlockSize())
	if block == 0 {
		if int64(t) < int64(len(types)) {
			return 0, 0, fmt.Errorf("%w: tensor type %s has been removed from ggml", ErrUnsupported,
				t)
		}
		return 0, 0, fmt.Errorf("%w: unknown tensor type %d", ErrUnsupported, uint32(t))
	}
	if len(dims) > maxDims {
		return 0, 0, fmt.Errorf("%w: %d dimensions, ggml has at most %d", ErrCorrupt, len(dims),
			maxDims)
	}
	elements, empty, fits := shape.Elements(dims)
	if !fits {
		return 0, 0, fmt.Errorf("%w: dimensions %v overflow", ErrCorrupt, dims)
	}
	row := uint64(1)
	if len(dims) > 0 {
		row = dims[0]
	}
	if row%block != 0 {
		return 0, 0, fmt.Errorf("%w: rows of %d elements are not whole blocks of %d (%s)",
			ErrCorrupt, row, block, t)
	}
	if empty {
		return 0, 0, nil
	}
	total, fits := shape.Product(elements/block, uint64(t.TypeSize()))
	if !fits {
		return 0, 0, fmt.Errorf("%w: dimensions %v of %s overflow", ErrCorrupt, dims, t)
	}
	return elements, int64(total), nil
}
