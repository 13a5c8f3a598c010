package convert

import (
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/eyelet-engine/eyelet/models/gguf"
	"github.com/eyelet-engine/eyelet/models/safetensors"
)

// output is a file in the making. Its plan methods add tensors; the first one
// that is missing or has the wrong shape is kept as err.
type output struct {
	*source
	ctx     context.Context
	path    string
	typ     gguf.Type // of matrices
	w       *gguf.Writer
	tensors []*tensor
	tell    func(n int) // called after n bytes
	written int64       // bytes of the whole file
	err     error
	// metadata sets the keys of the file, when its tensors are known.
	metadata func()
}

// tensor is one tensor of the output.
type tensor struct {
	name string
	typ  gguf.Type
	dims []uint64 // in ggml's order
	src  *safetensors.Tensor
	// order, if not nil, is that in which each len(order) units of src are written; a unit has so
	// many elements.
	order  []int
	unit   int
	part   part      // of src
	plus   float32   // added to each element, of F32 alone
	values []float32 // in place of src: computed here
}

// part is a selection of a tensor's elements: count runs of so many elements, the first at start,
// each step after the one before. The zero part is the whole tensor.
type part struct{ start, run, step, count int }

// whole replaces the zero part.
func (p part) whole(elements int) part {
	if p.count == 0 {
		return part{run: elements, count: 1}
	}
	return p
}

func (s *source) newOutput(ctx context.Context, path string, typ gguf.Type) *output {
	return &output{source: s, ctx: ctx, path: path, typ: typ}
}

// fail keeps the first fault.
func (o *output) fail(format string, args ...any) {
	if o.err == nil {
		o.err = fmt.Errorf("convert: %w: %w", ErrWeights, fmt.Errorf(format, args...))
	}
}

// missing is the fault that a tensor is not there.
func (o *output) missing(from string) {
	o.fail("%s: no tensor %s, which a %v needs", o.dir, spoken(from), o.config)
}

// matrixType is the type of a matrix with rows of n elements.
func (o *output) matrixType(n int) gguf.Type {
	if n%o.typ.BlockSize() != 0 {
		return gguf.F16
	}
	return o.typ
}

// add plans a tensor that the model must have. from is its canonical name,
// shape its shape in the folder.
func (o *output) add(name, from string, shape ...int) *tensor {
	return o.addPart(name, from, part{}, shape, shape)
}

// addIf plans a tensor that the model can have.
func (o *output) addIf(name, from string, shape ...int) *tensor {
	if o.names[from] == nil {
		return &tensor{}
	}
	return o.add(name, from, shape...)
}

// addPart plans a tensor of a part of one that the model must have: from is that one's canonical
// name, whole its shape in the folder, shape the part's.
func (o *output) addPart(name, from string, p part, whole, shape []int) *tensor {
	src, ok := o.names[from]
	if !ok {
		o.missing(from)
		return &tensor{}
	}
	o.check(src, whole)
	t := &tensor{name: name, typ: gguf.F32, dims: reversed(shape), src: src, part: p}
	if len(shape) > 1 {
		t.typ = o.matrixType(shape[len(shape)-1])
	}
	o.tensors = append(o.tensors, t)
	return t
}

// check wants a tensor of the folder to have a shape and a type that is converted, and notes that
// it is used.
func (o *output) check(src *safetensors.Tensor, shape []int) {
	want := reversed(shape)
	slices.Reverse(want)
	if !slices.Equal(src.Shape, want) {
		o.fail("%s: tensor %q has the shape %v, and config.json calls for %v", src.Path(), src.Name,
			src.Shape, want)
	}
	if !canRead(src.DType) {
		o.fail("%s: tensor %q is of type %s; weights of types F16, BF16, F32 and F64 are converted",
			src.Path(), src.Name, src.DType)
	}
	o.used[src] = true
}

// mostSorted bounds the elements that are put in another order at a time.
const mostSorted = 1 << 26

// sort has each len(order) units of so many elements written in another order: rows of a matrix, or
// single elements.
func (o *output) sort(t *tensor, unit int, order []int) {
	if t.src == nil { // missing, which is said already
		return
	}
	t.order, t.unit = order, unit
	if n := uint64(len(order) * unit); n == 0 || n > mostSorted || t.elements()%n != 0 {
		o.fail("%s: tensor %q: its %d elements cannot be put in another order %d at a time",
			t.src.Path(), t.src.Name, t.elements(), n)
	}
}

// reversed is a shape in ggml's order.
func reversed(shape []int) []uint64 {
	dims := make([]uint64, len(shape))
	for i, n := range shape {
		dims[len(shape)-1-i] = uint64(n)
	}
	return dims
}

// thirds plans queries, keys and values that a folder has in one layer.
func (o *output) thirds(to, from string, width, in int) {
	for i, name := range []string{"attn_q", "attn_k", "attn_v"} {
		n := width * in
		o.addPart(to+name+".weight", from+".weight", part{start: i * n, run: n, step: n, count: 1},
			[]int{3 * width, in}, []int{width, in})
		o.addPart(to+name+".bias", from+".bias", part{start: i * width, run: width, step: width,
			count: 1}, []int{3 * width}, []int{width})
	}
}

// norm plans the weight of a norm of n elements, and its bias if it has one.
func (o *output) norm(name, from string, n int, bias bool) *tensor {
	if bias {
		o.add(name+".bias", from+".bias", n)
	}
	return o.add(name+".weight", from+".weight", n)
}

// layer plans the weight of a linear layer, and its bias if it must have one.
func (o *output) layer(name, from string, out, in int, bias bool) *tensor {
	if bias {
		o.add(name+".bias", from+".bias", out)
	}
	return o.add(name+".weight", from+".weight", out, in)
}

// linear plans the weight of a linear layer and its bias, if it has one.
func (o *output) linear(name, from string, out, in int) (weight, bias *tensor) {
	return o.add(name+".weight", from+".weight", out, in), o.addIf(name+".bias", from+".bias", out)
}

// parameters counts the elements of all tensors.
func (o *output) parameters() (n int64) {
	for _, t := range o.tensors {
		n += int64(t.elements())
	}
	return n
}

// size is the number of bytes of all tensors.
func (o *output) size() (n int64) {
	for _, t := range o.tensors {
		n += int64(t.elements() / uint64(t.typ.BlockSize()) * uint64(t.typ.TypeSize()))
	}
	return n
}

func (t *tensor) elements() uint64 {
	n := uint64(1)
	for _, d := range t.dims {
		n *= d
	}
	return n
}

// finish checks the plans of all files together and makes their writers.
func (s *source) finish(outputs []*output) error {
	for _, o := range outputs {
		if o.err != nil {
			return o.err
		}
	}
	if err := s.leftOver(); err != nil {
		return err
	}
	for _, o := range outputs {
		o.metadata()
		for _, t := range o.tensors {
			o.w.AddTensorFunc(t.name, t.typ, t.dims, func(out io.Writer) error {
				return o.write(t, out)
			})
		}
		if err := o.w.Err(); err != nil {
			return fmt.Errorf("convert: %s: %w", o.path, err)
		}
	}
	return nil
}
