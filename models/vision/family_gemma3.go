package vision

import "github.com/eyelet-engine/eyelet/models/gguf"

// describeGemma3 describes Gemma 3's tower: SigLIP, of whose rows squares are averaged, normalised
// and projected (Gemma3MultiModalProjector of transformers 5.24).
func describeGemma3(d *description, f *gguf.File) (err error) {
	d.Family, d.Positions, d.Post, d.Pooled, d.Whole = "siglip", learned, layerNorm, true, true
	d.Activation = activation(f, "gelu_tanh", "gelu_tanh")
	d.Chains = []chain{{
		Reads: []int{d.Blocks}, Norm: chainNorm{Name: "mm.soft_emb_norm", Kind: rmsNorm},
		Parts: []part{{Name: "mm.input_projection", Transposed: true}},
	}}
	d.Merge, err = number(f, "projector.scale_factor", maxMerge, 4)
	return err
}
