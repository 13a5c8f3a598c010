package hf

import "math"

// idefics3 reads what Idefics3 and SmolVLM say: Idefics3VisionConfig and SmolVLMVisionConfig of
// transformers 5.24.
func (o object) idefics3(p object, v *Vision, _ string) {
	v.ScaleFactor = o.integer("scale_factor", 2, 1, maxMerge)
	o.divides("scale_factor", v)
	p.want("hidden_act", "gelu_pytorch_tanh")
}

// qwenVL reads what Qwen2-VL, Qwen2.5-VL and Qwen3-VL say: Qwen2VLVisionConfig,
// Qwen2_5_VLVisionConfig and Qwen3VLVisionConfig of transformers 5.24. llama.cpp knows towers over
// two frames alone.
func (o object) qwenVL(p object, v *Vision, _ string) {
	v.ScaleFactor = p.integer("spatial_merge_size", 2, 1, maxMerge)
	p.wantNumber("temporal_patch_size", 2)
	p.wantRotary()
	if p.integer("spatial_patch_size", v.PatchSize, 1, maxSide) != v.PatchSize {
		p.fail("spatial_patch_size", "%w: it is not patch_size, %d", ErrInvalid, v.PatchSize)
	}
	width := o.textWidth()
	switch v.Family {
	case Qwen2VL:
		p.want("hidden_act", "quick_gelu")
		ratio := p.float("mlp_ratio", 4)
		if !(ratio > 0 && ratio*float64(v.Hidden) <= maxFF) {
			p.fail("mlp_ratio", "%w: %v", ErrInvalid, ratio)
		}
		v.FF = max(1, int(ratio*float64(v.Hidden)))
		width = p.integer("hidden_size", width, 1, maxWidth)
	case Qwen25VL:
		p.want("hidden_act", "silu")
		p.wantNumber("window_size", 112)
		v.FullEvery = p.fullEvery(v.Layers)
		width = p.integer("out_hidden_size", width, 1, maxWidth)
	case Qwen3VL:
		p.want("hidden_act", "gelu_pytorch_tanh")
		width = p.integer("out_hidden_size", width, 1, maxWidth)
		positions := p.integer("num_position_embeddings", 2304, 1, maxVocab)
		side := int(math.Sqrt(float64(positions)))
		if v.ImageSize = side * v.PatchSize; side*side != positions || v.ImageSize > maxSide {
			p.fail("num_position_embeddings", "%w: %d are no square of patches", ErrInvalid,
				positions)
		}
		v.Deepstack = p.deepstack(v.Layers)
	}
	if width != o.textWidth() {
		p.fail("out_hidden_size", "%w: rows of %d for a language model of width %d", ErrInvalid,
			width, o.textWidth())
	}
}

// textWidth is the width of the language model, which Qwen's files from before version 4.52 of
// transformers give beside the tower.
func (o object) textWidth() int {
	text := o.object("text_config")
	if text.values == nil {
		text = o
	}
	return text.integer("hidden_size", 8192, 1, maxWidth)
}

// fullEvery reads fullatt_block_indexes, which must be every n-th block: libmtmd knows no other
// pattern.
func (o object) fullEvery(blocks int) int {
	const key = "fullatt_block_indexes"
	list := o.list(key)
	if list == nil {
		return 8 // Qwen2_5_VLVisionConfig's default: 7, 15, 23 and 31
	}
	every := 0
	for i, x := range list {
		k, ok := wholeNumber(x)
		if i == 0 && ok {
			every = k + 1
		}
		if !ok || every < 1 || every > blocks || k != every*(i+1)-1 || i >= maxLayers {
			o.fail(key, "%w: %s; every n-th block is known", ErrUnsupported, brief(list))
			return 1
		}
	}
	if every == 0 || len(list) != blocks/every {
		o.fail(key, "%w: %s of %d blocks; every n-th block is known", ErrUnsupported, brief(list),
			blocks)
		return 1
	}
	return every
}

// deepstack reads deepstack_visual_indexes.
func (o object) deepstack(blocks int) (list []int) {
	const key = "deepstack_visual_indexes"
	if !o.has(key) {
		list = []int{8, 16, 24} // Qwen3VLVisionConfig's default
	}
	for _, x := range o.list(key) {
		k, ok := wholeNumber(x)
		if !ok || len(list) > 0 && k <= list[len(list)-1] {
			o.fail(key, "%w: it is no list of blocks in their order", ErrUnsupported)
			return nil
		}
		list = append(list, k)
	}
	for _, k := range list {
		if k < 0 || k >= blocks {
			o.fail(key, "%w: block %d of %d", ErrInvalid, k, blocks)
			return nil
		}
	}
	return list
}

// gemma3 reads what Gemma 3 says of SigLIP's tower and its projector: Gemma3Config and
// SiglipVisionConfig of transformers 5.24.
func (o object) gemma3(p object, v *Vision, _ string) {
	p.want("hidden_act", "gelu_pytorch_tanh")
	tokens := o.integer("mm_tokens_per_image", 256, 1, maxVocab)
	side := int(math.Sqrt(float64(tokens)))
	grid := v.ImageSize / v.PatchSize
	if side*side != tokens || side > grid || v.ImageSize%v.PatchSize != 0 {
		o.fail("mm_tokens_per_image", "%w: %d tokens of %d x %d patches", ErrInvalid, tokens, grid,
			grid)
		side = 1
	}
	v.ScaleFactor = grid / side
	if v.ScaleFactor > maxMerge {
		o.fail("mm_tokens_per_image", "%w: %d tokens of %d x %d patches", ErrLimit, tokens, grid,
			grid)
	}
	o.divides("mm_tokens_per_image", v)
}

// internVL reads what InternVL says in the layout of transformers: InternVLConfig and
// InternVLVisionConfig of transformers 5.24.
func (o object) internVL(p object, v *Vision, _ string) {
	p.want("hidden_act", "gelu")
	o.want("projector_hidden_act", "gelu")
	o.want("vision_feature_select_strategy", "default")
	p.wantSwitch("use_mask_token", false)
	p.wantSwitch("use_absolute_position_embeddings", true)
	p.wantSwitch("use_mean_pooling", true) // without, a norm follows the last block
	v.AttentionBias = p.boolean("attention_bias", false)
	v.QKNorm = p.boolean("use_qk_norm", false)
	switch kind := p.str("norm_type", "layer_norm"); kind {
	case "layer_norm":
	case "rms_norm":
		v.RMSNorm = true
	default:
		p.fail("norm_type", "%w: %s", ErrUnsupported, brief(kind))
	}
	if k, ok := o.hiddenState(o.values["vision_feature_layer"], -1, v.Layers); !ok ||
		k != v.Layers {
		o.fail("vision_feature_layer", "%w: %s; the last block's output is known", ErrUnsupported,
			brief(o.values["vision_feature_layer"]))
	}
	ratio := o.float("downsample_ratio", 0.5)
	if inverse := 1 / ratio; !(inverse >= 1 && inverse <= maxMerge) ||
		inverse != math.Trunc(inverse) {
		o.fail("downsample_ratio", "%w: %v", ErrInvalid, ratio)
		ratio = 1
	}
	v.ScaleFactor = int(1 / ratio)
	o.divides("downsample_ratio", v)
}

// pixtral reads what Pixtral and Mistral Small 3 say: PixtralVisionConfig, LlavaConfig and
// Mistral3Config of transformers 5.24.
func (o object) pixtral(p object, v *Vision, _ string) {
	if v.Act != "gelu" && v.Act != "silu" {
		p.fail("hidden_act", "%w: %s; gelu and silu are known", ErrUnsupported, brief(v.Act))
	}
	if p.has("head_dim") {
		p.wantNumber("head_dim", float64(v.Hidden/v.Heads))
	}
	p.wantRotary()
	o.want("projector_hidden_act", "gelu")
	if k, ok := o.hiddenState(o.values["vision_feature_layer"], -1, v.Layers); !ok ||
		k != v.Layers {
		o.fail("vision_feature_layer", "%w: %s; the last block's output is known", ErrUnsupported,
			brief(o.values["vision_feature_layer"]))
	}
	v.ScaleFactor = 1
	if v.Family == Mistral3 {
		v.ScaleFactor = o.integer("spatial_merge_size", 2, 1, maxMerge)
	} else {
		o.want("vision_feature_select_strategy", "full")
	}
	v.NoProjectorBias = !o.boolean("multimodal_projector_bias", v.Family == Pixtral)
	if v.ImageSize < v.PatchSize*v.ScaleFactor {
		p.fail("image_size", "%w: %d pixels are less than a token", ErrInvalid, v.ImageSize)
	}
}

// gemma4 reads what Gemma 4 says of its tower: Gemma4VisionConfig of transformers 5.24.
func (o object) gemma4(p object, v *Vision, _ string) {
	p.want("hidden_activation", "gelu_pytorch_tanh")
	p.wantSwitch("attention_bias", false)
	p.wantNumber("num_key_value_heads", float64(v.Heads))
	p.wantNumber("head_dim", float64(v.Hidden/v.Heads))
	p.object("rope_parameters").wantNumber("rope_theta", 100)
	v.ScaleFactor = p.integer("pooling_kernel_size", 3, 1, maxMerge)
	v.Positions = p.integer("position_embedding_size", 10240, 1, maxVocab)
	v.Clipped = p.boolean("use_clipped_linears", false)
	v.Standardized = p.boolean("standardize", false)
	v.Hears = o.has("audio_config")
}

// glm4v reads what GLM-4V says of its tower: Glm4vVisionConfig of transformers 5.24.
func (o object) glm4v(p object, v *Vision, _ string) {
	p.want("hidden_act", "silu")
	p.wantNumber("temporal_patch_size", 2)
	p.wantRotary()
	v.ScaleFactor = p.integer("spatial_merge_size", 2, 1, maxMerge)
	v.AttentionBias = p.boolean("attention_bias", false)
	o.divides("spatial_merge_size", v)
	if width := p.integer("out_hidden_size", o.textWidth(), 1, maxWidth); width != o.textWidth() {
		p.fail("out_hidden_size", "%w: rows of %d for a language model of width %d", ErrInvalid,
			width, o.textWidth())
	}
}
