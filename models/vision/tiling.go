package vision

import (
	"fmt"

	"github.com/eyelet-engine/eyelet/models/gguf"
)

// tiling is what a file tells about cutting pictures into tiles, as LLaVA 1.6 does
// (Liu et al. 2024). Fields are zero where the file is silent.
type tiling struct {
	// Pinpoints are the sizes in pixels that pictures are fitted to, two numbers each,
	// as the file has them: width and height in LLaVA's own configurations.
	Pinpoints []int64
	// MergeType says how the rows of tiles are put together: "flat", "spatial" or
	// "spatial_unpad".
	MergeType string
	// AspectRatio says what is done with pictures that are not square: "square", "pad",
	// "anyres", or "anyres_max_9" and its like.
	AspectRatio string
	// CropResolution is the side in pixels that AspectRatio's "crop_split" crops to.
	CropResolution int
}

const (
	maxPinpoints = 256 // LLaVA-OneVision has 36
	maxTilingStr = 64
)

// readTiling reads the keys that llama.cpp's converter for LLaVA 1.6 writes.
func readTiling(f *gguf.File) (t tiling, err error) {
	const pinpoints, crop = "clip.vision.image_grid_pinpoints", "clip.vision.image_crop_resolution"
	numbers, _ := f.Ints(pinpoints)
	if len(numbers)%2 != 0 || len(numbers) > 2*maxPinpoints {
		return t, fmt.Errorf("%s has %d numbers, want pairs, at most %d", pinpoints, len(numbers),
			maxPinpoints)
	}
	for i := 0; i < len(numbers); i += 2 {
		a, b := numbers[i], numbers[i+1]
		if a <= 0 || b <= 0 || a > maxSide || b > maxSide {
			return t, fmt.Errorf("%s: %d x %d pixels", pinpoints, a, b)
		}
	}
	t.Pinpoints = numbers
	if n, ok := f.Uint(crop); ok {
		if n == 0 || n > maxSide {
			return t, fmt.Errorf("%s = %d", crop, n)
		}
		t.CropResolution = int(n)
	}
	for _, k := range []struct {
		key string
		dst *string
	}{{"clip.vision.mm_patch_merge_type", &t.MergeType}, {"clip.vision.image_aspect_ratio",
		&t.AspectRatio}} {
		s, _ := f.Str(k.key)
		if len(s) > maxTilingStr {
			return t, fmt.Errorf("%s has %d bytes", k.key, len(s))
		}
		*k.dst = s
	}
	return t, nil
}
