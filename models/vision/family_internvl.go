package vision

import "github.com/eyelet-engine/eyelet/models/gguf"

// describeInternVL describes the tower of InternVL 2.5 and 3: a class token, what blocks add
// scaled, and a norm over the merged rows (InternVLVisionModel and InternVLMultiModalProjector of
// transformers 5.24).
func describeInternVL(d *description, f *gguf.File) (err error) {
	d.Family, d.Positions = "internvit", learned
	_, d.Class = f.Tensor("v.class_embd")
	_, d.Scaled = f.Tensor("v.blk.0.ls1.weight")
	if _, ok := f.Tensor("v.blk.0.ln1.bias"); !ok {
		d.Norm = rmsNorm
	}
	d.Activation = activation(f, "gelu", "gelu")
	d.Chains = []chain{{
		Reads: []int{d.Blocks}, Norm: chainNorm{Name: "mm.model.mlp.0", Kind: layerNorm,
			Merged: true, Eps: 1e-5},
		Parts: []part{{Name: "mm.model.mlp.1", Bias: true, Activation: "gelu"},
			{Name: "mm.model.mlp.3", Bias: true}},
	}}
	d.Merge, err = number(f, "projector.scale_factor", maxMerge, 2)
	return err
}
