package graph

// #include "shim.h"
import "C"

import (
	"errors"
	"fmt"
	"unsafe"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
)

// ErrDevice is wrapped by errors of a device: it is out of memory, or lost.
var ErrDevice = errors.New("ggml: the device failed")

var errClosed = errors.New("ggml: the backend is closed")

// mostTensors bounds the tensors of a graph, views included.
const mostTensors = 1 << 13

// A Backend computes graphs.
type Backend struct {
	c      C.struct_shim_backend
	device *ggml.Device
	open   bool
	stats  Stats
}

// Stats counts what a Backend has computed.
type Stats struct {
	Graphs int64 // computed
	Splits int64 // parts that they were divided into between the device and the CPU
}

// Open opens a device, or the CPU alone for nil. threads are those of the CPU.
func Open(device *ggml.Device, threads int) (*Backend, error) {
	if err := ggml.Load(); err != nil {
		return nil, err
	}
	b := &Backend{device: device}
	var dev C.ggml_backend_dev_t
	if device != nil {
		if dev = C.ggml_backend_dev_t(device.Pointer()); dev == nil {
			return nil, errors.New("ggml: the device is none of ggml's")
		}
	}
	var e cError
	if !C.shim_graph_open(dev, C.int(threads), mostTensors, &b.c, &e[0], C.size_t(len(e))) {
		return nil, b.failed(&e)
	}
	b.open = true
	return b, nil
}

// Close frees the backend, whose stores were closed before. Closing again does nothing.
func (b *Backend) Close() {
	if b != nil && b.open {
		b.open = false
		C.shim_graph_close(&b.c)
	}
}

// Stats returns what was computed so far.
func (b *Backend) Stats() Stats { return b.stats }

// Name is the device's, as "Vulkan0", or "CPU".
func (b *Backend) Name() string {
	if b.device == nil {
		return "CPU"
	}
	return b.device.Name
}

// MultipliesBy tells whether the device has products of weights of a type, out by in, with rows of
// float32.
func (b *Backend) MultipliesBy(t ggml.Type, in, out int) bool {
	if !b.open || in < 1 || out < 1 || !t.Known() || in%t.BlockSize() != 0 {
		return false
	}
	const tensors = 3
	ctx := C.shim_graph_context(tensors, false)
	if ctx == nil {
		return false
	}
	defer C.ggml_free(ctx)
	w := C.ggml_new_tensor_2d(ctx, C.enum_ggml_type(t), C.int64_t(in), C.int64_t(out))
	x := C.ggml_new_tensor_2d(ctx, C.GGML_TYPE_F32, C.int64_t(in), 64)
	return bool(C.shim_graph_supports(&b.c, C.ggml_mul_mat(ctx, w, x)))
}

// cError is room for what C++ threw.
type cError [512]C.char

// failed is the error of a call of the device, which is lost where Vulkan's C++ binding says so.
func (b *Backend) failed(e *cError) error {
	text := C.GoString(&e[0])
	if b.device != nil {
		ggml.NoteLoss([]ggml.Device{*b.device}, text)
	}
	return fmt.Errorf("%w: %s: %s", ErrDevice, b.Name(), text)
}

// Lost returns why the device computes nothing any more, nil while it does.
func (b *Backend) Lost() error {
	if b.device == nil {
		return nil
	}
	return b.device.Lost()
}

// A Tensor is an array of up to four dimensions. It is valid until its Store or Graph is closed.
type Tensor struct {
	c       *C.struct_ggml_tensor
	kind    ggml.Type
	dims    [4]int
	strides [4]int // bytes from one element, or row, to the next
	size    int    // bytes of what it covers
	store   *Store // nil for a graph's
}

func wrap(c *C.struct_ggml_tensor) *Tensor {
	t := &Tensor{c: c, kind: ggml.Type(c._type), size: int(C.ggml_nbytes(c))}
	for i := range t.dims {
		t.dims[i], t.strides[i] = int(c.ne[i]), int(c.nb[i])
	}
	return t
}

// Type returns the type of the elements.
func (t *Tensor) Type() ggml.Type { return t.kind }

// Dim returns the i-th dimension, 1 beyond those that the tensor has.
func (t *Tensor) Dim(i int) int { return t.dims[i] }

// Stride returns how many bytes lie between neighbours of the i-th dimension.
func (t *Tensor) Stride(i int) int { return t.strides[i] }

func (t *Tensor) elements() int { return t.dims[0] * t.dims[1] * t.dims[2] * t.dims[3] }

func (t *Tensor) contiguous() bool { return bool(C.ggml_is_contiguous(t.c)) }

// sized checks dimensions: their product, in bytes, must stay far from what integers hold.
func sized(t ggml.Type, dims []int) error {
	if len(dims) < 1 || len(dims) > 4 || !t.Known() {
		return fmt.Errorf("ggml: a tensor of %d dimensions of %v", len(dims), t)
	}
	const most = 1 << 40
	elements := 1
	for _, n := range dims {
		if n < 1 || n > most/elements {
			return fmt.Errorf("ggml: a tensor of %v elements", dims)
		}
		elements *= n
	}
	_, err := t.RowSize(dims[0])
	return err
}

// A Store holds tensors that stay in the memory of a device or of the CPU.
type Store struct {
	b        *Backend
	ctx      *C.struct_ggml_context
	buffer   C.ggml_backend_buffer_t
	onDevice bool
	room     int // for so many more tensors
	bytes    int
	err      error
}

// NewStore makes a store for so many tensors, on the device or the CPU.
func (b *Backend) NewStore(tensors int, onDevice bool) *Store {
	s := &Store{b: b, onDevice: onDevice && b.device != nil, room: tensors}
	if !b.open || tensors < 1 || tensors > mostTensors {
		s.err = errClosed
		return s
	}
	if s.ctx = C.shim_graph_context(C.size_t(tensors), false); s.ctx == nil {
		s.err = errors.New("ggml: no memory for tensors")
	}
	return s
}

// Tensor adds a tensor. After a mistake, which Alloc returns, it is nil.
func (s *Store) Tensor(t ggml.Type, dims ...int) *Tensor {
	if s.err == nil {
		s.err = sized(t, dims)
	}
	if s.err == nil && (s.room < 1 || s.buffer != nil) {
		s.err = errors.New("ggml: a tensor more than the store has room for")
	}
	if s.err != nil {
		return nil
	}
	s.room--
	var ne [4]C.int64_t
	for i, n := range dims {
		ne[i] = C.int64_t(n)
	}
	x := wrap(C.ggml_new_tensor(s.ctx, C.enum_ggml_type(t), C.int(len(dims)), &ne[0]))
	x.store = s
	s.bytes += x.size
	return x
}

// Alloc takes the memory of all tensors, whose contents are undefined until they are set.
func (s *Store) Alloc() error {
	if s.err != nil {
		return s.err
	}
	if !s.b.open || s.ctx == nil {
		return errClosed
	}
	var e cError
	errs := ggml.CollectErrors()
	s.buffer = C.shim_graph_alloc(&s.b.c, s.ctx, C.bool(s.onDevice), &e[0], C.size_t(len(e)))
	if s.buffer == nil {
		s.err = errs.Wrap(s.b.failed(&e))
		return s.err
	}
	errs.Stop()
	return nil
}

// Bytes returns how much memory the tensors take.
func (s *Store) Bytes() int { return s.bytes }

// OnDevice tells whether they lie on the device.
func (s *Store) OnDevice() bool { return s.onDevice }

// Close frees the tensors. Closing again, or a nil store, does nothing.
func (s *Store) Close() {
	if s == nil || s.ctx == nil {
		return
	}
	C.shim_graph_free(s.buffer)
	C.ggml_free(s.ctx)
	s.ctx, s.buffer = nil, nil
}

// ready tells whether a tensor of a store has memory.
func (t *Tensor) ready(size int) error {
	switch {
	case t == nil || t.store == nil || t.store.buffer == nil || !t.store.b.open:
		return errClosed
	case size != t.size:
		return fmt.Errorf("ggml: %d bytes for a tensor of %d", size, t.size)
	}
	return nil
}

// SetBytes fills a tensor of a store with rows as a GGUF file has them.
func (t *Tensor) SetBytes(data []byte) error {
	if err := t.ready(len(data)); err != nil {
		return err
	}
	return t.set(unsafe.Pointer(unsafe.SliceData(data)))
}

// SetFloats fills a tensor of float32.
func (t *Tensor) SetFloats(values []float32) error {
	if err := t.ready(4 * len(values)); err != nil {
		return err
	}
	if t.kind != ggml.F32 {
		return fmt.Errorf("ggml: float32 for a tensor of %v", t.kind)
	}
	return t.set(unsafe.Pointer(unsafe.SliceData(values)))
}

func (t *Tensor) set(data unsafe.Pointer) error {
	var e cError
	if !C.shim_graph_set(t.c, data, C.size_t(t.size), &e[0], C.size_t(len(e))) {
		return t.store.b.failed(&e)
	}
	return nil
}

// Floats returns the contents of a tensor of float32.
func (t *Tensor) Floats() ([]float32, error) {
	if t == nil || t.kind != ggml.F32 {
		return nil, errors.New("ggml: not a tensor of float32")
	}
	values := make([]float32, t.size/4)
	if err := t.ready(4 * len(values)); err != nil {
		return nil, err
	}
	var e cError
	if !C.shim_graph_get(t.c, unsafe.Pointer(unsafe.SliceData(values)), C.size_t(t.size), &e[0],
		C.size_t(len(e))) {
		return nil, t.store.b.failed(&e)
	}
	return values, nil
}
