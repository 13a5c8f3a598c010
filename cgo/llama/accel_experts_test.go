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

// leastKept is the bytes, in float32, of the weights that meet every row of a prompt: of queries,
// keys, values, the output of attention, and the logits. Which experts are met depends on the
// prompt.
const leastKept = 4 * moeWidth * (moeLayers*moeHead*2*(moeHeads+moeHeadsKV) + vocabulary)

// writeMixture writes a model of Mixtral's kind (Jiang et al. 2024) in F32 with random weights, so
// large that its best tokens are well apart, and the tokenizer of the built-in model.
func writeMixture(t *testing.T, path string) {
	t.Helper()
	seed, err := gguf.Open(seedPath)
	if err != nil {
		t.Fatal(err)
	}
	defer seed.Close()
	w := gguf.NewWriter("llama")
	for key, n := range map[string]uint32{"context_length": 1024, "embedding_length": moeWidth,
		"block_count": moeLayers, "feed_forward_length": moeFF,
		"attention.head_count": moeHeads, "attention.head_count_kv": moeHeadsKV,
		"rope.dimension_count": moeHead, "expert_count": moeExperts,
		"expert_used_count": moeUsed} {
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
		if err := llama.Quantize(t.Context(), plain, paths[name],
			llama.QuantizeParams{Type: typ}); err != nil {
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

// answer lets a model go on with tokens, reading all anew for each. It returns them with the answer
// behind, and the logits of each step.
func answer(t *testing.T, m *llama.Model, tokens []llama.Token,
	steps int) (all []llama.Token, rows [][]float32) {
	t.Helper()
	c := newContext(t, m, llama.ContextParams{NCtx: 256})
	for range steps {
		row := read(t, c, tokens)
		rows, tokens = append(rows, row), append(tokens, argmax(row))
	}
	return tokens, rows
}

// sameAnswer reads an answer that was given elsewhere, each time a token longer, and compares the
// logits with exact ones: they may be off by mostOfGGML times as much as ggml's, rows, are, and by
// allowance, as shares of their size. Where two experts, or two tokens, are nearly as good,
// rounding decides.
func sameAnswer(t *testing.T, c *llama.Context, all []llama.Token, rows [][]float32, exact matrix,
	allowance float64) {
	t.Helper()
	steps := len(rows)
	first := len(all) - steps - 1 // the row of logits that the answer begins with
	ours, ggmls, apart, ggmlsApart := 0.0, 0.0, 0, 0
	for i, row := range rows {
		want := single(exact.Row(first + i))
		got := read(t, c, all[:first+1+i])
		ours, ggmls = ours+relative(got, want)/float64(steps),
			ggmls+relative(row, want)/float64(steps)
		apart, ggmlsApart = apart+b2i(argmax(got) != argmax(want)),
			ggmlsApart+b2i(argmax(row) != argmax(want))
	}
	t.Logf("%d steps: the logits are off by %.4f of their size, ggml's by %.4f; %d tokens are not the exact ones, of ggml's %d", steps, ours, ggmls, apart, ggmlsApart)
	if !(ours <= mostOfGGML*ggmls+allowance) || apart > ggmlsApart+steps/6 {
		t.Errorf("the logits are off by %.4f of their size, ggml's by %.4f; %d tokens of %d are not the exact ones, of ggml's %d", ours, ggmls, apart, steps, ggmlsApart)
	}
}

func single(row []float64) []float32 {
	numbers := make([]float32, len(row))
	for i, x := range row {
		numbers[i] = float32(x)
	}
	return numbers
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// A whole mixture of experts, by libllama with the accelerator and without; with weights that are
// kept, and keys and values that must not be.
func TestMixturesOfExpertsAnswerAlikeWithTheAccelerator(t *testing.T) {
	peers.RequireAccelerator(t)
	for name, path := range mixtures(t) {
		t.Run(name, func(t *testing.T) {
			const steps = 24
			m := loadModel(t, path, plain())
			ggml.EnableAccelerator(false)
			defer ggml.EnableAccelerator(true)
			all, rows := answer(t, m, tokenize(t, prompt+" "+prompt), steps)
			exact := newReference(t, path).logits(all[:len(all)-1])
			// Weights that are floats are rounded to bfloat16 where the processor multiplies those,
			// and so are activations: twice 2^-9 in each of the products that follow on each other,
			// four of a layer and the last.
			allowance := 0.0
			if name[0] == 'F' {
				allowance = (4*moeLayers + 1) * 0x1p-8
			}

			ggml.EnableAccelerator(true)
			ggml.ForceAccelerator(1, "")
			defer ggml.ForceAccelerator(0, "")
			ggml.ReadAcceleratorCounters(true)
			sameAnswer(t, newContext(t, m, llama.ContextParams{NCtx: 256}), all, rows, exact,
				allowance)
			// Queries, keys, values, attention, its output; the router; gate, up and down of the
			// experts. And the logits.
			if n := ggml.ReadAcceleratorCounters(true).Calls; n != steps*(9*moeLayers+1) {
				t.Errorf("the accelerator computed %d operations, want %d", n,
					steps*(9*moeLayers+1))
			}

			ggml.SetAcceleratorCache(1 << 30)
			defer ggml.SetAcceleratorCache(0)
			if name[0] == 'F' {
				forceKeeping(t, 1)
			}
			sameAnswer(t, newContext(t, m, llama.ContextParams{NCtx: 256,
				FlashAttention: llama.FlashOff}), all, rows, exact, allowance)
			if n := ggml.ReadAcceleratorCounters(true).Kept; name[0] == 'F' && n < leastKept {
				t.Errorf("%d bytes are kept, want at least %d", n, leastKept)
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
