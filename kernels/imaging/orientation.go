package imaging

import (
	"bytes"

	"github.com/bep/imagemeta"
)

// orientation returns the EXIF orientation of a file, 1 to 8, and 1 (upright)
// where there is none or its metadata cannot be read: a picture with broken
// metadata is still a picture.
func orientation(data []byte, container imagemeta.ImageFormat) int {
	if container == imagemeta.ImageFormatAuto {
		return 1
	}
	if container == imagemeta.WebP {
		data, container = webpEXIF(data), imagemeta.TIFF // an EXIF block is a small TIFF file
	}
	o := 1
	isOrientation := func(t imagemeta.TagInfo) bool { return t.Tag == "Orientation" && t.Namespace == "IFD0" }
	// The error is dropped: what was found before it still counts.
	_, _ = imagemeta.Decode(imagemeta.Options{
		R: bytes.NewReader(data), ImageFormat: container, Sources: imagemeta.EXIF,
		ShouldHandleTag: isOrientation,
		HandleTag: func(t imagemeta.TagInfo) error {
			if v, ok := t.Value.(uint16); ok && v >= 1 && v <= 8 {
				o = int(v)
			}
			return imagemeta.ErrStopWalking
		},
	})
	return o
}

// oriented returns the picture turned upright: o is the EXIF orientation, which
// says where the stored picture's row 0 and column 0 belong (Exif 2.32, tag
// 0x0112). Orientations 5 to 8 exchange width and height.
func (m *RGB) oriented(o int) *RGB {
	if o == 1 {
		return m
	}
	out := NewRGB(m.W, m.H)
	if o >= 5 {
		out.W, out.H = m.H, m.W
	}
	right, bottom := m.W-1, m.H-1
	for y := range out.H {
		dst := out.row(y)
		for x := range out.W {
			var sx, sy int // the stored pixel that belongs at (x, y)
			switch o {
			case 2: // mirrored left to right
				sx, sy = right-x, y
			case 3: // turned by 180 degrees
				sx, sy = right-x, bottom-y
			case 4: // mirrored top to bottom
				sx, sy = x, bottom-y
			case 5: // transposed
				sx, sy = y, x
			case 6: // row 0 belongs at the right: turn clockwise
				sx, sy = y, bottom-x
			case 7: // transposed over the other diagonal
				sx, sy = right-y, bottom-x
			case 8: // row 0 belongs at the left: turn anticlockwise
				sx, sy = right-y, x
			}
			copy(dst[3*x:3*x+3], m.Pix[3*(sy*m.W+sx):])
		}
	}
	return out
}
