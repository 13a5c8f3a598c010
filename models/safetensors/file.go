package safetensors

import (
	"errors"
	"fmt"
	"io"
	"os"
)

// File is a safetensors file, or the files of a split model.
type File struct {
	tensors  []*Tensor
	index    map[string]*Tensor
	metadata map[string]string
	parts    []*os.File
}

// Tensor describes one tensor of a File. Its fields must not be changed.
type Tensor struct {
	Name  string
	DType DType
	// Shape holds the number of elements in each dimension, the one that varies
	// fastest last: a weight of a linear layer is (out, in). None for a scalar.
	Shape []uint64

	path     string
	r        io.ReaderAt
	offset   int64
	size     int64
	elements uint64
}

// Elements returns the number of elements, the product of Shape.
func (t *Tensor) Elements() uint64 { return t.elements }

// Size returns the number of bytes that the tensor takes.
func (t *Tensor) Size() int64 { return t.size }

// Path returns the file that the tensor is in.
func (t *Tensor) Path() string { return t.path }

// Reader returns a reader of the tensor's Size bytes, row after row,
// little-endian. After File.Close its reads fail.
func (t *Tensor) Reader() *io.SectionReader { return io.NewSectionReader(t.r, t.offset, t.size) }

// Open opens one file.
func Open(path string) (*File, error) {
	f := new(File)
	if err := f.add(path, nil); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// Read reads the header of a file of size bytes from r; errors call it name.
// The tensors are read from r.
func Read(r io.ReaderAt, size int64, name string) (*File, error) {
	f := new(File)
	if err := f.read(r, size, name, nil); err != nil {
		return nil, err
	}
	return f, nil
}

// add opens a file and takes its tensors; with a weight map, those that it says
// are in this file.
func (f *File) add(path string, named map[string]bool) error {
	// Opening a pipe would wait for a writer.
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("safetensors: %w", err)
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("safetensors: %s: %w (it is no regular file)", path, ErrNotSafetensors)
	}
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("safetensors: %w", err)
	}
	f.parts = append(f.parts, file)
	if info, err = file.Stat(); err != nil {
		return fmt.Errorf("safetensors: %w", err)
	}
	return f.read(file, info.Size(), path, named)
}

func (f *File) read(r io.ReaderAt, size int64, path string, named map[string]bool) error {
	entries, metadata, data, err := readHeader(r, size)
	if err != nil {
		return fmt.Errorf("safetensors: %s: %w", path, err)
	}
	if f.index == nil {
		f.index, f.metadata = make(map[string]*Tensor), metadata
	}
	for _, e := range entries {
		if named != nil && !named[e.name] {
			return fmt.Errorf("safetensors: %s: tensor %s: %w: the index does not say that it is in this file", path, quote(e.name), ErrCorrupt)
		}
		t := &Tensor{Name: e.name, DType: e.dtype, Shape: e.shape, path: path, r: r,
			offset: data + int64(e.start), size: int64(e.end - e.start)}
		t.elements, _, _ = e.dtype.extent(e.shape) // place has checked it
		f.index[e.name] = t
		f.tensors = append(f.tensors, t)
	}
	return nil
}

// Tensors returns all tensors in the order of the files and their headers. The
// slice must not be changed.
func (f *File) Tensors() []*Tensor { return f.tensors }

// Tensor returns the tensor of that name.
func (f *File) Tensor(name string) (t *Tensor, ok bool) {
	t, ok = f.index[name]
	return t, ok
}

// Metadata returns what the header of the (first) file says under
// "__metadata__", nil if nothing.
func (f *File) Metadata() map[string]string { return f.metadata }

// Close closes the files. It may be called more than once.
func (f *File) Close() error {
	var errs []error
	for _, p := range f.parts {
		errs = append(errs, p.Close())
	}
	f.parts = nil
	return errors.Join(errs...)
}
