package tiff

import (
	"io"
	"math"

	"github.com/eyelet-engine/eyelet/kernels/imaging/internal/raster"
)

// colours turns the samples into grey or RGB with alpha that is not multiplied in.
func (p *picture) colours() (*raster.Image, error) {
	switch p.photometric {
	case whiteIsZero:
		for i := 0; i < len(p.pix); i += p.kept {
			p.pix[i] = 255 - p.pix[i]
		}
	case palette:
		if err := p.lookUp(); err != nil {
			return nil, err
		}
	case cmyk:
		p.mixInks()
	}
	m := &raster.Image{W: p.w, H: p.h, Channels: p.kept, Pix: p.pix}
	if p.alpha >= 0 {
		switch {
		case p.alphaKind == alphaAssociated:
			divide(m)
		case !p.stated && m.InvisibleEverywhere():
			m.DropAlpha()
		}
	}
	return m, nil
}

// lookUp puts the colours of the palette in place of indices.
func (p *picture) lookUp() error {
	n := 1 << p.bits
	var table [256][3]byte
	shift := 0 // of files whose writer took the palette's 16 bits for 8
	for i := range 3 * n {
		if v, _ := p.at(tagColorMap, i); v > 255 {
			shift = 8
			break
		}
	}
	for i := range n {
		for c := range 3 {
			v, ok := p.at(tagColorMap, c*n+i)
			if !ok {
				return io.ErrUnexpectedEOF
			}
			table[i][c] = byte(v >> shift)
		}
	}
	kept := p.kept + 2
	out := make([]byte, p.w*p.h*kept)
	for i := range p.w * p.h {
		copy(out[i*kept:], table[p.pix[i*p.kept]][:])
		if p.kept == 2 {
			out[i*kept+3] = p.pix[2*i+1]
		}
	}
	p.pix, p.kept = out, kept
	return nil
}

// mixInks brings four inks to RGB, in place, by Pillow's arithmetic: what is white of the
// black plate, less the ink's share of it.
func (p *picture) mixInks() {
	n := p.w * p.h
	for i := range n {
		white := 255 - int(p.pix[4*i+3])
		for c := range 3 {
			share := int(p.pix[4*i+c])*white + 128
			p.pix[3*i+c] = byte(max(0, white-(share>>8+share)>>8))
		}
	}
	p.pix, p.kept = p.pix[:3*n], 3
}

// divide takes the alpha out of colours that it was multiplied into.
func divide(m *raster.Image) {
	n := m.Channels
	for i := 0; i < len(m.Pix); i += n {
		a := int(m.Pix[i+n-1])
		if a == 0 || a == 255 {
			continue
		}
		for c := range n - 1 {
			m.Pix[i+c] = byte(min(255, int(m.Pix[i+c])*255/a))
		}
	}
}

// readYCbCr decodes Y'CbCr samples that no JPEG holds: blocks of luma with one pair of
// chroma (TIFF 6.0, section 21). Chroma is repeated over its block, as libtiff does.
func (p *picture) readYCbCr() error {
	p.pix = make([]byte, p.w*p.h*3)
	across, down := 2, 2
	if v, ok := p.at(tagYCbCrSubsampling, 0); ok {
		across = int(v)
	}
	if v, ok := p.at(tagYCbCrSubsampling, 1); ok {
		down = int(v)
	}
	if across != 1 && across != 2 && across != 4 || down != 1 && down != 2 && down != 4 {
		return raster.Corrupt("chroma subsampled by %d x %d", across, down)
	}
	if p.predicts() && p.predictor != 1 && across*down != 1 {
		return raster.Unsupported("a predictor over subsampled Y'CbCr is not supported")
	}
	convert := p.yCbCrConversion()
	for cell := range p.across * p.down {
		x0, y0, w, h := p.area(cell)
		data, err := p.cellData(cell)
		if err != nil {
			return err
		}
		block := across*down + 2
		row := make([]byte, ((p.cellW-1)/across+1)*block)
		next, err := p.rows(data, p.cellW)
		if err != nil {
			return err
		}
		for y := 0; y < h; y += down {
			if err := next(row); err != nil {
				return err
			}
			if p.predicts() && p.predictor == 2 {
				p.undoPrediction(row, 3)
			}
			for dy := range min(down, h-y) {
				for x := range w {
					unit := row[x/across*block:][:block]
					luma := unit[dy*across+x%across]
					at := 3 * ((y0+y+dy)*p.w + x0 + x)
					convert(p.pix[at:at+3], luma, unit[block-2], unit[block-1])
				}
			}
		}
	}
	return nil
}

// yCbCrConversion returns the conversion of one pixel to RGB by the file's coefficients and
// range of codes, which are those of ITU-R BT.601 and of JPEG where it names none.
func (p *picture) yCbCrConversion() func(dst []byte, y, cb, cr byte) {
	number := func(tag uint16, i int, other float64) float64 {
		if v, ok := p.rational(tag, i); ok {
			return v
		}
		return other
	}
	red, green, blue := number(tagYCbCrCoefficients, 0, 0.299), number(tagYCbCrCoefficients, 1,
		0.587), number(tagYCbCrCoefficients, 2, 0.114)
	if green == 0 {
		red, green, blue = 0.299, 0.587, 0.114
	}
	var low, span [3]float64
	for c := range 3 {
		least, most := 128.0, 255.0
		if c == 0 {
			least = 0
		}
		low[c] = number(tagReferenceBW, 2*c, least)
		if span[c] = number(tagReferenceBW, 2*c+1, most) - low[c]; span[c] == 0 {
			span[c] = 1
		}
	}
	code := func(c int, v byte) float64 {
		if c == 0 {
			return (float64(v) - low[c]) * 255 / span[c]
		}
		return (float64(v) - low[c]) * 127 / span[c]
	}
	clip := func(v float64) byte { return byte(min(max(math.Round(v), 0), 255)) }
	return func(dst []byte, y, cb, cr byte) {
		luma := code(0, y)
		r := luma + code(2, cr)*(2-2*red)
		b := luma + code(1, cb)*(2-2*blue)
		dst[0], dst[1], dst[2] = clip(r), clip((luma-red*r-blue*b)/green), clip(b)
	}
}
