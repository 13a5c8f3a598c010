package tiff

import "encoding/binary"

// read decodes all strips or tiles into pix.
func (p *picture) read() error {
	switch {
	case p.compression == jpegCompression:
		return p.readJPEG()
	case p.photometric == yCbCr:
		return p.readYCbCr()
	}
	p.pix = make([]byte, p.w*p.h*p.kept)
	planes := 1
	if p.planar {
		planes = p.samples
	}
	for plane := range planes {
		for cell := range p.across * p.down {
			if p.planar && p.channel(plane) < 0 {
				continue
			}
			if err := p.readCell(cell, plane); err != nil {
				return err
			}
		}
	}
	return nil
}

// channel returns where a sample is kept, -1 for one that is not.
func (p *picture) channel(sample int) int {
	switch {
	case sample < p.colour:
		return sample
	case sample == p.alpha:
		return p.colour
	}
	return -1
}

// area returns what a strip or tile covers of the picture.
func (p *picture) area(cell int) (x, y, w, h int) {
	x, y = cell%p.across*p.cellW, cell/p.across*p.cellH
	return x, y, min(p.cellW, p.w-x), min(p.cellH, p.h-y)
}

// readCell decodes one strip or tile, of one plane where samples lie in planes.
func (p *picture) readCell(cell, plane int) error {
	x, y, w, h := p.area(cell)
	data, err := p.cellData(cell + plane*p.across*p.down)
	if err != nil {
		return err
	}
	next, err := p.rows(data, p.cellW)
	if err != nil {
		return err
	}
	inRow, first := p.samples, 0 // the samples of a pixel in a row, and which the first one is
	if p.planar {
		inRow, first = 1, plane
	}
	row := make([]byte, (p.cellW*inRow*p.bits+7)/8)
	for i := range h {
		if err := next(row); err != nil {
			return err
		}
		if p.predicts() && p.predictor == 2 {
			p.undoPrediction(row, inRow)
		}
		p.keep(p.pix[((y+i)*p.w+x)*p.kept:], row, w, inRow, first)
	}
	return nil
}

// undoPrediction adds to each sample the one of the pixel on its left.
func (p *picture) undoPrediction(row []byte, inRow int) {
	if p.bits == 8 {
		for i := inRow; i < len(row); i++ {
			row[i] += row[i-inRow]
		}
		return
	}
	for i := 2 * inRow; i+1 < len(row); i += 2 {
		p.order.PutUint16(row[i:], p.order.Uint16(row[i:])+p.order.Uint16(row[i-2*inRow:]))
	}
}

// keep brings w pixels of a row to 8 bits a sample. Pillow's rules: deeper samples keep
// their upper 8 bits, others are stretched to 255; indices stay what they are.
func (p *picture) keep(dst, row []byte, w, inRow, first int) {
	for s := range inRow {
		channel := p.channel(first + s)
		if channel < 0 {
			continue
		}
		switch p.bits {
		case 8:
			for x := range w {
				dst[x*p.kept+channel] = row[x*inRow+s]
			}
		case 16:
			high := 2*s + 1
			if p.order == binary.ByteOrder(binary.BigEndian) {
				high = 2 * s
			}
			for x := range w {
				dst[x*p.kept+channel] = row[2*x*inRow+high]
			}
		default:
			most := 1<<p.bits - 1
			for x := range w {
				v := sampleAt(row, (x*inRow+s)*p.bits, p.bits)
				switch {
				case p.bits > 8:
					v >>= p.bits - 8
				case p.photometric != palette || channel > 0:
					v = v * 255 / most
				}
				dst[x*p.kept+channel] = uint8(v)
			}
		}
	}
}

// sampleAt returns the n bits from a position on, the highest first; n is at most 16.
func sampleAt(row []byte, at, n int) int {
	v := 0
	for i := range 3 {
		v <<= 8
		if at>>3+i < len(row) {
			v |= int(row[at>>3+i])
		}
	}
	return v >> (24 - at&7 - n) & (1<<n - 1)
}
