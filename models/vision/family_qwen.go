package vision

import (
	"fmt"

	"github.com/eyelet-engine/eyelet/models/gguf"
)

// describeQwen describes what the towers of Qwen2-VL, Qwen2.5-VL and Qwen3-VL have in common:
// pictures of any size; a patch embedding over two frames, which a still picture fills both; rotary
// positions; and a merger of 2 x 2 patches, normalised one by one.
func describeQwen(d *description, f *gguf.File) (err error) {
	if err := refuseKeys(f, "wa_layer_indexes"); err != nil {
		return err
	}
	d.Family, d.AnySize, d.MRoPE = "qwen", true, true
	d.Patch = append(d.Patch, "v.patch_embd.weight.1")
	d.Rotary = rotary{Theta: 10000}
	d.Chains = []chain{{
		Reads: []int{d.Blocks}, Norm: chainNorm{Name: "v.post_ln", Kind: layerNorm},
		Parts: []part{{Name: "mm.0", Bias: true, Activation: "gelu"}, {Name: "mm.2", Bias: true}},
	}}
	d.Merge, err = number(f, "spatial_merge_size", maxMerge, 2)
	// What positions were learned for, or a picture to speak of: whole tokens.
	d.ImageSize -= d.ImageSize % (d.PatchSize * max(d.Merge, 1))
	if err == nil && d.ImageSize == 0 {
		err = fmt.Errorf("clip.vision.image_size is less than a token")
	}
	return err
}

// describeQwen2VL follows Qwen2VisionTransformerPretrainedModel of transformers 5.24.
func describeQwen2VL(d *description, f *gguf.File) error {
	if err := refuseKeys(f, "n_wa_pattern", "window_size"); err != nil {
		return err
	}
	d.Activation = activation(f, "gelu", "quick_gelu")
	d.innerWidth(f)
	return describeQwen(d, f)
}

// innerWidth takes the width of inner rows from a tensor, where llama.cpp's converter writes
// another one.
func (d *description) innerWidth(f *gguf.File) {
	if t, ok := f.Tensor("v.blk.0.ffn_up.weight"); ok && len(t.Dims) == 2 && t.Dims[1] >= 1 &&
		t.Dims[1] <= maxWidth {
		d.FF = int(t.Dims[1])
	}
}

// describeQwen25VL follows Qwen2_5_VisionTransformerPretrainedModel of transformers 5.24: rows
// attend in windows of 112 pixels but in every n-th block.
func describeQwen25VL(d *description, f *gguf.File) (err error) {
	if err := describeQwen(d, f); err != nil {
		return err
	}
	every, ok := f.Uint("clip.vision.n_wa_pattern")
	if !ok || every < 1 || every > maxBlocks {
		return fmt.Errorf("clip.vision.n_wa_pattern is missing or not between 1 and %d", maxBlocks)
	}
	if d.Window, err = number(f, "window_size", maxSide, 112); err != nil {
		return err
	}
	for i := range d.Blocks {
		d.Full = append(d.Full, (i+1)%int(every) == 0)
	}
	d.Norm, d.Chains[0].Norm.Kind, d.Gated = rmsNorm, rmsNorm, true
	d.Activation = activation(f, "gelu", "silu")
	return nil
}

// describeQwen3VL follows Qwen3VLVisionModel of transformers 5.24: learned positions besides, and
// the states of some blocks, merged in ways of their own, go to the first layers of the language
// model (deepstack).
func describeQwen3VL(d *description, f *gguf.File) error {
	if err := refuseKeys(f, "n_wa_pattern", "window_size"); err != nil {
		return err
	}
	if err := describeQwen(d, f); err != nil {
		return err
	}
	d.Positions = bilinear
	d.Activation = activation(f, "gelu_tanh", "gelu_tanh")
	const key = "clip.vision.is_deepstack_layers"
	v, ok := f.Lookup(key)
	if !ok {
		return nil
	}
	layers, ok := v.Bools()
	if !ok || len(layers) > d.Blocks {
		return fmt.Errorf("%s is not a switch for each of %d blocks", key, d.Blocks)
	}
	for i, on := range layers {
		if !on {
			continue
		}
		name := fmt.Sprintf("v.deepstack.%d.", i)
		d.Chains = append(d.Chains, chain{
			Reads: []int{i + 1}, Norm: chainNorm{Name: name + "norm", Kind: layerNorm,
				Merged: true},
			Parts: []part{{Name: name + "fc1", Bias: true, Activation: "gelu"},
				{Name: name + "fc2", Bias: true}},
		})
	}
	return nil
}
