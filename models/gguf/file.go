package gguf

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
)

// File is a model: the metadata of one GGUF file, or of the first part of a
// split one, and the tensors of all parts. Its methods may be called from
// several goroutines, Close only when none is running any more.
type File struct {
	parts   []*part
	tensors []*Tensor
	byName  map[string]*Tensor
	close   func() error
}

// Open opens the model at path and checks all of its metadata. If the file is
// a part of a split model (split.count above 1), Open opens the other parts
// too, which lie beside it as PREFIX-00001-of-0000N.gguf, and checks that they
// belong together; any part will do for path. A path that is missing gives
// fs.ErrNotExist; a directory or a device gives ErrNotGGUF.
//
// Tensor data is mapped into memory, not read (where the system has no mmap,
// the whole file is read). The caller must call Close.
func Open(path string) (*File, error) {
	parts, err := openParts(path)
	if err != nil {
		return nil, err
	}
	f, err := assemble(parts)
	if err != nil {
		return nil, errors.Join(err, closeParts(parts))
	}
	f.close = sync.OnceValue(func() error { return closeParts(parts) })
	return f, nil
}

// openParts opens the file at path and those that belong with it, in order.
func openParts(path string) (parts []*part, err error) {
	p, err := openPart(path)
	if err != nil {
		return nil, err
	}
	parts = []*part{p}
	defer func() {
		if err != nil {
			err = errors.Join(err, closeParts(parts))
		}
	}()
	s, err := splitOf(p)
	if err != nil || s.count == 1 {
		return parts, err
	}
	parts = make([]*part, s.count)
	parts[s.no] = p
	for no := range parts {
		if no == s.no {
			continue
		}
		if parts[no], err = openPart(s.path(no)); err != nil {
			return parts, fmt.Errorf("%w (part %d of %d; %s needs it)", err, no+1, s.count, path)
		}
	}
	return parts, s.check(parts)
}

// closeParts closes the parts that are open, which are those not nil.
func closeParts(parts []*part) error {
	var errs []error
	for _, p := range parts {
		if p != nil {
			p.data = nil
			errs = append(errs, p.close())
		}
	}
	return errors.Join(errs...)
}

// openPart opens and maps one file.
func openPart(path string) (*part, error) {
	// Opening a named pipe would wait for a writer, so look first.
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("gguf: %w", err)
	}
	if info.IsDir() {
		return nil, fmt.Errorf("gguf: %s: %w: it is a directory", path, ErrNotGGUF)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("gguf: %s: %w: it is no regular file", path, ErrNotGGUF)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("gguf: %w", err)
	}
	p, err := mapPart(file, path)
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return p, nil
}

func mapPart(file *os.File, path string) (*part, error) {
	info, err := file.Stat()
	if err != nil {
		return nil, fmt.Errorf("gguf: %w", err)
	}
	p, err := readPart(file, info.Size(), path)
	if err != nil {
		return nil, err
	}
	data, unmap, err := mapFile(file, info.Size())
	if err != nil {
		return nil, fmt.Errorf("gguf: %s: mapping %d bytes: %w", path, info.Size(), err)
	}
	p.data = data
	p.close = func() error { return errors.Join(unmap(), file.Close()) }
	return p, nil
}

// Read reads the metadata of one GGUF file of the given size from r; name
// stands for it in errors and in Path. A part of a split model is read alone.
// Tensor.Data is nil; Tensor.Reader reads from r, which must stay usable.
func Read(r io.ReaderAt, size int64, name string) (*File, error) {
	if size < 0 {
		return nil, fmt.Errorf("gguf: %s: size %d", name, size)
	}
	p, err := readPart(r, size, name)
	if err != nil {
		return nil, err
	}
	return assemble([]*part{p})
}

// Parse is Read of bytes in memory; Tensor.Data returns parts of data.
func Parse(data []byte, name string) (*File, error) {
	f, err := Read(bytes.NewReader(data), int64(len(data)), name)
	if err != nil {
		return nil, err
	}
	f.parts[0].data = data
	f.close = func() error {
		f.parts[0].data = nil
		return nil
	}
	return f, nil
}

// assemble makes one model of its parts.
func assemble(parts []*part) (*File, error) {
	f := &File{parts: parts, byName: make(map[string]*Tensor)}
	for _, p := range parts {
		for _, t := range p.tensors {
			if other, ok := f.byName[t.Name]; ok {
				return nil, fmt.Errorf("gguf: %s: tensor %s: %w: %s has it too", p.path,
					quote(t.Name), ErrCorrupt, other.part.path)
			}
			f.byName[t.Name] = t
			f.tensors = append(f.tensors, t)
		}
	}
	return f, nil
}

// Close unmaps and closes the files. Slices from Tensor.Data must not be used
// afterwards; metadata stays readable. Closing again does nothing and returns
// the first call's result.
func (f *File) Close() error {
	if f.close == nil {
		return nil
	}
	return f.close()
}

// Path returns the path of the file, of a split model that of its first part:
// the one that libllama wants to be given.
func (f *File) Path() string { return f.parts[0].path }

// Parts returns the paths of all files of the model, in order.
func (f *File) Parts() []string {
	paths := make([]string, len(f.parts))
	for i, p := range f.parts {
		paths[i] = p.path
	}
	return paths
}

// Version returns the GGUF version of the (first) file: 2 or 3.
func (f *File) Version() int { return int(f.parts[0].version) }

// Alignment returns general.alignment of the (first) file, 32 by default.
func (f *File) Alignment() int64 { return int64(f.parts[0].alignment) }

// Size returns the bytes of all files of the model together.
func (f *File) Size() int64 {
	var n int64
	for _, p := range f.parts {
		n += p.size
	}
	return n
}

// Tensors returns the tensors of all parts in file order. The slice is the
// File's own and must not be changed.
func (f *File) Tensors() []*Tensor { return f.tensors }

// Tensor returns the tensor of that name.
func (f *File) Tensor(name string) (t *Tensor, ok bool) {
	t, ok = f.byName[name]
	return t, ok
}
