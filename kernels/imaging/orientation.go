package imaging

import (
	"bytes"
	"encoding/binary"

	"github.com/bep/imagemeta"
)

// How far the search for EXIF goes, so that a file made of millions of tiny blocks
// costs no more time than another. EXIF comes first in a JPEG file and takes at
// most 64 KiB; imagemeta has limits of its own for the tags in it.
const (
	maxJPEGHead = 1 << 20 // bytes
	maxChunks   = 100_000 // of a PNG or WebP file
)

// orientation returns the EXIF orientation of a file, 1 to 8, and 1 (upright)
// where there is none or its metadata cannot be read: a picture with broken
// metadata is still a picture.
func orientation(data []byte, container imagemeta.ImageFormat) int {
	if container == imagemeta.ImageFormatAuto {
		return 1
	}
	switch container {
	case imagemeta.WebP:
		data, container = webpEXIF(data), imagemeta.TIFF // an EXIF block is a small TIFF file
	case imagemeta.PNG:
		data, container = pngEXIF(data), imagemeta.TIFF
	case imagemeta.JPEG:
		data = data[:min(len(data), maxJPEGHead)]
	}
	if len(data) == 0 {
		return 1
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

// pngEXIF returns the EXIF block of a PNG file (chunk eXIf), nil if there is none.
func pngEXIF(data []byte) []byte {
	rest := data[min(8, len(data)):]
	for range maxChunks {
		if len(rest) < 12 {
			return nil
		}
		size := int64(binary.BigEndian.Uint32(rest))
		if size > int64(len(rest)-12) {
			return nil
		}
		if string(rest[4:8]) == "eXIf" {
			return rest[8 : 8+size]
		}
		rest = rest[12+size:]
	}
	return nil
}
