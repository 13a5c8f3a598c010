package imaging

import (
	"image"
	"image/color"
	"image/draw"

	"github.com/eyelet-engine/eyelet/kernels/imaging/internal/raster"
)

// flatten converts any image to RGB over a background. The types that decoders
// return for common files have loops of their own; the rest goes through package
// draw.
func flatten(img image.Image, bg [3]uint8) *RGB {
	b := img.Bounds()
	out := NewRGB(b.Dx(), b.Dy())
	switch m := img.(type) {
	case *image.YCbCr:
		for y := range out.H {
			flattenYCbCr(out.row(y), m, b.Min.X, b.Min.Y+y)
		}
	case *image.Gray:
		for y := range out.H {
			flattenGrey(out.row(y), m.Pix[y*m.Stride:], 1)
		}
	case *image.Gray16:
		for y := range out.H {
			flattenGrey(out.row(y), m.Pix[y*m.Stride:], 2)
		}
	case *image.NRGBA:
		for y := range out.H {
			flattenAlpha(out.row(y), m.Pix[y*m.Stride:], 1, bg)
		}
	case *image.NRGBA64:
		for y := range out.H {
			flattenAlpha(out.row(y), m.Pix[y*m.Stride:], 2, bg)
		}
	case *image.Paletted:
		flattenPaletted(out, m, bg)
	case *image.RGBA:
		if !m.Opaque() { // premultiplied alpha
			flattenAny(out, img, bg)
			break
		}
		for y := range out.H {
			flattenAlpha(out.row(y), m.Pix[y*m.Stride:], 1, bg)
		}
	case *image.RGBA64:
		if !m.Opaque() {
			flattenAny(out, img, bg)
			break
		}
		for y := range out.H {
			flattenAlpha(out.row(y), m.Pix[y*m.Stride:], 2, bg)
		}
	default:
		flattenAny(out, img, bg)
	}
	return out
}

// compose lays a decoded picture over a background.
func compose(m *raster.Image, bg [3]uint8) *RGB {
	if m.Channels == 3 {
		return &RGB{W: m.W, H: m.H, Pix: m.Pix}
	}
	out := NewRGB(m.W, m.H)
	switch m.Channels {
	case 1:
		flattenGrey(out.Pix, m.Pix, 1)
	case 4:
		flattenAlpha(out.Pix, m.Pix, 1, bg)
	case 2:
		for i := range m.W * m.H {
			v, a := m.Pix[2*i], m.Pix[2*i+1]
			for c := range 3 {
				out.Pix[3*i+c] = over(v, bg[c], a)
			}
		}
	}
	return out
}

// flattenAny works in bands of rows, so that the RGBA copy which package draw
// needs stays small.
func flattenAny(out *RGB, img image.Image, bg [3]uint8) {
	const bandRows = 64
	b := img.Bounds()
	band := image.NewRGBA(image.Rect(0, 0, out.W, min(bandRows, out.H)))
	ground := image.NewUniform(color.RGBA{bg[0], bg[1], bg[2], 255})
	for y0 := 0; y0 < out.H; y0 += bandRows {
		r := image.Rect(0, 0, out.W, min(bandRows, out.H-y0))
		draw.Draw(band, r, ground, image.Point{}, draw.Src)
		draw.Draw(band, r, img, image.Pt(b.Min.X, b.Min.Y+y0), draw.Over)
		for y := range r.Dy() {
			dst, src := out.row(y0+y), band.Pix[y*band.Stride:]
			for x := range out.W {
				copy(dst[3*x:3*x+3], src[4*x:4*x+3])
			}
		}
	}
}

// separate returns the colours of a decoded picture without what its transparency does to them, and
// that transparency, a byte a pixel; nil where all pixels are opaque.
func separate(img image.Image) (m *RGB, alpha []uint8) {
	b := img.Bounds()
	m = NewRGB(b.Dx(), b.Dy())
	split := func(pix []uint8, stride, bytes int) {
		alpha = make([]uint8, m.W*m.H)
		for y := range m.H {
			row, src := m.row(y), pix[y*stride:]
			for x := range m.W {
				p := src[4*bytes*x:]
				row[3*x], row[3*x+1], row[3*x+2], alpha[y*m.W+x] = p[0], p[bytes], p[2*bytes],
					p[3*bytes]
			}
		}
	}
	switch img := img.(type) {
	case *image.NRGBA:
		split(img.Pix, img.Stride, 1)
	case *image.NRGBA64:
		split(img.Pix, img.Stride, 2)
	case *image.Paletted:
		var table [256]color.NRGBA // an index beyond the palette is black
		for i := range table {
			table[i].A = 255
		}
		for i, c := range img.Palette[:min(len(img.Palette), 256)] {
			table[i] = color.NRGBAModel.Convert(c).(color.NRGBA)
		}
		alpha = make([]uint8, m.W*m.H)
		for y := range m.H {
			row := m.row(y)
			for x, index := range img.Pix[y*img.Stride:][:m.W] {
				c := table[index]
				row[3*x], row[3*x+1], row[3*x+2], alpha[y*m.W+x] = c.R, c.G, c.B, c.A
			}
		}
	default: // decoders return other kinds for opaque pictures alone
		return flatten(img, [3]uint8{}), nil
	}
	return m, alpha
}

// flattenGrey copies samples of one or two bytes, upper byte first, to all three
// channels.
func flattenGrey(dst, src []uint8, bytes int) {
	for i := 0; i+3 <= len(dst); i += 3 {
		v := src[0]
		dst[i], dst[i+1], dst[i+2] = v, v, v
		src = src[bytes:]
	}
}

// flattenAlpha lays pixels of four samples of one or two bytes, upper byte first,
// alpha last and not multiplied in, over the background.
func flattenAlpha(dst, src []uint8, bytes int, bg [3]uint8) {
	for i := 0; i+3 <= len(dst); i += 3 {
		p := src[i/3*4*bytes:][: 4*bytes : 4*bytes]
		r, g, b, a := p[0], p[bytes], p[2*bytes], p[3*bytes]
		if a != 255 {
			r, g, b = over(r, bg[0], a), over(g, bg[1], a), over(b, bg[2], a)
		}
		dst[i], dst[i+1], dst[i+2] = r, g, b
	}
}

// over lays a sample over an opaque one, in the arithmetic of Pillow's
// alpha_composite: weights of 7 fractional bits, and a division by 255 that rounds.
func over(sample, ground, alpha uint8) uint8 {
	v := (uint32(sample)*uint32(alpha) + uint32(ground)*uint32(255-alpha) + 128) * 128
	return uint8(((v >> 8) + v) >> 8 >> 7)
}

func flattenPaletted(out *RGB, m *image.Paletted, bg [3]uint8) {
	var table [256][3]uint8 // an index beyond the palette is black
	for i, c := range m.Palette[:min(len(m.Palette), 256)] {
		table[i] = overBackground(c, bg)
	}
	for y := range out.H {
		dst := out.row(y)
		for x, index := range m.Pix[y*m.Stride:][:out.W] {
			copy(dst[3*x:3*x+3], table[index][:])
		}
	}
}

func overBackground(c color.Color, bg [3]uint8) (rgb [3]uint8) {
	n := color.NRGBAModel.Convert(c).(color.NRGBA)
	flattenAlpha(rgb[:], []uint8{n.R, n.G, n.B, n.A}, 1, bg)
	return rgb
}

// flattenYCbCr converts a row that begins at pixel (x0, y), by the arithmetic of
// [color.YCbCrToRGB], which it equals in every byte: JFIF 1.02 in fixed point with
// 16 fractional bits.
func flattenYCbCr(dst []uint8, m *image.YCbCr, x0, y int) {
	width := len(dst) / 3
	if width == 0 {
		return
	}
	luma := m.Y[m.YOffset(x0, y):][:width]
	chroma := m.COffset(x0, y)
	shift := 0
	switch m.SubsampleRatio {
	case image.YCbCrSubsampleRatio422, image.YCbCrSubsampleRatio420:
		shift = 1
	case image.YCbCrSubsampleRatio411, image.YCbCrSubsampleRatio410:
		shift = 2
	}
	offset := x0 & (1<<shift - 1) // of the first pixel from its chroma sample
	for x, l := range luma {
		c := chroma + (x+offset)>>shift
		yy := int32(l) * 0x10101
		cb, cr := int32(m.Cb[c])-128, int32(m.Cr[c])-128
		r, g, b := (yy+91881*cr)>>16, (yy-22554*cb-46802*cr)>>16, (yy+116130*cb)>>16
		p := dst[3*x:][:3]
		p[0], p[1], p[2] = clamp8(r), clamp8(g), clamp8(b)
	}
}

// clamp8 limits a value to what a sample holds.
func clamp8(v int32) uint8 {
	if uint32(v) > 255 {
		return uint8(^(v >> 31)) // 0 below, 255 above
	}
	return uint8(v)
}
