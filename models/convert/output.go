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
	// heads, if not 0, is the number of attention heads whose rows are to be put
	// in another order, see rows.
	heads  int
	values []float32 // in place of src: computed here
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
	t, ok := o.names[from]
	if !ok {
		o.missing(from)
		return &tensor{}
	}
	return o.addFrom(name, t, shape)
}

// addIf plans a tensor that the model can have.
func (o *output) addIf(name, from string, shape ...int) *tensor {
	if t, ok := o.names[from]; ok {
		return o.addFrom(name, t, shape)
	}
	return &tensor{}
}

func (o *output) addFrom(name string, src *safetensors.Tensor, shape []int) *tensor {
	want := make([]uint64, len(shape))
	for i, n := range shape {
		want[i] = uint64(n)
	}
	if !slices.Equal(src.Shape, want) {
		o.fail("%s: tensor %q has the shape %v, and config.json calls for %v", src.Path(), src.Name, src.Shape, want)
	}
	if !canRead(src.DType) {
		o.fail("%s: tensor %q is of type %s; weights of types F16, BF16, F32 and F64 are converted", src.Path(), src.Name, src.DType)
	}
	slices.Reverse(want)
	t := &tensor{name: name, typ: gguf.F32, dims: want, src: src}
	if len(shape) > 1 {
		t.typ = o.matrixType(shape[len(shape)-1])
	}
	o.used[src] = true
	o.tensors = append(o.tensors, t)
	return t
}

// linear plans the weight of a linear layer and its bias, if it has one.
func (o *output) linear(name, from string, out, in int) (weight, bias *tensor) {
	return o.add(name+".weight", from+".weight", out, in), o.addIf(name+".bias", from+".bias", out)
}

// pair plans a weight and a bias that must be there.
func (o *output) pair(name, from string, shape ...int) {
	o.add(name+".weight", from+".weight", shape...)
	o.add(name+".bias", from+".bias", shape[0])
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
			o.w.AddTensorFunc(t.name, t.typ, t.dims, func(out io.Writer) error { return o.write(t, out) })
		}
		if err := o.w.Err(); err != nil {
			return fmt.Errorf("convert: %s: %w", o.path, err)
		}
	}
	return nil
}
