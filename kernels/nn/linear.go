package nn

// #include "nn.h"
import "C"

import (
	"fmt"
	"unsafe"

	"github.com/eyelet-engine/eyelet/cgo/onednn"
)

// LinearWeights are the weights of a linear layer y = W x + b. They are read while a layer is made
// and not kept.
type LinearWeights struct {
	Weight []float32 // Out rows of In numbers
	Bias   []float32 // Out numbers, or nil
	In     int
	Out    int
}

// NormWeights are the weights of a layer norm, or of an RMS norm (Zhang and Sennrich 2019), which
// has no bias.
type NormWeights struct {
	Gain, Bias []float32
	RMS        bool
	Eps        float64 // 0 for the plan's
}

func (w *LinearWeights) check() error {
	if w.In < 1 || w.In > maxWidth || w.Out < 1 || w.Out > maxWidth ||
		len(w.Weight) != w.In*w.Out || w.Bias != nil && len(w.Bias) != w.Out {
		return fmt.Errorf("nn: a layer from %d to %d with %d weights and %d biases", w.In, w.Out,
			len(w.Weight), len(w.Bias))
	}
	return nil
}

// ending says what becomes of a layer's result.
type ending struct {
	activation onednn.Activation
	residual   bool // added to float32 rows
	floats     bool // stored as float32, not as activations
}

// linear is a packed layer.
type linear struct {
	c       C.nn_linear
	buffers []*onednn.Buffer
}

func (l *linear) close() {
	for _, b := range l.buffers {
		b.Close()
	}
	l.buffers = nil
}

// bytes is the size of the packed weights.
func (l *linear) bytes() (n int) {
	for _, b := range l.buffers {
		n += b.Len()
	}
	return n
}

// alloc makes a buffer that the layer owns.
func (l *linear) alloc(n int) (*onednn.Buffer, error) {
	b, err := onednn.Alloc(n)
	if err == nil {
		l.buffers = append(l.buffers, b)
	}
	return b, err
}

// newLinear packs a layer for blocks of rows.
func (p *Plan) newLinear(w LinearWeights, e ending) (_ *linear, err error) {
	if err := w.check(); err != nil {
		return nil, err
	}
	if err := p.open(); err != nil {
		return nil, err
	}
	l := &linear{c: C.nn_linear{in: C.int(w.In), out: C.int(w.Out),
		activation: C.nn_activation(e.activation)}}
	defer func() {
		if err != nil {
			l.close()
		}
	}()
	bias, err := l.alloc(4 * w.Out)
	if err != nil {
		return nil, err
	}
	copy(bias.Float32(), w.Bias)
	l.c.bias = floats(bias)
	if p.config.Precision.integers() {
		return l, p.packIntegers(l, w)
	}
	return l, p.packFloat(l, w, e)
}

func (p *Plan) packFloat(l *linear, w LinearWeights, e ending) error {
	weight := w.Weight
	if p.team.store == C.NN_ROUNDED {
		weight = append([]float32(nil), weight...)
		RoundToBF16(weight)
	}
	if p.panels.float {
		packed, err := l.alloc(4 * int(C.nn_panels_size(l.c.in, l.c.out)))
		if err != nil {
			return err
		}
		l.c.packed = packed.Pointer()
		C.nn_panels_pack(floats(packed), (*C.float)(addressOf(weight)), 1, C.size_t(w.In), l.c.in,
			l.c.out)
		return nil
	}
	dst := p.store
	if e.residual || e.floats {
		dst = onednn.F32
	}
	m, err := p.product(onednn.MatmulDesc{
		M: int(p.team.block), N: w.Out, K: w.In, Src: p.store, Weights: p.store, Dst: dst,
		Bias: true, Sum: e.residual, Activation: e.activation,
	})
	if err != nil {
		return err
	}
	packed, err := l.alloc(m.PackedBytes())
	if err != nil {
		return err
	}
	l.c.product, l.c.packed = (*C.eyelet_matmul)(m.Handle()), packed.Pointer()
	return p.pack(m, onednn.F32, addressOf(weight), packed.Pointer(), w.In)
}

// pack runs the packer of a product on n x k weights.
func (p *Plan) pack(m *onednn.Matmul, from onednn.Type, src, dst unsafe.Pointer, in int) error {
	k, err := p.packer(m, from, 1, in, cap(p.slots))
	if err != nil {
		return err
	}
	scratch, err := onednn.Alloc(k.ScratchBytes())
	if err != nil {
		return err
	}
	defer scratch.Close()
	slot := <-p.slots
	defer func() { p.slots <- slot }()
	return k.Run(slot, src, dst, scratch)
}

// columnsOfChunk bounds the 32-bit sums of a block of rows to what stays in the cache of a core.
const columnsOfChunk = 512

// maxIn8 is the widest input of an 8-bit layer through oneDNN, whose sums run over all of it: as
// many products of 255 and 127 fit in 31 bits. Those of panels end with a piece.
const maxIn8 = 1 << 16

// packIntegers quantizes the weights and packs them.
//
// Inputs are multiplied, and weights divided, by the root mean square of the weights of each input:
// weights get equal ranges, and inputs are rounded by what they weigh in the result (the idea of
// SmoothQuant, Xiao et al. 2023, whose factors also know inputs).
func (p *Plan) packIntegers(l *linear, w LinearWeights) error {
	if !p.panels.integers && w.In > maxIn8 {
		return fmt.Errorf("nn: an 8-bit layer from %d; sums of more than %d products leave 32 bits, use another precision", w.In, maxIn8)
	}
	by, err := l.alloc(4 * w.In)
	if err != nil {
		return err
	}
	l.c.by = floats(by)
	inverse := make([]float32, w.In)
	C.nn_balance(floats(by), (*C.float)(addressOf(inverse)), (*C.float)(addressOf(w.Weight)),
		l.c.in, l.c.out)
	if !p.panels.integers {
		return p.packBytes(l, w, inverse)
	}
	column, err := l.alloc(4 * int(C.nn_panels16_scales(l.c.in, l.c.out)))
	if err != nil {
		return err
	}
	l.c.bits = C.NN_BITS8
	if p.config.Precision == Int16 {
		l.c.bits = C.NN_BITS16
	}
	packed, err := l.alloc(int(C.nn_panels16_size(l.c.bits, l.c.in, l.c.out)))
	if err != nil {
		return err
	}
	l.c.column, l.c.packed = floats(column), packed.Pointer()
	C.nn_panels16_pack(l.c.bits, packed.Pointer(), l.c.column, (*C.float)(addressOf(w.Weight)),
		(*C.float)(addressOf(inverse)), l.c.in, l.c.out)
	return nil
}

// A row of activations gets more than a byte for each number where rounding them to bytes would
// cost this many times as much as the rounding of weights does.
const worthTheRest = 2

// packBytes quantizes each output channel for oneDNN.
func (p *Plan) packBytes(l *linear, w LinearWeights, inverse []float32) error {
	column, err := l.alloc(4 * w.Out)
	if err != nil {
		return err
	}
	sum, err := l.alloc(4 * w.Out)
	if err != nil {
		return err
	}
	l.c.column, l.c.sum = floats(column), (*C.int32_t)(sum.Pointer())
	sums := unsafe.Slice((*int32)(sum.Pointer()), w.Out)
	quants := make([]int8, w.Out*w.In)
	spread := 0.0
	for i := range w.Out {
		row := w.Weight[i*w.In:][:w.In]
		c := C.nn_channel_quantize((*C.int8_t)(&quants[i*w.In]), (*C.float)(addressOf(row)),
			(*C.float)(addressOf(inverse)), C.int(w.In))
		column.Float32()[i], sums[i] = float32(c.scale), int32(c.sum)
		spread += float64(c.spread)
	}
	l.c.spread = C.float(worthTheRest * spread / float64(w.Out))
	return p.packChunks(l, w, quants)
}

// packChunks packs chunks of output channels for oneDNN.
func (p *Plan) packChunks(l *linear, w LinearWeights, quants []int8) error {
	chunk := min(columnsOfChunk, w.Out)
	chunks := (w.Out + chunk - 1) / chunk
	desc := onednn.MatmulDesc{M: int(p.team.block), N: chunk, K: w.In, Src: onednn.U8,
		Weights: onednn.S8, Dst: onednn.S32}
	m, err := p.product(desc)
	if err != nil {
		return err
	}
	l.c.product, l.c.chunk, l.c.chunks = (*C.eyelet_matmul)(m.Handle()), C.int(chunk), C.int(chunks)
	last := m
	if narrow := w.Out - (chunks-1)*chunk; narrow < chunk {
		desc.N = narrow
		if last, err = p.product(desc); err != nil {
			return err
		}
		l.c.narrow = (*C.eyelet_matmul)(last.Handle())
	}
	packed, err := l.alloc((chunks-1)*m.PackedBytes() + last.PackedBytes())
	if err != nil {
		return err
	}
	l.c.packed = packed.Pointer()
	for c := range chunks {
		product, to := m, unsafe.Add(packed.Pointer(), c*m.PackedBytes())
		if c == chunks-1 {
			product = last
		}
		if err := p.pack(product, onednn.S8, unsafe.Pointer(&quants[c*chunk*w.In]), to,
			w.In); err != nil {
			return err
		}
	}
	return nil
}
