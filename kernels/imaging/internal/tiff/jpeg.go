package tiff

import (
	"bytes"
	"context"

	"image/color"
	stdjpeg "image/jpeg"
	"io"

	"github.com/eyelet-engine/eyelet/cgo/jpeg"
	"github.com/eyelet-engine/eyelet/kernels/imaging/internal/raster"
)

// readJPEG decodes strips or tiles that are JPEG streams which share their tables (TIFF
// Technical Note 2). What the components mean is said by the TIFF's tags alone.
func (p *picture) readJPEG() error {
	p.kept = 3
	p.pix = make([]byte, p.w*p.h*3)
	tables, err := segments(p.Bytes(tagJPEGTables))
	if err != nil {
		return err
	}
	// Adobe's marker tells a decoder whether colours are to be converted (0: they are RGB).
	transform := byte(0)
	if p.photometric == yCbCr {
		transform = 1
	}
	head := append([]byte("\xff\xd8\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00"), transform)
	for cell := range p.across * p.down {
		data, err := p.cellData(cell)
		if err != nil {
			return err
		}
		own, err := segments(data)
		if err != nil {
			return err
		}
		x0, y0, w, h := p.area(cell)
		pix, gotW, gotH, err := decodeJPEG(bytes.Join([][]byte{head, tables, own}, nil), p.cellW,
			p.cellH)
		if err != nil {
			return err
		}
		if gotW < w || gotH < h {
			return raster.Corrupt("a strip or tile of %d x %d pixels holds %d x %d", w, h, gotW,
				gotH)
		}
		for y := range h {
			copy(p.pix[3*((y0+y)*p.w+x0):][:3*w], pix[3*y*gotW:])
		}
	}
	if p.photometric == whiteIsZero { // colours inverts the first sample alone
		for i := range p.pix {
			p.pix[i] = 255 - p.pix[i]
		}
		p.photometric = blackIsZero
	}
	return nil
}

// segments returns a stream without its start and, of tables, its end, and without the
// markers of applications, which would say what its colours are.
func segments(data []byte) ([]byte, error) {
	const (
		startOfImage, endOfImage, startOfScan = 0xd8, 0xd9, 0xda
		app0, app15                           = 0xe0, 0xef
	)
	var out []byte
	for len(data) > 0 {
		if len(data) < 2 || data[0] != 0xff {
			return nil, raster.Corrupt("a JPEG stream without its markers")
		}
		marker := data[1]
		switch marker {
		case 0xff: // a fill byte
			data = data[1:]
			continue
		case startOfImage:
			data = data[2:]
			continue
		case endOfImage:
			return out, nil
		case startOfScan:
			return append(out, data...), nil
		}
		if len(data) < 4 {
			return nil, io.ErrUnexpectedEOF
		}
		n := 2 + int(data[2])<<8 + int(data[3])
		if n < 4 || n > len(data) {
			return nil, io.ErrUnexpectedEOF
		}
		if marker < app0 || marker > app15 {
			out = append(out, data[:n]...)
		}
		data = data[n:]
	}
	return out, nil
}

// decodeJPEG returns the RGB pixels of a stream that is at most a strip or tile large.
func decodeJPEG(data []byte, maxW, maxH int) (pix []byte, w, h int, err error) {
	if jpeg.Available {
		// A strip may state more rows than it is told to have; the pixels are bounded all the same.
		return jpeg.Decode(context.Background(), data, jpeg.Options{MaxPixels: int64(maxW+64) *
			int64(maxH+64)})
	}
	c, err := stdjpeg.DecodeConfig(bytes.NewReader(data))
	if err != nil {
		return nil, 0, 0, err
	}
	if int64(c.Width)*int64(c.Height) > int64(maxW+64)*int64(maxH+64) {
		return nil, 0, 0, raster.Corrupt("a strip or tile of %d x %d pixels", c.Width, c.Height)
	}
	img, err := stdjpeg.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, 0, 0, err
	}
	b := img.Bounds()
	pix = make([]byte, 0, 3*b.Dx()*b.Dy())
	for y := range b.Dy() {
		for x := range b.Dx() {
			c := color.RGBAModel.Convert(img.At(b.Min.X+x, b.Min.Y+y)).(color.RGBA)
			pix = append(pix, c.R, c.G, c.B)
		}
	}
	return pix, b.Dx(), b.Dy(), nil
}
