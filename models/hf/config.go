package hf

import (
	"cmp"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
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
	ModelType string // a key of textDefaults: "llama", "mistral", "qwen2_vl" …
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
	// how far back most layers look, of Gemma 3 and 4; 0 for models whose layers are alike
	Window    int
	Layered   // of Gemma 4 alone
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
	LocalTheta      float64 // of the layers with a window
	// Partial is the share of a head's pairs that rotate, of GLM-4V and in Gemma 4's layers without
	// a window; 0 for models that rotate all.
	Partial float64
	// Sections are how many pairs of a head rotate by time, by row and by column, of models with
	// such positions.
	Sections []int
	// YaRN's further numbers by their names in config.json, where it has any.
	YaRN map[string]float64
}

// textModels maps the classes of language models to their kinds. VLlama3 is what
// SmolVLM calls its Llama.
var textModels = map[string]string{
	"LlamaForCausalLM": "llama", "VLlama3ForCausalLM": "llama", "MistralForCausalLM": "mistral",
	"Qwen2ForCausalLM": "qwen2", "Qwen3ForCausalLM": "qwen3",
}

// familyText are the kinds of the language models that belong to one family; those of others are in
// text_config.
var familyText = map[Family]string{Qwen2VL: "qwen2_vl", Qwen25VL: "qwen2_vl", Qwen3VL: "qwen3_vl",
	Gemma3: "gemma3", Gemma4: "gemma4", GLM4V: "glm4v"}

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
	family, sees := visionClasses[c.Architecture]
	switch {
	case sees:
		text = o.object("text_config")
		if (family.Qwen() || family == GLM4V) && text.values == nil { // as before version 4.52
			text = o
		}
		c.Vision = o.vision(c.Architecture)
	case textModels[c.Architecture] == "":
		known := append(slices.Sorted(maps.Keys(textModels)),
			slices.Sorted(maps.Keys(visionClasses))...)
		o.fail("architectures", "%w: %s; known are %s", ErrUnsupported, brief(c.Architecture),
			strings.Join(known, ", "))
	}
	if o.has("quantization_config") || text.has("quantization_config") {
		o.fail("quantization_config",
			"%w: the weights are quantized already; convert the model that they were made of",
			ErrUnsupported)
	}
	c.Text = text.text(o, familyText[family])
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

// text reads the language model's part; root is the whole file's object, kind the kind of language
// model where the family has one alone.
func (o object) text(root object, kind string) Text {
	t := Text{ModelType: kind}
	if class := o.architecture(); kind == "" && class != "" {
		t.ModelType = textModels[class]
		if t.ModelType == "" {
			o.fail("architectures", "%w: language model %s", ErrUnsupported, brief(class))
		}
	} else if kind == "" {
		t.ModelType = o.str("model_type", "llama")
	}
	d, ok := textDefaults[t.ModelType]
	if !ok || kind == "" && slices.Contains(slices.Collect(maps.Values(familyText)), t.ModelType) {
		o.fail("model_type", "%w: language model %s; known are llama, mistral, qwen2 and qwen3",
			ErrUnsupported, brief(t.ModelType))
		return t
	}
	t.Vocab = o.integer("vocab_size", d.Vocab, 1, maxVocab)
	t.Hidden = o.integer("hidden_size", d.Hidden, 1, maxWidth)
	t.FF = o.integer("intermediate_size", d.FF, 1, maxFF)
	t.Layers = o.integer("num_hidden_layers", d.Layers, 1, maxLayers)
	t.Heads = o.integer("num_attention_heads", d.Heads, 1, maxWidth)
	t.KVHeads = o.integer("num_key_value_heads", cmp.Or(d.KVHeads, t.Heads), 1, maxWidth)
	headDim := cmp.Or(d.HeadDim, t.Hidden/max(t.Heads, 1))
	t.HeadDim = o.integer("head_dim", headDim, 1, maxWidth)
	t.Context = o.integer("max_position_embeddings", d.Context, 1, maxContext)
	t.Eps = o.float("rms_norm_eps", d.Eps)
	// The key of the whole model counts where the text's part says nothing.
	t.Tied = o.boolean("tie_word_embeddings", root.boolean("tie_word_embeddings", d.Tied))
	t.Rope = o.rope(d.Theta, t.ModelType)
	t.SpecialID = make(map[string]int)
	for _, kind := range specialKinds {
		for _, from := range []object{root, o} {
			if id, ok := wholeNumber(from.values[kind+"_token_id"]); ok && id >= 0 && id < t.Vocab {
				t.SpecialID[kind] = id
				break
			}
		}
	}
	switch t.ModelType {
	case "gemma3":
		o.gemma3Text(&t)
	case "gemma4":
		o.gemma4Text(&t)
	default:
		t.Context = min(t.Context, o.window(&t))
	}
	o.checkText(&t)
	return t
}

// window returns how many tokens back every layer looks: libllama computes these models without a
// sliding window, which is the same as with one as long as the context fits in it.
func (o object) window(t *Text) int {
	sliding := o.has("sliding_window")
	if strings.HasPrefix(t.ModelType, "qwen") { // which states a window even where it uses none
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
		o.fail("num_key_value_heads", "%w: %d heads cannot share %d", ErrInvalid, t.Heads,
			t.KVHeads)
	case t.HeadDim < 2 || t.HeadDim%2 != 0:
		// Without head_dim it is what the width gives each head, which may be nothing.
		o.fail("head_dim", "%w: heads of width %d, and positions rotate pairs", ErrInvalid,
			t.HeadDim)
	case t.Heads*t.HeadDim > maxWidth:
		o.fail("num_attention_heads", "%w: %d heads of %d", ErrLimit, t.Heads, t.HeadDim)
	case !(t.Eps > 0 && t.Eps < 1):
		o.fail("rms_norm_eps", "%w: %v", ErrInvalid, t.Eps)
	}
	if s := t.Rope.Sections; len(s) == 3 && s[0]+s[1]+s[2] != t.Rotated()/2 {
		o.fail("mrope_section", "%w: %v of %d pairs", ErrInvalid, s, t.Rotated()/2)
	}
	if !strings.HasPrefix(t.ModelType, "gemma") {
		o.want("hidden_act", "silu")
	}
	if strings.HasPrefix(t.ModelType, "qwen3") {
		o.wantSwitch("attention_bias", false)
	}
	if x := o.object("rope_parameters").float("partial_rotary_factor",
		o.float("partial_rotary_factor", 1)); x != 1 && t.Rope.Partial == 0 {
		o.fail("partial_rotary_factor", "%w: %v; heads are rotated whole", ErrUnsupported, x)
	}
	for _, key := range []string{"num_local_experts", "num_experts"} {
		if o.has(key) {
			o.fail(key, "%w: a mixture of experts", ErrUnsupported)
		}
	}
}

// Rotated is how many rows of a head rotate, in layers with a window where there are any.
func (t *Text) Rotated() int {
	if t.Rope.Partial == 0 || t.Window != 0 {
		return t.HeadDim
	}
	return int(float64(t.HeadDim) * t.Rope.Partial)
}

// String names the model for messages, as "LlavaForConditionalGeneration (llama)".
func (c *Config) String() string { return fmt.Sprintf("%s (%s)", c.Architecture, c.Text.ModelType) }
