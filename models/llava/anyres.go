package llava

import (
	"context"
	"math"

	"github.com/eyelet-engine/eyelet/kernels/imaging"
)

// best chooses the pinpoint for a picture of w by h pixels; see the package comment.
// The arithmetic is that of select_best_resolution in transformers'
// image_processing_utils.py, float64 and truncation included.
func (l Layout) best(w, h int) Resolution {
	var best Resolution
	most, least := int64(0), int64(math.MaxInt64)
	for _, p := range l.Pinpoints {
		scale := min(float64(p.W)/float64(w), float64(p.H)/float64(h))
		scaled := int64(float64(w)*scale) * int64(float64(h)*scale)
		used := min(scaled, int64(w)*int64(h))
		wasted := int64(p.W)*int64(p.H) - used
		if used > most || used == most && wasted < least {
			best, most, least = p, used, wasted
		}
	}
	return best
}

// fit returns the size to which a picture of w by h pixels is resampled to lie within
// a resolution: get_patch_output_size in transformers' image_processing_utils.py.
func fit(w, h int, to Resolution) (fitW, fitH int) {
	across, down := float64(to.W)/float64(w), float64(to.H)/float64(h)
	if across < down {
		return to.W, min(int(math.Ceil(float64(h)*across)), to.H)
	}
	return min(int(math.Ceil(float64(w)*down)), to.W), to.H
}

// anyRes makes the tiles of an [AnyRes] layout.
func (l Layout) anyRes(ctx context.Context, img *imaging.RGB) ([]*imaging.RGB, error) {
	best := l.best(img.W, img.H)
	overview, err := resize(ctx, img, l.Size, l.Size)
	if err != nil {
		return nil, err
	}
	w, h := fit(img.W, img.H, best)
	scaled, err := resize(ctx, img, w, h)
	if err != nil {
		return nil, err
	}
	tiles := []*imaging.RGB{overview}
	left, top := (best.W-w)/2, (best.H-h)/2
	for y := 0; y < best.H; y += l.Size {
		for x := 0; x < best.W; x += l.Size {
			tiles = append(tiles, l.cut(scaled, x-left, y-top))
		}
	}
	return tiles, nil
}

// cut returns the tile whose upper left corner is pixel (x, y) of a picture, black
// where it lies outside.
func (l Layout) cut(img *imaging.RGB, x, y int) *imaging.RGB {
	tile := imaging.NewRGB(l.Size, l.Size)
	from, end := max(x, 0), min(x+l.Size, img.W)
	if from >= end {
		return tile
	}
	for row := max(y, 0); row < min(y+l.Size, img.H); row++ {
		copy(tile.Pix[3*((row-y)*l.Size+from-x):], img.Pix[3*(row*img.W+from):3*(row*img.W+end)])
	}
	return tile
}
