package convert

import (
	"fmt"

	"github.com/eyelet-engine/eyelet/models/gguf"
	"github.com/eyelet-engine/eyelet/models/hf"
)

// tower writes the tower and the projector of a family: plan adds the tensors, metadata sets the
// keys beside those that all towers have.
type tower struct {
	plan     func(o *output, v *hf.Vision)
	metadata func(o *output, v *hf.Vision, set func(key string, value any))
}

// towers are those of each family. Names, types and keys are those of llama.cpp's converter but
// where the family's file says otherwise.
var towers = map[hf.Family]tower{
	hf.LLaVA:    {(*output).planLLaVA, (*output).llavaMetadata},
	hf.Idefics3: {(*output).planIdefics3, (*output).idefics3Metadata},
	hf.Qwen2VL:  {(*output).planQwen, (*output).qwenMetadata},
	hf.Qwen25VL: {(*output).planQwen, (*output).qwenMetadata},
	hf.Qwen3VL:  {(*output).planQwen3, (*output).qwenMetadata},
	hf.Gemma3:   {(*output).planGemma3, (*output).gemma3Metadata},
	hf.Gemma4:   {(*output).planGemma4Tower, (*output).gemma4TowerMetadata},
	hf.GLM4V:    {(*output).planGLM4V, (*output).glm4vMetadata},
	hf.InternVL: {(*output).planInternVL, (*output).internVLMetadata},
	hf.Pixtral:  {(*output).planPixtral, (*output).pixtralMetadata},
	hf.Mistral3: {(*output).planPixtral, (*output).pixtralMetadata},
}

// planVision plans the vision tower and the projector.
func (o *output) planVision() {
	v := o.config.Vision
	o.metadata = o.visionMetadata
	towers[v.Family].plan(o, v)
}

// visionMetadata sets the keys of a tower and its projector.
func (o *output) visionMetadata() {
	v, p := o.config.Vision, o.preprocessor
	o.general("clip", "mmproj")
	set := func(key string, value any) { o.w.Set("clip."+key, value) }
	set("has_vision_encoder", true)
	set("vision.projection_dim", uint32(o.config.Text.Hidden))
	set("vision.image_size", uint32(v.ImageSize))
	set("vision.patch_size", uint32(v.PatchSize))
	set("vision.embedding_length", uint32(v.Hidden))
	set("vision.feed_forward_length", uint32(v.FF))
	set("vision.block_count", uint32(depth(v)))
	set("vision.attention.head_count", uint32(v.Heads))
	set("vision.attention.layer_norm_epsilon", float32(v.Eps))
	set("vision.image_mean", float32s(p.Mean[:]))
	set("vision.image_std", float32s(p.Std[:]))
	towers[v.Family].metadata(o, v, set)
}

// planPatches plans a patch embedding over one picture.
func (o *output) planPatches(v *hf.Vision, from string) *tensor {
	t := o.add("v.patch_embd.weight", from, v.Hidden, 3, v.PatchSize, v.PatchSize)
	t.typ = o.patchType()
	return t
}

// patchType is the type of patch embeddings in llama.cpp's files.
func (o *output) patchType() gguf.Type {
	if o.typ == gguf.F16 {
		return gguf.F16
	}
	return gguf.F32
}

// planSigLIP plans SigLIP's tower (Zhai et al. 2023), which Idefics3 and Gemma 3 have.
func (o *output) planSigLIP(v *hf.Vision) {
	grid := v.ImageSize / v.PatchSize
	o.planPatches(v, "vision.embeddings.patch_embedding.weight").typ = gguf.F32
	o.add("v.patch_embd.bias", "vision.embeddings.patch_embedding.bias", v.Hidden)
	o.add("v.position_embd.weight", "vision.embeddings.position_embedding.weight", grid*grid,
		v.Hidden).typ = gguf.F32
	for i := range v.Layers {
		o.planBlock(v, fmt.Sprintf("v.blk.%d.", i), fmt.Sprintf("vision.encoder.layers.%d.", i))
	}
	o.norm("v.post_ln", "vision.post_layernorm", v.Hidden, true)
}

// planBlock plans a block of CLIP's or SigLIP's tower.
func (o *output) planBlock(v *hf.Vision, to, from string) {
	o.norm(to+"ln1", from+"layer_norm1", v.Hidden, true)
	o.norm(to+"ln2", from+"layer_norm2", v.Hidden, true)
	for _, part := range []struct{ to, from string }{{"attn_q", "q_proj"}, {"attn_k", "k_proj"},
		{"attn_v", "v_proj"}, {"attn_out", "out_proj"}} {
		o.layer(to+part.to, from+"self_attn."+part.from, v.Hidden, v.Hidden, true)
	}
	o.layer(to+"ffn_up", from+"mlp.fc1", v.FF, v.Hidden, true)
	o.layer(to+"ffn_down", from+"mlp.fc2", v.Hidden, v.FF, true)
}
