package llama_test

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/cgo/peers"
	"github.com/eyelet-engine/eyelet/models/gguf"
)

// The sizes of a mixture of experts in miniature: wide enough for every quantized type.
const (
	moeLayers, moeWidth, moeHeads, moeHeadsKV, moeHead, moeFF = 2, 256, 4, 2, 64, 256
	moeExperts, moeUsed                                       = 8, 2
)

// writeMixture writes a model of Mixtral's kind (Jiang et al. 2024) in F32 with random weights, so large that its best tokens are well apart, and the
// tokenizer of the built-in model.
func writeMixture(t *testing.T, path string) {
	t.Helper()
	seed, err := gguf.Open(seedPath)
	if err != nil {
		t.Fatal(err)
	}
	defer seed.Close()
	w := gguf.NewWriter("llama")
	for key, n := range map[string]uint32{"context_length": 1024, "embedding_length": moeWidth, "block_count": moeLayers, "feed_forward_length": moeFF,
		"attention.head_count": moeHeads, "attention.head_count_kv": moeHeadsKV, "rope.dimension_count": moeHead, "expert_count": moeExperts, "expert_used_count": moeUsed} {
		w.Set("llama."+key, n)
	}
	w.Set("llama.attention.layer_norm_rms_epsilon", float32(1e-6))
	for _, kv := range seed.Keys() {
		if len(kv.Key) > 10 && kv.Key[:10] == "tokenizer." {
			w.Set(kv.Key, kv.Value)
		}
	}
	tokens, _ := seed.Strings("tokenizer.ggml.tokens")
	vocab := uint64(len(tokens))
	rng := rand.New(rand.NewPCG(8, 2))
	add := func(name string, number func() float32, dims ...uint64) {
		n := uint64(1)
		for _, d := range dims {
			n *= d
		}
		data := make([]byte, 0, 4*n)
		for range n {
			data = binary.LittleEndian.AppendUint32(data, math.Float32bits(number()))
		}
		w.AddTensor(name+".weight", gguf.F32, dims, data)
	}
	ones := func(name string) { add(name, func() float32 { return 1 }, moeWidth) }
	// A matrix that takes in numbers of deviation 1 gives out ones of deviation gain.
	matrix := func(name string, gain float64, dims ...uint64) {
		deviation := gain / math.Sqrt(float64(dims[0]))
		add(name, func() float32 { return float32(rng.NormFloat64() * deviation) }, dims...)
	}
	matrix("token_embd", math.Sqrt(moeWidth), moeWidth, vocab)
	matrix("output", 4, moeWidth, vocab)
	ones("output_norm")
	for i := range moeLayers {
		part := func(s string) string { return fmt.Sprintf("blk.%d.%s", i, s) }
		ones(part("attn_norm"))
		ones(part("ffn_norm"))
		matrix(part("attn_q"), 1.5, moeWidth, moeHeads*moeHead)
		matrix(part("attn_k"), 1.5, moeWidth, moeHeadsKV*moeHead)
		matrix(part("attn_v"), 1, moeWidth, moeHeadsKV*moeHead)
		matrix(part("attn_output"), 2, moeHeads*moeHead, moeWidth)
		matrix(part("ffn_gate_inp"), 3, moeWidth, moeExperts)
		matrix(part("ffn_gate_exps"), 1.5, moeWidth, moeFF, moeExperts)
		matrix(part("ffn_up_exps"), 1.5, moeWidth, moeFF, moeExperts)
		matrix(part("ffn_down_exps"), 1.5, moeFF, moeWidth, moeExperts)
	}
	if err := w.WriteFile(path); err != nil {
		t.Fatal(err)
	}
}

// mixtures returns models of one mixture of experts in several types.
func mixtures(t *testing.T) map[string]string {
	t.Helper()
	dir := t.TempDir()
	plain := filepath.Join(dir, "f32.gguf")
	writeMixture(t, plain)
	paths := map[string]string{"F32": plain}
	for _, name := range []string{"F16", "Q8_0", "Q4_K_M"} {
		typ, err := llama.ParseFileType(name)
		if err != nil {
			t.Fatal(err)
		}
		paths[name] = filepath.Join(dir, name+".gguf")
		if err := llama.Quantize(t.Context(), plain, paths[name], llama.QuantizeParams{Type: typ}); err != nil {
			t.Fatal(err)
		}
	}
	return paths
}

// read computes tokens as a prompt into an empty context and returns the logits that it ends with.
func read(t *testing.T, c *llama.Context, tokens []llama.Token) []float32 {
	t.Helper()
	if err := c.Memory().Clear(false); err != nil {
		t.Fatal(err)
	}
	return decode(t, c, tokens, 0, 0)
}

// answer lets a model go on with tokens, reading all anew for each. It returns them with the answer behind, and the logits of each step.
func answer(t *testing.T, m *llama.Model, tokens []llama.Token, steps int) (all []llama.Token, rows [][]float32) {
	t.Helper()
	c := newContext(t, m, llama.ContextParams{NCtx: 256})
	for range steps {
		row := read(t, c, tokens)
		rows, tokens = append(rows, row), append(tokens, argmax(row))
	}
	return tokens, rows
}

// sameAnswer reads an answer that was given elsewhere, each time a token longer: the logits are to be nearly those of then, and so the next token, unless
// another is as good.
func sameAnswer(t *testing.T, c *llama.Context, all []llama.Token, rows [][]float32) {
	t.Helper()
	// Logits have a deviation of 4 here. They move by hundredths of that, and by more where two experts are nearly as good for a token: rounding then
	// decides which of them it gets.
	const nearTie, apart = 0.8, 0.08
	mean, ties := 0.0, 0
	for i, want := range rows {
		got := read(t, c, all[:len(all)-len(rows)+i])
		mean += relative(got, want) / float64(len(rows))
		if a, b := argmax(got), argmax(want); a != b {
			ties++
			if margin := want[b] - want[a]; margin > nearTie {
				t.Errorf("step %d: token %d instead of %d, which is better by %.2f", i, a, b, margin)
			}
		}
	}
	t.Logf("%d steps: mean relative difference of the logits %.4f, %d tokens differ", len(rows), mean, ties)
	if !(mean < apart) || ties > len(rows)/4 {
		t.Errorf("mean relative difference %.4f, want less than %.2f; %d of %d tokens differ", mean, apart, ties, len(rows))
	}
}

// A whole mixture of experts, by libllama with the accelerator and without; with weights that are kept, and keys and values that must not be.
func TestMixturesOfExpertsAnswerAlikeWithTheAccelerator(t *testing.T) {
	peers.RequireAccelerator(t)
	for name, path := range mixtures(t) {
		t.Run(name, func(t *testing.T) {
			const steps = 24
			m := loadModel(t, path, plain())
			ggml.EnableAccelerator(false)
			defer ggml.EnableAccelerator(true)
			all, rows := answer(t, m, tokenize(t, prompt+" "+prompt), steps)

			ggml.EnableAccelerator(true)
			ggml.ForceAccelerator(1)
			defer ggml.ForceAccelerator(0)
			ggml.ReadAcceleratorCounters(true)
			sameAnswer(t, newContext(t, m, llama.ContextParams{NCtx: 256}), all, rows)
			// Queries, keys, values, attention, its output; the router; gate, up and down of the experts. And the logits.
			if n := ggml.ReadAcceleratorCounters(true).Calls; n != steps*(9*moeLayers+1) {
				t.Errorf("the accelerator computed %d operations, want %d", n, steps*(9*moeLayers+1))
			}

			ggml.SetAcceleratorCache(1 << 30)
			defer ggml.SetAcceleratorCache(0)
			sameAnswer(t, newContext(t, m, llama.ContextParams{NCtx: 256, FlashAttention: llama.FlashOff}), all, rows)
			if n := ggml.ReadAcceleratorCounters(true).Kept; name[0] == 'F' && n < 3*moeLayers*moeExperts*moeWidth*moeFF {
				t.Errorf("%d bytes are kept", n)
			}
		})
	}
}

// relative is the length of the difference of two rows as a share of the second's.
func relative(got, want []float32) float64 {
	size, apart := 0.0, 0.0
	for i := range want {
		d := float64(got[i]) - float64(want[i])
		size, apart = size+float64(want[i])*float64(want[i]), apart+d*d
	}
	return math.Sqrt(apart / size)
}
