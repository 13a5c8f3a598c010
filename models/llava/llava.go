// Package llava knows how LLaVA lays a picture out for its tower: which tiles the
// tower sees, how many image tokens come of them, and which of the tower's rows
// they are. It computes no embeddings.
//
// S is the side of the tower's square input and g = ⌊S/patch⌋ the number of patches
// along it; a tile becomes g·g rows (the class token is dropped, which
// configurations call vision_feature_select_strategy "default").
//
// # LLaVA 1.5: one tile
//
// [Pad] centres the picture on a square of the mean colour and resamples the square
// to S by S. The original code (llava/mm_utils.py, image_aspect_ratio "pad") does so,
// the released weights were trained so, and llama.cpp does so. [Crop] is the default
// of Hugging Face's processor and the original code's "square": the shorter side is
// resampled to S, the longer to ⌊S·long/short⌋, and the middle S by S are cut out,
// which loses the ends of long pictures.
//
// # LLaVA 1.6 (LLaVA-NeXT): an overview and a grid
//
// [AnyRes] has a list of resolutions H x W, the grid pinpoints, multiples of S. Of a
// picture of w by h pixels, with s = min(W/w, H/h), it takes the resolution with
//
//	the greatest  e = min(⌊w·s⌋·⌊h·s⌋, w·h)    pixels that are really used,
//	then the least H·W − e                     pixels wasted,
//	then the first in the list.
//
// The picture is resampled, its shape kept, to W by min(⌈h·W/w⌉, H) or to
// min(⌈w·H/h⌉, W) by H, whichever fits, centred on black (an odd margin is wider
// below or to the right), and cut into tiles of S by S, row by row. Before them goes
// the overview: the whole picture resampled to S by S, its shape not kept. All
// resampling is bicubic, as Pillow's.
//
// The overview's rows come first in the prompt. How the grid's follow is the merge
// type. [Flat]: tile after tile. [Spatial]: the tiles' patches form one grid of
// (H/S)·g rows and (W/S)·g columns, read row by row. [SpatialUnpad]: the same, less
// the margins, and after each row a learned newline embedding. Of a grid of c columns
// and r rows, a picture with w/h > c/r keeps all columns, and loses
//
//	⌊(r − ⌊h·c/w⌋)/2⌋
//
// rows at the top and as many at the bottom; any other picture loses columns
// likewise. Very long pictures lose everything but the overview (and, if tall, the
// newlines). Hugging Face rounds h·c/w to seven decimals before it cuts the
// fraction off; this package does too. The original code does not, and so keeps two
// rows fewer of a picture of 328 by 861 pixels, and of a few others.
//
// The yardstick is transformers' LlavaNextImageProcessorPil, LlavaImageProcessorPil
// and LlavaNextModel.pack_image_features, which the tests equal in every byte and
// every row. The newer processor LlavaNextImageProcessor resamples with torchvision,
// which rounds less than one value in a hundred otherwise, by 1 or 2 of 255; the
// layout is the same.
//
// References: Liu et al., "Visual Instruction Tuning" (2023), arXiv 2304.08485; Liu
// et al., "Improved Baselines with Visual Instruction Tuning" (2023), arXiv
// 2310.03744; Liu et al., "LLaVA-NeXT: Improved reasoning, OCR, and world knowledge"
// (2024), llava-vl.github.io/blog/2024-01-30-llava-next.
package llava

import (
	"context"
	"fmt"
	"math"

	"github.com/eyelet-engine/eyelet/kernels/imaging"
)

// An Aspect is how a layout treats pictures that are not square.
type Aspect int

// The aspects; the package comment describes them.
const (
	// Pad fills up to a square: LLaVA 1.5 as trained.
	Pad Aspect = iota
	// Crop cuts a square out of the middle: LLaVA 1.5 by Hugging Face's default.
	Crop
	// AnyRes cuts the picture into several tiles: LLaVA 1.6.
	AnyRes
)

// String returns "pad", "crop" or "anyres".
func (a Aspect) String() string {
	switch a {
	case Pad:
		return "pad"
	case Crop:
		return "crop"
	case AnyRes:
		return "anyres"
	}
	return fmt.Sprintf("Aspect(%d)", int(a))
}

// A Merge is the order of the rows of an [AnyRes] layout's grid. Other layouts have
// one tile, and nothing to merge.
type Merge int

// The merge types; the package comment describes them.
const (
	Flat Merge = iota
	Spatial
	SpatialUnpad
)

// String returns the name that configurations use.
func (m Merge) String() string {
	switch m {
	case Flat:
		return "flat"
	case Spatial:
		return "spatial"
	case SpatialUnpad:
		return "spatial_unpad"
	}
	return fmt.Sprintf("Merge(%d)", int(m))
}

// A Resolution is the size of a grid of tiles, in pixels.
type Resolution struct {
	H, W int
}

// A Layout is the picture layout of one model.
type Layout struct {
	// Size is the side of the tower's square input, in pixels.
	Size int
	// Patch is the side of a patch, in pixels. Towers do not see what is left of a tile
	// beyond the last whole patch.
	Patch int
	// Background fills the margins of pictures that are not square in a [Pad]
	// layout. Margins of an [AnyRes] layout are black.
	Background [3]uint8
	// Aspect is the treatment of pictures that are not square.
	Aspect Aspect
	// Merge and Pinpoints belong to [AnyRes] layouts. Both sides of a pinpoint are
	// multiples of Size; of equally good ones the first is taken.
	Merge     Merge
	Pinpoints []Resolution
}

// Bounds that no model comes near; LLaVA 1.6 has 5 pinpoints of at most 4 tiles.
const (
	maxSize      = 1 << 14 // side of a tile
	maxPinpoints = 64
	maxTiles     = 36      // of one pinpoint, the overview not counted
	maxPixels    = 1 << 26 // of a pinpoint, or of the picture that crop cuts from
	// of a picture's longer side; resampling takes some 60 bytes a pixel of it
	maxLength = 1 << 20
	maxSide   = math.MaxInt32
)

// New returns the LLaVA 1.5 layout of a tower, [Pad]. mean is the tower's
// normalisation mean on the scale 0 to 1; the background is that colour, its fraction
// cut off as in the original code.
func New(size, patch int, mean [3]float32) (Layout, error) {
	switch {
	case size <= 0 || patch <= 0 || patch > size:
		return Layout{}, fmt.Errorf("llava: patches of %d pixels in tiles of %d", patch, size)
	case size > maxSize:
		return Layout{}, fmt.Errorf("llava: tiles of %d pixels; at most %d are supported", size,
			maxSize)
	}
	l := Layout{Size: size, Patch: patch}
	for c, v := range mean {
		l.Background[c] = uint8(min(max(float64(v)*255, 0), 255))
	}
	return l, nil
}

// check finds what would make the layout impossible.
func (l Layout) check() error {
	switch {
	case l.Size <= 0 || l.Size > maxSize || l.Patch <= 0 || l.Patch > l.Size:
		return fmt.Errorf("llava: patches of %d pixels in tiles of %d", l.Patch, l.Size)
	case l.Aspect < Pad || l.Aspect > AnyRes:
		return fmt.Errorf("llava: no such aspect: %v", l.Aspect)
	case l.Merge < Flat || l.Merge > SpatialUnpad:
		return fmt.Errorf("llava: no such merge type: %v", l.Merge)
	case l.Aspect != AnyRes:
		return nil
	case len(l.Pinpoints) == 0 || len(l.Pinpoints) > maxPinpoints:
		return fmt.Errorf("llava: %d grid pinpoints; 1 to %d are supported", len(l.Pinpoints),
			maxPinpoints)
	}
	for _, p := range l.Pinpoints {
		down, across := p.H/l.Size, p.W/l.Size
		switch {
		case p.H <= 0 || p.W <= 0 || p.H%l.Size != 0 || p.W%l.Size != 0:
			return fmt.Errorf("llava: tiles of %d pixels do not tile the grid pinpoint %d x %d",
				l.Size, p.H, p.W)
		case down > maxTiles || across > maxTiles || down*across > maxTiles ||
			int64(p.H)*int64(p.W) > maxPixels:
			return fmt.Errorf("llava: the grid pinpoint %d x %d is too large; %d tiles and %d pixels are the most", p.H, p.W, maxTiles, maxPixels)
		}
	}
	return nil
}

// TileTokens returns the number of rows that the tower makes of one tile: one a patch.
func (l Layout) TileTokens() int { return l.grid() * l.grid() }

// grid is g of the package comment.
func (l Layout) grid() int { return l.Size / l.Patch }

// HasNewline reports whether the layout's tokens hold the newline embedding, which
// the model must then have.
func (l Layout) HasNewline() bool { return l.Aspect == AnyRes && l.Merge == SpatialUnpad }

// Target returns a size that holds all that the layout sees of a picture of w by h
// pixels, for decoders that can shrink a picture while they read it:
// [imaging.Options].Target. A picture shrunk to no less, by a power of two, is laid out
// as the original.
func (l Layout) Target(w, h int) (targetW, targetH int) {
	switch {
	case !isSize(w, h) || l.check() != nil:
		return 0, 0
	case l.Aspect == Crop:
		return imaging.Covering(l.Size)(w, h)
	case l.Aspect == AnyRes:
		fw, fh := fit(w, h, l.best(w, h))
		return max(fw, l.Size), max(fh, l.Size) // the overview keeps no shape
	}
	return imaging.Within(l.Size)(w, h)
}

// Tiles is [Layout.TilesContext] without a context.
func (l Layout) Tiles(img *imaging.RGB) ([]*imaging.RGB, error) {
	return l.TilesContext(context.Background(), img)
}

// TilesContext returns what the tower sees of a picture: tiles of Size by Size
// pixels, as many as [Plan] says and in its order, the overview first. A picture of
// that size is returned as it is, not copied, where it is a tile itself.
//
// Pictures so long that resampling them would take hundreds of megabytes are refused
// with [imaging.ErrTooLarge], before memory is spent. When ctx is done it gives up
// with ctx's error.
func (l Layout) TilesContext(ctx context.Context, img *imaging.RGB) ([]*imaging.RGB, error) {
	if err := l.check(); err != nil {
		return nil, err
	}
	if err := img.Check(); err != nil {
		return nil, fmt.Errorf("llava: %w", err)
	}
	tiles, err := l.tiles(ctx, img)
	if err != nil {
		return nil, fmt.Errorf("llava: %w", err)
	}
	return tiles, nil
}

func (l Layout) tiles(ctx context.Context, img *imaging.RGB) (tiles []*imaging.RGB, err error) {
	if max(img.W, img.H) > maxLength {
		return nil, tooLong(img)
	}
	var tile *imaging.RGB
	switch l.Aspect {
	case AnyRes:
		return l.anyRes(ctx, img)
	case Crop:
		tile, err = l.crop(ctx, img)
	default:
		tile, err = imaging.ResizePadded(ctx, img, l.Background, l.Size, l.Size, imaging.Bicubic)
	}
	if err != nil {
		return nil, err
	}
	return []*imaging.RGB{tile}, nil
}

// resize is [imaging.ResizeContext] by the filter of all LLaVAs.
func resize(ctx context.Context, img *imaging.RGB, w, h int) (*imaging.RGB, error) {
	return imaging.ResizeContext(ctx, img, w, h, imaging.Bicubic)
}

func tooLong(img *imaging.RGB) error {
	return fmt.Errorf("a picture of %d x %d pixels is too long for this model: %w", img.W, img.H,
		imaging.ErrTooLarge)
}
