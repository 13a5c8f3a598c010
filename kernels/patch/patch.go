// Package patch takes 8-bit pictures to the first hidden states of a vision transformer in one
// pass: rescaling, normalisation, cutting into patches, the patch embedding, the class token and
// the position embedding. No float picture exists in between; a thread holds one block of patches
// at a time.
//
// The patch embedding is a convolution whose stride is its kernel's size, which is one matrix
// product over the pixels of the patches (Dosovitskiy et al. 2020). Normalisation is folded into
// its weights: with m the integer nearest to 255·mean, of a byte u
//
//	W (u/255 - mean)/std + b  =  W/(255 std) · (u - m)  +  b + W (m/255 - mean)/std
//
// and u - m is an integer that float32 and bfloat16 hold exactly, so that the product's input has
// no rounding error in either.
package patch

// #cgo CFLAGS: -O3 -fopenmp
// #cgo LDFLAGS: -ldnnl -lgomp
// #include <stdlib.h>
// #include "patch.h"
import "C"

import (
	"errors"
	"fmt"
	"math"
	"runtime"
	"unsafe"

	"github.com/eyelet-engine/eyelet/cgo/onednn"
	"github.com/eyelet-engine/eyelet/kernels/imaging"
	"github.com/eyelet-engine/eyelet/kernels/nn"
)

// Config gives the shapes of a patch embedding.
type Config struct {
	PatchSize int // side of a patch in pixels
	Hidden    int // width of the tower
	Mean, Std [3]float32
	// Precision of the product. Int8 stands for BF16 where the processor has it, else F32, and
	// Int16 for F32: the pixels are the tower's only exact input, and the product is a
	// five-hundredth of its work.
	Precision nn.Precision
	Threads   int // 0 means GOMAXPROCS
	Patches   int // of a usual tile; 0 for many, or any number
}

// Weights are what an embedding is made of. They are read while it is made and not kept.
type Weights struct {
	// Hidden rows of 3·p² numbers in the order of a convolution's weight: colour, y, x
	Patch []float32
	Bias  []float32 // Hidden numbers, or nil
	Class []float32 // Hidden numbers, or nil for a tower without class token
	// the class token stands after the patches, not before them; positions follow the rows
	ClassLast bool
}

// Embedding is a packed patch embedding. One Run at a time may be called, from the compute thread.
type Embedding struct {
	c       C.patch_embedding
	classes int  // 1 with a class token
	last    bool // it stands after the patches
	product *onednn.Matmul
	buffers []*onednn.Buffer
	pixels  *onednn.Buffer // of the tiles in hand
}

const (
	maxSide  = 1 << 14
	maxWidth = 1 << 17
)

// blockOf is about how many patches a block has.
const blockOf = 144

// New packs a patch embedding.
func New(c Config, w Weights) (_ *Embedding, err error) {
	if c.PatchSize < 1 || c.PatchSize > maxSide/8 || c.Hidden < 1 || c.Hidden > maxWidth ||
		c.Patches < 0 {
		return nil, fmt.Errorf("patch: patches of %d pixels, %d wide", c.PatchSize, c.Hidden)
	}
	pixels := 3 * c.PatchSize * c.PatchSize
	if len(w.Patch) != c.Hidden*pixels || w.Bias != nil && len(w.Bias) != c.Hidden ||
		w.Class != nil && len(w.Class) != c.Hidden {
		return nil, fmt.Errorf("patch: %d weights, %d biases and %d numbers of a class token do not fit patches of %d pixels, %d wide",
			len(w.Patch), len(w.Bias), len(w.Class), c.PatchSize, c.Hidden)
	}
	threads := c.Threads
	if threads <= 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	block := blockOf
	if c.Patches > 0 {
		perThread := max(1, (c.Patches+threads*blockOf/2)/(threads*blockOf))
		blocks := min(c.Patches, threads*perThread)
		block = (c.Patches + blocks - 1) / blocks
	}
	e := &Embedding{last: w.ClassLast, c: C.patch_embedding{
		patch: C.int(c.PatchSize), hidden: C.int(c.Hidden), block: C.int(block),
		threads: C.int(threads),
	}}
	if w.Class != nil {
		e.classes = 1
	}
	defer func() {
		if err != nil {
			e.Close()
		}
	}()
	if err := e.pack(c, w); err != nil {
		return nil, err
	}
	e.c.scratch_bytes = C.patch_scratch(&e.c)
	scratch, err := e.alloc(int(e.c.scratch_bytes) * threads)
	if err != nil {
		return nil, err
	}
	e.c.scratch = (*C.char)(scratch.Pointer())
	return e, nil
}

// A Grid says how tiles of one size are cut, and in which order the patches become rows.
type Grid struct {
	of      *Embedding
	c       C.patch_grid
	buffers []*onednn.Buffer
}

// NewGrid cuts tiles of width x height pixels; pixels beyond the last whole patch are not seen.
// order lists the patches, counted along the tile's rows, in the order of the rows; nil leaves them
// in that order. positions, where it is not nil, has Hidden numbers for each row, the class token's
// included.
func (e *Embedding) NewGrid(width, height int, order []int32,
	positions []float32) (_ *Grid, err error) {
	p := int(e.c.patch)
	if width < p || height < p || width > maxSide || height > maxSide {
		return nil, fmt.Errorf("patch: a tile of %d x %d pixels in patches of %d", width, height, p)
	}
	patches := (width / p) * (height / p)
	rows := patches + e.classes
	if order != nil && len(order) != patches ||
		positions != nil && len(positions) != rows*int(e.c.hidden) {
		return nil, fmt.Errorf("patch: an order of %d and %d numbers of positions for %d rows",
			len(order), len(positions), rows)
	}
	g := &Grid{of: e, c: C.patch_grid{
		width: C.int(width), height: C.int(height), across: C.int(width / p),
		patches: C.int(patches), rows: C.int(rows), class_row: -1,
	}}
	switch {
	case e.classes > 0 && e.last:
		g.c.class_row = C.int(patches)
	case e.classes > 0:
		g.c.class_row, g.c.first = 0, 1
	}
	defer func() {
		if err != nil {
			g.Close()
		}
	}()
	if order != nil {
		b, err := onednn.Alloc(4 * patches)
		if err != nil {
			return nil, err
		}
		g.buffers = append(g.buffers, b)
		g.c.order = (*C.int32_t)(b.Pointer())
		for i, at := range order {
			if at < 0 || int(at) >= patches {
				return nil, fmt.Errorf("patch: patch %d of %d", at, patches)
			}
			unsafe.Slice((*int32)(b.Pointer()), patches)[i] = at
		}
	}
	if positions != nil {
		b, err := onednn.Alloc(4 * len(positions))
		if err != nil {
			return nil, err
		}
		g.buffers = append(g.buffers, b)
		copy(b.Float32(), positions)
		g.c.positions = (*C.float)(b.Pointer())
	}
	return g, nil
}

// Rows returns the number of rows of a tile: a row a patch, and one for the class token if the
// tower has one.
func (g *Grid) Rows() int { return int(g.c.rows) }

// Close frees the grid. Closing again does nothing.
func (g *Grid) Close() {
	if g == nil {
		return
	}
	for _, b := range g.buffers {
		b.Close()
	}
	g.buffers, g.of = nil, nil
}

func (e *Embedding) alloc(n int) (*onednn.Buffer, error) {
	b, err := onednn.Alloc(n)
	if err == nil {
		e.buffers = append(e.buffers, b)
	}
	return b, err
}

// keep copies numbers to C's memory.
func (e *Embedding) keep(dst **C.float, v []float32) error {
	b, err := e.alloc(4 * len(v))
	if err == nil {
		copy(b.Float32(), v)
		*dst = (*C.float)(b.Pointer())
	}
	return err
}

// pack folds the normalisation into the weights and packs them for the product.
func (e *Embedding) pack(c Config, w Weights) error {
	store := onednn.F32
	precision := c.Precision.Resolve()
	if precision != nn.F32 && precision != nn.Int16 && onednn.CPU().BF16 {
		store, e.c.bf16 = onednn.BF16, 1
	}
	centre, err := e.alloc(2 * 3 * c.PatchSize)
	if err != nil {
		return err
	}
	e.c.centre = (*C.int16_t)(centre.Pointer())
	centres := unsafe.Slice((*int16)(centre.Pointer()), 3*c.PatchSize)
	for i := range centres {
		centres[i] = int16(centreOf(c.Mean[i%3]))
	}
	folded, bias := fold(c, w)
	if precision == nn.BF16 && store == onednn.F32 {
		nn.RoundToBF16(folded)
	}
	if err := e.keep(&e.c.bias, bias); err != nil {
		return err
	}
	if err := e.keep(&e.c.class_token, w.Class); err != nil {
		return err
	}
	k := 3 * c.PatchSize * c.PatchSize
	e.product, err = onednn.NewMatmul(onednn.MatmulDesc{
		M: int(e.c.block), N: c.Hidden, K: k, Src: store, Weights: store, Dst: onednn.F32,
		Bias: true,
	}, int(e.c.threads))
	if err != nil {
		return err
	}
	e.c.product = (*C.eyelet_matmul)(e.product.Handle())
	packed, err := e.alloc(e.product.PackedBytes())
	if err != nil {
		return err
	}
	e.c.packed = packed.Pointer()
	packer, err := e.product.NewPacker(onednn.F32, 1, k, 1)
	if err != nil {
		return err
	}
	defer packer.Close()
	scratch, err := onednn.Alloc(packer.ScratchBytes())
	if err != nil {
		return err
	}
	defer scratch.Close()
	return packer.Run(0, unsafe.Pointer(unsafe.SliceData(folded)), packed.Pointer(), scratch)
}

// centreOf returns the byte nearest to a mean on the scale 0 to 1.
func centreOf(mean float32) int {
	return int(math.RoundToEven(min(max(float64(mean)*255, 0), 255)))
}

// fold returns the weights for rows of centred bytes, colours innermost, and the bias that goes
// with them.
func fold(c Config, w Weights) (weights, bias []float32) {
	p := c.PatchSize
	weights, bias = make([]float32, len(w.Patch)), make([]float32, c.Hidden)
	var scale, shift [3]float64
	for i := range 3 {
		scale[i] = 1 / (255 * float64(c.Std[i]))
		shift[i] = (float64(centreOf(c.Mean[i]))/255 - float64(c.Mean[i])) / float64(c.Std[i])
	}
	for n := range c.Hidden {
		from, to := w.Patch[n*3*p*p:][:3*p*p], weights[n*3*p*p:][:3*p*p]
		var b float64
		if w.Bias != nil {
			b = float64(w.Bias[n])
		}
		for colour := range 3 {
			for i, v := range from[colour*p*p:][:p*p] {
				to[3*i+colour] = float32(float64(v) * scale[colour])
				b += float64(v) * shift[colour]
			}
		}
		bias[n] = float32(b)
	}
	return weights, bias
}

// Bytes returns the size of the packed weights.
func (e *Embedding) Bytes() (n int) {
	for _, b := range e.buffers {
		n += b.Len()
	}
	return n - int(e.c.scratch_bytes)*int(e.c.threads)
}

var errClosed = errors.New("patch: the embedding is closed")

// Run writes the hidden states of tiles of a grid's size to x: for each tile Rows() rows of Hidden
// float32 numbers.
func (e *Embedding) Run(g *Grid, tiles []*imaging.RGB, x *onednn.Buffer) error {
	if e.product == nil || g.of != e {
		return errClosed
	}
	width, height := int(g.c.width), int(g.c.height)
	size := 3 * width * height
	for i, t := range tiles {
		if err := t.Check(); err != nil {
			return fmt.Errorf("patch: tile %d: %w", i, err)
		}
		if t.W != width || t.H != height {
			return fmt.Errorf("patch: tile %d has %d x %d pixels, want %d x %d", i, t.W, t.H, width,
				height)
		}
	}
	if need := 4 * len(tiles) * g.Rows() * int(e.c.hidden); len(tiles) == 0 || x.Len() < need {
		return fmt.Errorf("patch: %d bytes for the rows of %d tiles, want %d", x.Len(), len(tiles),
			need)
	}
	if e.pixels.Len() < size*len(tiles) {
		b, err := onednn.Alloc(size * len(tiles))
		if err != nil {
			return err
		}
		e.pixels.Close()
		e.pixels = b
	}
	for i, t := range tiles {
		copy(e.pixels.Bytes()[i*size:], t.Pix)
	}
	status := C.patch_run(&e.c, &g.c, (*C.uint8_t)(e.pixels.Pointer()), C.int(len(tiles)),
		(*C.float)(x.Pointer()))
	if status != 0 {
		return fmt.Errorf("patch: oneDNN reports status %d", int(status))
	}
	return nil
}

// Close frees the weights. Closing again does nothing.
func (e *Embedding) Close() {
	for _, b := range e.buffers {
		b.Close()
	}
	e.buffers = nil
	e.pixels.Close()
	e.product.Close()
	e.product = nil
}
