package gguf

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"

	"github.com/eyelet-engine/eyelet/models/internal/fault"
)

// KV is one metadata entry.
type KV struct {
	Key   string
	Value Value
}

// part is one file of a model, its metadata and where its bytes are.
type part struct {
	path      string
	size      int64
	r         io.ReaderAt
	data      []byte       // all bytes of the file, nil where they are not in memory
	close     func() error // of an opened file
	version   uint32
	alignment uint64
	keys      []KV
	index     map[string]int // into keys
	tensors   []*Tensor
	dataStart int64
}

// readPart reads and checks the metadata of one file.
func readPart(r io.ReaderAt, size int64, path string) (*part, error) {
	p := &part{path: path, size: size, r: r, alignment: defaultAlignment,
		index: make(map[string]int)}
	d := newDecoder(r, size)
	err := fault.Try(func() {
		tensors, keys := p.readCounts(d)
		for i := range keys {
			p.readKey(d, entryName(d, "key", i, keys))
		}
		p.readAlignment()
		offsets := p.readTensors(d, tensors)
		fault.Check(p.place(d.pos, offsets))
	})
	if err != nil {
		return nil, fmt.Errorf("gguf: %s: %w", path, err)
	}
	return p, nil
}

// readCounts reads the fixed head of the file.
func (p *part) readCounts(d *decoder) (tensors, keys uint64) {
	b := d.take(int(min(4, d.left())))
	if string(b) != magic {
		b = slices.Clone(b)
		rest := d.take(int(min(4, d.left())))
		if old := oldFormat(slices.Concat(b, rest)); old != "" {
			panic(fault.New("%w: %s", ErrNotGGUF, old))
		}
		panic(fault.New("%w (it begins with %q)", ErrNotGGUF, b))
	}
	p.version = d.u32()
	switch v := p.version; {
	case v == 2 || v == 3: // 3 only added big-endian files
	case v != 0 && v&0xffff == 0:
		panic(fault.New("%w: the file is big-endian", ErrUnsupported))
	case v == 1:
		panic(fault.New("%w: %s", ErrUnsupported, oldVersion))
	default:
		panic(fault.New("%w: GGUF version %d, this reader knows 2 and 3", ErrUnsupported, v))
	}
	tensors, keys = d.u64(), d.u64()
	if keys > maxKeys || tensors > maxTensors {
		panic(fault.New("%w: %d keys and %d tensors, at most %d and %d are read", ErrLimit, keys,
			tensors, maxKeys, maxTensors))
	}
	// The smallest key/value pair is an empty key and one byte, the smallest
	// tensor info an empty name without dimensions.
	d.room(keys, 8+4+1, "a key count")
	d.room(tensors, 8+4+4+8, "a tensor count")
	return tensors, keys
}

// entryName reads the name of the key or tensor at i of n.
func entryName(d *decoder, kind string, i, n uint64) string {
	defer fault.Within(func() string { return fmt.Sprintf("%s %d of %d", kind, i, n) })
	return d.name()
}

func (p *part) readKey(d *decoder, key string) {
	defer fault.Within(func() string { return "key " + quote(key) })
	if _, ok := p.index[key]; ok {
		panic(fault.New("%w: it occurs twice", ErrCorrupt))
	}
	p.index[key] = len(p.keys)
	p.keys = append(p.keys, KV{key, d.value(ValueType(d.u32()), 0)})
}

func (p *part) readAlignment() {
	if v, ok := p.lookup(keyAlignment); ok {
		a, err := alignmentOf(v)
		if err != nil {
			panic(fault.New("key %q: %w", keyAlignment, err))
		}
		p.alignment = a
	}
}

// alignmentOf checks general.alignment as ggml does: a uint32, a power of 2.
func alignmentOf(v Value) (uint64, error) {
	a := v.bits
	if v.typ != Uint32 || a == 0 || a&(a-1) != 0 {
		return 0, fmt.Errorf("%w: %s %s is no alignment, which is a uint32 and a power of two",
			ErrCorrupt, v.typ, v)
	}
	return a, nil
}

// readTensors reads the tensor infos and returns the offset of each tensor
// from the start of the tensor data.
func (p *part) readTensors(d *decoder, n uint64) (offsets []uint64) {
	seen := make(map[string]struct{})
	for i := range n {
		name := entryName(d, "tensor", i, n)
		if _, ok := seen[name]; ok {
			panic(fault.New("tensor %s: %w: it occurs twice", quote(name), ErrCorrupt))
		}
		seen[name] = struct{}{}
		t, offset := readTensor(d, name)
		t.part = p
		p.tensors = append(p.tensors, t)
		offsets = append(offsets, offset)
	}
	return offsets
}

// readTensor reads the rest of a tensor info, after the name.
func readTensor(d *decoder, name string) (t *Tensor, offset uint64) {
	defer fault.Within(func() string { return "tensor " + quote(name) })
	n := d.u32()
	if n > maxDims {
		panic(fault.New("%w: %d dimensions, ggml has at most %d", ErrCorrupt, n, maxDims))
	}
	t = &Tensor{Name: name, Dims: make([]uint64, n)}
	for i := range t.Dims {
		t.Dims[i] = d.u64()
	}
	t.Type, offset = Type(d.u32()), d.u64()
	var err error
	t.elements, t.size, err = t.Type.extent(t.Dims)
	fault.Check(err)
	return t, offset
}

// place turns offsets into positions in the file, and checks that each tensor
// is aligned, inside the file, and shares no byte with another.
func (p *part) place(metadataEnd int64, offsets []uint64) error {
	p.dataStart = min(pad(metadataEnd, int64(p.alignment)), p.size)
	room := uint64(p.size - p.dataStart)
	for i, t := range p.tensors {
		off := offsets[i]
		if off%p.alignment != 0 {
			return fmt.Errorf("tensor %s: %w: offset %d is no multiple of the alignment %d",
				quote(t.Name), ErrCorrupt, off, p.alignment)
		}
		if off > room || uint64(t.size) > room-off {
			return fmt.Errorf("tensor %s: %w: %d bytes at offset %d, "+
				"but the file has %d bytes of tensor data",
				quote(t.Name), ErrTruncated, t.size, off, room)
		}
		t.offset = p.dataStart + int64(off)
	}
	byOffset := slices.Clone(p.tensors)
	slices.SortStableFunc(byOffset, func(a, b *Tensor) int {
		return cmp.Compare(a.offset, b.offset)
	})
	var before *Tensor
	for _, t := range byOffset {
		if t.size == 0 {
			continue
		}
		if before != nil && t.offset < before.offset+before.size {
			return fmt.Errorf("tensor %s: %w: its data overlaps that of tensor %s", quote(t.Name),
				ErrCorrupt, quote(before.Name))
		}
		before = t
	}
	return nil
}

func (p *part) lookup(key string) (Value, bool) {
	i, ok := p.index[key]
	if !ok {
		return Value{}, false
	}
	return p.keys[i].Value, true
}

// pad rounds n up to a multiple of alignment, a power of two.
func pad(n, alignment int64) int64 { return (n + alignment - 1) &^ (alignment - 1) }

// quote quotes a name for an error, cut short: names may have 65 535 bytes.
func quote(name string) string {
	const most = 100
	if len(name) > most {
		return strconv.Quote(name[:most]) + "…"
	}
	return strconv.Quote(name)
}
