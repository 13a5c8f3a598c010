package gguf

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"strconv"
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
	p := &part{path: path, size: size, r: r, alignment: defaultAlignment}
	if err := p.read(newDecoder(r, size)); err != nil {
		return nil, fmt.Errorf("gguf: %s: %w", path, err)
	}
	return p, nil
}

func (p *part) read(d *decoder) error {
	tensors, keys, err := p.readCounts(d)
	if err != nil {
		return err
	}
	if err := p.readKeys(d, keys); err != nil {
		return err
	}
	offsets, err := p.readTensors(d, tensors)
	if err != nil {
		return err
	}
	return p.place(d.pos, offsets)
}

// readCounts reads the fixed head of the file.
func (p *part) readCounts(d *decoder) (tensors, keys uint64, err error) {
	b, err := d.take(int(min(4, d.left())))
	if err != nil {
		return 0, 0, err
	}
	if string(b) != magic {
		rest, _ := d.take(int(min(4, d.left())))
		if old := oldFormat(append(b[:len(b):len(b)], rest...)); old != "" {
			return 0, 0, fmt.Errorf("%w: %s", ErrNotGGUF, old)
		}
		return 0, 0, fmt.Errorf("%w (it begins with %q)", ErrNotGGUF, b)
	}
	if p.version, err = d.u32(); err != nil {
		return 0, 0, err
	}
	switch v := p.version; {
	case v == 2 || v == 3: // 3 only added big-endian files
	case v != 0 && v&0xffff == 0:
		return 0, 0, fmt.Errorf("%w: the file is big-endian", ErrUnsupported)
	case v == 1:
		return 0, 0, fmt.Errorf("%w: %s", ErrUnsupported, oldVersion)
	default:
		return 0, 0, fmt.Errorf("%w: GGUF version %d, this reader knows 2 and 3", ErrUnsupported, v)
	}
	if tensors, err = d.u64(); err != nil {
		return 0, 0, err
	}
	if keys, err = d.u64(); err != nil {
		return 0, 0, err
	}
	if keys > maxKeys || tensors > maxTensors {
		return 0, 0, fmt.Errorf("%w: %d keys and %d tensors, at most %d and %d are read",
			ErrLimit, keys, tensors, maxKeys, maxTensors)
	}
	// The smallest key/value pair is an empty key and one byte, the smallest
	// tensor info an empty name without dimensions.
	if err := d.room(keys, 8+4+1, "a key count"); err != nil {
		return 0, 0, err
	}
	return tensors, keys, d.room(tensors, 8+4+4+8, "a tensor count")
}

func (p *part) readKeys(d *decoder, n uint64) error {
	p.index = make(map[string]int)
	for i := range n {
		key, err := d.name()
		if err != nil {
			return fmt.Errorf("key %d of %d: %w", i, n, err)
		}
		if _, ok := p.index[key]; ok {
			return fmt.Errorf("key %s: %w: it occurs twice", quote(key), ErrCorrupt)
		}
		t, err := d.u32()
		if err != nil {
			return fmt.Errorf("key %s: %w", quote(key), err)
		}
		v, err := d.value(ValueType(t), 0)
		if err != nil {
			return fmt.Errorf("key %s: %w", quote(key), err)
		}
		p.index[key] = len(p.keys)
		p.keys = append(p.keys, KV{key, v})
	}
	if v, ok := p.lookup(keyAlignment); ok {
		a, err := alignmentOf(v)
		if err != nil {
			return fmt.Errorf("key %q: %w", keyAlignment, err)
		}
		p.alignment = a
	}
	return nil
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
func (p *part) readTensors(d *decoder, n uint64) (offsets []uint64, err error) {
	seen := make(map[string]struct{})
	for i := range n {
		name, err := d.name()
		if err != nil {
			return nil, fmt.Errorf("tensor %d of %d: %w", i, n, err)
		}
		if _, ok := seen[name]; ok {
			return nil, fmt.Errorf("tensor %s: %w: it occurs twice", quote(name), ErrCorrupt)
		}
		seen[name] = struct{}{}
		t, offset, err := readTensor(d)
		if err != nil {
			return nil, fmt.Errorf("tensor %s: %w", quote(name), err)
		}
		t.Name, t.part = name, p
		p.tensors = append(p.tensors, t)
		offsets = append(offsets, offset)
	}
	return offsets, nil
}

// readTensor reads the rest of a tensor info, after the name.
func readTensor(d *decoder) (*Tensor, uint64, error) {
	n, err := d.u32()
	if err != nil {
		return nil, 0, err
	}
	if n > maxDims {
		return nil, 0, fmt.Errorf("%w: %d dimensions, ggml has at most %d", ErrCorrupt, n, maxDims)
	}
	t := &Tensor{Dims: make([]uint64, n)}
	for i := range t.Dims {
		if t.Dims[i], err = d.u64(); err != nil {
			return nil, 0, err
		}
	}
	b, err := d.take(4 + 8)
	if err != nil {
		return nil, 0, err
	}
	t.Type = Type(binary.LittleEndian.Uint32(b))
	t.elements, t.size, err = t.Type.extent(t.Dims)
	return t, binary.LittleEndian.Uint64(b[4:]), err
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
			return fmt.Errorf("tensor %s: %w: %d bytes at offset %d, but the file has %d bytes of tensor data",
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
