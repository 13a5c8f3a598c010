package convert

import (
	"fmt"

	"github.com/eyelet-engine/eyelet/models/gguf"
	"github.com/eyelet-engine/eyelet/models/hf"
)

// planInternVL plans InternVL's tower and projector from folders of transformers' own layout. Class
// token and positions have a first dimension of 1, which the files keep.
func (o *output) planInternVL(v *hf.Vision) {
	n, grid := v.Hidden, v.ImageSize/v.PatchSize
	o.add("v.class_embd", "vision.embeddings.cls_token", 1, 1, n).typ = gguf.F32
	o.planPatches(v, "vision.embeddings.patch_embeddings.projection.weight")
	o.add("v.patch_embd.bias", "vision.embeddings.patch_embeddings.projection.bias", n)
	o.add("v.position_embd.weight", "vision.embeddings.position_embeddings", 1, grid*grid+1,
		n).typ = gguf.F32
	for i := range v.Layers {
		to, from := fmt.Sprintf("v.blk.%d.", i), fmt.Sprintf("vision.encoder.layer.%d.", i)
		for _, part := range []struct{ to, from string }{{"attn_q", "q_proj"}, {"attn_k", "k_proj"},
			{"attn_v", "v_proj"}} {
			o.layer(to+part.to, from+"attention."+part.from, n, n, v.AttentionBias)
		}
		o.layer(to+"attn_out", from+"attention.projection_layer", n, n, true)
		if v.QKNorm {
			o.norm(to+"attn_q_norm", from+"attention.q_norm", n, false)
			o.norm(to+"attn_k_norm", from+"attention.k_norm", n, false)
		}
		o.add(to+"ls1.weight", from+"lambda_1", n)
		o.add(to+"ls2.weight", from+"lambda_2", n)
		o.norm(to+"ln1", from+"layernorm_before", n, !v.RMSNorm)
		o.norm(to+"ln2", from+"layernorm_after", n, !v.RMSNorm)
		o.layer(to+"ffn_up", from+"mlp.fc1", v.FF, n, true)
		o.layer(to+"ffn_down", from+"mlp.fc2", n, v.FF, true)
	}
	width, merged := o.config.Text.Hidden, n*v.ScaleFactor*v.ScaleFactor
	o.norm("mm.model.mlp.0", "projector.layer_norm", merged, true)
	o.layer("mm.model.mlp.1", "projector.linear_1", width, merged, true)
	o.layer("mm.model.mlp.3", "projector.linear_2", width, width, true)
}

func (o *output) internVLMetadata(v *hf.Vision, set func(key string, value any)) {
	set("projector_type", "internvl")
	set("use_gelu", true)
	set("vision.projector.scale_factor", uint32(v.ScaleFactor))
	// Of folders in this layout llama.cpp's converter writes no tiles, and 1 to 12 are the default.
	if p := o.preprocessor; p.MinTiles > 1 || p.MaxTiles != 0 && p.MaxTiles != 12 {
		set("vision.preproc_min_tiles", uint32(max(1, p.MinTiles)))
		if p.MaxTiles != 0 {
			set("vision.preproc_max_tiles", uint32(p.MaxTiles))
		}
	}
}
