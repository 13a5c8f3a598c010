package vision

import "github.com/eyelet-engine/eyelet/models/gguf"

// describeIdefics3 describes the tower of Idefics3 and SmolVLM: SigLIP, of whose rows squares stand
// side by side (their pixel shuffle) before one linear layer (Idefics3Connector of transformers
// 5.24).
func describeIdefics3(d *description, f *gguf.File) (err error) {
	d.Family, d.Positions, d.Post = "siglip", learned, layerNorm
	d.Activation = activation(f, "gelu_tanh", "gelu_tanh")
	d.Chains = []chain{{Reads: []int{d.Blocks}, Parts: []part{{Name: "mm.model.fc"}}}}
	d.Merge, err = number(f, "projector.scale_factor", maxMerge, 2)
	return err
}
