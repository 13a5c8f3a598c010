package hf

import (
	"fmt"
	"math"
	"path/filepath"
	"slices"
)

// Config is what config.json tells about a model, defaults filled in.
type Config struct {
	Architecture string // the class that the weights belong to, as "LlavaForConditionalGeneration"
	ModelType    string // as "llava"
	Text         Text
	Vision       *Vision // nil for a model that sees nothing
}

// Text describes the language model.
type Text struct {
	ModelType string // "llama", "mistral" or "qwen2"
	Vocab     int    // rows of the embedding: at least the tokens that the tokenizer knows
	Hidden    int    // width
	FF        int    // width inside the feed-forward network
	Layers    int
	Heads     int
	KVHeads   int
	HeadDim   int
	Context   int
	Eps       float64
	Tied      bool // no output matrix: the embedding serves
	Rope      Rope
	SpecialID map[string]int // ids by kind ("bos", "eos", …) where config.json gives any
}

// Rope describes the rotary position embedding and its stretching to longer
// contexts.
type Rope struct {
	Theta float64
	// Type is "default", "linear", "yarn" or "llama3".
	Type            string
	Factor          float64
	LowFreqFactor   float64 // llama3
	HighFreqFactor  float64 // llama3
	OriginalContext int     // llama3, yarn
	// YaRN's further numbers by their names in config.json, where it has any.
	YaRN map[string]float64
}

// textModels maps the classes of language models to their kinds. VLlama3 is what
// SmolVLM calls its Llama.
var textModels = map[string]string{
	"LlamaForCausalLM": "llama", "VLlama3ForCausalLM": "llama", "MistralForCausalLM": "mistral", "Qwen2ForCausalLM": "qwen2",
}

// visionModels are the classes with a vision tower.
var visionModels = []string{
	"LlavaForConditionalGeneration", "LlavaNextForConditionalGeneration", "Idefics3ForConditionalGeneration", "SmolVLMForConditionalGeneration",
}

// ReadConfig reads the config.json of a folder. A model of a kind that is not
// known is an [ErrUnsupported] that names it.
func ReadConfig(dir string) (*Config, error) {
	const name = "config.json"
	data, err := readFile(dir, name, maxConfig)
	if err != nil {
		return nil, err
	}
	return parseConfig(filepath.Join(dir, name), data)
}

func parseConfig(path string, data []byte) (*Config, error) {
	o, err := parseObject(path, data)
	if err != nil {
		return nil, err
	}
	c := &Config{Architecture: o.architecture(), ModelType: o.str("model_type", "")}
	text := o
	switch {
	case slices.Contains(visionModels, c.Architecture):
		text = o.object("text_config")
		c.Vision = o.vision(c.Architecture)
	case textModels[c.Architecture] == "":
		o.fail("architectures", "%w: %s; known are LlamaForCausalLM, MistralForCausalLM, Qwen2ForCausalLM and %v", ErrUnsupported, brief(c.Architecture), visionModels)
	}
	if o.has("quantization_config") || text.has("quantization_config") {
		o.fail("quantization_config", "%w: the weights are quantized already; convert the model that they were made of", ErrUnsupported)
	}
	c.Text = text.text(o)
	if *o.err != nil {
		return nil, *o.err
	}
	return c, nil
}

// architecture returns the first of the classes.
func (o object) architecture() string {
	list := o.list("architectures")
	if len(list) == 0 {
		return ""
	}
	name, _ := list[0].(string)
	return name
}

// text reads the language model's part; root is the whole file's object.
func (o object) text(root object) Text {
	t := Text{ModelType: o.str("model_type", "llama")}
	if class := o.architecture(); class != "" {
		t.ModelType = textModels[class]
		if t.ModelType == "" {
			o.fail("architectures", "%w: language model %s", ErrUnsupported, brief(class))
		}
	}
	d, ok := textDefaults[t.ModelType]
	if !ok {
		o.fail("model_type", "%w: language model %s; known are llama, mistral and qwen2", ErrUnsupported, brief(t.ModelType))
		return t
	}
	t.Vocab = o.integer("vocab_size", d.Vocab, 1, maxVocab)
	t.Hidden = o.integer("hidden_size", d.Hidden, 1, maxWidth)
	t.FF = o.integer("intermediate_size", d.FF, 1, maxFF)
	t.Layers = o.integer("num_hidden_layers", d.Layers, 1, maxLayers)
	t.Heads = o.integer("num_attention_heads", d.Heads, 1, maxWidth)
	kv := d.KVHeads
	if kv == 0 {
		kv = t.Heads
	}
	t.KVHeads = o.integer("num_key_value_heads", kv, 1, maxWidth)
	t.HeadDim = o.integer("head_dim", t.Hidden/max(t.Heads, 1), 1, maxWidth)
	t.Context = o.integer("max_position_embeddings", d.Context, 1, maxContext)
	t.Eps = o.float("rms_norm_eps", d.Eps)
	// The key of the whole model counts where the text's part says nothing.
	t.Tied = o.boolean("tie_word_embeddings", root.boolean("tie_word_embeddings", false))
	t.Rope = o.rope(d.Theta)
	t.SpecialID = make(map[string]int)
	for _, kind := range specialKinds {
		for _, from := range []object{root, o} {
			if id, ok := wholeNumber(from.values[kind+"_token_id"]); ok && id >= 0 && id < t.Vocab {
				t.SpecialID[kind] = id
				break
			}
		}
	}
	t.Context = min(t.Context, o.window(&t))
	o.checkText(&t)
	return t
}

// window returns how many tokens back every layer looks: libllama computes these models without a sliding window, which is the same as with one as long
// as the context fits in it.
func (o object) window(t *Text) int {
	sliding := o.has("sliding_window")
	if t.ModelType == "qwen2" { // which states a window even where it uses none
		sliding = sliding && o.boolean("use_sliding_window", false)
	}
	for _, layer := range o.list("layer_types") {
		switch layer {
		case "full_attention":
		case "sliding_attention":
			sliding = true
		default:
			o.fail("layer_types", "%w: %s", ErrUnsupported, brief(layer))
		}
	}
	if !sliding {
		return t.Context
	}
	return o.integer("sliding_window", t.Context, 1, maxContext)
}

// checkText finds what llama.cpp would compute wrongly, or not at all.
func (o object) checkText(t *Text) {
	switch {
	case t.Heads%t.KVHeads != 0:
		o.fail("num_key_value_heads", "%w: %d heads cannot share %d", ErrInvalid, t.Heads, t.KVHeads)
	case t.HeadDim < 2 || t.HeadDim%2 != 0:
		// Without head_dim it is what the width gives each head, which may be nothing.
		o.fail("head_dim", "%w: heads of width %d, and positions rotate pairs", ErrInvalid, t.HeadDim)
	case t.Heads*t.HeadDim > maxWidth:
		o.fail("num_attention_heads", "%w: %d heads of %d", ErrLimit, t.Heads, t.HeadDim)
	case !(t.Eps > 0 && t.Eps < 1):
		o.fail("rms_norm_eps", "%w: %v", ErrInvalid, t.Eps)
	}
	if act := o.str("hidden_act", "silu"); act != "silu" {
		o.fail("hidden_act", "%w: %s; only silu is known", ErrUnsupported, brief(act))
	}
	if x := o.object("rope_parameters").float("partial_rotary_factor", o.float("partial_rotary_factor", 1)); x != 1 {
		o.fail("partial_rotary_factor", "%w: %v; heads are rotated whole", ErrUnsupported, x)
	}
	if o.has("num_local_experts") {
		o.fail("num_local_experts", "%w: a mixture of experts", ErrUnsupported)
	}
}

// rope reads both forms: rope_parameters, and rope_theta with rope_scaling, as
// they were called before version 5 of transformers.
func (o object) rope(theta float64) Rope {
	p := o.object("rope_parameters")
	if p.values == nil {
		p = o.object("rope_scaling")
	}
	r := Rope{
		Theta:           p.float("rope_theta", o.float("rope_theta", theta)),
		Type:            p.str("rope_type", p.str("type", "default")),
		Factor:          p.float("factor", 8),
		LowFreqFactor:   p.float("low_freq_factor", 1),
		HighFreqFactor:  p.float("high_freq_factor", 4),
		OriginalContext: p.integer("original_max_position_embeddings", o.integer("original_max_position_embeddings", 8192, 1, maxContext), 1, maxContext),
	}
	if !(r.Theta > 0) || math.IsInf(r.Theta, 0) {
		p.fail("rope_theta", "%w: %v", ErrInvalid, r.Theta)
	}
	if factor := r.Factor; !(factor > 0) || math.IsInf(factor, 0) {
		p.fail("factor", "%w: %v", ErrInvalid, factor)
	}
	switch r.Type {
	case "default":
	case "linear", "yarn":
		if !p.has("factor") {
			p.fail("factor", "%w: it is missing", ErrInvalid)
		}
		if r.Type == "yarn" && !p.has("original_max_position_embeddings") && !o.has("original_max_position_embeddings") {
			p.fail("original_max_position_embeddings", "%w: it is missing", ErrInvalid)
		}
		r.YaRN = make(map[string]float64)
		for _, key := range []string{"attention_factor", "beta_fast", "beta_slow"} {
			if p.has(key) {
				r.YaRN[key] = p.float(key, 0)
			}
		}
	case "llama3":
		if !(r.LowFreqFactor > 0 && r.HighFreqFactor > r.LowFreqFactor) {
			p.fail("high_freq_factor", "%w: factors of %v to %v", ErrInvalid, r.LowFreqFactor, r.HighFreqFactor)
		}
	default:
		p.fail("rope_type", "%w: positions scaled as %s; known are default, linear, yarn and llama3", ErrUnsupported, brief(r.Type))
	}
	return r
}

// String names the model for messages, as "LlavaForConditionalGeneration (llama)".
func (c *Config) String() string { return fmt.Sprintf("%s (%s)", c.Architecture, c.Text.ModelType) }
