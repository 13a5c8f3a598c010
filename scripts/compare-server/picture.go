package main

import (
	"bytes"
	"fmt"
	"hash/fnv"
	"image"
	"image/jpeg"
	"math/rand/v2"
)

// picture draws a JPEG of 640 x 480 pixels: a gradient between two colours, discs, and noise as of
// a sensor. The same labels give the same bytes, others another picture.
func picture(labels ...any) []byte {
	h := fnv.New64a()
	fmt.Fprint(h, labels...) // a hash takes whatever is written
	r := rand.New(rand.NewPCG(h.Sum64(), 1))
	const width, height = 640, 480
	img := image.NewRGBA(image.Rect(0, 0, width, height))
	colour := func() (c [3]float64) {
		for i := range c {
			c[i] = 255 * r.Float64()
		}
		return c
	}
	left, right := colour(), colour()
	type disc struct {
		x, y, radius float64
		colour       [3]float64
	}
	var discs [6]disc
	for i := range discs {
		discs[i] = disc{width * r.Float64(), height * r.Float64(), 20 + 80*r.Float64(), colour()}
	}
	for y := range height {
		for x := range width {
			share := float64(x) / width
			var c [3]float64
			for i := range c {
				c[i] = left[i]*(1-share) + right[i]*share
			}
			for _, d := range discs {
				if dx, dy := float64(x)-d.x, float64(y)-d.y; dx*dx+dy*dy < d.radius*d.radius {
					c = d.colour
				}
			}
			at := img.PixOffset(x, y)
			noise := 12 * (r.Float64() - 0.5)
			for i := range c {
				img.Pix[at+i] = uint8(min(max(c[i]+noise, 0), 255))
			}
			img.Pix[at+3] = 255
		}
	}
	var out bytes.Buffer
	_ = jpeg.Encode(&out, img, &jpeg.Options{Quality: 90}) // into memory
	return out.Bytes()
}
