package bmp

import (
	"io"

	"github.com/eyelet-engine/eyelet/kernels/imaging/internal/raster"
)

// decodeRuns decodes run lengths of 8 or 4 bits: a count and a byte that repeats, or a zero
// and an escape: the end of a row (0), of the picture (1), a step (2), or so many pixels as
// they are. What no run reaches has index 0. A picture has to say where it ends, or fill
// all its rows.
func (head *header) decodeRuns() (*raster.Image, error) {
	m, table := raster.New(head.w, head.h, 3), head.table()
	for i := range head.w * head.h {
		copy(m.Pix[3*i:], table[0][:])
	}
	in := head.pixels
	x, row := 0, 0
	put := func(index byte) {
		if x < head.w && row < head.h {
			copy(m.Pix[3*(head.place(row)*head.w+x):], table[index][:])
		}
		x++
	}
	// pixel returns the n-th pixel of packed bytes.
	pixel := func(packed []byte, n int) byte {
		if head.bits == 8 {
			return packed[n]
		}
		return packed[n/2] >> (4 * (1 - n&1)) & 15
	}
	for row < head.h {
		if len(in) < 2 {
			if row == head.h-1 && x >= head.w {
				return m, nil
			}
			return nil, io.ErrUnexpectedEOF
		}
		count, value := int(in[0]), in[1]
		in = in[2:]
		if count > 0 {
			for i := range count {
				put(pixel([]byte{value, value}[:], i&(8/head.bits-1)))
			}
			continue
		}
		switch value {
		case 0:
			x, row = 0, row+1
		case 1:
			return m, nil
		case 2:
			if len(in) < 2 {
				return nil, io.ErrUnexpectedEOF
			}
			x, row = x+int(in[0]), row+int(in[1])
			in = in[2:]
		default:
			n := int(value)
			size := (n*head.bits + 7) / 8
			if len(in) < size {
				return nil, io.ErrUnexpectedEOF
			}
			for i := range n {
				put(pixel(in, i))
			}
			in = in[min(size+size&1, len(in)):]
		}
	}
	return m, nil
}
