package vision

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/x448/float16"

	"github.com/eyelet-engine/eyelet/models/gguf"
)

// errType says that dequantize does not know a tensor type.
var errType = errors.New("unsupported tensor type")

// dequantize converts the data of a tensor to float32. dst has the tensor's number
// of elements, which the reader of the file has matched with the size of data.
//
// Q8_0 stores 32 elements in a block of 34 bytes: a float16 scale, then 32 signed
// bytes; an element is scale · byte (ggml, ggml-common.h, block_q8_0).
func dequantize(t gguf.Type, data []byte, dst []float32) error {
	half := func(b []byte) float32 { return float16.Frombits(binary.LittleEndian.Uint16(b)).Float32() }
	switch t {
	case gguf.F32:
		for i := range dst {
			dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:]))
		}
	case gguf.F16:
		for i := range dst {
			dst[i] = half(data[2*i:])
		}
	case gguf.BF16:
		for i := range dst {
			dst[i] = math.Float32frombits(uint32(binary.LittleEndian.Uint16(data[2*i:])) << 16)
		}
	case gguf.Q8_0:
		for i := range dst {
			block := data[i/32*34:][:34]
			dst[i] = half(block) * float32(int8(block[2+i%32]))
		}
	default:
		return fmt.Errorf("%w %v", errType, t)
	}
	return nil
}
