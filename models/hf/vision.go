package hf

import (
	"strings"
)

// Vision describes the vision tower and how the language model takes its output.
type Vision struct {
	ModelType string // "clip_vision_model", "idefics3_vision" or "smolvlm_vision"
	Hidden    int
	FF        int
	Layers    int
	Heads     int
	ImageSize int // pixels
	PatchSize int // pixels
	Act       string
	Eps       float64
	// Features are the depths whose output the projector reads, as numbers of
	// blocks that have run: LLaVA's -2 of 24 blocks is 23.
	Features []int
	// Pinpoints are the sizes that LLaVA 1.6 cuts pictures to, two numbers each,
	// as config.json has them.
	Pinpoints []int
	// NoProjectorBias tells that LLaVA's projector adds no bias.
	NoProjectorBias bool
	// ScaleFactor is by how much Idefics3's connector shrinks the grid of patches
	// in each direction.
	ScaleFactor int
}

// vision reads the tower's part of config.json; o is the whole file's object.
func (o object) vision(class string) *Vision {
	p := o.object("vision_config")
	kind := "clip_vision_model"
	if !strings.HasPrefix(class, "Llava") {
		kind = "idefics3_vision"
	}
	kind = p.str("model_type", kind)
	d, ok := visionDefaults[kind]
	if !ok || (kind == "clip_vision_model") != strings.HasPrefix(class, "Llava") {
		p.fail("model_type", "%w: the vision tower %s of %s", ErrUnsupported, brief(kind), class)
		return nil
	}
	v := &Vision{
		ModelType: kind,
		Hidden:    p.integer("hidden_size", d.Hidden, 1, maxWidth),
		FF:        p.integer("intermediate_size", d.FF, 1, maxFF),
		Layers:    p.integer("num_hidden_layers", d.Layers, 1, maxLayers),
		Heads:     p.integer("num_attention_heads", d.Heads, 1, maxWidth),
		ImageSize: p.integer("image_size", d.ImageSize, 1, maxSide),
		PatchSize: p.integer("patch_size", d.PatchSize, 1, maxSide),
		Act:       p.str("hidden_act", d.Act),
		Eps:       p.float("layer_norm_eps", d.Eps),
	}
	switch {
	case v.Hidden%v.Heads != 0:
		p.fail("num_attention_heads", "%w: %d heads do not divide a width of %d", ErrInvalid, v.Heads, v.Hidden)
	case v.PatchSize > v.ImageSize:
		p.fail("patch_size", "%w: patches of %d pixels in an image of %d", ErrInvalid, v.PatchSize, v.ImageSize)
	case !(v.Eps > 0 && v.Eps < 1):
		p.fail("layer_norm_eps", "%w: %v", ErrInvalid, v.Eps)
	case p.integer("num_channels", 3, 1, maxWidth) != 3:
		p.fail("num_channels", "%w: pictures have 3 channels here", ErrUnsupported)
	}
	if kind == "clip_vision_model" {
		o.llava(v, class)
		return v
	}
	v.ScaleFactor = o.integer("scale_factor", 2, 1, 64)
	// Pixels beyond the last whole patch are not seen: 384 of them make 27 patches of 14.
	if grid := v.ImageSize / v.PatchSize; grid%v.ScaleFactor != 0 {
		o.fail("scale_factor", "%w: %d does not divide a grid of %d patches", ErrInvalid, v.ScaleFactor, grid)
	}
	if v.Act != "gelu_pytorch_tanh" {
		p.fail("hidden_act", "%w: %s; only gelu_pytorch_tanh is known", ErrUnsupported, brief(v.Act))
	}
	return v
}

// llava reads what LLaVA says about taking the tower's output.
func (o object) llava(v *Vision, class string) {
	switch v.Act {
	case "quick_gelu", "gelu", "silu":
	default:
		o.fail("vision_config: hidden_act", "%w: %s; quick_gelu, gelu and silu are known", ErrUnsupported, brief(v.Act))
	}
	if act := o.str("projector_hidden_act", "gelu"); act != "gelu" {
		o.fail("projector_hidden_act", "%w: %s; only gelu is known", ErrUnsupported, brief(act))
	}
	if s := o.str("vision_feature_select_strategy", "default"); s != "default" {
		o.fail("vision_feature_select_strategy", "%w: %s: only towers whose class token is dropped are known", ErrUnsupported, brief(s))
	}
	v.NoProjectorBias = !o.boolean("multimodal_projector_bias", true)
	layers := []any{o.values["vision_feature_layer"]}
	if list, ok := layers[0].([]any); ok {
		layers = list
	}
	if len(layers) == 0 {
		o.fail("vision_feature_layer", "%w: the list is empty, and the projector needs some layer's output", ErrInvalid)
	}
	for _, layer := range layers {
		k, ok := wholeNumber(layer)
		if layer == nil {
			k, ok = -2, true
		}
		if k < 0 {
			// Hidden states are counted from the embedding's, which is number 0.
			k += v.Layers + 1
		}
		if !ok || k < 0 || k > v.Layers || len(layers) > 16 {
			o.fail("vision_feature_layer", "%w: %s of a tower of %d blocks", ErrInvalid, brief(layer), v.Layers)
			return
		}
		v.Features = append(v.Features, k)
	}
	if class == "LlavaNextForConditionalGeneration" {
		o.pinpoints(v)
	}
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
