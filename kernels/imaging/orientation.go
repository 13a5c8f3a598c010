package imaging

import (
	"bytes"
	"regexp"

	"github.com/eyelet-engine/eyelet/kernels/imaging/internal/tiff"
)

// orientation returns the orientation that a file's metadata state, 1 to 8, and 1
// (upright) where they state none or cannot be read: a picture with broken
// metadata is still a picture. EXIF counts before XMP, as for Pillow.
func (f *format) orientation(data []byte) int {
	if f.turn != nil {
		return f.turn(data)
	}
	if f.metadata == nil {
		return 1
	}
	exif, xmp := f.metadata(data)
	o, stated := exifOrientation(exif)
	if !stated {
		o = xmpOrientation(xmp)
	}
	if o < 1 || o > 8 {
		return 1
	}
	return o
}

// exifLead stands before the EXIF block of a JPEG file, and often where it has no place.
var exifLead = []byte("Exif\x00\x00")

// exifOrientation returns the orientation tag of an EXIF block, which is a small TIFF file.
func exifOrientation(block []byte) (o int, stated bool) {
	for bytes.HasPrefix(block, exifLead) {
		block = block[len(exifLead):]
	}
	d, err := tiff.ReadDirectory(block)
	if err != nil || d.Bytes(tiff.TagOrientation) == nil {
		return 1, false
	}
	return d.Int(tiff.TagOrientation, 1), true
}

var xmpTag = regexp.MustCompile(`tiff:Orientation(?:\s*=\s*["']|>)\s*([0-9])`)

// xmpOrientation returns the orientation that an XMP packet states, 1 for none.
func xmpOrientation(packet []byte) int {
	if m := xmpTag.FindSubmatch(packet); m != nil {
		return int(m[1][0] - '0')
	}
	return 1
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
	// The pixel at (x, y) is the stored one at first + x*stepX + y*stepY.
	var first, stepX, stepY int
	switch o {
	case 2: // mirrored left to right
		first, stepX, stepY = right, -1, m.W
	case 3: // turned by 180 degrees
		first, stepX, stepY = bottom*m.W+right, -1, -m.W
	case 4: // mirrored top to bottom
		first, stepX, stepY = bottom*m.W, 1, -m.W
	case 5: // transposed
		first, stepX, stepY = 0, m.W, 1
	case 6: // row 0 belongs at the right: turn clockwise
		first, stepX, stepY = bottom*m.W, -m.W, 1
	case 7: // transposed over the other diagonal
		first, stepX, stepY = bottom*m.W+right, -m.W, -1
	case 8: // row 0 belongs at the left: turn anticlockwise
		first, stepX, stepY = right, m.W, -1
	}
	// In blocks, so that what a column of the stored picture brings into the cache is used up.
	const block = 64
	for y0 := 0; y0 < out.H; y0 += block {
		for x0 := 0; x0 < out.W; x0 += block {
			for y := y0; y < min(y0+block, out.H); y++ {
				dst := out.row(y)[3*x0 : 3*min(x0+block, out.W)]
				for from := 3 * (first + x0*stepX + y*stepY); len(dst) > 0; from += 3 * stepX {
					p := m.Pix[from:][:3]
					dst[0], dst[1], dst[2] = p[0], p[1], p[2]
					dst = dst[3:]
				}
			}
		}
	}
	return out
}
