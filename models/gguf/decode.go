package gguf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
)

// decoder reads the primitives of GGUF from a file of known size. Metadata is
// read rather than mapped, so that a file that shrinks meanwhile is an error
// and not a SIGBUS. Every count is compared with the bytes left before memory
// is allocated for it.
type decoder struct {
	r      io.ReaderAt
	size   int64 // of the file
	end    int64 // where metadata must end: size or maxMetadata
	pos    int64
	window []byte // bytes of the file from pos on
	buf    []byte // window's storage
	nested int    // arrays inside arrays so far
}

const windowSize = 64 << 10

func newDecoder(r io.ReaderAt, size int64) *decoder {
	end := min(size, maxMetadata)
	return &decoder{r: r, size: size, end: end, buf: make([]byte, min(end, windowSize))}
}

func (d *decoder) left() uint64 { return uint64(d.end - d.pos) }

// room checks that n items of at least size bytes can follow.
func (d *decoder) room(n uint64, size int, what string) error {
	if n <= d.left()/uint64(size) {
		return nil
	}
	if d.end < d.size {
		return fmt.Errorf("%w: %s of %d reaches past the %d bytes that metadata may take", ErrLimit,
			what, n, int64(maxMetadata))
	}
	return fmt.Errorf("%w: %s of %d, but the file has %d bytes left", ErrTruncated, what, n,
		d.left())
}

// take returns the next n bytes, n at most len(d.buf); they are valid until
// the next call.
func (d *decoder) take(n int) ([]byte, error) {
	if len(d.window) < n {
		if err := d.room(uint64(n), 1, "a field"); err != nil {
			return nil, err
		}
		window := d.buf[:min(int64(len(d.buf)), d.end-d.pos)]
		if m, err := d.r.ReadAt(window, d.pos); m < len(window) {
			if err == nil || errors.Is(err, io.EOF) {
				err = fmt.Errorf("%w: the file shrank while it was read", ErrTruncated)
			}
			return nil, err
		}
		d.window = window
	}
	b := d.window[:n]
	d.window = d.window[n:]
	d.pos += int64(n)
	return b, nil
}

func (d *decoder) u32() (uint32, error) {
	b, err := d.take(4)
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint32(b), nil
}

func (d *decoder) u64() (uint64, error) {
	b, err := d.take(8)
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint64(b), nil
}

// appendString reads a string onto b and returns its length.
func (d *decoder) appendString(b *strings.Builder) (int, error) {
	n, err := d.u64()
	if err != nil {
		return 0, err
	}
	if err := d.room(n, 1, "a string"); err != nil {
		return 0, err
	}
	b.Grow(int(n))
	for left := int(n); left > 0; {
		chunk, err := d.take(min(left, len(d.buf)))
		if err != nil {
			return 0, err
		}
		b.Write(chunk)
		left -= len(chunk)
	}
	return int(n), nil
}

func (d *decoder) str() (string, error) {
	var b strings.Builder
	_, err := d.appendString(&b)
	return b.String(), err
}

// name reads a key or a tensor name.
func (d *decoder) name() (string, error) {
	s, err := d.str()
	if err == nil && len(s) > maxName {
		err = fmt.Errorf("%w: a name of %d bytes", ErrLimit, len(s))
	}
	return s, err
}

// value reads a value of type t; depth counts the arrays around it.
func (d *decoder) value(t ValueType, depth int) (Value, error) {
	switch t {
	case String:
		s, err := d.str()
		return Value{typ: String, ref: s}, err
	case Array:
		a, err := d.array(depth + 1)
		return Value{typ: Array, ref: a}, err
	}
	if !t.valid() {
		return Value{}, fmt.Errorf("%w: unknown value type %d", ErrUnsupported, uint32(t))
	}
	b, err := d.take(valueTypes[t].size)
	if err != nil {
		return Value{}, err
	}
	var n uint64
	switch t {
	case Bool:
		err = checkBools(b)
		n = uint64(b[0])
	case Uint8:
		n = uint64(b[0])
	case Int8:
		n = uint64(int8(b[0]))
	case Uint16:
		n = uint64(binary.LittleEndian.Uint16(b))
	case Int16:
		n = uint64(int16(binary.LittleEndian.Uint16(b)))
	case Uint32, Float32:
		n = uint64(binary.LittleEndian.Uint32(b))
	case Int32:
		n = uint64(int32(binary.LittleEndian.Uint32(b)))
	case Uint64, Int64, Float64:
		n = binary.LittleEndian.Uint64(b)
	}
	return Value{typ: t, bits: n}, err
}

// array reads an array into the slice type that Value keeps it in.
func (d *decoder) array(depth int) (any, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("%w: arrays nested more than %d deep", ErrLimit, maxDepth)
	}
	raw, err := d.u32()
	if err != nil {
		return nil, err
	}
	t := ValueType(raw)
	if !t.valid() {
		return nil, fmt.Errorf("%w: array of unknown value type %d", ErrUnsupported, raw)
	}
	n, err := d.u64()
	if err != nil {
		return nil, err
	}
	if err := d.room(n, valueTypes[t].size, "an array"); err != nil {
		return nil, err
	}
	switch t {
	case Uint8:
		return numbers[uint8](d, n)
	case Int8:
		return numbers[int8](d, n)
	case Uint16:
		return numbers[uint16](d, n)
	case Int16:
		return numbers[int16](d, n)
	case Uint32:
		return numbers[uint32](d, n)
	case Int32:
		return numbers[int32](d, n)
	case Uint64:
		return numbers[uint64](d, n)
	case Int64:
		return numbers[int64](d, n)
	case Float32:
		return numbers[float32](d, n)
	case Float64:
		return numbers[float64](d, n)
	case Bool:
		return d.bools(n)
	case String:
		return d.strings(n)
	}
	return d.arrays(n, depth)
}

// numbers reads n numbers, for which room has been checked.
func numbers[T number](d *decoder, n uint64) ([]T, error) {
	out := make([]T, n)
	size := binary.Size(T(0))
	for rest := out; len(rest) > 0; {
		part := rest[:min(len(rest), len(d.buf)/size)]
		b, err := d.take(len(part) * size)
		if err != nil {
			return nil, err
		}
		if _, err := binary.Decode(b, binary.LittleEndian, part); err != nil {
			return nil, err
		}
		rest = rest[len(part):]
	}
	return out, nil
}

func (d *decoder) bools(n uint64) ([]bool, error) {
	b, err := numbers[uint8](d, n)
	if err == nil {
		err = checkBools(b)
	}
	if err != nil {
		return nil, err
	}
	out := make([]bool, n)
	for i, x := range b {
		out[i] = x != 0
	}
	return out, nil
}

// checkBools follows the specification: a byte but 0 and 1 makes the model
// invalid or the reader wrong about where it is.
func checkBools(b []byte) error {
	for _, x := range b {
		if x > 1 {
			return fmt.Errorf("%w: a bool of %d", ErrCorrupt, x)
		}
	}
	return nil
}

// strings reads n strings into one block of memory that they share: a
// vocabulary then costs the garbage collector a few objects, not 100 000.
func (d *decoder) strings(n uint64) ([]string, error) {
	var b strings.Builder
	lengths := make([]uint32, n) // below maxMetadata
	for i := range lengths {
		m, err := d.appendString(&b)
		if err != nil {
			return nil, fmt.Errorf("element %d: %w", i, err)
		}
		lengths[i] = uint32(m)
	}
	all := b.String()
	out := make([]string, n)
	for i, m := range lengths {
		out[i], all = all[:m], all[m:]
	}
	return out, nil
}

func (d *decoder) arrays(n uint64, depth int) ([]Value, error) {
	if n > maxNested-uint64(d.nested) {
		return nil, fmt.Errorf("%w: more than %d nested arrays", ErrLimit, maxNested)
	}
	d.nested += int(n)
	out := make([]Value, n)
	for i := range out {
		v, err := d.value(Array, depth)
		if err != nil {
			return nil, fmt.Errorf("element %d: %w", i, err)
		}
		out[i] = v
	}
	return out, nil
}
