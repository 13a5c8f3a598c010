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
func (t *tensor) rows(emit func([]byte) error) error {
	width := t.src.DType.Bits() / 8
	r := t.src.Reader()
	if t.order == nil {
		return t.part.whole(int(t.elements())).read(r, int(t.dims[0]), width, emit)
	}
	size := t.unit * width
	units, sorted := make([]byte, len(t.order)*size), make([]byte, len(t.order)*size)
	for at := int64(0); at < r.Size(); at += int64(len(units)) {
		if _, err := r.ReadAt(units, at); err != nil {
			return err
		}
		for i, from := range t.order {
			copy(sorted[i*size:], units[from*size:(from+1)*size])
		}
		if err := emit(sorted); err != nil {
			return err
		}
	}
	return nil
}

// interleaved is the order of the n rows of a head of queries or keys that rotate in pairs:
// transformers pairs row j with row j + n/2, Meta's original and llama.cpp row 2j with row 2j + 1.
func interleaved(n int) (order []int) {
	for j := range n / 2 {
		order = append(order, j, j+n/2)
	}
	return order
}

// planar is the order of the elements of so many pixels that have n colours side by side, one
// colour after the other.
func planar(n, pixels int) (order []int) {
	for colour := range n {
		for i := range pixels {
			order = append(order, i*n+colour)
		}
	}
	return order
}

// apart is the inverse of interleaved for the first n of a head's rows; the others stay.
func apart(n, rows int) (order []int) {
	for start := range 2 {
		for j := start; j < n; j += 2 {
			order = append(order, j)
		}
	}
	for j := n; j < rows; j++ {
		order = append(order, j)
	}
	return order
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
