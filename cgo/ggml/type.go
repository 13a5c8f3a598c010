package ggml

// #include "bridge.h"
import "C"

import "fmt"

// A Type is the format in which a row of numbers is stored. The numbering is that of ggml.h and of
// GGUF files.
type Type int32

// The types of ggml.h. A quantized type stores blocks of [Type.BlockSize] values in [Type.TypeSize]
// bytes.
const (
	F32     Type = C.GGML_TYPE_F32
	F16     Type = C.GGML_TYPE_F16
	Q4_0    Type = C.GGML_TYPE_Q4_0
	Q4_1    Type = C.GGML_TYPE_Q4_1
	Q5_0    Type = C.GGML_TYPE_Q5_0
	Q5_1    Type = C.GGML_TYPE_Q5_1
	Q8_0    Type = C.GGML_TYPE_Q8_0
	Q8_1    Type = C.GGML_TYPE_Q8_1 // of activations, inside ggml alone
	Q2_K    Type = C.GGML_TYPE_Q2_K
	Q3_K    Type = C.GGML_TYPE_Q3_K
	Q4_K    Type = C.GGML_TYPE_Q4_K
	Q5_K    Type = C.GGML_TYPE_Q5_K
	Q6_K    Type = C.GGML_TYPE_Q6_K
	Q8_K    Type = C.GGML_TYPE_Q8_K // of activations, inside ggml alone
	IQ2_XXS Type = C.GGML_TYPE_IQ2_XXS
	IQ2_XS  Type = C.GGML_TYPE_IQ2_XS
	IQ3_XXS Type = C.GGML_TYPE_IQ3_XXS
	IQ1_S   Type = C.GGML_TYPE_IQ1_S
	IQ4_NL  Type = C.GGML_TYPE_IQ4_NL
	IQ3_S   Type = C.GGML_TYPE_IQ3_S
	IQ2_S   Type = C.GGML_TYPE_IQ2_S
	IQ4_XS  Type = C.GGML_TYPE_IQ4_XS
	I8      Type = C.GGML_TYPE_I8
	I16     Type = C.GGML_TYPE_I16
	I32     Type = C.GGML_TYPE_I32
	I64     Type = C.GGML_TYPE_I64
	F64     Type = C.GGML_TYPE_F64
	IQ1_M   Type = C.GGML_TYPE_IQ1_M
	BF16    Type = C.GGML_TYPE_BF16
	TQ1_0   Type = C.GGML_TYPE_TQ1_0
	TQ2_0   Type = C.GGML_TYPE_TQ2_0
	MXFP4   Type = C.GGML_TYPE_MXFP4
	NVFP4   Type = C.GGML_TYPE_NVFP4
	Q1_0    Type = C.GGML_TYPE_Q1_0
	Q2_0    Type = C.GGML_TYPE_Q2_0
)

// Types returns the types that the loaded libggml knows, in the order of their numbers.
func Types() []Type {
	var all []Type
	for t := Type(0); t < C.GGML_TYPE_COUNT; t++ {
		if t.Known() {
			all = append(all, t)
		}
	}
	return all
}

// Known reports whether t is a type of the loaded libggml. Numbers of types that ggml has removed
// are not.
func (t Type) Known() bool {
	return t >= 0 && t < C.GGML_TYPE_COUNT && C.ggml_type_size(C.enum_ggml_type(t)) > 0 &&
		C.ggml_blck_size(C.enum_ggml_type(t)) > 0
}

// String returns ggml's name of the type, as "q4_K".
func (t Type) String() string {
	if !t.Known() {
		return fmt.Sprintf("type(%d)", int32(t))
	}
	return C.GoString(C.ggml_type_name(C.enum_ggml_type(t)))
}

// BlockSize returns the number of values in a block: 1 for types that are not quantized, 0 for an
// unknown type.
func (t Type) BlockSize() int {
	if !t.Known() {
		return 0
	}
	return int(C.ggml_blck_size(C.enum_ggml_type(t)))
}

// TypeSize returns the number of bytes in a block, 0 for an unknown type.
func (t Type) TypeSize() int {
	if !t.Known() {
		return 0
	}
	return int(C.ggml_type_size(C.enum_ggml_type(t)))
}

// RowSize returns the number of bytes that n values take. It is an error if the type is unknown, n
// is negative or not a multiple of the block size, or the size overflows.
func (t Type) RowSize(n int) (int, error) {
	if !t.Known() {
		return 0, fmt.Errorf("ggml: %v is not a type of libggml %s", t, Version())
	}
	block, size := t.BlockSize(), t.TypeSize()
	if n < 0 || n%block != 0 {
		return 0, fmt.Errorf("ggml: %d values are not a whole number of %v blocks of %d", n, t,
			block)
	}
	const maxInt = int(^uint(0) >> 1)
	if n/block > maxInt/size {
		return 0, fmt.Errorf("ggml: the size of %d values of %v overflows", n, t)
	}
	return n / block * size, nil
}
