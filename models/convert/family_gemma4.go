package convert

import (
	"fmt"

	"github.com/eyelet-engine/eyelet/models/gguf"
	"github.com/eyelet-engine/eyelet/models/hf"
)

// unrotated divides the angles of pairs that do not rotate, as llama.cpp's converter writes it.
const unrotated = 1e30

// planGemma4 plans what layers of Gemma 4's language model share: how far pairs of the wide heads
// rotate, and the embedding that each layer adds of a token.
func (o *output) planGemma4(t *hf.Text) {
	values := make([]float32, t.GlobalHeadDim/2)
	for i := range values {
		values[i] = 1
		if i >= int(float64(t.GlobalHeadDim)*t.Rope.Partial/2) {
			values[i] = unrotated
		}
	}
	o.tensors = append(o.tensors, &tensor{name: "rope_freqs.weight", typ: gguf.F32,
		dims: []uint64{uint64(len(values))}, values: values})
	if t.PerLayer == 0 {
		return
	}
	all := t.Layers * t.PerLayer
	o.add("per_layer_token_embd.weight", "text.embed_tokens_per_layer.weight", t.PerLayerVocab, all)
	o.add("per_layer_model_proj.weight", "text.per_layer_model_projection.weight", all, t.Hidden)
	o.norm("per_layer_proj_norm", "text.per_layer_projection_norm", t.PerLayer, false)
}

// planGemma4Layer plans a layer of Gemma 4. Layers without a window have heads of another width,
// and may take their keys for values; the last layers may share keys and values of earlier ones.
func (o *output) planGemma4Layer(t *hf.Text, i int, to, from string) {
	dim, kvHeads, ff := t.HeadDim, t.KVHeads, t.FF
	if t.Full[i] {
		dim, kvHeads = t.GlobalHeadDim, t.GlobalKVHeads
	}
	shares := i >= t.Layers-t.SharedKV
	if shares && t.DoubleWide {
		ff *= 2
	}
	o.add(to+"layer_output_scale.weight", from+"layer_scalar", 1)
	for _, norm := range []struct{ to, from string }{{"attn_norm", "input_layernorm"},
		{"post_attention_norm", "post_attention_layernorm"},
		{"ffn_norm", "pre_feedforward_layernorm"},
		{"post_ffw_norm", "post_feedforward_layernorm"}} {
		o.norm(to+norm.to, from+norm.from, t.Hidden, false)
	}
	attention := from + "self_attn."
	o.layer(to+"attn_q", attention+"q_proj", t.Heads*dim, t.Hidden, false)
	o.norm(to+"attn_q_norm", attention+"q_norm", dim, false)
	o.layer(to+"attn_output", attention+"o_proj", t.Hidden, t.Heads*dim, false)
	add := o.add
	if shares { // where older folders have some that nobody reads
		add = o.addIf
	}
	add(to+"attn_k.weight", attention+"k_proj.weight", kvHeads*dim, t.Hidden)
	add(to+"attn_k_norm.weight", attention+"k_norm.weight", dim)
	if !t.Full[i] || !t.KeysAsValues {
		add(to+"attn_v.weight", attention+"v_proj.weight", kvHeads*dim, t.Hidden)
	}
	o.layer(to+"ffn_gate", from+"mlp.gate_proj", ff, t.Hidden, false)
	o.layer(to+"ffn_up", from+"mlp.up_proj", ff, t.Hidden, false)
	o.layer(to+"ffn_down", from+"mlp.down_proj", t.Hidden, ff, false)
	if t.PerLayer > 0 {
		o.layer(to+"inp_gate", from+"per_layer_input_gate", t.PerLayer, t.Hidden, false)
		o.layer(to+"proj", from+"per_layer_projection", t.Hidden, t.PerLayer, false)
		o.norm(to+"post_norm", from+"post_per_layer_input_norm", t.Hidden, false)
	}
}

// gemma4Metadata sets the keys of Gemma 4's language model beside those that all have.
func (o *output) gemma4Metadata(t *hf.Text, set func(key string, value any)) {
	windows, kvHeads, ff := make([]bool, t.Layers), make([]int32, t.Layers),
		make([]int32, t.Layers)
	for i := range t.Layers {
		windows[i], kvHeads[i], ff[i] = !t.Full[i], int32(t.KVHeads), int32(t.FF)
		if t.Full[i] {
			kvHeads[i] = int32(t.GlobalKVHeads)
		}
		if i >= t.Layers-t.SharedKV {
			ff[i] *= 2
		}
	}
	if t.GlobalKVHeads != t.KVHeads {
		set("attention.head_count_kv", kvHeads)
	}
	if t.DoubleWide {
		set("feed_forward_length", ff)
	}
	set("attention.key_length", uint32(t.GlobalHeadDim))
	set("attention.value_length", uint32(t.GlobalHeadDim))
	set("attention.key_length_swa", uint32(t.HeadDim))
	set("attention.value_length_swa", uint32(t.HeadDim))
	set("rope.dimension_count", uint32(t.GlobalHeadDim))
	set("rope.dimension_count_swa", uint32(t.HeadDim))
	set("attention.sliding_window_pattern", windows)
	set("attention.shared_kv_layers", uint32(t.SharedKV))
	set("embedding_length_per_layer_input", uint32(t.PerLayer))
	if t.Softcap != 0 {
		set("final_logit_softcapping", float32(t.Softcap))
	}
}

// planGemma4Tower plans Gemma 4's tower and projector.
func (o *output) planGemma4Tower(v *hf.Vision) {
	n, side := v.Hidden, v.PatchSize
	patch := o.addPart("v.patch_embd.weight", "vision.patch_embedder.input_proj.weight", part{},
		[]int{n, 3 * side * side}, []int{n, 3, side, side})
	o.sort(patch, 1, planar(3, side*side))
	patch.typ = o.patchType()
	o.add("v.position_embd.weight", "vision.patch_embedder.position_embedding_table", 2,
		v.Positions, n).typ = gguf.F32
	for i := range v.Layers {
		to, from := fmt.Sprintf("v.blk.%d.", i), fmt.Sprintf("vision.encoder.layers.%d.", i)
		for _, norm := range []struct {
			to, from string
			width    int
		}{{"ln1", "input_layernorm", n}, {"attn_post_norm", "post_attention_layernorm", n},
			{"ln2", "pre_feedforward_layernorm", n},
			{"ffn_post_norm", "post_feedforward_layernorm", n},
			{"attn_q_norm", "self_attn.q_norm", n / v.Heads},
			{"attn_k_norm", "self_attn.k_norm", n / v.Heads}} {
			o.norm(to+norm.to, from+norm.from, norm.width, false)
		}
		for _, x := range []struct {
			to, from string
			out, in  int
		}{{"attn_q", "self_attn.q_proj", n, n}, {"attn_k", "self_attn.k_proj", n, n},
			{"attn_v", "self_attn.v_proj", n, n}, {"attn_out", "self_attn.o_proj", n, n},
			{"ffn_gate", "mlp.gate_proj", v.FF, n}, {"ffn_up", "mlp.up_proj", v.FF, n},
			{"ffn_down", "mlp.down_proj", n, v.FF}} {
			o.add(to+x.to+".weight", from+x.from+".linear.weight", x.out, x.in)
			for _, bound := range []string{"input_min", "input_max", "output_min", "output_max"} {
				if v.Clipped {
					o.addPart(to+x.to+"."+bound, from+x.from+"."+bound, part{}, []int{}, []int{1})
				}
			}
		}
	}
	if v.Standardized {
		o.add("v.std_bias", "vision.std_bias", n)
		o.add("v.std_scale", "vision.std_scale", n)
	}
	o.layer("mm.input_projection", "projector.embedding_projection", o.config.Text.Hidden, n, false)
}

func (o *output) gemma4TowerMetadata(v *hf.Vision, set func(key string, value any)) {
	set("vision.projector_type", "gemma4v")
	// llama.cpp's converter names no activation, and its tower takes another one then.
	set("use_gelu", true)
	if v.ScaleFactor != 3 { // the default
		set("vision.projector.scale_factor", uint32(v.ScaleFactor))
	}
}
