package convert

import (
	"fmt"

	"github.com/eyelet-engine/eyelet/models/gguf"
	"github.com/eyelet-engine/eyelet/models/hf"
)

// planGLM4Layer plans a layer of GLM-4V's language model. The first of a head's rows rotate, in
// pairs side by side, which llama.cpp has apart where positions have three dimensions.
func (o *output) planGLM4Layer(t *hf.Text, to, from string) {
	for _, norm := range []struct{ to, from string }{{"attn_norm", "input_layernorm"},
		{"post_attention_norm", "post_self_attn_layernorm"},
		{"ffn_norm", "post_attention_layernorm"}, {"post_ffw_norm", "post_mlp_layernorm"}} {
		o.norm(to+norm.to, from+norm.from, t.Hidden, false)
	}
	for _, x := range []struct {
		name  string
		heads int
	}{{"q", t.Heads}, {"k", t.KVHeads}, {"v", t.KVHeads}} {
		weight := o.layer(to+"attn_"+x.name, from+"self_attn."+x.name+"_proj", x.heads*t.HeadDim,
			t.Hidden, false)
		bias := o.add(to+"attn_"+x.name+".bias", from+"self_attn."+x.name+"_proj.bias",
			x.heads*t.HeadDim)
		if x.name != "v" {
			o.sort(weight, t.Hidden, apart(t.Rotated(), t.HeadDim))
			o.sort(bias, 1, apart(t.Rotated(), t.HeadDim))
		}
	}
	o.layer(to+"attn_output", from+"self_attn.o_proj", t.Hidden, t.Heads*t.HeadDim, false)
	o.layer(to+"ffn_up", from+"mlp.gate_up_proj", 2*t.FF, t.Hidden, false)
	o.layer(to+"ffn_down", from+"mlp.down_proj", t.Hidden, t.FF, false)
}

// planGLM4V plans GLM-4V's tower and merger. Inner rows of blocks are as wide as the merger's
// output.
func (o *output) planGLM4V(v *hf.Vision) {
	n, width, grid := v.Hidden, o.config.Text.Hidden, v.ImageSize/v.PatchSize
	o.planFrames(v)
	o.add("v.patch_embd.bias", "vision.patch_embed.proj.bias", n)
	o.norm("v.norm_embd", "vision.post_conv_layernorm", n, false)
	o.add("v.position_embd.weight", "vision.embeddings.position_embedding.weight", grid*grid,
		n).typ = gguf.F32
	for i := range v.Layers {
		to, from := fmt.Sprintf("v.blk.%d.", i), fmt.Sprintf("vision.blocks.%d.", i)
		o.norm(to+"ln1", from+"norm1", n, false)
		o.norm(to+"ln2", from+"norm2", n, false)
		o.layer(to+"attn_qkv", from+"attn.qkv", 3*n, n, v.AttentionBias)
		o.layer(to+"attn_out", from+"attn.proj", n, n, false)
		o.layer(to+"ffn_gate", from+"mlp.gate_proj", width, n, false)
		o.layer(to+"ffn_up", from+"mlp.up_proj", width, n, false)
		o.layer(to+"ffn_down", from+"mlp.down_proj", n, width, false)
	}
	o.norm("v.post_ln", "vision.post_layernorm", n, false)
	o.add("mm.patch_merger.bias", "vision.downsample.bias", width)
	o.add("mm.patch_merger.weight", "vision.downsample.weight", width, n, v.ScaleFactor,
		v.ScaleFactor).typ = o.patchType()
	o.layer("mm.model.fc", "vision.merger.proj", width, width, false)
	o.norm("mm.post_norm", "vision.merger.post_projection_norm", width, true)
	o.layer("mm.gate", "vision.merger.gate_proj", v.FF, width, false)
	o.layer("mm.up", "vision.merger.up_proj", v.FF, width, false)
	o.layer("mm.down", "vision.merger.down_proj", width, v.FF, false)
}

func (o *output) glm4vMetadata(v *hf.Vision, set func(key string, value any)) {
	set("projector_type", "glm4v")
	set("use_silu", true)
	if v.ScaleFactor != 2 { // the default
		set("vision.spatial_merge_size", uint32(v.ScaleFactor))
	}
	o.pixelBounds(112*112, 28*28*15000, set)
}
