package vision

import (
	"fmt"

	"github.com/eyelet-engine/eyelet/models/gguf"
)

// describeGemma4 describes Gemma 4's tower: pictures of any size, positions of columns and rows,
// learned and rotary, norms around all layers, and squares of patches of which the mean is taken,
// normalised and projected (Gemma4VisionModel and Gemma4MultimodalEmbedder of transformers 5.24).
func describeGemma4(d *description, f *gguf.File) (err error) {
	d.Family, d.AnySize, d.Positions, d.Pooled = "gemma4", true, axial, true
	// The processor leaves numbers from 0 to 1, and the tower takes them from -1 to 1 itself.
	d.Mean, d.Std = [3]float32{0.5, 0.5, 0.5}, [3]float32{0.5, 0.5, 0.5}
	d.Rotary = rotary{Theta: 100, Quarters: true}
	d.Norm, d.Gated, d.Sandwich = rmsNorm, true, true
	// llama.cpp's converter names no activation.
	d.Activation = activation(f, "gelu_tanh", "gelu_tanh")
	// The mean is multiplied by the root of the width, which its norm takes out again.
	d.Chains = []chain{{Reads: []int{d.Blocks}, Norm: chainNorm{Kind: rmsNorm, Plain: true,
		Eps: d.Eps / float64(d.Hidden)}, Parts: []part{{Name: "mm.input_projection"}}}}
	table, ok := f.Tensor("v.position_embd.weight")
	if !ok || len(table.Dims) != 3 || table.Dims[1] < 1 || table.Dims[1] > maxSide {
		return fmt.Errorf("v.position_embd.weight is not two tables of at most %d rows", maxSide)
	}
	d.MostAcross = int(table.Dims[1])
	if d.Merge, err = number(f, "projector.scale_factor", maxMerge, 3); err != nil {
		return err
	}
	if d.ImageSize -= d.ImageSize % (d.PatchSize * d.Merge); d.ImageSize == 0 {
		return fmt.Errorf("clip.vision.image_size is less than a token")
	}
	return nil
}
