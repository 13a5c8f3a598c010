package hf

import "strconv"

// gemma3Every is how many of Gemma 3's layers, the last of them, has no window: libllama knows this
// pattern alone.
const gemma3Every = 6

// gemma3Text reads what is Gemma 3's alone: Gemma3TextConfig of transformers 5.24.
func (o object) gemma3Text(t *Text) {
	t.Window = o.integer("sliding_window", 4096, 1, maxContext)
	o.wantNumber("sliding_window_pattern", gemma3Every)
	o.wantNumber("_sliding_window_pattern", gemma3Every)
	if types := o.list("layer_types"); types != nil {
		for i, kind := range types {
			want := "sliding_attention"
			if (i+1)%gemma3Every == 0 {
				want = "full_attention"
			}
			if kind != want || len(types) != t.Layers {
				o.fail("layer_types", "%w: every sixth of %d layers is known to have no window",
					ErrUnsupported, t.Layers)
				break
			}
		}
	}
	o.gemmaText()
	o.wantSwitch("use_bidirectional_attention", false)
	if o.has("final_logit_softcapping") {
		o.fail("final_logit_softcapping", "%w: logits are not capped", ErrUnsupported)
	}
	// libllama divides by the root of a head's width, and in the largest model, which it knows by
	// its layers, of the width that heads share.
	scale := t.HeadDim
	if t.Layers == 62 {
		scale = t.Hidden / t.Heads
	}
	if x := o.float("query_pre_attn_scalar", 256); x != float64(scale) {
		o.fail("query_pre_attn_scalar", "%w: %v, where llama.cpp takes %d", ErrUnsupported, x,
			scale)
	}
}

// gemmaText refuses what neither Gemma 3 nor Gemma 4 has.
func (o object) gemmaText() {
	o.want("hidden_activation", "gelu_pytorch_tanh")
	o.wantSwitch("attention_bias", false)
	if o.has("attn_logit_softcapping") {
		o.fail("attn_logit_softcapping", "%w: scores are not capped", ErrUnsupported)
	}
}

// Layered is how the layers of Gemma 4's language model differ.
type Layered struct {
	Full []bool // layers without a window
	// GlobalHeadDim and GlobalKVHeads are the width of heads and the number of keys' heads in
	// layers without a window.
	GlobalHeadDim, GlobalKVHeads int
	KeysAsValues                 bool // in layers without a window
	SharedKV                     int  // so many last layers have no keys and values of their own
	DoubleWide                   bool // whose feed-forward networks are twice as wide
	// PerLayer is the width of what each layer adds of a token's own embedding, of which there are
	// PerLayerVocab; 0 for models without.
	PerLayer, PerLayerVocab int
	Softcap                 float64 // of logits; 0 for none
}

// gemma4Text reads what is Gemma 4's alone: Gemma4TextConfig of transformers 5.24.
func (o object) gemma4Text(t *Text) {
	o.gemmaText()
	o.wantSwitch("enable_moe_block", false)
	t.Window = o.integer("sliding_window", 512, 1, maxContext)
	types := o.list("layer_types")
	for i := range t.Layers {
		full := (i+1)%gemma3Every == 0
		if len(types) == t.Layers {
			full = types[i] == "full_attention"
		}
		t.Full = append(t.Full, full || i == t.Layers-1)
	}
	for _, kind := range types {
		if kind != "full_attention" && kind != "sliding_attention" || len(types) != t.Layers {
			o.fail("layer_types", "%w: %s in a list of %d for %d layers", ErrUnsupported,
				brief(kind), len(types), t.Layers)
			break
		}
	}
	t.KeysAsValues = o.boolean("attention_k_eq_v", false)
	o.globalHeads(t)
	t.SharedKV = o.integer("num_kv_shared_layers", 0, 0, t.Layers-1)
	t.DoubleWide = o.boolean("use_double_wide_mlp", false)
	t.PerLayer = o.integer("hidden_size_per_layer_input", 256, 0, maxWidth)
	t.PerLayerVocab = o.integer("vocab_size_per_layer_input", 262144, 1, maxVocab)
	t.Softcap = o.float("final_logit_softcapping", 0)
	switch all := o.values["use_bidirectional_attention"]; {
	case all != nil && all != "vision":
		o.fail("use_bidirectional_attention", "%w: %s", ErrUnsupported, brief(all))
	case t.Heads%t.GlobalKVHeads != 0 || t.GlobalHeadDim%2 != 0 ||
		t.Heads*t.GlobalHeadDim > maxWidth:
		o.fail("global_head_dim", "%w: %d heads of %d share %d", ErrInvalid, t.Heads,
			t.GlobalHeadDim, t.GlobalKVHeads)
	}
}

// globalHeads reads the heads of layers without a window: two numbers of all of them, or, as late
// versions of transformers write it, numbers of each.
func (o object) globalHeads(t *Text) {
	t.GlobalHeadDim, t.GlobalKVHeads = o.integer("global_head_dim", 512, 1, maxWidth), t.KVHeads
	if n := o.integer("num_global_key_value_heads", t.KVHeads, 1, maxWidth); t.KeysAsValues {
		t.GlobalKVHeads = n
	}
	each := o.object("per_layer_config")
	if each.values == nil {
		return
	}
	first := true
	for i, full := range t.Full {
		layer := each.object(strconv.Itoa(i))
		for key := range layer.values {
			if key != "head_dim" && key != "num_key_value_heads" || !full {
				layer.fail(key, "%w: a number of one layer", ErrUnsupported)
			}
		}
		if !full {
			continue
		}
		dim := layer.integer("head_dim", t.HeadDim, 1, maxWidth)
		heads := layer.integer("num_key_value_heads", t.KVHeads, 1, maxWidth)
		if !first && (dim != t.GlobalHeadDim || heads != t.GlobalKVHeads) {
			layer.fail("head_dim", "%w: other layers without a window have other heads",
				ErrUnsupported)
		}
		t.GlobalHeadDim, t.GlobalKVHeads, first = dim, heads, false
	}
}
