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
			err = fmt.Errorf("%w: its data ends at byte %d, but the file has %d bytes of tensor data", ErrTruncated, e.end, room)
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
	d := &decoder{json.NewDecoder(bytes.NewReader(header))}
	d.UseNumber()
	err = d.object(func(name string) error {
		if name == "__metadata__" {
			metadata = make(map[string]string)
			return d.object(func(key string) error {
				value, err := d.str()
				metadata[key] = value
				return err
			})
		}
		if len(entries) == maxTensors {
			return fmt.Errorf("%w: more than %d tensors", ErrLimit, maxTensors)
		}
		if len(name) > maxName {
			return fmt.Errorf("%w: a name of %d bytes", ErrLimit, len(name))
		}
		e, err := d.entry(name)
		entries = append(entries, e)
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, nil, fmt.Errorf("%w: the header goes on after its object", ErrCorrupt)
	}
	return entries, metadata, nil
}

// decoder reads the JSON of headers and indexes, in which no key may occur twice.
type decoder struct{ *json.Decoder }

// next reads a token that must be there.
func (d *decoder) next() (json.Token, error) {
	t, err := d.Token()
	if err != nil {
		return nil, fmt.Errorf("%w: no JSON: %v", ErrCorrupt, err)
	}
	return t, nil
}

func (d *decoder) delim(want json.Delim) error {
	t, err := d.next()
	if err == nil && t != want {
		err = fmt.Errorf("%w: it has %.40q in place of %s", ErrCorrupt, fmt.Sprint(t), want)
	}
	return err
}

// object reads an object; member is called after each key and reads its value.
// Errors name the key.
func (d *decoder) object(member func(key string) error) error {
	if err := d.delim('{'); err != nil {
		return err
	}
	seen := make(map[string]struct{})
	for d.More() {
		t, err := d.next()
		if err != nil {
			return err
		}
		key, ok := t.(string)
		if !ok {
			return fmt.Errorf("%w: it has %v in place of a key", ErrCorrupt, t)
		}
		if _, ok := seen[key]; ok {
			return fmt.Errorf("%s: %w: it occurs twice", quote(key), ErrCorrupt)
		}
		seen[key] = struct{}{}
		if err := member(key); err != nil {
			return fmt.Errorf("%s: %w", quote(key), err)
		}
	}
	return d.delim('}')
}

func (d *decoder) str() (string, error) {
	t, err := d.next()
	if err != nil {
		return "", err
	}
	s, ok := t.(string)
	if !ok {
		return "", fmt.Errorf("%w: %.40q is no string", ErrCorrupt, fmt.Sprint(t))
	}
	return s, nil
}

// numbers reads an array of at most limit whole numbers.
func (d *decoder) numbers(limit int) ([]uint64, error) {
	if err := d.delim('['); err != nil {
		return nil, err
	}
	list := []uint64{}
	for d.More() {
		t, err := d.next()
		if err != nil {
			return nil, err
		}
		text, _ := t.(json.Number)
		n, err := strconv.ParseUint(text.String(), 10, 63)
		if err != nil {
			return nil, fmt.Errorf("%w: %.40q is no size", ErrCorrupt, fmt.Sprint(t))
		}
		if len(list) == limit {
			return nil, fmt.Errorf("%w: more than %d numbers", ErrLimit, limit)
		}
		list = append(list, n)
	}
	return list, d.delim(']')
}

// entry reads what stands under a tensor's name.
func (d *decoder) entry(name string) (entry, error) {
	e := entry{name: name}
	var offsets []uint64
	err := d.object(func(key string) (err error) {
		switch key {
		case "dtype":
			var s string
			s, err = d.str()
			e.dtype = DType(s)
		case "shape":
			e.shape, err = d.numbers(maxDims)
		case "data_offsets":
			offsets, err = d.numbers(2)
		default:
			err = fmt.Errorf("%w: unknown key", ErrCorrupt)
		}
		return err
	})
	if err != nil {
		return e, err
	}
	if e.dtype == "" || e.shape == nil || len(offsets) != 2 {
		return e, fmt.Errorf("%w: dtype, shape or data_offsets is missing", ErrCorrupt)
	}
	e.start, e.end = offsets[0], offsets[1]
	return e, nil
}

// quote quotes a name for an error, cut short.
func quote(name string) string {
	const most = 100
	if len(name) > most {
		return strconv.Quote(name[:most]) + "…"
	}
	return strconv.Quote(name)
}
