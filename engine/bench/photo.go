package bench

import (
	"bytes"
	"fmt"
	"image"
	"image/jpeg"
	"math"
	"math/rand/v2"

	"github.com/eyelet-engine/eyelet/kernels/imaging"
)

// photo draws a picture that is to a decoder what a photo is: a sky with a gradient, hills with
// texture, edges of all directions, and the noise of a sensor. As a JPEG of quality 90 it has some
// 1.8 bits a pixel, as photos have.
func photo(w, h int) *image.RGBA {
	img := image.NewRGBA(image.Rect(0, 0, w, h))
	r := rand.New(rand.NewPCG(3, 1))
	texture := newTexture(r)
	scale := float64(max(w, h))
	for y := range h {
		for x := range w {
			u, v := float64(x)/scale, float64(y)/scale
			detail := texture.at(u*9, v*9)/2 + texture.at(u*37, v*37)/4 + texture.at(u*150,
				v*150)/8 + texture.at(float64(x)/5, float64(y)/5)/8
			horizon := 0.3 + 0.06*math.Sin(u*7) + 0.05*texture.at(u*5, 1)
			red, green, blue := 120+90*v, 160+60*v, 235-20*v
			if v > horizon {
				red, green, blue = 60+110*detail, 70+130*detail+40*v, 40+70*detail
			} else {
				red, green = red+25*detail, green+20*detail
			}
			noise := float64(r.Uint32()>>24)/20 - 6.4
			i := img.PixOffset(x, y)
			img.Pix[i], img.Pix[i+1], img.Pix[i+2], img.Pix[i+3] = level(red+noise),
				level(green+noise), level(blue+noise), 255
		}
	}
	return img
}

// Photo is such a picture, of w by h pixels.
func Photo(w, h int) *imaging.RGB {
	img, out := photo(w, h), imaging.NewRGB(w, h)
	for i := range w * h {
		copy(out.Pix[3*i:3*i+3], img.Pix[4*i:])
	}
	return out
}

func level(x float64) uint8 { return uint8(min(max(x, 0), 255)) }

// texture is value noise: random numbers on a grid, with smooth ways between them.
type texture [textureSide][textureSide]float64

const textureSide = 64 // a power of two

func newTexture(r *rand.Rand) *texture {
	t := new(texture)
	for i := range t {
		for k := range t[i] {
			t[i][k] = 2*r.Float64() - 1
		}
	}
	return t
}

// at returns a number from -1 to 1, for coordinates that are not negative.
func (t *texture) at(x, y float64) float64 {
	i, k := int(x), int(y)
	fx, fy := x-float64(i), y-float64(k)
	fx, fy = fx*fx*(3-2*fx), fy*fy*(3-2*fy)
	a, b := &t[i%textureSide], &t[(i+1)%textureSide]
	k, m := k%textureSide, (k+1)%textureSide
	return (a[k]*(1-fy)+a[m]*fy)*(1-fx) + (b[k]*(1-fy)+b[m]*fy)*fx
}

// photoFile returns a photo as a JPEG file of quality 90.
func photoFile(w, h int) ([]byte, error) {
	var file bytes.Buffer
	err := jpeg.Encode(&file, photo(w, h), &jpeg.Options{Quality: 90})
	return file.Bytes(), err
}

// tilesOf makes n different tiles of a picture: the whole of it, its quarters, and other parts of
// that size.
func tilesOf(picture *imaging.RGB, side, n int) ([]*imaging.RGB, error) {
	whole, err := imaging.Resize(picture, side, side, imaging.Bicubic)
	if err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	large, err := imaging.Resize(picture, 2*side, 2*side, imaging.Bicubic)
	if err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	tiles := []*imaging.RGB{whole}
	for k := 0; len(tiles) < n; k++ {
		x, y := side*(k%2), side*(k/2)
		if k >= 4 {
			x, y = 37*k%side, 61*k%side
		}
		tile := imaging.NewRGB(side, side)
		for row := range side {
			copy(tile.Pix[3*side*row:3*side*(row+1)], large.Pix[3*((y+row)*large.W+x):])
		}
		tiles = append(tiles, tile)
	}
	return tiles[:n], nil
}
