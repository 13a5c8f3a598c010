package draw

import (
	"context"
	"fmt"
	"image"
	"image/png"
	"os"

	"github.com/eyelet-engine/eyelet/kernels/imaging"
)

// writePNG decodes a picture file and writes its upright pixels as PNG, which is the format that
// the child surely reads. It returns the picture's sides.
func writePNG(ctx context.Context, path string, data []byte) (w, h int, err error) {
	p, err := imaging.DecodePicture(ctx, data, imaging.Options{})
	if err != nil {
		if ctx.Err() != nil {
			return 0, 0, ctx.Err()
		}
		return 0, 0, fmt.Errorf("draw: %w: %w", ErrImage, err)
	}
	img := image.NewNRGBA(image.Rect(0, 0, p.W, p.H))
	for i := range p.W * p.H {
		copy(img.Pix[4*i:], p.Pix[3*i:3*i+3])
		img.Pix[4*i+3] = 0xff
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return 0, 0, fmt.Errorf("draw: %w", err)
	}
	encoder := png.Encoder{CompressionLevel: png.BestSpeed}
	if err := encoder.Encode(f, img); err != nil {
		f.Close()
		return 0, 0, fmt.Errorf("draw: %w", err)
	}
	if err := f.Close(); err != nil {
		return 0, 0, fmt.Errorf("draw: %w", err)
	}
	return p.W, p.H, nil
}
