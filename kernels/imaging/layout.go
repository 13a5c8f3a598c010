package imaging

import "fmt"

// PadSquare returns the picture centred on a square of colour bg whose side is
// the longer side of the picture. An odd margin leaves the extra row or column
// below or to the right. A square picture is returned as it is, not copied.
//
// It follows expand2square of the original LLaVA (llava/mm_utils.py).
func PadSquare(src *RGB, bg [3]uint8) *RGB {
	if src.W == src.H {
		return src
	}
	side := max(src.W, src.H)
	out := NewRGB(side, side)
	for i := range out.Pix {
		out.Pix[i] = bg[i%3]
	}
	left, top := (side-src.W)/2, (side-src.H)/2
	for y := range src.H {
		copy(out.row(top + y)[3*left:], src.row(y))
	}
	return out
}

// CenterCrop returns the middle w by h pixels of a picture, which must be at
// least that large. An odd margin loses the extra row or column below or to the
// right, as in the center_crop of Hugging Face's image processors. A picture of
// that size is returned as it is, not copied.
func CenterCrop(src *RGB, w, h int) (*RGB, error) {
	if w <= 0 || h <= 0 || w > src.W || h > src.H {
		return nil, fmt.Errorf("imaging: cannot crop %d x %d pixels out of %d x %d", w, h, src.W, src.H)
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
