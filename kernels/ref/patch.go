package ref

import (
	"fmt"

	"github.com/eyelet-engine/eyelet/kernels/imaging"
)

// Patchify rescales, normalises and cuts a picture into square patches:
//
//	dst[i, (c·p + y)·p + x] = (pixel/255 - mean[c]) / std[c]
//
// where i numbers the patches row by row, x and y are the pixel's place in its
// patch, c its colour and p the patch's side. The order within a row is that of a
// convolution weight flattened from [out, 3, p, p], so that the patch embedding, a
// convolution whose stride is its kernel's size, is [Linear] of dst.
//
// dst has ⌊W/p⌋·⌊H/p⌋ rows of 3·p² numbers; pixels beyond the last whole patch are not
// read.
func Patchify[T Float](dst Matrix[T], img *imaging.RGB, p int, mean, std [3]T) {
	if p <= 0 || img.W < p || img.H < p {
		panic(fmt.Sprintf("ref: patches of %d pixels in a picture of %d x %d", p, img.W, img.H))
	}
	across := img.W / p
	dst.mustBe(across*(img.H/p), 3*p*p, "Patchify's destination")
	for i := range dst.Rows {
		row := dst.Row(i)
		top, left := i/across*p, i%across*p
		for y := range p {
			pix := img.Pix[3*((top+y)*img.W+left):]
			for x := range p {
				for c := range 3 {
					row[(c*p+y)*p+x] = (T(pix[3*x+c])/255 - mean[c]) / std[c]
				}
			}
		}
	}
}
