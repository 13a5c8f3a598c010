package hf

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
	o.want("hidden_activation", "gelu_pytorch_tanh")
	o.wantSwitch("attention_bias", false)
	o.wantSwitch("use_bidirectional_attention", false)
	for _, key := range []string{"attn_logit_softcapping", "final_logit_softcapping"} {
		if o.has(key) {
			o.fail(key, "%w: logits are not capped", ErrUnsupported)
		}
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
