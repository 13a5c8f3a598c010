package llama_test

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
	"github.com/eyelet-engine/eyelet/cgo/llama"
)

const (
	seedPath = "../../models/builtin/eyelet-builtin-q8_0.gguf"
	// vocabulary is the number of its tokens.
	vocabulary = 1088
	// prompt is 40-odd tokens of the kind the model was trained on.
	prompt = "USER: What color is the background? ASSISTANT: The background is"
)

// seed is the built-in model, loaded once and left open: it is what most tests need.
var seed = sync.OnceValues(func() (*llama.Model, error) {
	return llama.LoadModel(context.Background(), seedPath, llama.ModelParams{})
})

func seedModel(t testing.TB) *llama.Model {
	t.Helper()
	m, err := seed()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func loadModel(t testing.TB, path string, p llama.ModelParams) *llama.Model {
	t.Helper()
	m, err := llama.LoadModel(context.Background(), path, p)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

func newContext(t testing.TB, m *llama.Model, p llama.ContextParams) *llama.Context {
	t.Helper()
	if p.Threads == 0 {
		p.Threads = 2
	}
	c, err := llama.NewContext(m, p)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func newBatch(t testing.TB, capacity, seqs int) *llama.Batch {
	t.Helper()
	b := llama.NewTokenBatch(capacity, seqs)
	t.Cleanup(func() { b.Close() })
	return b
}

func newSampler(t testing.TB, stages ...llama.Stage) *llama.Sampler {
	t.Helper()
	s, err := llama.NewSampler(seedModel(t), stages...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func tokenize(t testing.TB, text string) []llama.Token {
	t.Helper()
	tokens, err := seedModel(t).Vocab().Tokenize(text, true, false)
	if err != nil {
		t.Fatal(err)
	}
	return tokens
}

// decode computes tokens in one batch from position pos on and returns a copy of the last one's
// logits.
func decode(t testing.TB, c *llama.Context, tokens []llama.Token, pos llama.Pos,
	seqs ...llama.Seq) []float32 {
	t.Helper()
	b := newBatch(t, len(tokens), len(seqs))
	for i, token := range tokens {
		if err := b.Add(token, pos+llama.Pos(i), i == len(tokens)-1, seqs...); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Decode(context.Background(), b); err != nil {
		t.Fatal(err)
	}
	return logits(t, c, len(tokens)-1)
}

func logits(t testing.TB, c *llama.Context, i int) []float32 {
	t.Helper()
	l, err := c.Logits(i)
	if err != nil {
		t.Fatal(err)
	}
	return append([]float32(nil), l...)
}

// fresh returns the logits that tokens lead to in a context of their own.
func fresh(t testing.TB, tokens []llama.Token) []float32 {
	t.Helper()
	return decode(t, newContext(t, seedModel(t), llama.ContextParams{NCtx: 256}), tokens, 0, 0)
}

// same wants two rows of logits to agree up to the rounding of an F16 cache, and of other batch
// shapes: the accelerator, which takes large ones, rounds activations otherwise than the CPU
// backend. Unlike sequences are seldom closer than ten times as much.
func same(t testing.TB, what string, got, want []float32) {
	t.Helper()
	if d := distance(got, want); !(d < 0.4) {
		t.Errorf("%s: logits differ by up to %v", what, d)
	}
}

func differ(t testing.TB, what string, a, b []float32) {
	t.Helper()
	if d := distance(a, b); !(d > 0.8) {
		t.Errorf("%s: logits differ by no more than %v", what, d)
	}
}

// distance is the largest difference, NaN if there is one.
func distance(a, b []float32) float64 {
	if len(a) != len(b) {
		return math.NaN()
	}
	worst := 0.0
	for i := range a {
		d := math.Abs(float64(a[i]) - float64(b[i]))
		if !(d <= worst) {
			worst = d
		}
	}
	return worst
}

func argmax(row []float32) llama.Token {
	best := 0
	for i := range row {
		if row[i] > row[best] {
			best = i
		}
	}
	return llama.Token(best)
}

func wantError(t testing.TB, err, want error) {
	t.Helper()
	switch {
	case err == nil:
		t.Error("no error")
	case want != nil && !errors.Is(err, want):
		t.Errorf("error %q, want %q", err, want)
	}
}

// plain are the parameters of a model whose products the accelerator can compute. On a processor
// with AMX, ggml lays weights out for its own kernels, which then compute them; there the weights
// stay as they are in the file.
func plain() llama.ModelParams {
	tiles := slices.ContainsFunc(ggml.CPUFeatures(), func(f ggml.Feature) bool {
		return strings.HasPrefix(f.Name, "AMX") && f.Value != "0"
	})
	return llama.ModelParams{GPULayers: llama.NoGPULayers, NoRepack: tiles}
}
