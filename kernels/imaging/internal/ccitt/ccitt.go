// Package ccitt decodes the run-length codes of fax machines (ITU-T T.4 and T.6), as
// TIFF files hold them: modified Huffman, Group 3 of one and two dimensions, Group 4.
package ccitt

import (
	"errors"
	"io"
	"math/bits"
)

// A Scheme is one of the ways of coding a page.
type Scheme int

const (
	// ModifiedHuffman: rows of runs, each beginning at a byte (TIFF's compression 2).
	ModifiedHuffman Scheme = iota
	// Group3: rows of runs behind end-of-line codes, which may be missing.
	Group3
	// Group3TwoD: Group 3 whose end-of-line codes say whether a row is coded by itself or
	// by its differences from the row above.
	Group3TwoD
	// Group4: rows coded by their differences from the row above.
	Group4
)

// The faults of coded data.
var (
	ErrCode         = errors.New("invalid fax code")
	ErrUncompressed = errors.New("fax code in uncompressed mode, which is not supported")
)

// A Decoder yields the rows of one page.
type Decoder struct {
	in     bitReader
	scheme Scheme
	width  int
	ended  bool
	// above and row are the changes of colour of the row above and of this one: columns,
	// white first, closed by the width twice.
	above, row []int
}

// NewDecoder returns a decoder of a page of so many columns, the first bit of each byte
// being its highest.
func NewDecoder(data []byte, scheme Scheme, width int) *Decoder {
	return &Decoder{in: bitReader{data: data}, scheme: scheme, width: width,
		above: []int{width, width}}
}

// Next decodes a row into dst, (width+7)/8 bytes whose highest bit comes first; a black
// pixel is a 1. The rows after the code that ends a page are white. Errors are
// [io.ErrUnexpectedEOF], [ErrCode] and [ErrUncompressed].
func (d *Decoder) Next(dst []byte) error {
	clear(dst)
	if d.ended {
		return nil
	}
	twoD, err := d.beginRow()
	if err != nil || d.ended {
		return err
	}
	d.row = d.row[:0]
	if twoD {
		err = d.differences()
	} else {
		err = d.runs()
	}
	if err != nil || d.ended {
		return err
	}
	d.row = append(d.row, d.width, d.width)
	for i := 0; i+1 < len(d.row); i += 2 {
		blacken(dst, d.row[i], d.row[i+1])
	}
	d.above, d.row = d.row, d.above
	return nil
}

// beginRow goes past what stands before a row and says whether it is coded in two dimensions.
func (d *Decoder) beginRow() (twoD bool, err error) {
	switch d.scheme {
	case ModifiedHuffman:
		d.in.align()
		if d.in.left() == 0 {
			return false, io.ErrUnexpectedEOF
		}
		return false, nil
	case Group4:
		if d.in.peek(24) == 0x001001 { // the end of the page: two end-of-line codes
			d.ended = true
		} else if d.in.left() == 0 {
			return false, io.ErrUnexpectedEOF
		}
		return true, nil
	}
	ends, oneD := 0, true
	for d.skipEndOfLine() {
		ends++
		if d.scheme == Group3TwoD {
			oneD = d.in.peek(1) == 1
			d.in.skip(1)
		}
	}
	switch {
	case ends > 1: // six of them return to control; two begin that
		d.ended = true
	case d.in.left() == 0:
		return false, io.ErrUnexpectedEOF
	}
	return !oneD, nil
}

// skipEndOfLine goes past an end-of-line code, eleven zeros at least and a one, if one stands here.
func (d *Decoder) skipEndOfLine() bool {
	if d.in.peek(11) != 0 || d.in.left() < 12 {
		return false
	}
	at := d.in.pos
	for d.in.peek(1) == 0 {
		if d.in.left() <= 0 { // zeros that fill the last byte
			d.in.pos = at
			return false
		}
		d.in.skip(max(1, bits.LeadingZeros32(d.in.peek(16)<<16|1<<15)))
	}
	d.in.skip(1)
	return true
}

// runs decodes a row of alternating runs.
func (d *Decoder) runs() error {
	for at, colour := 0, 0; at < d.width; colour ^= 1 {
		n, err := d.run(colour)
		if err != nil {
			return err
		}
		at = min(at+n, d.width)
		d.change(at)
	}
	return nil
}

// run decodes one run: codes of multiples of 64, then one below.
func (d *Decoder) run(colour int) (length int, err error) {
	for {
		c := runTables()[colour][d.in.peek(codeBits)]
		if c.bits == 0 {
			return 0, d.badCode()
		}
		if err := d.in.take(int(c.bits)); err != nil {
			return 0, err
		}
		length = min(length+int(c.run), d.width)
		if c.run < 64 {
			return length, nil
		}
	}
}

func (d *Decoder) badCode() error {
	if d.in.left() < codeBits {
		return io.ErrUnexpectedEOF
	}
	return ErrCode
}

// differences decodes a row by the modes of T.6, table 1: its changes of colour lie beside
// those of the row above.
func (d *Decoder) differences() error {
	at, colour := 0, 0 // the changing element a0 and the colour behind it
	first := 0         // of the changes above, the first that may be b1
	for begun := false; at < d.width; begun = true {
		// b1 is the first change above, to the other colour, right of a0; at the start of
		// a row it may lie at column 0.
		for first > 0 && d.above[first-1] > at {
			first--
		}
		for first < len(d.above)-1 && (first&1 != colour || d.above[first] < at ||
			d.above[first] == at && begun) {
			first++
		}
		b1 := d.above[min(first, len(d.above)-1)]
		b2 := d.above[min(first+1, len(d.above)-1)]
		mode, n := modeOf(d.in.peek(7))
		if n == 0 {
			if d.in.left() >= 7 && d.in.peek(12) == 1 { // an end of page in place of a row
				d.ended = true
				return nil
			}
			return d.badCode()
		}
		if err := d.in.take(n); err != nil {
			return err
		}
		switch mode {
		case pass:
			at = b2
		case horizontal:
			for i := range 2 {
				run, err := d.run(colour ^ i)
				if err != nil {
					return err
				}
				at = min(at+run, d.width)
				d.change(at)
			}
		case extension:
			return ErrUncompressed
		default: // vertical: so many columns right of b1
			to := min(b1+mode, d.width)
			if to < at {
				return ErrCode
			}
			at = to
			d.change(at)
			colour ^= 1
		}
	}
	return nil
}

// change enters a change of colour at a column, or takes back the last one if it was there too.
func (d *Decoder) change(at int) {
	if n := len(d.row); n > 0 && d.row[n-1] == at {
		d.row = d.row[:n-1]
	} else {
		d.row = append(d.row, at)
	}
}

// The modes beside the vertical ones, which are their distances, -3 to 3.
const (
	pass = 10 + iota
	horizontal
	extension
)

// modeOf returns the mode that the next 7 bits begin with, and the bits of its code.
func modeOf(next uint32) (mode, n int) {
	switch {
	case next>>6 == 0b1:
		return 0, 1
	case next>>4 == 0b011:
		return 1, 3
	case next>>4 == 0b010:
		return -1, 3
	case next>>4 == 0b001:
		return horizontal, 3
	case next>>3 == 0b0001:
		return pass, 4
	case next>>1 == 0b000011:
		return 2, 6
	case next>>1 == 0b000010:
		return -2, 6
	case next == 0b0000011:
		return 3, 7
	case next == 0b0000010:
		return -3, 7
	case next == 0b0000001:
		return extension, 7
	}
	return 0, 0
}

// blacken sets the bits of columns from, inclusive, to to, exclusive.
func blacken(row []byte, from, to int) {
	for ; from < to && from&7 != 0; from++ {
		row[from>>3] |= 0x80 >> (from & 7)
	}
	for ; from+8 <= to; from += 8 {
		row[from>>3] = 0xff
	}
	for ; from < to; from++ {
		row[from>>3] |= 0x80 >> (from & 7)
	}
}

// bitReader reads from the highest bit of each byte to the lowest.
type bitReader struct {
	data []byte
	pos  int // in bits
}

func (r *bitReader) left() int { return 8*len(r.data) - r.pos }

// peek returns the next n bits, at most 24; those beyond the end are 0.
func (r *bitReader) peek(n int) uint32 {
	var word uint64
	for i := range 5 {
		word <<= 8
		if at := r.pos>>3 + i; at < len(r.data) {
			word |= uint64(r.data[at])
		}
	}
	return uint32(word>>(40-r.pos&7-n)) & (1<<n - 1)
}

func (r *bitReader) skip(n int) { r.pos += n }

// take skips bits that have to be there.
func (r *bitReader) take(n int) error {
	if r.left() < n {
		return io.ErrUnexpectedEOF
	}
	r.pos += n
	return nil
}

func (r *bitReader) align() { r.pos = (r.pos + 7) &^ 7 }
