package safetensors

import (
	"fmt"

	"github.com/eyelet-engine/eyelet/models/internal/shape"
)

// DType is the type of a tensor's elements, by the name that files have.
type DType string

// The element types of floating-point weights. Files hold others too, see Bits.
const (
	F64  DType = "F64"
	F32  DType = "F32"
	F16  DType = "F16"
	BF16 DType = "BF16"
)

// dtypes holds the size of an element in bits.
var dtypes = map[DType]int{
	"BOOL": 8, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8,
	"F8_E8M0":     8,
	"F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8, "I16": 16, "U16": 16, F16: 16, BF16: 16, "I32": 32,
	"U32": 32, F32: 32,
	"C64": 64, F64: 64, "I64": 64, "U64": 64,
}

// Bits returns the size of an element in bits, 0 for an unknown type.
func (t DType) Bits() int { return dtypes[t] }

// extent returns the number of elements and of bytes of a tensor.
func (t DType) extent(dims []uint64) (elements, size uint64, err error) {
	width := uint64(t.Bits())
	if width == 0 {
		return 0, 0, fmt.Errorf("%w: element type %s", ErrUnsupported, quote(string(t)))
	}
	elements, empty, fits := shape.Elements(dims)
	if !fits {
		return 0, 0, fmt.Errorf("%w: shape %v overflows", ErrCorrupt, dims)
	}
	total, fits := shape.Product(elements, width)
	if !fits {
		return 0, 0, fmt.Errorf("%w: shape %v of %s overflows", ErrCorrupt, dims, t)
	}
	if empty {
		return 0, 0, nil
	}
	if total%8 != 0 {
		return 0, 0, fmt.Errorf("%w: shape %v of %s ends inside a byte", ErrCorrupt, dims, t)
	}
	return elements, total / 8, nil
}
