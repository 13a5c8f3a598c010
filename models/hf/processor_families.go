package hf

import (
	"maps"
	"slices"
)

// qwenProcessor reads what is of Qwen2-VL, Qwen2.5-VL, Qwen3-VL and GLM-4V: Qwen2VLImageProcessor
// and Glm4vImageProcessor of transformers 5.24, whose size has areas for edges.
func (o object) qwenProcessor(p *Preprocessor, v *Vision) {
	o.wantFilter(filterBicubic, "bicubic")
	o.wantNumber("patch_size", float64(v.PatchSize))
	o.wantNumber("merge_size", float64(v.ScaleFactor))
	o.wantNumber("temporal_patch_size", 2)
	size := o.object("size")
	p.MinPixels = size.integer("shortest_edge", size.integer("min_pixels", 0, 1, maxPixels), 1,
		maxPixels)
	p.MaxPixels = size.integer("longest_edge", size.integer("max_pixels", 0, 1, maxPixels), 1,
		maxPixels)
	for _, name := range slices.Sorted(maps.Keys(size.values)) {
		if !slices.Contains([]string{"shortest_edge", "longest_edge", "min_pixels", "max_pixels"},
			name) && size.has(name) {
			size.fail(name, "%w: it bounds no area", ErrUnsupported)
		}
	}
	// Where both speak, these count.
	p.MinPixels = o.integer("min_pixels", p.MinPixels, 1, maxPixels)
	p.MaxPixels = o.integer("max_pixels", p.MaxPixels, 1, maxPixels)
	if p.MaxPixels != 0 && p.MaxPixels < p.MinPixels {
		o.fail("max_pixels", "%w: %d, less than min_pixels, %d", ErrInvalid, p.MaxPixels,
			p.MinPixels)
	}
}

// gemma3Processor reads what is of Gemma 3: Gemma3ImageProcessor and Gemma3Processor of
// transformers 5.24.
func (o object) gemma3Processor(v *Vision) {
	o.wantFilter(filterBilinear, "bilinear")
	o.wantSquare(v.ImageSize)
	side := v.ImageSize / v.PatchSize / max(v.ScaleFactor, 1)
	if n := o.integer("image_seq_length", side*side, 1, maxVocab); n != side*side {
		o.fail("image_seq_length", "%w: %d tokens a picture, where config.json makes %d",
			ErrInvalid, n, side*side)
	}
}

// gemma4Processor reads what is of Gemma 4: Gemma4ImageProcessor of transformers 5.24.
func (o object) gemma4Processor(v *Vision) {
	o.wantFilter(filterBicubic, "bicubic")
	o.wantNumber("patch_size", float64(v.PatchSize))
	o.wantNumber("pooling_kernel_size", float64(v.ScaleFactor))
	o.wantNumber("max_soft_tokens", 280)
}

// internVLProcessor reads what is of InternVL: GotOcr2ImageProcessor of transformers 5.24. Its
// crop_to_patches does not count, since InternVLProcessor switches it on for pictures.
func (o object) internVLProcessor(p *Preprocessor, v *Vision) {
	o.wantFilter(filterBicubic, "bicubic")
	o.wantSquare(v.ImageSize)
	o.boolean("crop_to_patches", true)
	p.MinTiles = o.integer("min_patches", 0, 1, maxTiles)
	p.MaxTiles = o.integer("max_patches", 0, max(1, p.MinTiles), maxTiles)
	side := v.ImageSize / v.PatchSize / max(v.ScaleFactor, 1)
	if n := o.integer("image_seq_length", side*side, 1, maxVocab); n != side*side {
		o.fail("image_seq_length", "%w: %d tokens a tile, where config.json makes %d", ErrInvalid,
			n, side*side)
	}
}

// pixtralProcessor reads what is of Pixtral and Mistral Small 3: PixtralImageProcessor and
// PixtralProcessor of transformers 5.24. The processor gives the image processor the sides of
// tokens, whatever patch_size that names itself.
func (o object) pixtralProcessor(v *Vision) {
	o.wantFilter(filterBicubic, "bicubic")
	if size := o.size("size", false); size != (sides{}) && size != (sides{Longest: v.ImageSize}) {
		o.fail("size", "%w: %s, where the tower takes pictures up to %d", ErrUnsupported,
			brief(o.values["size"]), v.ImageSize)
	}
	for _, side := range o.patchSides() {
		if side != v.PatchSize && side != v.PatchSize*v.ScaleFactor {
			o.fail("patch_size", "%w: %s, where config.json says %d", ErrInvalid,
				brief(o.values["patch_size"]), v.PatchSize)
		}
	}
	o.wantNumber("spatial_merge_size", float64(v.ScaleFactor))
	o.want("image_break_token", imageBreak)
	o.want("image_end_token", "[IMG_END]")
}

// imageBreak is the token between the rows of Pixtral's pictures.
const imageBreak = "[IMG_BREAK]"

// patchSides are the sides of a patch in pixels, as far as the file says.
func (o object) patchSides() []int {
	s := o.size("patch_size", true)
	var list []int
	for _, n := range []int{s.Height, s.Width, s.Shortest, s.Longest} {
		if n != 0 {
			list = append(list, n)
		}
	}
	return list
}

// wantSquare refuses pictures of another size than the tower's.
func (o object) wantSquare(side int) {
	if size := o.size("size", true); size != (sides{}) &&
		size != (sides{Height: side, Width: side}) {
		o.fail("size", "%w: %s, where the tower takes pictures of %d", ErrUnsupported,
			brief(o.values["size"]), side)
	}
}
