package gguf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"

	"github.com/eyelet-engine/eyelet/models/internal/fault"
)

// decoder reads the primitives of GGUF from a file of known size. Metadata is
// read rather than mapped, so that a file that shrinks meanwhile is an error
// and not a SIGBUS. Every count is compared with the bytes left before memory
// is allocated for it. Faults of the file travel as panics as far as readPart.
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
func (d *decoder) room(n uint64, size int, what string) {
	switch {
	case n <= d.left()/uint64(size):
	case d.end < d.size:
		panic(fault.New("%w: %s of %d reaches past the %d bytes that metadata may take", ErrLimit,
			what, n, int64(maxMetadata)))
	default:
		panic(fault.New("%w: %s of %d, but the file has %d bytes left", ErrTruncated, what, n,
			d.left()))
	}
}

// take returns the next n bytes, n at most len(d.buf); they are valid until
// the next call.
func (d *decoder) take(n int) []byte {
	if len(d.window) < n {
		d.room(uint64(n), 1, "a field")
		window := d.buf[:min(int64(len(d.buf)), d.end-d.pos)]
		if m, err := d.r.ReadAt(window, d.pos); m < len(window) {
			if err == nil || errors.Is(err, io.EOF) {
				err = fmt.Errorf("%w: the file shrank while it was read", ErrTruncated)
			}
			panic(fault.Of(err))
		}
		d.window = window
	}
	b := d.window[:n]
	d.window = d.window[n:]
	d.pos += int64(n)
	return b
}

func (d *decoder) u32() uint32 { return binary.LittleEndian.Uint32(d.take(4)) }
func (d *decoder) u64() uint64 { return binary.LittleEndian.Uint64(d.take(8)) }

// appendString reads a string onto b and returns its length.
func (d *decoder) appendString(b *strings.Builder) int {
	n := d.u64()
	d.room(n, 1, "a string")
	b.Grow(int(n))
	for left := int(n); left > 0; {
		chunk := d.take(min(left, len(d.buf)))
		b.Write(chunk)
		left -= len(chunk)
	}
	return int(n)
}

func (d *decoder) str() string {
	var b strings.Builder
	d.appendString(&b)
	return b.String()
}

// name reads a key or a tensor name.
func (d *decoder) name() string {
	s := d.str()
	if len(s) > maxName {
		panic(fault.New("%w: a name of %d bytes", ErrLimit, len(s)))
	}
	return s
}

// value reads a value of type t; depth counts the arrays around it.
func (d *decoder) value(t ValueType, depth int) Value {
	switch t {
	case String:
		return Value{typ: String, ref: d.str()}
	case Array:
		return Value{typ: Array, ref: d.array(depth + 1)}
	}
	if !t.valid() {
		panic(fault.New("%w: unknown value type %d", ErrUnsupported, uint32(t)))
	}
	size := valueTypes[t].size
	b := d.take(size)
	var wide [8]byte
	copy(wide[:], b)
	n := binary.LittleEndian.Uint64(wide[:])
	switch t {
	case Bool:
		checkBools(b)
	case Int8, Int16, Int32:
		unused := 64 - 8*size
		n = uint64(int64(n<<unused) >> unused)
	}
	return Value{typ: t, bits: n}
}

// array reads an array into the slice type that Value keeps it in.
func (d *decoder) array(depth int) any {
	if depth > maxDepth {
		panic(fault.New("%w: arrays nested more than %d deep", ErrLimit, maxDepth))
	}
	t := ValueType(d.u32())
	if !t.valid() {
		panic(fault.New("%w: array of unknown value type %d", ErrUnsupported, uint32(t)))
	}
	n := d.u64()
	d.room(n, valueTypes[t].size, "an array")
	switch t {
	case Bool:
		return d.bools(n)
	case String:
		return d.strings(n)
	case Array:
		return d.arrays(n, depth)
	}
	return d.numbers(t, int(n))
}

// numbers reads n numbers, for which room has been checked, into a slice of their Go type.
func (d *decoder) numbers(t ValueType, n int) any {
	out := reflect.MakeSlice(reflect.SliceOf(valueTypes[t].scalar), n, n)
	size := valueTypes[t].size
	for from := 0; from < n; {
		end := min(n, from+len(d.buf)/size)
		_, err := binary.Decode(d.take((end-from)*size), binary.LittleEndian,
			out.Slice(from, end).Interface())
		fault.Check(err)
		from = end
	}
	return out.Interface()
}

func (d *decoder) bools(n uint64) []bool {
	b := d.numbers(Uint8, int(n)).([]uint8)
	checkBools(b)
	out := make([]bool, n)
	for i, x := range b {
		out[i] = x != 0
	}
	return out
}

// checkBools follows the specification: a byte but 0 and 1 makes the model
// invalid or the reader wrong about where it is.
func checkBools(b []byte) {
	for _, x := range b {
		if x > 1 {
			panic(fault.New("%w: a bool of %d", ErrCorrupt, x))
		}
	}
}

// strings reads n strings into one block of memory that they share: a
// vocabulary then costs the garbage collector a few objects, not 100 000.
func (d *decoder) strings(n uint64) []string {
	var b strings.Builder
	lengths := make([]uint32, 0, n) // each below maxMetadata
	defer fault.Within(func() string { return fmt.Sprintf("element %d", len(lengths)) })
	for range n {
		lengths = append(lengths, uint32(d.appendString(&b)))
	}
	all := b.String()
	out := make([]string, n)
	for i, m := range lengths {
		out[i], all = all[:m], all[m:]
	}
	return out
}

func (d *decoder) arrays(n uint64, depth int) []Value {
	if n > maxNested-uint64(d.nested) {
		panic(fault.New("%w: more than %d nested arrays", ErrLimit, maxNested))
	}
	d.nested += int(n)
	out := make([]Value, 0, n)
	defer fault.Within(func() string { return fmt.Sprintf("element %d", len(out)) })
	for range n {
		out = append(out, d.value(Array, depth))
	}
	return out
}
