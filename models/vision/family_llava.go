package vision

import (
	"fmt"

	"github.com/eyelet-engine/eyelet/models/gguf"
)

// describeLLaVA describes LLaVA's towers: CLIP (Radford et al. 2021), which has a class token, or
// SigLIP (Zhai et al. 2023), with LLaVA's projector (Liu et al. 2023), or Janus's.
func describeLLaVA(d *description, f *gguf.File) (err error) {
	if err := refuseKeys(f, "n_wa_pattern", "wa_layer_indexes", "window_size"); err != nil {
		return err
	}
	d.Family = "siglip"
	if _, d.Class = f.Tensor("v.class_embd"); d.Class {
		d.Family = "clip"
	}
	d.Positions = learned
	d.Biased = blockParts
	if _, ok := f.Tensor("v.pre_ln.weight"); ok || d.Class {
		d.Pre = layerNorm
	}
	// CLIP's own norm after the last block is the class token's alone.
	if _, ok := f.Tensor("v.post_ln.weight"); ok && !d.Class {
		d.Post = layerNorm
	}
	// CLIP and Janus were trained with the exact GELU, SigLIP with the approximation
	// (gelu_pytorch_tanh in its configuration), for which llama.cpp's older converter, looking for
	// "gelu", leaves both switches off.
	gelu, neither := "gelu_tanh", "gelu_tanh"
	if d.Class || d.Projector == "janus_pro" {
		gelu = "gelu"
	}
	if d.Class || d.Layout == LibmtmdFault {
		neither = "quick_gelu"
	}
	d.Activation = activation(f, gelu, neither)
	reads, err := d.readFeatures(f)
	if err != nil {
		return err
	}
	d.Chains = []chain{{Reads: reads, Parts: llavaLayers(f, d.Projector)}}
	d.Tiling, err = readTiling(f)
	return err
}

// llavaLayers are the projector's linear layers, one, or two with an exact GELU between them.
func llavaLayers(f *gguf.File, projector string) []part {
	first, last := part{Name: "mm.0", Bias: true, Activation: "gelu"},
		part{Name: "mm.2", Bias: true}
	switch projector {
	case "linear":
		if _, ok := f.Tensor("mm.weight"); ok {
			return []part{{Name: "mm", Bias: true}}
		}
		return []part{{Name: "mm.0", Bias: true}}
	case "janus_pro":
		last.Name = "mm.1"
	}
	return []part{first, last}
}

// newlineNames are the names of LLaVA 1.6's embedding for the end of a row: that of
// llama.cpp's older converter, and that of newer ones.
var newlineNames = []string{"model.image_newline", "v.image_newline"}

// readFeatures finds the depths of the hidden states that the projector reads:
// clip.vision.feature_layer, in the numbering of transformers' hidden_states (k is
// the state after k blocks), else the end of the stored blocks, of which converters
// drop those that no one reads.
func (d *description) readFeatures(f *gguf.File) (reads []int, err error) {
	const key = "clip.vision.feature_layer"
	var layers []int64
	if v, ok := f.Ints(key); ok {
		layers = v
	} else if v, ok := f.Int(key); ok {
		layers = []int64{v}
	}
	if len(layers) == 0 {
		if d.Layout == LibmtmdFault && d.Projector != "janus_pro" {
			return []int{d.Blocks - 1}, nil
		}
		return []int{d.Blocks}, nil
	}
	if len(layers) > 16 {
		return nil, fmt.Errorf("%s names %d layers", key, len(layers))
	}
	for _, k := range layers {
		if k < 0 || k > int64(d.Blocks) {
			return nil, fmt.Errorf("%s = %v in a tower of %d blocks", key, layers, d.Blocks)
		}
		reads = append(reads, int(k))
	}
	return reads, nil
}
