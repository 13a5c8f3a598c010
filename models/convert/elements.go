package convert

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
	"github.com/eyelet-engine/eyelet/models/gguf"
	"github.com/eyelet-engine/eyelet/models/safetensors"
	"github.com/x448/float16"
)

// batch is how many elements are in memory at a time, unless a row has more.
const batch = 1 << 20

// canRead tells the element types that are converted.
func canRead(t safetensors.DType) bool {
	return t == safetensors.F16 || t == safetensors.BF16 || t == safetensors.F32 ||
		t == safetensors.F64
}

// write writes the tensor's elements.
func (o *output) write(t *tensor, out io.Writer) error {
	c := converter{t: t, row: int(t.dims[0])}
	emit := func(data []byte) error {
		if err := o.ctx.Err(); err != nil {
			return err
		}
		converted, err := c.convert(data)
		if err != nil {
			return err
		}
		n, err := out.Write(converted)
		o.tell(n)
		return err
	}
	if t.values != nil {
		n, err := out.Write(floatBytes(nil, t.values))
		o.tell(n)
		return err
	}
	err := t.rows(emit)
	if err != nil && o.ctx.Err() == nil {
		err = fmt.Errorf("%s: tensor %q: %w", t.src.Path(), t.src.Name, err)
	}
	return err
}

// rows calls emit with the source's bytes, whole rows in the order of the output.
//
// Llama's query and key rows of a head rotate in pairs. transformers pairs row j
// with row j + d/2 of the head's d rows, Meta's original and llama.cpp row 2j with
// row 2j+1: the halves of each head are interleaved. A vector, the bias of such a
// layer, has rows of one element.
func (t *tensor) rows(emit func([]byte) error) error {
	width := t.src.DType.Bits() / 8
	row := int(t.dims[0])
	if t.heads != 0 && len(t.dims) == 1 {
		row = 1
	}
	r, size := t.src.Reader(), row*width
	if t.heads == 0 {
		return t.part.whole(int(t.elements())).read(r, row, width, emit)
	}
	half := int(t.src.Elements()) / row / t.heads / 2
	n := min(max(1, batch/row/2), half)
	first, second, both := make([]byte, n*size), make([]byte, n*size), make([]byte, 2*n*size)
	for head := range t.heads {
		for from := 0; from < half; from += n {
			k := min(n, half-from)
			start := int64(head*2*half+from) * int64(size)
			if _, err := r.ReadAt(first[:k*size], start); err != nil {
				return err
			}
			if _, err := r.ReadAt(second[:k*size], start+int64(half)*int64(size)); err != nil {
				return err
			}
			for j := range k {
				copy(both[2*j*size:], first[j*size:(j+1)*size])
				copy(both[(2*j+1)*size:], second[j*size:(j+1)*size])
			}
			if err := emit(both[:2*k*size]); err != nil {
				return err
			}
		}
	}
	return nil
}

// read calls emit with the bytes of a part, whole rows of so many elements of so many bytes.
func (p part) read(r io.ReaderAt, row, width int, emit func([]byte) error) error {
	size := row * width
	buf := make([]byte, min(max(1, batch/row), p.run*p.count/row)*size)
	full := 0
	for i := range p.count {
		at, left := int64(p.start+i*p.step)*int64(width), p.run*width
		for left > 0 {
			n := min(left, len(buf)-full)
			if _, err := r.ReadAt(buf[full:full+n], at); err != nil {
				return err
			}
			at, left, full = at+int64(n), left-n, full+n
			if full < len(buf) {
				continue
			}
			if err := emit(buf); err != nil {
				return err
			}
			full = 0
		}
	}
	if full == 0 {
		return nil
	}
	return emit(buf[:full])
}

// converter takes elements from the type of the folder to that of the file.
type converter struct {
	t      *tensor
	row    int // elements in a row
	floats []float32
	out    []byte
}

// convert returns the converted bytes, which are valid until the next call.
func (c *converter) convert(data []byte) ([]byte, error) {
	from, to := c.t.src.DType, c.t.typ
	if string(from) == to.String() && c.t.plus == 0 {
		return data, nil
	}
	n := len(data) / (from.Bits() / 8)
	if cap(c.floats) < n {
		c.floats = make([]float32, n)
	}
	c.floats = c.floats[:n]
	widen(from, data, c.floats)
	if c.t.plus != 0 {
		for i := range c.floats {
			c.floats[i] += c.t.plus
		}
	}
	if to == gguf.F32 {
		c.out = floatBytes(c.out[:0], c.floats)
		return c.out, nil
	}
	if to == gguf.F16 {
		if err := fitHalves(c.floats); err != nil {
			return nil, err
		}
	}
	size := n / to.BlockSize() * to.TypeSize()
	if cap(c.out) < size {
		c.out = make([]byte, size)
	}
	c.out = c.out[:size]
	// A vector can come in parts of any length where its type has no blocks.
	return c.out, ggml.Quantize(ggml.Type(to), c.floats, min(c.row, n), nil, c.out)
}

// fitHalves finds finite values that F16 would turn into infinity: 65520 is
// halfway from its largest value to the next.
func fitHalves(x []float32) error {
	for _, v := range x {
		if (v >= 65520 || v <= -65520) && !math.IsInf(float64(v), 0) {
			return fmt.Errorf("it holds %g, which does not fit F16; convert to BF16", v)
		}
	}
	return nil
}

// widen makes float32 of little-endian elements. Values of F64 are rounded.
func widen(t safetensors.DType, data []byte, out []float32) {
	le := binary.LittleEndian
	switch t {
	case safetensors.F16:
		for i := range out {
			out[i] = float16.Frombits(le.Uint16(data[2*i:])).Float32()
		}
	case safetensors.BF16:
		for i := range out {
			out[i] = math.Float32frombits(uint32(le.Uint16(data[2*i:])) << 16)
		}
	case safetensors.F32:
		for i := range out {
			out[i] = math.Float32frombits(le.Uint32(data[4*i:]))
		}
	case safetensors.F64:
		for i := range out {
			out[i] = float32(math.Float64frombits(le.Uint64(data[8*i:])))
		}
	}
}

// floatBytes appends float32 values, little-endian.
func floatBytes(b []byte, x []float32) []byte {
	for _, v := range x {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
	}
	return b
}
