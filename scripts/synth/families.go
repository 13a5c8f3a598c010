package main

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/eyelet-engine/eyelet/models/gguf"
)

// familyTower holds the sizes of a vision tower with its family's projector.
type familyTower struct {
	kind                        string // of projector
	image, patch, layers, heads int
	width, ffn, out             int
	merge                       int // patches of a token's side
	mean, std                   []float32
	extra                       map[string]any // metadata of the family's own
	markers                     []string       // control tokens around pictures
	mrope                       bool           // positions of pictures are rows and columns
}

var (
	clipMean, clipStd = []float32{0.48145467, 0.4578275, 0.40821072},
		[]float32{0.26862955, 0.2613026, 0.2757771}
	half = []float32{0.5, 0.5, 0.5}
)

// familyTowers have the sizes of the config.json of Qwen/Qwen2.5-VL-3B-Instruct,
// google/gemma-3-4b-it and HuggingFaceTB/SmolVLM2-500M.
var familyTowers = map[string]familyTower{
	"qwen2.5-vl-3b": {kind: "qwen2.5vl_merger", image: 560, patch: 14, layers: 32, heads: 16,
		width: 1280, ffn: 3420, out: 2048, merge: 2, mean: clipMean, std: clipStd,
		extra:   map[string]any{"clip.use_silu": true, "clip.vision.n_wa_pattern": uint32(8)},
		markers: []string{"<|vision_start|>", "<|vision_end|>", "<|image_pad|>"}, mrope: true},
	"gemma3-4b": {kind: "gemma3", image: 896, patch: 14, layers: 27, heads: 16, width: 1152,
		ffn: 4304, out: 2560, merge: 4, mean: half, std: half,
		extra:   map[string]any{"clip.use_gelu": true},
		markers: []string{"<start_of_image>", "<end_of_image>"}},
	"smolvlm2-500m": {kind: "idefics3", image: 512, patch: 16, layers: 12, heads: 12, width: 768,
		ffn: 3072, out: 960, merge: 4, mean: half, std: half,
		extra: map[string]any{"clip.use_gelu": true,
			"clip.vision.projector.scale_factor": uint32(4),
			"clip.vision.preproc_image_size":     uint32(2048)}, markers: idefics3Markers()},
}

// idefics3Markers are the tokens before the tiles of pictures of at most 4 x 4 of them.
func idefics3Markers() []string {
	list := []string{"<fake_token_around_image>", "<global-img>", "<image>"}
	for i := range 16 {
		list = append(list, fmt.Sprintf("<row_%d_col_%d>", i/4+1, i%4+1))
	}
	return list
}

func familyNames() []string { return slices.Sorted(maps.Keys(familyTowers)) }

// write lays the tower out in the tensors and keys that llama.cpp's converter writes.
func (s familyTower) write(weights *weights) *gguf.Writer {
	w := gguf.NewWriter("clip")
	w.Set("general.name", "synthetic")
	w.Set("general.file_type", uint32(1)) // mostly F16
	w.Set("clip.has_vision_encoder", true)
	w.Set("clip.projector_type", s.kind)
	for _, kv := range []struct {
		key string
		v   int
	}{{"image_size", s.image}, {"patch_size", s.patch}, {"embedding_length", s.width},
		{"feed_forward_length", s.ffn},
		{"projection_dim", s.out}, {"block_count", s.layers}, {"attention.head_count", s.heads}} {
		w.Set("clip.vision."+kv.key, uint32(kv.v))
	}
	w.Set("clip.vision.attention.layer_norm_epsilon", float32(1e-6))
	w.Set("clip.vision.image_mean", s.mean)
	w.Set("clip.vision.image_std", s.std)
	for _, key := range slices.Sorted(maps.Keys(s.extra)) {
		w.Set(key, s.extra[key])
	}
	s.tensors(w, weights)
	return w
}

func (s familyTower) tensors(w *gguf.Writer, weights *weights) {
	d, qwen := s.width, s.kind == "qwen2.5vl_merger"
	norm := func(name string) {
		weights.ones(w, name+".weight", d)
		if !qwen { // which has RMS norms
			weights.zeros(w, name+".bias", d)
		}
	}
	linear := func(name string, scale float64, in, out int) {
		weights.matrix(w, name+".weight", scale, in, out)
		weights.zeros(w, name+".bias", out)
	}
	weights.matrix(w, "v.patch_embd.weight", 1, s.patch, s.patch, 3, d)
	if qwen {
		weights.matrix(w, "v.patch_embd.weight.1", 1, s.patch, s.patch, 3, d)
	} else {
		weights.zeros(w, "v.patch_embd.bias", d)
		across := s.image / s.patch
		// in F32, which libmtmd wants of it
		weights.constant(w, "v.position_embd.weight", 0.01, d, across*across)
	}
	damped := 1 / math.Sqrt(float64(2*s.layers))
	for i := range s.layers {
		block := fmt.Sprintf("v.blk.%d.", i)
		norm(block + "ln1")
		norm(block + "ln2")
		linear(block+"attn_q", 1, d, d)
		linear(block+"attn_k", 1, d, d)
		linear(block+"attn_v", 1, d, d)
		linear(block+"attn_out", damped, d, d)
		if qwen {
			linear(block+"ffn_gate", 1, d, s.ffn)
		}
		linear(block+"ffn_up", 1, d, s.ffn)
		linear(block+"ffn_down", damped, s.ffn, d)
	}
	norm("v.post_ln")
	merged := d * s.merge * s.merge
	switch s.kind {
	case "qwen2.5vl_merger":
		linear("mm.0", 1, merged, merged)
		linear("mm.2", 1, merged, s.out)
	case "gemma3": // pooled, and the projection is stored with its outputs innermost
		weights.ones(w, "mm.soft_emb_norm.weight", d)
		weights.matrix(w, "mm.input_projection.weight", 1, s.out, d)
	case "idefics3":
		weights.matrix(w, "mm.model.fc.weight", 1, merged, s.out)
	}
}
