package hf

// llava reads LLaVA's settings: which layers of the tower feed the projector, and which rows of
// them.
func (o object) llava(v *Vision, class string) {
	switch v.Act {
	case "quick_gelu", "gelu", "silu":
	default:
		o.fail("vision_config: hidden_act", "%w: %s; quick_gelu, gelu and silu are known",
			ErrUnsupported, brief(v.Act))
	}
	o.want("projector_hidden_act", "gelu")
	if s := o.str("vision_feature_select_strategy", "default"); s != "default" {
		o.fail("vision_feature_select_strategy",
			"%w: %s: only towers whose class token is dropped are known", ErrUnsupported, brief(s))
	}
	v.NoProjectorBias = !o.boolean("multimodal_projector_bias", true)
	layers := []any{o.values["vision_feature_layer"]}
	if list, ok := layers[0].([]any); ok {
		layers = list
	}
	if len(layers) == 0 {
		o.fail("vision_feature_layer",
			"%w: the list is empty, and the projector needs some layer's output", ErrInvalid)
	}
	for _, layer := range layers {
		k, ok := o.hiddenState(layer, -2, v.Layers)
		if !ok || len(layers) > 16 {
			o.fail("vision_feature_layer", "%w: %s of a tower of %d blocks", ErrInvalid,
				brief(layer), v.Layers)
			return
		}
		v.Features = append(v.Features, k)
	}
	if class == "LlavaNextForConditionalGeneration" {
		o.pinpoints(v)
	}
}

// hiddenState returns the number of a hidden state of a tower of so many blocks. States are counted
// from the embedding's, which is number 0, or from the end; fallback is for null.
func (o object) hiddenState(layer any, fallback, blocks int) (k int, ok bool) {
	k, ok = wholeNumber(layer)
	if layer == nil {
		k, ok = fallback, true
	}
	if k < 0 {
		k += blocks + 1
	}
	return k, ok && k >= 0 && k <= blocks
}

func (o object) pinpoints(v *Vision) {
	const key = "image_grid_pinpoints"
	list := o.list(key)
	if list == nil {
		// LlavaNextConfig's default.
		v.Pinpoints = []int{336, 672, 672, 336, 672, 672, 1008, 336, 336, 1008}
		return
	}
	for _, pair := range list {
		p, ok := pair.([]any)
		if !ok || len(p) != 2 || len(v.Pinpoints) >= 512 {
			o.fail(key, "%w: it is no list of sizes", ErrInvalid)
			return
		}
		for _, n := range p {
			side, ok := wholeNumber(n)
			if !ok || side < 1 || side > maxSide {
				o.fail(key, "%w: %s is no size", ErrInvalid, brief(pair))
				return
			}
			v.Pinpoints = append(v.Pinpoints, side)
		}
	}
}
