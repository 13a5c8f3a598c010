package bench

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"

	"github.com/eyelet-engine/eyelet/cgo/llama"
)

// baseMagic begins a file of a base's distributions.
const baseMagic = "EYELETBASE1\n"

// errOtherText says that a base was made of other tokens.
var errOtherText = errors.New(
	"the base was made of another text, or by a model with another tokenizer")

// A baseWriter writes the distributions of a base, place after place: the token that follows, scale
// and low in float32, and 16 bits a token. The file appears under its name when it is whole.
type baseWriter struct {
	path, tmp string
	f         *os.File
	w         *bufio.Writer
	d         distribution
}

func createBase(path string) (*baseWriter, error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".base-*")
	if err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	b := &baseWriter{path: path, tmp: f.Name(), f: f, w: bufio.NewWriterSize(f, 1<<20)}
	if _, err := b.w.WriteString(baseMagic); err != nil {
		b.abandon()
		return nil, fmt.Errorf("bench: %w", err)
	}
	return b, nil
}

func (b *baseWriter) add(logits []float32, next llama.Token) error {
	b.d.setLogits(logits)
	buf := make([]byte, 0, 16+2*len(logits))
	buf = binary.LittleEndian.AppendUint32(buf, uint32(next))
	buf = binary.LittleEndian.AppendUint32(buf, uint32(len(logits)))
	buf = binary.LittleEndian.AppendUint32(buf, math.Float32bits(b.d.scale))
	buf = binary.LittleEndian.AppendUint32(buf, math.Float32bits(b.d.low))
	for _, c := range b.d.codes {
		buf = binary.LittleEndian.AppendUint16(buf, c)
	}
	if _, err := b.w.Write(buf); err != nil {
		return fmt.Errorf("bench: writing the base's distributions: %w", err)
	}
	return nil
}

// finish gives the file its name.
func (b *baseWriter) finish() error {
	err := errors.Join(b.w.Flush(), b.f.Close())
	if err == nil {
		err = os.Rename(b.tmp, b.path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("bench: writing the base's distributions: %w", err),
			os.Remove(b.tmp))
	}
	return nil
}

// abandon removes what was written.
func (b *baseWriter) abandon() {
	b.f.Close()
	_ = os.Remove(b.tmp)
}

// A baseReader reads them again, in order.
type baseReader struct {
	f *os.File
	r *bufio.Reader
	d distribution
	b []byte
}

// openBase opens a file of distributions. A missing base is an error that says so.
func openBase(path string) (*baseReader, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("bench: the distributions of the base are missing: %w; measure the base again", err)
	}
	b := &baseReader{f: f, r: bufio.NewReaderSize(f, 1<<20)}
	magic := make([]byte, len(baseMagic))
	if _, err := io.ReadFull(b.r, magic); err != nil || string(magic) != baseMagic {
		f.Close()
		return nil, fmt.Errorf(
			"bench: %s holds no distributions of a base; measure the base again", path)
	}
	return b, nil
}

// next returns the distribution of the next place, which must be followed by the same token. It is
// valid until the next call.
func (b *baseReader) next(token llama.Token, vocabulary int) (*distribution, error) {
	var head [16]byte
	if _, err := io.ReadFull(b.r, head[:]); err != nil {
		if errors.Is(err, io.EOF) {
			err = errOtherText
		}
		return nil, fmt.Errorf("bench: %w", err)
	}
	le := binary.LittleEndian
	if llama.Token(le.Uint32(head[:])) != token || le.Uint32(head[4:]) != uint32(vocabulary) {
		return nil, fmt.Errorf("bench: %w", errOtherText)
	}
	b.d.scale, b.d.low = math.Float32frombits(le.Uint32(head[8:])),
		math.Float32frombits(le.Uint32(head[12:]))
	b.b = slices.Grow(b.b[:0], 2*vocabulary)[:2*vocabulary]
	if _, err := io.ReadFull(b.r, b.b); err != nil {
		return nil, fmt.Errorf("bench: the distributions of the base are cut short: %w", err)
	}
	b.d.codes = slices.Grow(b.d.codes[:0], vocabulary)[:vocabulary]
	for i := range b.d.codes {
		b.d.codes[i] = le.Uint16(b.b[2*i:])
	}
	return &b.d, nil
}

func (b *baseReader) close() { b.f.Close() }
