package disk

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"

	"github.com/eyelet-engine/eyelet/engine/kv"
)

// A file of embeddings, little endian:
//
//	magic    8 bytes, which name the format and its version
//	count    uint64, how many numbers
//	key      32 bytes
//	numbers  count float32
//	sum      uint32, the CRC-32C (RFC 3720, appendix B.4) of all before it
//
// The sum finds damage, such as the holes of a file that was renamed before its data reached the
// disk; it is no seal.
const rowsMagic = "EYELETE1"

const (
	rowsHeader  = len(rowsMagic) + 8 + len(kv.Key{})
	rowsTrailer = 4
	rowsChunk   = 64 << 10 // bytes converted at a time
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var (
	// errDamaged is the error of a file that does not hold what its name says.
	errDamaged = errors.New("is damaged")
	// errNotFinite is the error of numbers that no tower in order computes, and no language model
	// survives.
	errNotFinite = errors.New("not finite")
)

// Size is the size of a file of so many numbers; values is at least 0 and below 2^60.
func Size(values int) int64 {
	return int64(rowsHeader) + 4*int64(values) + int64(rowsTrailer)
}

// rowsHead is the beginning of the file.
func rowsHead(k kv.Key, values int) []byte {
	head := binary.LittleEndian.AppendUint64([]byte(rowsMagic), uint64(values))
	return append(head, k[:]...)
}

// finite reports whether x is neither an infinity nor NaN.
func finite(x float32) bool { return x-x == 0 }

// writeRows writes the file of a key.
func writeRows(w io.Writer, k kv.Key, rows []float32) error {
	sum := crc32.New(castagnoli)
	b := bufio.NewWriterSize(io.MultiWriter(sum, w), rowsChunk)
	b.Write(rowsHead(k, len(rows))) // a bufio.Writer keeps its first error for Flush
	for i, x := range rows {
		if !finite(x) {
			return fmt.Errorf("number %d is %v: %w", i, x, errNotFinite)
		}
		b.Write(binary.LittleEndian.AppendUint32(b.AvailableBuffer(), math.Float32bits(x)))
	}
	if err := b.Flush(); err != nil {
		return err
	}
	_, err := w.Write(binary.LittleEndian.AppendUint32(nil, sum.Sum32()))
	return err
}

// readRows reads the file of a key, which must hold so many numbers. Size is the file's. Errors are
// errDamaged, or those of r.
func readRows(r io.Reader, size int64, k kv.Key, values int) ([]float32, error) {
	if values <= 0 || int64(values) > 1<<40 || size != Size(values) {
		return nil, fmt.Errorf("it has %d bytes, not those of %d numbers: %w", size, values,
			errDamaged)
	}
	sum := crc32.New(castagnoli)
	buf := make([]byte, rowsChunk)
	fill := func(b []byte) error {
		if _, err := io.ReadFull(r, b); err == io.EOF || err == io.ErrUnexpectedEOF {
			return fmt.Errorf("it ends early: %w", errDamaged)
		} else if err != nil {
			return err
		}
		sum.Write(b)
		return nil
	}
	if err := fill(buf[:rowsHeader]); err != nil {
		return nil, err
	}
	if string(buf[:rowsHeader]) != string(rowsHead(k, values)) {
		return nil, fmt.Errorf("its header is not that of %x with %d numbers: %w", k[:4], values,
			errDamaged)
	}
	rows := make([]float32, values)
	for rest := rows; len(rest) > 0; {
		part := rest[:min(len(rest), rowsChunk/4)]
		if err := fill(buf[:4*len(part)]); err != nil {
			return nil, err
		}
		for i := range part {
			part[i] = math.Float32frombits(binary.LittleEndian.Uint32(buf[4*i:]))
			if !finite(part[i]) {
				return nil, fmt.Errorf("a number is %v: %w", part[i], errDamaged)
			}
		}
		rest = rest[len(part):]
	}
	want := sum.Sum32()
	if err := fill(buf[:rowsTrailer]); err != nil {
		return nil, err
	}
	if got := binary.LittleEndian.Uint32(buf); got != want {
		return nil, fmt.Errorf("its checksum is %08x, not %08x: %w", got, want, errDamaged)
	}
	return rows, nil
}
