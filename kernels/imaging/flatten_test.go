package imaging

import (
	"bytes"
	"image"
	"image/color"
	"math/rand/v2"
	"testing"
)

// random fills an image's bytes.
func random(pix []uint8) []uint8 {
	rng := rand.New(rand.NewPCG(20261123, 1))
	for i := range pix {
		pix[i] = uint8(rng.Uint32())
	}
	return pix
}

func TestFastFlatteningEqualsPackageDraw(t *testing.T) {
	r := image.Rect(0, 0, 67, 131) // two bands and a bit
	images := map[string]image.Image{
		"Gray":   &image.Gray{Pix: random(make([]uint8, 70*131)), Stride: 70, Rect: r},
		"Gray16": &image.Gray16{Pix: random(make([]uint8, 140*131)), Stride: 140, Rect: r},
		"Paletted": &image.Paletted{Pix: random(make([]uint8, 67*131)), Stride: 67, Rect: r,
			Palette: randomPalette()},
	}
	for _, ratio := range []image.YCbCrSubsampleRatio{
		image.YCbCrSubsampleRatio444, image.YCbCrSubsampleRatio422, image.YCbCrSubsampleRatio420,
		image.YCbCrSubsampleRatio440, image.YCbCrSubsampleRatio411, image.YCbCrSubsampleRatio410,
	} {
		m := image.NewYCbCr(r, ratio)
		random(m.Y)
		random(m.Cb)
		random(m.Cr)
		images["YCbCr "+ratio.String()] = m
		images["YCbCr in part "+ratio.String()] = m.SubImage(image.Rect(5, 3, 50, 90))
	}
	opaque := image.NewRGBA(r)
	random(opaque.Pix)
	deep := image.NewRGBA64(r)
	random(deep.Pix)
	for y := range r.Dy() {
		for x := range r.Dx() {
			opaque.Pix[opaque.PixOffset(x, y)+3] = 255
			i := deep.PixOffset(x, y)
			deep.Pix[i+6], deep.Pix[i+7] = 255, 255
		}
	}
	images["RGBA"], images["RGBA64"] = opaque, deep
	for name, img := range images {
		got := flatten(img, [3]uint8{255, 255, 255})
		want := NewRGB(got.W, got.H)
		flattenAny(want, img, [3]uint8{255, 255, 255})
		if !bytes.Equal(got.Pix, want.Pix) {
			t.Errorf("%s: the fast path differs", name)
		}
	}
}

func randomPalette() color.Palette {
	p := make(color.Palette, 256)
	b := random(make([]uint8, 3*256))
	for i := range p {
		p[i] = color.RGBA{b[3*i], b[3*i+1], b[3*i+2], 255}
	}
	return p
}

func TestAlphaIsLaidOverTheBackground(t *testing.T) {
	bg := [3]uint8{10, 200, 77}
	nrgba := image.NewNRGBA(image.Rect(0, 0, 256, 64))
	random(nrgba.Pix)
	deep := image.NewNRGBA64(nrgba.Rect)
	random(deep.Pix)
	premultiplied := image.NewRGBA(nrgba.Rect)
	for y := range 64 {
		for x := range 256 {
			premultiplied.Set(x, y, nrgba.At(x, y))
		}
	}
	for name, img := range map[string]image.Image{"NRGBA": nrgba, "NRGBA64": deep,
		"RGBA": premultiplied} {
		got := flatten(img, bg)
		for y := range got.H {
			for x := range got.W {
				c := color.NRGBA64Model.Convert(img.At(x, y)).(color.NRGBA64)
				for ch, v := range []uint16{c.R, c.G, c.B} {
					a := float64(c.A) / 65535
					want := float64(v)/257*a + float64(bg[ch])*(1-a)
					// 16-bit samples and alpha are cut to 8 bits first
					if d := float64(got.row(y)[3*x+ch]) - want; d > 3 || d < -3 {
						t.Fatalf("%s: pixel (%d, %d) is %d in channel %d, want %.1f", name, x, y,
							got.row(y)[3*x+ch], ch, want)
					}
				}
			}
		}
	}
	for alpha := range 256 {
		if v := over(255, 255, uint8(alpha)); v != 255 {
			t.Errorf("white over white at alpha %d is %d", alpha, v)
		}
		if v := over(0, 0, uint8(alpha)); v != 0 {
			t.Errorf("black over black at alpha %d is %d", alpha, v)
		}
	}
}

func TestOrientedMovesEveryPixel(t *testing.T) {
	m := noise(130, 67, 3)
	for o := 1; o <= 8; o++ {
		got := m.oriented(o)
		for y := range m.H {
			for x := range m.W {
				tx, ty := x, y // where Exif's text puts the stored pixel
				switch o {
				case 2:
					tx = m.W - 1 - x
				case 3:
					tx, ty = m.W-1-x, m.H-1-y
				case 4:
					ty = m.H - 1 - y
				case 5:
					tx, ty = y, x
				case 6:
					tx, ty = m.H-1-y, x
				case 7:
					tx, ty = m.H-1-y, m.W-1-x
				case 8:
					tx, ty = y, m.W-1-x
				}
				if !bytes.Equal(got.row(ty)[3*tx:3*tx+3], m.row(y)[3*x:3*x+3]) {
					t.Fatalf("orientation %d: stored pixel (%d, %d) is not at (%d, %d)", o, x, y,
						tx, ty)
				}
			}
		}
	}
}

func BenchmarkFlatten(b *testing.B) {
	r := image.Rect(0, 0, 2000, 1500)
	ycbcr := image.NewYCbCr(r, image.YCbCrSubsampleRatio420)
	random(ycbcr.Y)
	nrgba := image.NewNRGBA(r)
	random(nrgba.Pix)
	paletted := image.NewPaletted(r, randomPalette())
	random(paletted.Pix)
	for name, img := range map[string]image.Image{"YCbCr": ycbcr, "NRGBA": nrgba,
		"Paletted": paletted} {
		b.Run(name+"/fast", func(b *testing.B) {
			for b.Loop() {
				flatten(img, [3]uint8{255, 255, 255})
			}
		})
		b.Run(name+"/draw", func(b *testing.B) {
			for b.Loop() {
				flattenAny(NewRGB(r.Dx(), r.Dy()), img, [3]uint8{255, 255, 255})
			}
		})
	}
}

func BenchmarkOriented(b *testing.B) {
	m := noise(4000, 3000, 1)
	for b.Loop() {
		m.oriented(6)
	}
}
