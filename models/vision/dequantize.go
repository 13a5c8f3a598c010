package vision

import (
	"encoding/binary"
	"fmt"
	"math"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/x448/float16"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
	"github.com/eyelet-engine/eyelet/models/gguf"
)

// converters turn the data of the commonest tensor types into float32. dst has the number
// of elements that data holds.
var converters = map[gguf.Type]func(data []byte, dst []float32) error{
	gguf.F32:  convertF32,
	gguf.F16:  convertF16,
	gguf.BF16: convertBF16,
	gguf.Q8_0: convertQ80,
}

// ggmlConverter lets libggml convert the types that have no converter here.
func ggmlConverter(t gguf.Type) func(data []byte, dst []float32) error {
	return func(data []byte, dst []float32) error {
		if err := ggml.Load(); err != nil { // conversion tables are made by it
			return err
		}
		return ggml.Dequantize(ggml.Type(t), data, dst)
	}
}

func convertF32(data []byte, dst []float32) error {
	for i := range dst {
		dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:]))
	}
	return nil
}

// halves holds every float16 number: looking one up takes a fraction of the time of
// converting it.
var halves = sync.OnceValue(func() *[1 << 16]float32 {
	t := new([1 << 16]float32)
	for i := range t {
		t[i] = float16.Frombits(uint16(i)).Float32()
	}
	return t
})

func convertF16(data []byte, dst []float32) error {
	t := halves()
	for len(dst) >= 4 && len(data) >= 8 { // four at a time, which halves the cost
		four, out := binary.LittleEndian.Uint64(data), dst[:4:4]
		out[0], out[1], out[2], out[3] = t[uint16(four)], t[uint16(four>>16)], t[uint16(four>>32)],
			t[uint16(four>>48)]
		data, dst = data[8:], dst[4:]
	}
	for i := range dst {
		dst[i] = t[binary.LittleEndian.Uint16(data[2*i:])]
	}
	return nil
}

func convertBF16(data []byte, dst []float32) error {
	for i := range dst {
		dst[i] = math.Float32frombits(uint32(binary.LittleEndian.Uint16(data[2*i:])) << 16)
	}
	return nil
}

// convertQ80 reads Q8_0, which stores 32 elements in a block of 34 bytes: a float16
// scale, then 32 signed bytes; an element is scale · byte (ggml, ggml-common.h,
// block_q8_0).
func convertQ80(data []byte, dst []float32) error {
	t := halves()
	for len(dst) >= 32 {
		scale, codes, out := t[binary.LittleEndian.Uint16(data)], data[2:34], dst[:32]
		for i := range out {
			out[i] = scale * float32(int8(codes[i]))
		}
		data, dst = data[34:], dst[32:]
	}
	return nil
}

// convertChunk is the number of elements converted at a time: few enough to stay in a
// core's cache until they are checked, and whole blocks in every tensor type.
const convertChunk = 1 << 14

// convertAll converts a tensor on all cores and refuses numbers that are not finite.
func convertAll(convert func([]byte, []float32) error, t gguf.Type, data []byte,
	dst []float32) error {
	perChunk := convertChunk / t.BlockSize() * t.TypeSize()
	chunks := (len(dst) + convertChunk - 1) / convertChunk
	var next atomic.Int64
	var fault atomic.Pointer[error]
	work := func() {
		for fault.Load() == nil {
			i := int(next.Add(1)) - 1
			if i >= chunks {
				return
			}
			out := dst[i*convertChunk : min((i+1)*convertChunk, len(dst))]
			err := convert(data[i*perChunk:min((i+1)*perChunk, len(data))], out)
			if err == nil {
				err = checkFinite(out, i*convertChunk)
			}
			if err != nil {
				fault.Store(&err)
			}
		}
	}
	var others sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), chunks) - 1 {
		others.Go(work)
	}
	work()
	others.Wait()
	if err := fault.Load(); err != nil {
		return *err
	}
	return nil
}

// checkFinite refuses infinities and NaN; first is the number of the first element.
func checkFinite(values []float32, first int) error {
	// x - x is 0 for finite numbers and NaN for others, and stays in a sum. One sum would
	// wait for itself.
	var a, b, c, d float32
	rest := values
	for ; len(rest) >= 4; rest = rest[4:] {
		a += rest[0] - rest[0]
		b += rest[1] - rest[1]
		c += rest[2] - rest[2]
		d += rest[3] - rest[3]
	}
	for _, v := range rest {
		a += v - v
	}
	if a+b+c+d == 0 {
		return nil
	}
	for i, v := range values {
		if v-v != 0 {
			return fmt.Errorf("element %d is %v", first+i, v)
		}
	}
	return nil
}
