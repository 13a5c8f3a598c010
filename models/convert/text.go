package convert

import (
	"fmt"
	"math"
	"strings"

	"github.com/eyelet-engine/eyelet/models/gguf"
	"github.com/eyelet-engine/eyelet/models/hf"
)

// architectures are llama.cpp's names for the kinds of language models. Mistral is a Llama whose
// numbers differ.
var architectures = map[string]string{
	"llama": "llama", "mistral": "llama", "qwen2": "qwen2", "qwen2_vl": "qwen2vl", "qwen3": "qwen3",
	"qwen3_vl": "qwen3vl", "gemma3": "gemma3", "gemma4": "gemma4", "glm4v": "glm4",
}

// architecture is llama.cpp's name for the language model.
func (s *source) architecture() string {
	if v := s.config.Vision; v != nil && v.Family == hf.Mistral3 && s.config.Text.ModelType ==
		"mistral" {
		return "mistral3"
	}
	return architectures[s.config.Text.ModelType]
}

// llamaLike tells the architectures whose heads llama.cpp rotates as Llama's, see [interleaved].
func (s *source) llamaLike() bool {
	arch := s.architecture()
	return arch == "llama" || arch == "mistral3"
}

// planText plans the language model.
func (o *output) planText() {
	t := &o.config.Text
	o.metadata = o.textMetadata
	if t.Rope.Type == "llama3" {
		values := ropeFactors(t)
		o.tensors = append(o.tensors, &tensor{name: "rope_freqs.weight", typ: gguf.F32,
			dims: []uint64{uint64(len(values))}, values: values})
	}
	o.add("token_embd.weight", "text.embed_tokens.weight", t.Vocab, t.Hidden)
	if t.ModelType == "gemma4" {
		o.planGemma4(t)
	}
	for i := range t.Layers {
		to, from := fmt.Sprintf("blk.%d.", i), fmt.Sprintf("text.layers.%d.", i)
		switch t.ModelType {
		case "gemma4":
			o.planGemma4Layer(t, i, to, from)
		case "glm4v":
			o.planGLM4Layer(t, to, from)
		default:
			o.planLayer(t, to, from)
		}
	}
	o.textNorm("output_norm", "text.norm", t.Hidden)
	if t.Tied {
		o.addIf("output.weight", "lm_head.weight", t.Vocab, t.Hidden)
	} else {
		o.add("output.weight", "lm_head.weight", t.Vocab, t.Hidden)
	}
}

// textNorm plans a norm of the language model. Gemma's are stored less 1.
func (o *output) textNorm(name, from string, n int) {
	norm := o.norm(name, from, n, false)
	if o.config.Text.ModelType == "gemma3" {
		norm.plus = 1
	}
}

func (o *output) planLayer(t *hf.Text, to, from string) {
	q, kv := t.Heads*t.HeadDim, t.KVHeads*t.HeadDim
	o.textNorm(to+"attn_norm", from+"input_layernorm", t.Hidden)
	weight, bias := o.linear(to+"attn_q", from+"self_attn.q_proj", q, t.Hidden)
	keyWeight, keyBias := o.linear(to+"attn_k", from+"self_attn.k_proj", kv, t.Hidden)
	o.linear(to+"attn_v", from+"self_attn.v_proj", kv, t.Hidden)
	switch {
	case o.llamaLike():
		for _, x := range []*tensor{weight, keyWeight} {
			o.sort(x, t.Hidden, interleaved(t.HeadDim))
		}
		for _, x := range []*tensor{bias, keyBias} {
			o.sort(x, 1, interleaved(t.HeadDim))
		}
	case strings.HasPrefix(t.ModelType, "qwen2"):
		for _, name := range []string{"q", "k", "v"} {
			if bias := from + "self_attn." + name + "_proj.bias"; o.names[bias] == nil {
				o.missing(bias)
			}
		}
	default:
		o.textNorm(to+"attn_q_norm", from+"self_attn.q_norm", t.HeadDim)
		o.textNorm(to+"attn_k_norm", from+"self_attn.k_norm", t.HeadDim)
	}
	o.linear(to+"attn_output", from+"self_attn.o_proj", t.Hidden, q)
	if t.ModelType == "gemma3" {
		o.textNorm(to+"post_attention_norm", from+"post_attention_layernorm", t.Hidden)
		o.textNorm(to+"ffn_norm", from+"pre_feedforward_layernorm", t.Hidden)
		o.textNorm(to+"post_ffw_norm", from+"post_feedforward_layernorm", t.Hidden)
	} else {
		o.textNorm(to+"ffn_norm", from+"post_attention_layernorm", t.Hidden)
	}
	o.linear(to+"ffn_gate", from+"mlp.gate_proj", t.FF, t.Hidden)
	o.linear(to+"ffn_up", from+"mlp.up_proj", t.FF, t.Hidden)
	o.linear(to+"ffn_down", from+"mlp.down_proj", t.Hidden, t.FF)
}

// ropeFactors returns what the angles of each pair are divided by so that Llama
// 3.1 and later reach beyond the context that they were first trained for
// (transformers' _compute_llama3_parameters): short waves stay, long ones are
// stretched by the factor, those between by something between. The arithmetic is
// in float32 where llama.cpp's converter, over PyTorch, has float32.
func ropeFactors(t *hf.Text) []float32 {
	r := &t.Rope
	old := float64(r.OriginalContext)
	factors := make([]float32, t.HeadDim/2)
	for i := range factors {
		exponent := float32(2*i) / float32(t.HeadDim)
		frequency := 1 / float32(math.Pow(r.Theta, float64(exponent)))
		wave := float32(2*math.Pi) / frequency
		switch {
		case float64(wave) < old/r.HighFreqFactor:
			factors[i] = 1
		case float64(wave) > old/r.LowFreqFactor:
			factors[i] = float32(r.Factor)
		default:
			smooth := (float32(old)/wave - float32(r.LowFreqFactor)) /
				float32(r.HighFreqFactor-r.LowFreqFactor)
			factors[i] = 1 / ((1-smooth)/float32(r.Factor) + smooth)
		}
	}
	return factors
}
