package convert

import (
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/eyelet-engine/eyelet/models/gguf"
)

// fileTypes are llama_ftype's numbers, in which general.file_type says what most
// tensors are.
var fileTypes = map[gguf.Type]uint32{gguf.F32: 0, gguf.F16: 1, gguf.Q8_0: 7, gguf.BF16: 32}

// quantizationVersion is GGML_QNT_VERSION, that of the layout of blocks.
const quantizationVersion = 2

// general sets the keys that every file has.
func (o *output) general(arch, kind string) {
	o.w = gguf.NewWriter(arch)
	o.w.Set("general.type", kind)
	if kind == "model" {
		o.sampling()
	}
	o.w.Set("general.name", title(o.name))
	o.w.Set("general.size_label", sizeLabel(o.parameters()))
	for key, value := range map[string]string{"general.license": o.card.License,
		"general.license.name": o.card.LicenseName, "general.license.link": o.card.LicenseLink} {
		if value != "" {
			o.w.Set(key, value)
		}
	}
	o.w.Set("general.file_type", fileTypes[o.typ])
	o.w.Set("general.quantization_version", uint32(quantizationVersion))
}

func (o *output) sampling() {
	for _, k := range []struct{ from, to string }{
		{"top_p", "top_p"}, {"min_p", "min_p"}, {"temperature", "temp"},
		{"repetition_penalty", "penalty_repeat"},
	} {
		if v, ok := o.card.Sampling[k.from]; ok {
			o.w.Set("general.sampling."+k.to, float32(v))
		}
	}
	if v, ok := o.card.Sampling["top_k"]; ok && v >= 0 && v <= math.MaxInt32 {
		o.w.Set("general.sampling.top_k", int32(v))
	}
}

// textMetadata sets the keys of a language model.
func (o *output) textMetadata() {
	t := &o.config.Text
	arch := o.architecture()
	o.general(arch, "model")
	set := func(key string, value any) { o.w.Set(arch+"."+key, value) }
	set("block_count", uint32(t.Layers))
	set("context_length", uint32(t.Context))
	set("embedding_length", uint32(t.Hidden))
	set("feed_forward_length", uint32(t.FF))
	set("attention.head_count", uint32(t.Heads))
	set("attention.head_count_kv", uint32(t.KVHeads))
	set("attention.layer_norm_rms_epsilon", float32(t.Eps))
	set("rope.freq_base", float32(t.Rope.Theta))
	if !strings.HasPrefix(arch, "qwen2") || t.HeadDim*t.Heads != t.Hidden {
		set("attention.key_length", uint32(t.HeadDim))
		set("attention.value_length", uint32(t.HeadDim))
	}
	if t.Rope.Sections != nil {
		set("rope.dimension_sections", append(int32s(t.Rope.Sections), 0))
	}
	if t.Window != 0 {
		set("rope.freq_base_swa", float32(t.Rope.LocalTheta))
		set("attention.sliding_window", uint32(t.Window))
	}
	switch arch {
	case "qwen3vl":
		set("n_deepstack_layers", uint32(len(o.config.Vision.Deepstack)))
	case "gemma4":
		o.gemma4Metadata(t, set)
	case "glm4":
		set("rope.dimension_count", uint32(t.Rotated()))
	}
	if o.llamaLike() {
		set("vocab_size", uint32(t.Vocab))
		set("rope.dimension_count", uint32(t.HeadDim))
	}
	if r := &t.Rope; r.Type == "linear" || r.Type == "yarn" {
		set("rope.scaling.type", r.Type)
		set("rope.scaling.factor", float32(r.Factor))
		if r.Type == "yarn" {
			set("rope.scaling.original_context_length", uint32(r.OriginalContext))
			for _, k := range []struct{ from, to string }{{"attention_factor", "yarn_attn_factor"},
				{"beta_fast", "yarn_beta_fast"}, {"beta_slow", "yarn_beta_slow"}} {
				if v, ok := r.YaRN[k.from]; ok {
					set("rope.scaling."+k.to, float32(v))
				}
			}
		}
	}
	o.tokenizerMetadata()
}

// specialKeys are the parts of the keys that name special tokens, "seperator" as
// llama.cpp spells it.
var specialKeys = map[string]string{"bos": "bos", "eos": "eos", "unk": "unknown",
	"sep": "seperator", "pad": "padding", "cls": "cls", "mask": "mask", "eot": "eot"}

func (o *output) tokenizerMetadata() {
	t := o.tokenizer
	set := func(key string, value any) { o.w.Set("tokenizer.ggml."+key, value) }
	set("model", t.Model)
	if t.Pre != "" {
		set("pre", t.Pre)
	}
	set("tokens", t.Tokens)
	if t.Scores != nil {
		set("scores", t.Scores)
	}
	types := make([]int32, len(t.Types))
	for i, typ := range t.Types {
		types[i] = int32(typ)
	}
	set("token_type", types)
	if len(t.Merges) > 0 {
		set("merges", t.Merges)
	}
	for _, kind := range slices.Sorted(maps.Keys(t.Special)) {
		set(specialKeys[kind]+"_token_id", uint32(t.Special[kind]))
	}
	for _, kind := range slices.Sorted(maps.Keys(t.Add)) {
		set("add_"+kind+"_token", t.Add[kind])
	}
	if t.SpacePrefix != nil {
		set("add_space_prefix", *t.SpacePrefix)
	}
	if t.NFC {
		set("normalizer.nfc", true)
	}
	if t.Template != "" {
		o.w.Set("tokenizer.chat_template", t.Template)
	}
	if names := slices.Sorted(maps.Keys(t.Templates)); len(names) > 0 {
		for _, name := range names {
			o.w.Set("tokenizer.chat_template."+name, t.Templates[name])
		}
		o.w.Set("tokenizer.chat_templates", names)
	}
}

func float32s(a []float64) []float32 {
	out := make([]float32, len(a))
	for i, x := range a {
		out[i] = float32(x)
	}
	return out
}

func int32s(a []int) []int32 {
	out := make([]int32, len(a))
	for i, x := range a {
		out[i] = int32(x)
	}
	return out
}

// title makes a name for people of a folder's, as llama.cpp's converter does:
// "llava-1.5-7b-hf" becomes "Llava 1.5 7b Hf".
func title(folder string) string {
	words := strings.Fields(strings.ReplaceAll(folder, "-", " "))
	for i, word := range words {
		version := word[0] >= '0' && word[0] <= '9' || word[0] == 'v' && isVersion(word[1:])
		if !version && strings.ToLower(word) == word {
			before := ' '
			words[i] = strings.Map(func(r rune) rune {
				first := unicode.IsLetter(r) && !unicode.IsLetter(before)
				if before = r; first {
					return unicode.ToTitle(r)
				}
				return r
			}, word)
		}
	}
	return strings.Join(words, " ")
}

// isVersion tells numbers with points between, as "1.5".
func isVersion(s string) bool {
	for part := range strings.SplitSeq(s, ".") {
		if part == "" || strings.Trim(part, "0123456789") != "" {
			return false
		}
	}
	return true
}

// sizeLabel is a number of parameters in two digits or more, as "6.7B".
func sizeLabel(n int64) string {
	x, unit := float64(n)*1e-3, "K"
	switch {
	case n > 1e12:
		x, unit = float64(n)*1e-12, "T"
	case n > 1e9:
		x, unit = float64(n)*1e-9, "B"
	case n > 1e6:
		x, unit = float64(n)*1e-6, "M"
	}
	digits := 0
	if whole := math.RoundToEven(x); whole > 0 {
		digits = len(strconv.FormatFloat(whole, 'f', 0, 64))
	}
	return strconv.FormatFloat(x, 'f', max(2-digits, 0), 64) + unit
}
