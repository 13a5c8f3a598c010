package main

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/eyelet-engine/eyelet/models/gguf"
)

// shape holds the sizes of a language model and of the vision tower that goes with it.
type shape struct {
	layers, width, heads, kvHeads, ffn, vocab int

	image, patch, towerLayers, towerWidth, towerHeads, towerFFN int

	siglip bool // the tower is of SigLIP's kind: no class token, GELU, a norm behind the last layer

	reads familyTower // whose pictures the language model reads, if it has any markers
}

// shapes: "1b" is TinyLlama 1.1B (https://huggingface.co/TinyLlama) with the tower of LLaVA 1.5,
// CLIP ViT-L/14 at 336 pixels, of which converters keep 23 of 24 layers. "1b-siglip" has the sizes
// of SigLIP so400m/14 at 384 pixels (Zhai et al. 2023) in its place. "tiny" is for trying things
// out.
var shapes = map[string]shape{
	"tiny": {layers: 2, width: 256, heads: 4, kvHeads: 2, ffn: 768, vocab: 1024,
		image: 56, patch: 14, towerLayers: 2, towerWidth: 128, towerHeads: 2, towerFFN: 512},
	"1b": {layers: 22, width: 2048, heads: 32, kvHeads: 4, ffn: 5632, vocab: 32000,
		image: 336, patch: 14, towerLayers: 23, towerWidth: 1024, towerHeads: 16, towerFFN: 4096},
	"1b-siglip": {layers: 22, width: 2048, heads: 32, kvHeads: 4, ffn: 5632, vocab: 32000,
		image: 384, patch: 14, towerLayers: 27, towerWidth: 1152, towerHeads: 16, towerFFN: 4304,
		siglip: true},
}

func shapeNames() []string { return slices.Sorted(maps.Keys(shapes)) }

// language lays out a Llama model in F16 (Touvron et al. 2023): norms before attention and before a
// SwiGLU feed-forward. Matrices keep the variance of their input; those that write to the residual
// stream are damped by its depth.
func language(s shape, weights *weights, tokenizer string) (*gguf.Writer, error) {
	arch := "llama"
	if s.reads.mrope {
		arch = "qwen2vl"
	}
	w := gguf.NewWriter(arch)
	w.Set("general.name", "synthetic")
	w.Set("general.file_type", uint32(1)) // mostly F16
	for _, kv := range []struct {
		key string
		v   int
	}{{"context_length", 2048}, {"embedding_length", s.width}, {"block_count", s.layers},
		{"feed_forward_length", s.ffn},
		{"attention.head_count", s.heads}, {"attention.head_count_kv", s.kvHeads},
		{"rope.dimension_count", s.width / s.heads}, {"vocab_size", s.vocab}} {
		w.Set(arch+"."+kv.key, uint32(kv.v))
	}
	w.Set(arch+".attention.layer_norm_rms_epsilon", float32(1e-5))
	w.Set(arch+".rope.freq_base", float32(10000))
	if s.reads.mrope { // a quarter of a head's pairs by time, the others by row and by column
		pairs := int32(s.width / s.heads / 2)
		w.Set(arch+".rope.dimension_sections", []int32{pairs / 4, pairs * 3 / 8, pairs * 3 / 8, 0})
	}
	if err := setTokenizer(w, tokenizer, s.vocab, s.reads.markers); err != nil {
		return nil, err
	}
	kv := s.width / s.heads * s.kvHeads
	damped := 1 / math.Sqrt(float64(2*s.layers))
	weights.matrix(w, "token_embd.weight", 0.02*math.Sqrt(float64(s.width)), s.width, s.vocab)
	weights.ones(w, "output_norm.weight", s.width)
	weights.matrix(w, "output.weight", 1, s.width, s.vocab)
	for i := range s.layers {
		name := func(part string) string { return fmt.Sprintf("blk.%d.%s.weight", i, part) }
		weights.ones(w, name("attn_norm"), s.width)
		weights.matrix(w, name("attn_q"), 1, s.width, s.width)
		weights.matrix(w, name("attn_k"), 1, s.width, kv)
		weights.matrix(w, name("attn_v"), 1, s.width, kv)
		weights.matrix(w, name("attn_output"), damped, s.width, s.width)
		if s.reads.mrope {
			block := fmt.Sprintf("blk.%d.", i)
			weights.zeros(w, block+"attn_q.bias", s.width)
			weights.zeros(w, block+"attn_k.bias", kv)
			weights.zeros(w, block+"attn_v.bias", kv)
		}
		weights.ones(w, name("ffn_norm"), s.width)
		weights.matrix(w, name("ffn_gate"), 1, s.width, s.ffn)
		weights.matrix(w, name("ffn_up"), 1, s.width, s.ffn)
		weights.matrix(w, name("ffn_down"), damped, s.ffn, s.width)
	}
	return w, nil
}

// setTokenizer copies a tokenizer and fills it up with control tokens and unused entries.
func setTokenizer(w *gguf.Writer, path string, vocab int, markers []string) error {
	f, err := gguf.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	tokens, _ := f.Strings("tokenizer.ggml.tokens")
	scores, _ := f.Floats("tokenizer.ggml.scores")
	types, _ := f.Ints("tokenizer.ggml.token_type")
	if len(tokens) == 0 || len(tokens)+len(markers) > vocab || len(scores) != len(tokens) ||
		len(types) != len(tokens) {
		return fmt.Errorf("%s has no tokenizer of at most %d entries with scores and types", path,
			vocab)
	}
	const control, unused = 3, 5 // LLAMA_TOKEN_TYPE_… in llama.h
	allTokens, allScores, allTypes := make([]string, vocab), make([]float32, vocab),
		make([]int32, vocab)
	for i := range vocab {
		switch k := i - len(tokens); {
		case k < 0:
			allTokens[i], allScores[i], allTypes[i] = tokens[i], float32(scores[i]), int32(types[i])
		case k < len(markers):
			allTokens[i], allTypes[i] = markers[k], control
		default:
			allTokens[i], allScores[i], allTypes[i] = fmt.Sprintf("<unused%d>", i), -1e6, unused
		}
	}
	for _, kv := range f.Keys() {
		switch kv.Key {
		case "tokenizer.ggml.tokens":
			w.Set(kv.Key, allTokens)
		case "tokenizer.ggml.scores":
			w.Set(kv.Key, allScores)
		case "tokenizer.ggml.token_type":
			w.Set(kv.Key, allTypes)
		default:
			if len(kv.Key) > 10 && kv.Key[:10] == "tokenizer." {
				w.Set(kv.Key, kv.Value)
			}
		}
	}
	return nil
}

// tower lays out a vision transformer of CLIP's kind (Radford et al. 2021), or of SigLIP's, with
// LLaVA 1.5's projector of two layers, in the tensors and keys that llama.cpp's converter writes.
func tower(s shape, weights *weights) *gguf.Writer {
	w := gguf.NewWriter("clip")
	w.Set("general.name", "synthetic")
	w.Set("general.file_type", uint32(1)) // mostly F16
	w.Set("clip.has_text_encoder", false)
	w.Set("clip.has_vision_encoder", true)
	w.Set("clip.has_llava_projector", true)
	w.Set("clip.projector_type", "mlp")
	w.Set("clip.use_gelu", s.siglip) // CLIP has quick GELU
	w.Set("clip.use_silu", false)
	for _, kv := range []struct {
		key string
		v   int
	}{{"image_size", s.image}, {"patch_size", s.patch}, {"embedding_length", s.towerWidth},
		{"feed_forward_length", s.towerFFN},
		{"projection_dim", s.width}, {"block_count", s.towerLayers}, {"attention.head_count",
			s.towerHeads}} {
		w.Set("clip.vision."+kv.key, uint32(kv.v))
	}
	w.Set("clip.vision.attention.layer_norm_epsilon", float32(1e-5))
	// of OpenAI's CLIP
	mean, std := []float32{0.48145467, 0.4578275, 0.40821072}, []float32{0.26862955, 0.2613026,
		0.2757771}
	if s.siglip {
		mean, std = []float32{0.5, 0.5, 0.5}, []float32{0.5, 0.5, 0.5}
	}
	w.Set("clip.vision.image_mean", mean)
	w.Set("clip.vision.image_std", std)

	d := s.towerWidth
	norm := func(name string) {
		weights.ones(w, name+".weight", d)
		weights.zeros(w, name+".bias", d)
	}
	linear := func(name string, scale float64, in, out int) {
		weights.matrix(w, name+".weight", scale, in, out)
		weights.zeros(w, name+".bias", out)
	}
	positions := (s.image / s.patch) * (s.image / s.patch)
	if !s.siglip {
		positions++
	}
	damped := 1 / math.Sqrt(float64(2*s.towerLayers))
	if !s.siglip {
		weights.zeros(w, "v.class_embd", d)
	}
	weights.matrix(w, "v.patch_embd.weight", 1, s.patch, s.patch, 3, d)
	weights.matrix(w, "v.position_embd.weight", 0.02*math.Sqrt(float64(d)), d, positions)
	if s.siglip {
		weights.zeros(w, "v.patch_embd.bias", d)
		norm("v.post_ln")
	} else {
		norm("v.pre_ln")
	}
	reader := func(name string, in, out int) {
		weights.reader(w, name+".weight", 1, in, out)
		weights.zeros(w, name+".bias", out)
	}
	for i := range s.towerLayers {
		block := fmt.Sprintf("v.blk.%d.", i)
		for _, norm := range []string{"ln1", "ln2"} {
			weights.gains(w, block+norm+".weight", d)
			weights.zeros(w, block+norm+".bias", d)
		}
		reader(block+"attn_q", d, d)
		reader(block+"attn_k", d, d)
		reader(block+"attn_v", d, d)
		linear(block+"attn_out", damped, d, d)
		reader(block+"ffn_up", d, s.towerFFN)
		linear(block+"ffn_down", damped, s.towerFFN, d)
	}
	linear("mm.0", 1, d, s.width)
	linear("mm.2", 1, s.width, s.width)
	return w
}
