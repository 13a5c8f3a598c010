package llava

import (
	"context"

	"github.com/eyelet-engine/eyelet/kernels/imaging"
)

// maxScaled bounds the longer side of the picture that crop cuts from, which is made
// whole: in a tower of 336 pixels, pictures up to 390 times longer than wide pass.
const maxScaled = 1 << 17

// crop makes the tile of a [Crop] layout, as the resize and center_crop of Hugging
// Face's image processors do.
func (l Layout) crop(ctx context.Context, img *imaging.RGB) (*imaging.RGB, error) {
	short, long := min(img.W, img.H), max(img.W, img.H)
	// A float64 quotient as in Python; above 2⁵³ it may round up.
	newLong := float64(int64(l.Size)*int64(long)) / float64(short)
	if newLong > maxScaled || newLong*float64(l.Size) > maxPixels {
		return nil, tooLong(img)
	}
	w, h := l.Size, int(newLong)
	if img.W > img.H {
		w, h = h, w
	}
	scaled, err := resize(ctx, img, w, h)
	if err != nil {
		return nil, err
	}
	return imaging.CenterCrop(scaled, l.Size, l.Size)
}
