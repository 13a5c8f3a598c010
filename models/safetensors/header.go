package safetensors

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/eyelet-engine/eyelet/models/internal/fault"
)

// entry is what the header tells about a tensor.
type entry struct {
	name       string
	dtype      DType
	shape      []uint64
	start, end uint64 // in the tensor data
}

// readHeader reads and checks the header of a file of size bytes, and returns
// where the tensor data begins.
func readHeader(r io.ReaderAt,
	size int64) (entries []entry, metadata map[string]string, data int64, err error) {
	var b [8]byte
	if size < int64(len(b)) {
		return nil, nil, 0, fmt.Errorf("%w (it has %d bytes)", ErrNotSafetensors, size)
	}
	if err := readAt(r, b[:], 0); err != nil {
		return nil, nil, 0, err
	}
	n := binary.LittleEndian.Uint64(b[:])
	room := uint64(size) - uint64(len(b))
	// Any file begins with some number: the bracket tells a damaged file from another kind.
	var first [1]byte
	if room == 0 {
		return nil, nil, 0, fmt.Errorf("%w: a header of %d bytes, and the file ends", ErrTruncated,
			n)
	}
	if err := readAt(r, first[:], int64(len(b))); err != nil {
		return nil, nil, 0, err
	}
	switch {
	case first[0] != '{' || n < 2:
		return nil, nil, 0, fmt.Errorf("%w (no header at its start)", ErrNotSafetensors)
	case n > maxHeader && n > room: // which no writer of the format can have meant
		return nil, nil, 0, fmt.Errorf("%w (its first bytes tell no length of a header)",
			ErrNotSafetensors)
	case n > maxHeader:
		return nil, nil, 0, fmt.Errorf("%w: a header of %d bytes, at most %d are read", ErrLimit, n,
			maxHeader)
	case n > room:
		return nil, nil, 0, fmt.Errorf("%w: a header of %d bytes in a file of %d", ErrTruncated, n,
			size)
	}
	header := make([]byte, n)
	if err := readAt(r, header, int64(len(b))); err != nil {
		return nil, nil, 0, err
	}
	if entries, metadata, err = parseHeader(header); err != nil {
		return nil, nil, 0, err
	}
	return entries, metadata, int64(len(b)) + int64(n), place(entries, room-n)
}

func readAt(r io.ReaderAt, b []byte, offset int64) error {
	n, err := r.ReadAt(b, offset)
	if n == len(b) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = fmt.Errorf("%w: the file shrank while it was read", ErrTruncated)
	}
	return err
}

// place checks that each tensor has the bytes that its type and shape call for,
// and that the tensors together take all of the data and no byte twice, which
// the format demands.
func place(entries []entry, room uint64) error {
	for _, e := range entries {
		_, size, err := e.dtype.extent(e.shape)
		switch {
		case err != nil:
		case e.start > e.end:
			err = fmt.Errorf("%w: data_offsets %d to %d", ErrCorrupt, e.start, e.end)
		case e.end > room:
			err = fmt.Errorf("%w: its data ends at byte %d, but the file has %d bytes of tensor data",
				ErrTruncated, e.end, room)
		case e.end-e.start != size:
			err = fmt.Errorf("%w: %v of %s takes %d bytes, not %d", ErrCorrupt, e.shape, e.dtype,
				size, e.end-e.start)
		}
		if err != nil {
			return fmt.Errorf("tensor %s: %w", quote(e.name), err)
		}
	}
	byOffset := slices.Clone(entries)
	slices.SortStableFunc(byOffset, func(a, b entry) int {
		return cmp.Or(cmp.Compare(a.start, b.start), cmp.Compare(a.end, b.end))
	})
	var end uint64
	for _, e := range byOffset {
		if e.start < end {
			return fmt.Errorf("tensor %s: %w: its data overlaps that of another tensor",
				quote(e.name), ErrCorrupt)
		}
		if e.start > end {
			return fmt.Errorf("tensor %s: %w: %d bytes before its data belong to no tensor",
				quote(e.name), ErrCorrupt, e.start-end)
		}
		end = e.end
	}
	if end != room {
		return fmt.Errorf("%w: %d bytes at the end belong to no tensor", ErrCorrupt, room-end)
	}
	return nil
}

// parseHeader reads the header's JSON token by token: encoding/json's own way
// into a map would let a name that occurs twice pass.
func parseHeader(header []byte) (entries []entry, metadata map[string]string, err error) {
	if !utf8.Valid(header) {
		return nil, nil, fmt.Errorf("%w: the header is not UTF-8", ErrCorrupt)
	}
	d := newDecoder(header)
	err = fault.Try(func() {
		d.object(func(name string) {
			if name == "__metadata__" {
				metadata = make(map[string]string)
				d.object(func(key string) { metadata[key] = d.str() })
				return
			}
			if len(entries) == maxTensors {
				panic(fault.New("%w: more than %d tensors", ErrLimit, maxTensors))
			}
			if len(name) > maxName {
				panic(fault.New("%w: a name of %d bytes", ErrLimit, len(name)))
			}
			entries = append(entries, d.entry(name))
		})
		if _, err := d.Token(); !errors.Is(err, io.EOF) {
			panic(fault.New("%w: the header goes on after its object", ErrCorrupt))
		}
	})
	if err != nil {
		return nil, nil, err
	}
	return entries, metadata, nil
}

// decoder reads the JSON of headers and indexes, in which no key may occur twice. What is wrong
// with it is a panic of a [fault.Fault].
type decoder struct{ *json.Decoder }

func newDecoder(data []byte) *decoder {
	d := &decoder{json.NewDecoder(bytes.NewReader(data))}
	d.UseNumber()
	return d
}

// next reads a token that must be there.
func (d *decoder) next() json.Token {
	t, err := d.Token()
	if err != nil {
		panic(fault.New("%w: no JSON: %v", ErrCorrupt, err))
	}
	return t
}

func (d *decoder) delim(want json.Delim) {
	if t := d.next(); t != want {
		panic(fault.New("%w: it has %.40q in place of %s", ErrCorrupt, fmt.Sprint(t), want))
	}
}

// object reads an object; member is called after each key and reads its value.
// Errors name the key.
func (d *decoder) object(member func(key string)) {
	d.delim('{')
	seen := make(map[string]struct{})
	for d.More() {
		t := d.next()
		key, ok := t.(string)
		if !ok {
			panic(fault.New("%w: it has %v in place of a key", ErrCorrupt, t))
		}
		if _, ok := seen[key]; ok {
			panic(fault.New("%s: %w: it occurs twice", quote(key), ErrCorrupt))
		}
		seen[key] = struct{}{}
		func() {
			defer fault.Within(func() string { return quote(key) })
			member(key)
		}()
	}
	d.delim('}')
}

func (d *decoder) str() string {
	t := d.next()
	s, ok := t.(string)
	if !ok {
		panic(fault.New("%w: %.40q is no string", ErrCorrupt, fmt.Sprint(t)))
	}
	return s
}

// numbers reads an array of at most limit whole numbers.
func (d *decoder) numbers(limit int) []uint64 {
	d.delim('[')
	list := []uint64{}
	for d.More() {
		t := d.next()
		text, _ := t.(json.Number)
		n, err := strconv.ParseUint(text.String(), 10, 63)
		if err != nil {
			panic(fault.New("%w: %.40q is no size", ErrCorrupt, fmt.Sprint(t)))
		}
		if len(list) == limit {
			panic(fault.New("%w: more than %d numbers", ErrLimit, limit))
		}
		list = append(list, n)
	}
	d.delim(']')
	return list
}

// entry reads what stands under a tensor's name.
func (d *decoder) entry(name string) entry {
	e := entry{name: name}
	var offsets []uint64
	d.object(func(key string) {
		switch key {
		case "dtype":
			e.dtype = DType(d.str())
		case "shape":
			e.shape = d.numbers(maxDims)
		case "data_offsets":
			offsets = d.numbers(2)
		default:
			panic(fault.New("%w: unknown key", ErrCorrupt))
		}
	})
	if e.dtype == "" || e.shape == nil || len(offsets) != 2 {
		panic(fault.New("%w: dtype, shape or data_offsets is missing", ErrCorrupt))
	}
	e.start, e.end = offsets[0], offsets[1]
	return e
}

// quote quotes a name for an error, cut short.
func quote(name string) string {
	const most = 100
	if len(name) > most {
		return strconv.Quote(name[:most]) + "…"
	}
	return strconv.Quote(name)
}
