package imaging

import (
	"bytes"
	"fmt"
)

// PadSquare returns the picture centred on a square of colour bg whose side is
// the longer side of the picture. An odd margin leaves the extra row or column
// below or to the right. A square picture is returned as it is, not copied.
// The square of a long thin picture is far larger than the picture: where it is
// only a step on the way to another size, [ResizePadded] does without it.
//
// It follows expand2square of the original LLaVA (llava/mm_utils.py).
func PadSquare(src *RGB, bg [3]uint8) *RGB {
	if src.W == src.H {
		return src
	}
	side := max(src.W, src.H)
	out := NewRGB(side, side)
	left, top := squareMargins(src)
	blank := bytes.Repeat(bg[:], side)
	for y := range side {
		row := out.row(y)
		if y < top || y >= top+src.H {
			copy(row, blank)
			continue
		}
		copy(row[:3*left], blank)
		copy(row[3*left:], src.row(y-top))
		copy(row[3*(left+src.W):], blank)
	}
	return out
}

// squareMargins returns the width of the margin that PadSquare leaves on the left and the height of
// that on top.
func squareMargins(src *RGB) (left, top int) {
	side := max(src.W, src.H)
	return (side - src.W) / 2, (side - src.H) / 2
}

// CenterCrop returns the middle w by h pixels of a picture, which must be at
// least that large. An odd margin loses the extra row or column below or to the
// right, as in the center_crop of Hugging Face's image processors. A picture of
// that size is returned as it is, not copied.
func CenterCrop(src *RGB, w, h int) (*RGB, error) {
	if w <= 0 || h <= 0 || w > src.W || h > src.H {
		return nil, fmt.Errorf("imaging: cannot crop %d x %d pixels out of %d x %d", w, h, src.W,
			src.H)
	}
	if w == src.W && h == src.H {
		return src, nil
	}
	out := NewRGB(w, h)
	left, top := (src.W-w)/2, (src.H-h)/2
	for y := range h {
		copy(out.row(y), src.row(top + y)[3*left:])
	}
	return out, nil
}
