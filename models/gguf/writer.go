package gguf

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

// maxTensorName is one less than GGML_MAX_NAME: ggml refuses longer names.
const maxTensorName = 63

// maxAlignment bounds the padding between the tensors of a written file.
const maxAlignment = 1 << 20

// Writer builds a GGUF file (version 3, little-endian). Set and AddTensor
// collect what goes into it, WriteTo or WriteFile stream it out: keys in the
// order in which they were first set, tensors in the order in which they were
// added, so the same calls give the same bytes. A Writer must not be used by
// several goroutines at once; the zero Writer is ready to use.
//
// Mistakes (a value of no GGUF type, a name twice, a wrong size) are kept: the
// first one comes back from Err, WriteTo and WriteFile, so that a long list of
// Set calls needs no checks in between.
type Writer struct {
	keys    []KV
	index   map[string]int
	tensors []tensorSource
	names   map[string]struct{}
	err     error
}

type tensorSource struct {
	name  string
	typ   Type
	dims  []uint64
	size  int64
	write func(io.Writer) error
}

// NewWriter returns a Writer whose general.architecture is set to arch, the
// one key that every model must have.
func NewWriter(arch string) *Writer {
	w := new(Writer)
	w.Set(keyArchitecture, arch)
	return w
}

// Err returns the first mistake made so far.
func (w *Writer) Err() error { return w.err }

func (w *Writer) fail(format string, args ...any) {
	if w.err == nil {
		w.err = fmt.Errorf("gguf: "+format, args...)
	}
}

// Set sets key to value, which is of a Go type that NewValue takes; setting a
// key again replaces its value and keeps its place. Setting general.alignment
// (a uint32, a power of two, at most 1 MiB) changes the padding of the tensors.
func (w *Writer) Set(key string, value any) {
	v, err := newValue(value)
	if err == nil {
		err = checkKey(key, v)
	}
	if err != nil {
		w.fail("key %s: %w", quote(key), err)
		return
	}
	if i, ok := w.index[key]; ok {
		w.keys[i].Value = v
		return
	}
	if w.index == nil {
		w.index = make(map[string]int)
	}
	w.index[key] = len(w.keys)
	w.keys = append(w.keys, KV{key, v})
}

// checkKey refuses what the reader would not take back.
func checkKey(key string, v Value) error {
	if key == "" || len(key) > maxName {
		return fmt.Errorf("a key has 1 to %d bytes, this one has %d", maxName, len(key))
	}
	if key == keyAlignment {
		a, err := alignmentOf(v)
		if err == nil && a > maxAlignment {
			err = fmt.Errorf("%w: alignment %d, at most %d is written", ErrLimit, a, maxAlignment)
		}
		return err
	}
	nested := 0
	return checkNesting(v, 0, &nested)
}

func checkNesting(v Value, depth int, nested *int) error {
	if v.typ != Array {
		return nil
	}
	depth++
	if depth > maxDepth {
		return fmt.Errorf("%w: arrays nested more than %d deep", ErrLimit, maxDepth)
	}
	elems, _ := v.ref.([]Value)
	if *nested += len(elems); *nested > maxNested {
		return fmt.Errorf("%w: more than %d nested arrays", ErrLimit, maxNested)
	}
	for _, e := range elems {
		if err := checkNesting(e, depth, nested); err != nil {
			return err
		}
	}
	return nil
}

// AddTensor adds a tensor of the given type and dimensions (ggml's order, the
// fastest first) whose bytes are data. The slices are kept, not copied.
func (w *Writer) AddTensor(name string, t Type, dims []uint64, data []byte) {
	if _, size, err := t.extent(dims); err == nil && size != int64(len(data)) {
		w.fail("tensor %s: %v of %s takes %d bytes, not %d", quote(name), dims, t, size, len(data))
		return
	}
	w.AddTensorFunc(name, t, dims, func(out io.Writer) error {
		_, err := out.Write(data)
		return err
	})
}

// AddTensorFunc adds a tensor whose bytes are made when the file is written:
// write is called once in each WriteTo, when it is this tensor's turn, and
// must write exactly the bytes that t and dims call for. A model larger than
// memory is written this way. To copy a tensor, let write copy its Reader.
func (w *Writer) AddTensorFunc(name string, t Type, dims []uint64, write func(io.Writer) error) {
	_, size, err := t.extent(dims)
	if _, ok := w.names[name]; ok && err == nil {
		err = errors.New("it was added already")
	}
	if n := len(name); err == nil && (n == 0 || n > maxTensorName) {
		err = fmt.Errorf("a tensor name has 1 to %d bytes, this one has %d", maxTensorName, n)
	}
	if err != nil {
		w.fail("tensor %s: %w", quote(name), err)
		return
	}
	if w.names == nil {
		w.names = make(map[string]struct{})
	}
	w.names[name] = struct{}{}
	w.tensors = append(w.tensors, tensorSource{name, t, dims, size, write})
}

// WriteTo writes the file to out and returns the number of bytes written.
func (w *Writer) WriteTo(out io.Writer) (int64, error) {
	if w.err != nil {
		return 0, w.err
	}
	c := &countingWriter{w: bufio.NewWriterSize(out, windowSize)}
	err := w.writeAll(c)
	if err == nil {
		err = c.w.Flush()
	}
	return c.n - int64(c.w.Buffered()), err
}

func (w *Writer) writeAll(c *countingWriter) error {
	alignment := int64(defaultAlignment)
	if i, ok := w.index[keyAlignment]; ok {
		alignment = int64(w.keys[i].Value.bits)
	}
	head, err := w.header(alignment)
	if err != nil {
		return err
	}
	if _, err := c.Write(head); err != nil {
		return err
	}
	// The data begins on a multiple of the alignment and each tensor is padded
	// to one; a file without tensors ends with its header, as in ggml.
	for _, t := range w.tensors {
		if err := c.pad(alignment); err != nil {
			return err
		}
		if err := c.tensor(t); err != nil {
			return fmt.Errorf("gguf: tensor %s: %w", quote(t.name), err)
		}
	}
	if len(w.tensors) == 0 {
		return nil
	}
	return c.pad(alignment)
}

// countingWriter knows its position, which padding needs.
type countingWriter struct {
	w *bufio.Writer
	n int64
}

func (c *countingWriter) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.n += int64(n)
	return n, err
}

func (c *countingWriter) pad(alignment int64) error {
	_, err := c.Write(make([]byte, pad(c.n, alignment)-c.n))
	return err
}

// tensor lets t write its data and checks that it is all of it and no more.
func (c *countingWriter) tensor(t tensorSource) error {
	start := c.n
	if err := t.write(&limitedWriter{c, t.size}); err != nil {
		return err
	}
	if n := c.n - start; n != t.size {
		return fmt.Errorf("%d bytes were written of %d", n, t.size)
	}
	return nil
}

// limitedWriter refuses bytes beyond a tensor's size before they are written.
type limitedWriter struct {
	w    io.Writer
	left int64
}

func (l *limitedWriter) Write(b []byte) (int, error) {
	if int64(len(b)) > l.left {
		return 0, fmt.Errorf("%d bytes too many were written", int64(len(b))-l.left)
	}
	n, err := l.w.Write(b)
	l.left -= int64(n)
	return n, err
}

// Bytes returns the file in memory.
func (w *Writer) Bytes() ([]byte, error) {
	var b bytes.Buffer
	_, err := w.WriteTo(&b)
	return b.Bytes(), err
}
