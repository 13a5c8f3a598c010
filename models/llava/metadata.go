package llava

import (
	"errors"
	"fmt"
)

// ErrUnsupported says that a model lays pictures out in a way that this package does not
// know.
var ErrUnsupported = errors.New("picture layout not supported")

// Metadata is what a model file tells about its picture layout. The names in the
// comments are those of the keys that llama.cpp's converters write.
type Metadata struct {
	// Size and Patch are the sides of a tile and of a patch, in pixels, Mean the
	// normalisation mean on the scale 0 to 1: clip.vision.image_size, patch_size and
	// image_mean. (clip.vision.image_crop_resolution is no tile size: LLaVA 1.6 has 224
	// there, a leftover of another method, beside tiles of 336.)
	Size, Patch int
	Mean        [3]float32
	// AspectRatio is clip.vision.image_aspect_ratio: "pad", "square" or "crop",
	// "anyres"; empty if the key is missing.
	AspectRatio string
	// MergeType is clip.vision.mm_patch_merge_type: "flat", "spatial" or
	// "spatial_unpad"; empty, meaning flat, if the key is missing.
	MergeType string
	// GridPinpoints is clip.vision.image_grid_pinpoints: resolutions of two numbers
	// each; empty if the key is missing.
	GridPinpoints []int64
	// WidthFirst says that a pinpoint is width, height, as the original code and
	// llama.cpp read it, rather than height, width, as Hugging Face reads the very
	// same list. LLaVA 1.6's list holds each resolution both ways, so that this
	// decides only about pictures that fit two of them equally well: those of at
	// most S by S pixels, and a few others.
	WidthFirst bool
}

// FromMetadata returns the layout that a model file asks for. Without an aspect
// ratio it is [AnyRes] if there are pinpoints and [Pad] if not; AnyRes without
// pinpoints has LLaVA 1.6's: S x 2S, 2S x S, 2S x 2S, 3S x S and S x 3S. The values
// may be hostile: what this package cannot do, or could do only at great expense, is
// an error that names it.
func FromMetadata(m Metadata) (Layout, error) {
	l, err := New(m.Size, m.Patch, m.Mean)
	if err != nil {
		return Layout{}, err
	}
	switch m.AspectRatio {
	case "":
		if len(m.GridPinpoints) > 0 {
			l.Aspect = AnyRes
		}
	case "pad":
	case "square", "crop":
		l.Aspect = Crop
	case "anyres":
		l.Aspect = AnyRes
	default:
		return Layout{}, fmt.Errorf(
			"llava: %w: image_aspect_ratio %.40q; pad, square and anyres are known", ErrUnsupported,
			m.AspectRatio)
	}
	if l.Aspect != AnyRes {
		return l, nil
	}
	switch m.MergeType {
	case "", "flat":
	case "spatial":
		l.Merge = Spatial
	case "spatial_unpad":
		l.Merge = SpatialUnpad
	default:
		return Layout{}, fmt.Errorf(
			"llava: %w: mm_patch_merge_type %.40q; flat, spatial and spatial_unpad are known",
			ErrUnsupported, m.MergeType)
	}
	flat := m.GridPinpoints
	if len(flat) == 0 {
		s := int64(m.Size)
		flat = []int64{s, 2 * s, 2 * s, s, 2 * s, 2 * s, 3 * s, s, s, 3 * s}
	}
	if l.Pinpoints, err = pinpoints(flat, m.WidthFirst); err != nil {
		return Layout{}, err
	}
	if err := l.check(); err != nil {
		return Layout{}, err
	}
	return l, nil
}

// pinpoints takes a flat list apart. It bounds the numbers only as far as int asks
// for; see [Layout.check] for the rest.
func pinpoints(flat []int64, widthFirst bool) ([]Resolution, error) {
	if len(flat)%2 != 0 || len(flat) > 2*maxPinpoints {
		return nil, fmt.Errorf(
			"llava: image_grid_pinpoints holds %d numbers, want pairs, at most %d", len(flat),
			maxPinpoints)
	}
	var all []Resolution
	for i := 0; i < len(flat); i += 2 {
		a, b := flat[i], flat[i+1]
		if a <= 0 || b <= 0 || a > maxSide || b > maxSide {
			return nil, fmt.Errorf("llava: image_grid_pinpoints holds %d x %d", a, b)
		}
		p := Resolution{H: int(a), W: int(b)}
		if widthFirst {
			p.H, p.W = p.W, p.H
		}
		all = append(all, p)
	}
	return all, nil
}
