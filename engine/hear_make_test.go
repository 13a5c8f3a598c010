package engine

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/x448/float16"

	"github.com/eyelet-engine/eyelet/models/gguf"
)

// ultravox is a language model in miniature that hears: Whisper's encoder with Ultravox' projector,
// with random weights under the names of llama.cpp's gguf-py, and no vision tower.
var ultravox = family{
	name: "ultravox", arch: "llama", layers: 3, embedding: 1, eos: "<|eot_id|>", addBOS: true,
	specials: []string{"<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"},
	template: `{{ bos_token }}{% for m in messages %}<|start_header_id|>{{ m.role }}<|end_header_id|>

{{ m.content }}<|eot_id|>{% endfor %}{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>

{% endif %}`,
	language: func(*maker) {},
}

const (
	earBins  = 80
	earStack = 4
	earInner = 48 // of the projector
)

// makeEars writes the language model and the projector. change may alter what the projector's file
// states.
func makeEars(t testing.TB, change func(m *maker)) (model, projector string) {
	t.Helper()
	dir := t.TempDir()
	model, projector = filepath.Join(dir, "ultravox.gguf"),
		filepath.Join(dir, "mmproj-ultravox.gguf")
	if err := ultravox.languageModel(t).WriteFile(model); err != nil {
		t.Fatal(err)
	}
	m := &maker{Writer: gguf.NewWriter("clip"), rand: rand.New(rand.NewPCG(3, 7)),
		arch: "clip.audio"}
	m.Set("general.name", "random ears")
	m.Set("clip.has_audio_encoder", true)
	m.Set("clip.projector_type", "ultravox")
	m.Set("clip.use_gelu", true)
	for _, kv := range []number{{"num_mel_bins", earBins}, {"embedding_length", famWidth},
		{"feed_forward_length", famFF}, {"projection_dim", famWidth},
		{"block_count", famTowerBlocks}, {"attention.head_count", famHeads},
		{"projector.stack_factor", earStack}} {
		m.set(kv.key, kv.value)
	}
	m.set("attention.layer_norm_epsilon", float32(1e-5))
	m.kernel("a.conv1d.1.weight", 3, earBins, famWidth)
	m.random("a.conv1d.1.bias", 0.1, nil, 1, famWidth)
	m.kernel("a.conv1d.2.weight", 3, famWidth, famWidth)
	m.random("a.conv1d.2.bias", 0.1, nil, 1, famWidth)
	m.random("a.position_embd.weight", 0.5, nil, famWidth, 1500)
	m.scale("a.post_ln.weight", 1, famWidth)
	m.random("a.post_ln.bias", 0.1, nil, famWidth)
	for i := range famTowerBlocks {
		name := func(s string) string { return fmt.Sprintf("a.blk.%d.%s", i, s) }
		for _, norm := range []string{"ln1", "ln2"} {
			m.scale(name(norm+".weight"), 1, famWidth)
			m.random(name(norm+".bias"), 0.1, nil, famWidth)
		}
		for _, w := range []string{"attn_q", "attn_k", "attn_v", "attn_out"} {
			m.matrix(name(w+".weight"), 1.5, famWidth, famWidth)
			if w != "attn_k" { // whose bias Whisper does without
				m.random(name(w+".bias"), 0.1, nil, famWidth)
			}
		}
		m.matrix(name("ffn_up.weight"), 1, famWidth, famFF)
		m.random(name("ffn_up.bias"), 0.1, nil, famFF)
		m.matrix(name("ffn_down.weight"), 1, famFF, famWidth)
		m.random(name("ffn_down.bias"), 0.1, nil, famWidth)
	}
	m.scale("mm.a.norm_pre.weight", 1, earStack*famWidth)
	m.matrix("mm.a.mlp.1.weight", 1, earStack*famWidth, 2*earInner)
	m.scale("mm.a.norm_mid.weight", 1, earInner)
	m.matrix("mm.a.mlp.2.weight", 1, earInner, famWidth)
	if change != nil {
		change(m)
	}
	if err := m.WriteFile(projector); err != nil {
		t.Fatal(err)
	}
	return model, projector
}

// kernel adds the kernel of a convolution, which ggml wants in float16.
func (m *maker) kernel(name string, dims ...uint64) {
	n := dims[0] * dims[1] * dims[2]
	data := make([]byte, 0, 2*n)
	for range n {
		x := float32(m.rand.NormFloat64() * 2 / math.Sqrt(float64(dims[0]*dims[1])))
		data = binary.LittleEndian.AppendUint16(data, float16.Fromfloat32(x).Bits())
	}
	m.AddTensor(name, gguf.F16, dims, data)
}
