package boxes

import (
	"image"
	"image/color"
	"image/draw"
	"math"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/math/fixed"

	"github.com/eyelet-engine/eyelet/kernels/imaging"
)

// colours are those of marks, one a label: the palette of Okabe and Ito (2008), which people see
// apart who see colours otherwise, less its black.
var colours = []color.RGBA{
	{213, 94, 0, 255}, {0, 114, 178, 255}, {0, 158, 115, 255}, {204, 121, 167, 255},
	{230, 159, 0, 255}, {86, 180, 233, 255}, {240, 228, 66, 255},
}

// longestLabel is how many characters of a label are written.
const longestLabel = 60

// Draw returns a copy of the original picture with marks drawn on it: boxes as lines around what
// they hold, points as discs, labels beside them on their colour. Marks of one label have one
// colour.
func Draw(img *imaging.RGB, marks []Mark) *image.RGBA {
	out := image.NewRGBA(image.Rect(0, 0, img.W, img.H))
	for i := range img.W * img.H {
		copy(out.Pix[4*i:], img.Pix[3*i:3*i+3])
		out.Pix[4*i+3] = 255
	}
	side := float64(max(img.W, img.H))
	width := int(math.Round(math.Max(1, side/300)))
	face := labelFace(math.Max(11, side/50))
	defer face.Close()
	named := map[string]color.RGBA{}
	for _, m := range marks {
		c, ok := named[m.Label]
		if !ok {
			c = colours[len(named)%len(colours)]
			named[m.Label] = c
		}
		if m.Point {
			disc(out, m.X, m.Y, 2*float64(width)+1, c)
		} else {
			outline(out, m, width, c)
		}
		write(out, face, m, c)
	}
	return out
}

// outline draws the four sides of a box, inside of it, over at least a pixel.
func outline(out *image.RGBA, m Mark, width int, c color.RGBA) {
	left, top := int(math.Floor(m.X)), int(math.Floor(m.Y))
	right, bottom := max(left+1, int(math.Ceil(m.X+m.Width))),
		max(top+1, int(math.Ceil(m.Y+m.Height)))
	for _, r := range []image.Rectangle{
		image.Rect(left, top, right, min(top+width, bottom)),
		image.Rect(left, max(bottom-width, top), right, bottom),
		image.Rect(left, top, min(left+width, right), bottom), image.Rect(max(right-width, left),
			top, right, bottom),
	} {
		draw.Draw(out, r, image.NewUniform(c), image.Point{}, draw.Src)
	}
}

// disc fills a circle.
func disc(out *image.RGBA, x, y, radius float64, c color.RGBA) {
	r := image.Rect(int(x-radius)-1, int(y-radius)-1, int(x+radius)+2,
		int(y+radius)+2).Intersect(out.Bounds())
	for py := r.Min.Y; py < r.Max.Y; py++ {
		for px := r.Min.X; px < r.Max.X; px++ {
			if math.Hypot(float64(px)+0.5-x, float64(py)+0.5-y) <= radius {
				out.SetRGBA(px, py, c)
			}
		}
	}
}

// labelFace is the font of labels, of a height in pixels.
func labelFace(pixels float64) font.Face {
	f, err := opentype.Parse(goregular.TTF)
	if err == nil {
		var face font.Face
		if face, err = opentype.NewFace(f, &opentype.FaceOptions{Size: pixels, DPI: 72,
			Hinting: font.HintingFull}); err == nil {
			return face
		}
	}
	panic(err) // the font is part of the program
}

// write writes a mark's label above it, or below its upper side where there is no room above, black
// or white on the mark's colour.
func write(out *image.RGBA, face font.Face, m Mark, c color.RGBA) {
	label := []rune(m.Label)
	if len(label) == 0 {
		return
	}
	if len(label) > longestLabel {
		label = append(label[:longestLabel-1:longestLabel-1], '…')
	}
	text := string(label)
	metrics := face.Metrics()
	w, h := font.MeasureString(face, text).Ceil(), (metrics.Ascent + metrics.Descent).Ceil()
	pad := max(1, h/6)
	left := max(0, min(int(m.X), out.Rect.Dx()-w-2*pad))
	top := int(m.Y) - h
	if top < 0 {
		top = min(int(m.Y), max(0, out.Rect.Dy()-h))
	}
	draw.Draw(out, image.Rect(left, top, left+w+2*pad, top+h), image.NewUniform(c), image.Point{},
		draw.Src)
	ink := color.RGBA{255, 255, 255, 255}
	if 299*int(c.R)+587*int(c.G)+114*int(c.B) > 128*1000 {
		ink = color.RGBA{0, 0, 0, 255}
	}
	d := font.Drawer{Dst: out, Src: image.NewUniform(ink), Face: face,
		Dot: fixed.P(left+pad, top+metrics.Ascent.Ceil())}
	d.DrawString(text)
}
