package gguf

import (
	"cmp"
	"io"
	"slices"
)

// Tensor describes one tensor of a File. Its fields must not be changed.
type Tensor struct {
	Name string
	Type Type
	// Dims holds the number of elements in each dimension in ggml's order,
	// the one that varies fastest first: a PyTorch weight of shape (out, in)
	// has Dims [in, out]. At most four; none for a scalar.
	Dims []uint64

	part     *part
	elements uint64
	size     int64
	offset   int64 // in the part's file
}

// Elements returns the number of elements, the product of Dims.
func (t *Tensor) Elements() uint64 { return t.elements }

// Size returns the number of bytes the tensor's data takes, without padding.
func (t *Tensor) Size() int64 { return t.size }

// Path returns the file the data is in, one of File.Parts.
func (t *Tensor) Path() string { return t.part.path }

// Offset returns where in that file the data starts.
func (t *Tensor) Offset() int64 { return t.offset }

// Data returns the tensor's Size bytes, row after row, little-endian. For an
// opened file they are a read-only view of the mapped file: writing to them
// faults, they start at a multiple of general.alignment (which can be as
// small as 1), and the slice must not be used after File.Close. If another
// process truncates the file meanwhile, touching the lost pages kills the
// program, as with any mapped file.
//
// Data returns nil after Close and for a file from Read, which has nothing in
// memory: use Reader there.
func (t *Tensor) Data() []byte {
	if t.part.data == nil {
		return nil
	}
	end := t.offset + t.size
	return t.part.data[t.offset:end:end]
}

// Reader returns a reader of the tensor's bytes that reads the file rather
// than the mapping. After File.Close its reads fail.
func (t *Tensor) Reader() *io.SectionReader {
	return io.NewSectionReader(t.part.r, t.offset, t.size)
}

// TypeCount says how much of a model is stored in one tensor type.
type TypeCount struct {
	Type     Type
	Tensors  int
	Elements uint64
	Bytes    int64
}

// Types counts the model's tensors by type, most bytes first.
func (f *File) Types() []TypeCount {
	var counts []TypeCount
	at := make(map[Type]int)
	for _, t := range f.tensors {
		i, ok := at[t.Type]
		if !ok {
			i = len(counts)
			at[t.Type] = i
			counts = append(counts, TypeCount{Type: t.Type})
		}
		c := &counts[i]
		c.Tensors++
		c.Elements += t.elements
		c.Bytes += t.size
	}
	slices.SortStableFunc(counts, func(a, b TypeCount) int {
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(a.Type, b.Type))
	})
	return counts
}
