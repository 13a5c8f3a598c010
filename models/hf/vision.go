package hf

import "slices"

// Family names a way in which a model sees: a kind of tower, of projector and of image processor
// that belong together.
type Family string

// The families of vision models whose folders this package reads.
const (
	LLaVA    Family = "llava" // 1.5 and 1.6, over CLIP
	Idefics3 Family = "idefics3"
	Qwen2VL  Family = "qwen2_vl"
	Qwen25VL Family = "qwen2_5_vl"
	Qwen3VL  Family = "qwen3_vl"
	Gemma3   Family = "gemma3"
	InternVL Family = "internvl"
	Pixtral  Family = "pixtral"
	Mistral3 Family = "mistral3" // Pixtral's tower with a merger
	Gemma4   Family = "gemma4"
	GLM4V    Family = "glm4v"
)

// Qwen tells Qwen2-VL, Qwen2.5-VL and Qwen3-VL from the others.
func (f Family) Qwen() bool { return f == Qwen2VL || f == Qwen25VL || f == Qwen3VL }

// Vision describes the vision tower and how the language model takes its output.
type Vision struct {
	Family    Family
	ModelType string // as config.json calls the tower: "clip_vision_model"
	Hidden    int
	FF        int
	Layers    int
	Heads     int
	// pixels; of Qwen3-VL, what its positions are for; 0 for other towers that take any size
	ImageSize int
	PatchSize int // pixels
	Act       string
	Eps       float64
	// Features are the depths whose output LLaVA's projector reads, as numbers of
	// blocks that have run: -2 of 24 blocks is 23.
	Features []int
	// Pinpoints are the sizes that LLaVA 1.6 cuts pictures to, two numbers each,
	// as config.json has them.
	Pinpoints []int
	// NoProjectorBias tells that the projector of LLaVA, Pixtral or Mistral 3 adds no bias.
	NoProjectorBias bool
	// ScaleFactor is by how much the projector shrinks the grid of patches in each direction; 0 for
	// LLaVA's, which does not.
	ScaleFactor int
	// Deepstack are the blocks of Qwen3-VL whose output goes to the first layers of the language
	// model.
	Deepstack []int
	// FullEvery says that every so many-th block of Qwen2.5-VL attends to the whole picture.
	FullEvery int
	// QKNorm and RMSNorm tell kinds of InternVL's larger tower: norms of queries and keys, and
	// norms without a mean.
	QKNorm, RMSNorm bool
	// AttentionBias tells that queries, keys and values of InternVL or GLM-4V have a bias.
	AttentionBias bool
	// Positions is the number of rows in each of Gemma 4's two tables of positions.
	Positions int
	// Clipped and Standardized tell kinds of Gemma 4's tower: bounds of what goes into linear
	// layers and comes out of them, and a scale of what the tower makes.
	Clipped, Standardized bool
	Hears                 bool // Gemma 4 has a tower for sound besides
}

// visionClasses maps classes with a vision tower to their families. A LlavaForConditionalGeneration
// may be Pixtral's.
var visionClasses = map[string]Family{
	"LlavaForConditionalGeneration": LLaVA, "LlavaNextForConditionalGeneration": LLaVA,
	"Idefics3ForConditionalGeneration": Idefics3, "SmolVLMForConditionalGeneration": Idefics3,
	"Qwen2VLForConditionalGeneration": Qwen2VL, "Qwen2_5_VLForConditionalGeneration": Qwen25VL,
	"Qwen3VLForConditionalGeneration": Qwen3VL,
	"Gemma3ForConditionalGeneration":  Gemma3, "InternVLForConditionalGeneration": InternVL,
	"Mistral3ForConditionalGeneration": Mistral3, "Gemma4ForConditionalGeneration": Gemma4,
	"Glm4vForConditionalGeneration": GLM4V,
}

// towers are the kinds of towers that each family has, by the names that vision_config.model_type
// gives them, the first where it gives none. Idefics3's own config.json files call the tower's kind
// "idefics3" as well, and those of Qwen from before version 4.52 of transformers theirs by the
// model's.
var towers = map[Family][]string{
	LLaVA:    {"clip_vision_model"},
	Idefics3: {"idefics3_vision", "idefics3", "smolvlm_vision"},
	Qwen2VL:  {"qwen2_vl_vision", "qwen2_vl"},
	Qwen25VL: {"qwen2_5_vl_vision", "qwen2_5_vl"},
	Qwen3VL:  {"qwen3_vl_vision", "qwen3_vl"},
	Gemma3:   {"siglip_vision_model"},
	InternVL: {"internvl_vision"},
	Pixtral:  {"pixtral"},
	Mistral3: {"pixtral"},
	Gemma4:   {"gemma4_vision"},
	GLM4V:    {"glm4v_vision", "glm4v"},
}

// visionReaders read what each family says beside the sizes that all have; p is the tower's part of
// the file, o the whole.
var visionReaders = map[Family]func(o, p object, v *Vision, class string){
	LLaVA:    func(o, _ object, v *Vision, class string) { o.llava(v, class) },
	Idefics3: object.idefics3, Qwen2VL: object.qwenVL, Qwen25VL: object.qwenVL,
	Qwen3VL: object.qwenVL,
	Gemma3:  object.gemma3, InternVL: object.internVL, Pixtral: object.pixtral,
	Mistral3: object.pixtral, Gemma4: object.gemma4, GLM4V: object.glm4v,
}

// vision reads the tower's part of config.json; o is the whole file's object.
func (o object) vision(class string) *Vision {
	p := o.object("vision_config")
	family := visionClasses[class]
	if family == LLaVA && class == "LlavaForConditionalGeneration" && p.str("model_type",
		"") == "pixtral" {
		family = Pixtral
	}
	kind := p.str("model_type", towers[family][0])
	if !slices.Contains(towers[family], kind) {
		p.fail("model_type", "%w: the vision tower %s of %s", ErrUnsupported, brief(kind), class)
		return nil
	}
	d := visionDefaults[kind]
	v := &Vision{Family: family, ModelType: kind, Act: p.str("hidden_act", d.Act), Eps: d.Eps}
	v.PatchSize = p.side("patch_size", d.PatchSize)
	layers, heads := "num_hidden_layers", "num_attention_heads"
	if family.Qwen() || family == GLM4V {
		layers, heads = "depth", "num_heads"
	}
	v.Layers = p.integer(layers, d.Layers, 1, maxLayers)
	v.Heads = p.integer(heads, d.Heads, 1, maxWidth)
	if !family.Qwen() {
		v.ImageSize = p.side("image_size", d.ImageSize)
		if v.PatchSize > v.ImageSize {
			p.fail("patch_size", "%w: patches of %d pixels in an image of %d", ErrInvalid,
				v.PatchSize, v.ImageSize)
		}
	}
	if family == Qwen2VL { // whose hidden_size is the language model's width
		v.Hidden = p.integer("embed_dim", d.Hidden, 1, maxWidth)
	} else {
		v.Hidden = p.integer("hidden_size", d.Hidden, 1, maxWidth)
		v.FF = p.integer("intermediate_size", d.FF, 1, maxFF)
	}
	for _, key := range []string{"layer_norm_eps", "rms_norm_eps"} {
		if p.has(key) {
			v.Eps = p.float(key, d.Eps)
		}
	}
	switch {
	case v.Hidden%v.Heads != 0:
		p.fail("num_attention_heads", "%w: %d heads do not divide a width of %d", ErrInvalid,
			v.Heads, v.Hidden)
	case !(v.Eps > 0 && v.Eps < 1):
		p.fail("layer_norm_eps", "%w: %v", ErrInvalid, v.Eps)
	case p.integer("num_channels", 3, 1, maxWidth) != 3, p.integer("in_channels", 3, 1,
		maxWidth) != 3, p.integer("in_chans", 3, 1, maxWidth) != 3:
		p.fail("num_channels", "%w: pictures have 3 channels here", ErrUnsupported)
	}
	visionReaders[family](o, p, v, class)
	return v
}

// side reads the side of a square in pixels, which InternVL writes as two.
func (o object) side(key string, fallback int) int {
	list, ok := o.values[key].([]any)
	if !ok {
		return o.integer(key, fallback, 1, maxSide)
	}
	n := 0
	for _, x := range list {
		m, ok := wholeNumber(x)
		if !ok || m < 1 || m > maxSide || n != 0 && m != n {
			o.fail(key, "%w: %s; squares are known", ErrUnsupported, brief(list))
			return fallback
		}
		n = m
	}
	if n == 0 {
		o.fail(key, "%w: it is empty", ErrInvalid)
		return fallback
	}
	return n
}

// want refuses another text than the one that is known.
func (o object) want(key, known string) {
	if s := o.str(key, known); s != known {
		o.fail(key, "%w: %s; only %s is known", ErrUnsupported, brief(s), known)
	}
}

// wantNumber refuses another number than the one that is known.
func (o object) wantNumber(key string, known float64) {
	if x := o.float(key, known); x != known {
		o.fail(key, "%w: %v; only %v is known", ErrUnsupported, x, known)
	}
}

// wantSwitch refuses the other value of a switch.
func (o object) wantSwitch(key string, known bool) {
	if on := o.boolean(key, known); on != known {
		o.fail(key, "%w: %v; only %v is known", ErrUnsupported, on, known)
	}
}

// wantRotary refuses other rotary positions of a tower than those of 10000, which towers with such
// positions have in common.
func (o object) wantRotary() {
	o.wantNumber("rope_theta", 10000)
	o.object("rope_parameters").wantNumber("rope_theta", 10000)
}

// divides refuses a factor that does not divide the grid of patches.
func (o object) divides(key string, v *Vision) {
	// Pixels beyond the last whole patch are not seen: 384 of them make 27 patches of 14.
	if grid := v.ImageSize / v.PatchSize; v.ScaleFactor < 1 || grid%v.ScaleFactor != 0 {
		o.fail(key, "%w: %d does not divide a grid of %d patches", ErrInvalid, v.ScaleFactor, grid)
	}
}
