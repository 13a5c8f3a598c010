// Package llava knows how LLaVA lays a picture out for its tower: which tiles the
// tower sees, and how many image tokens come of them. It computes no embeddings.
//
// LLaVA 1.5 makes one tile of a picture. The original code (llava/mm_utils.py,
// image_aspect_ratio "pad", which the released weights were trained with) centres
// the picture on a square of the mean colour and resamples the square to the
// tower's size; llama.cpp does so too. Hugging Face's default processor scales the
// shorter side to the tower's size and crops the middle instead, which loses the
// ends of long pictures. This package pads.
package llava

import (
	"fmt"

	"github.com/eyelet-engine/eyelet/kernels/imaging"
)

// A Layout is the picture layout of one model.
type Layout struct {
	// Size is the side of the tower's square input, in pixels.
	Size int
	// Patch is the side of a patch, in pixels; it divides Size.
	Patch int
	// Background fills the margins of pictures that are not square.
	Background [3]uint8
}

// New returns the LLaVA 1.5 layout of a tower. mean is the tower's normalisation
// mean on the scale 0 to 1; the background is that colour, its fraction cut off as
// in the original code.
func New(size, patch int, mean [3]float32) (Layout, error) {
	if size <= 0 || patch <= 0 || size%patch != 0 {
		return Layout{}, fmt.Errorf("llava: %d-pixel patches do not tile %d pixels", patch, size)
	}
	l := Layout{Size: size, Patch: patch}
	for c, v := range mean {
		l.Background[c] = uint8(min(max(float64(v)*255, 0), 255))
	}
	return l, nil
}

// TileTokens returns the number of image tokens that one tile becomes: one a patch.
func (l Layout) TileTokens() int { return (l.Size / l.Patch) * (l.Size / l.Patch) }

// Tokens returns the number of image tokens of a picture of w by h pixels, which
// its header tells before it is decoded.
func (l Layout) Tokens(w, h int) int { return l.TileTokens() }

// Tiles returns what the tower sees of a picture, in the order of its image
// tokens: one tile of Size by Size pixels. A picture of that size is returned as it
// is, not copied.
func (l Layout) Tiles(img *imaging.RGB) ([]*imaging.RGB, error) {
	if err := img.Check(); err != nil {
		return nil, fmt.Errorf("llava: %w", err)
	}
	tile, err := imaging.Resize(imaging.PadSquare(img, l.Background), l.Size, l.Size, imaging.Bicubic)
	if err != nil {
		return nil, fmt.Errorf("llava: %w", err)
	}
	return []*imaging.RGB{tile}, nil
}
