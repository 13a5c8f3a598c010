package vision

import (
	"fmt"

	"github.com/eyelet-engine/eyelet/models/gguf"
)

// describePixtral describes the tower of Pixtral and Mistral Small 3: pictures of any size, rotary
// positions, gates, and an embedding between the rows of a picture, that of [IMG_BREAK]; Mistral's
// merges patches besides (PixtralVisionModel, Mistral3PatchMerger and their projectors of
// transformers 5.24).
func describePixtral(d *description, f *gguf.File) (err error) {
	d.Family, d.AnySize, d.RowEnd = "pixtral", true, "v.token_embd.img_break"
	d.Rotary = rotary{Theta: 10000, Staggered: true, Adjacent: true}
	d.Pre, d.Norm, d.Gated = rmsNorm, rmsNorm, true
	d.Activation = activation(f, "gelu", "silu")
	_, bias := f.Tensor("mm.1.bias")
	c := chain{Reads: []int{d.Blocks}, Parts: []part{{Name: "mm.1", Bias: bias, Activation: "gelu"},
		{Name: "mm.2", Bias: bias}}}
	if d.Merge, err = number(f, "spatial_merge_size", maxMerge, 1); err != nil {
		return err
	}
	if _, ok := f.Tensor("mm.patch_merger.weight"); ok {
		c.Norm = chainNorm{Name: "mm.input_norm", Kind: rmsNorm}
		c.Parts = append([]part{{Name: "mm.patch_merger", Interleave: true}}, c.Parts...)
	}
	d.Chains = []chain{c}
	if d.ImageSize -= d.ImageSize % (d.PatchSize * d.Merge); d.ImageSize == 0 {
		return fmt.Errorf("clip.vision.image_size is less than a token")
	}
	return nil
}
