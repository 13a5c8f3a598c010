package vision

import "github.com/eyelet-engine/eyelet/models/gguf"

// describeGLM4V describes GLM-4V's tower: Qwen2-VL's with a norm of patch embeddings before the
// positions, which are learned besides, and with a convolution and a gated network for a merger
// (Glm4vVisionModel of transformers 5.24).
func describeGLM4V(d *description, f *gguf.File) error {
	if err := describeQwen(d, f); err != nil {
		return err
	}
	d.PatchNorm, d.Positions = true, bicubic
	d.Norm, d.Post, d.Gated = rmsNorm, rmsNorm, true
	d.Activation = activation(f, "gelu", "silu")
	d.innerWidth(f)
	d.Chains = []chain{{Reads: []int{d.Blocks}, Parts: []part{
		{Name: "mm.patch_merger", Bias: true, Interleave: true},
		{Name: "mm.model.fc", Norm: "mm.post_norm", Activation: "gelu"},
		{Name: "mm.up", Gate: "mm.gate", Activation: d.Activation},
		{Name: "mm.down"},
	}}}
	return nil
}
