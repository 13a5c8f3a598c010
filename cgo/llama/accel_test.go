package llama_test

import (
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
	"github.com/eyelet-engine/eyelet/cgo/llama"
)

// needAccelerator skips a test where there is no accelerator, and fails it if there should be one.
func needAccelerator(t testing.TB) {
	t.Helper()
	seedModel(t)
	if a := ggml.AcceleratorState(); !a.Loaded {
		if a.Wanted && runtime.GOOS == "linux" {
			t.Fatalf("no accelerator: %s (scripts/accel builds it)", a.Reason)
		}
		t.Skip("no accelerator: " + a.Reason)
	}
}

// libllama lays out graphs of one row a sequence to see where attention ends up. The accelerator takes such rows once there are enough, and
// is not the device of any layer: flash attention must stay all the same, or else a quantized cache of values cannot be.
func TestFlashAttentionStaysOnWithTheAccelerator(t *testing.T) {
	needAccelerator(t)
	for _, test := range []struct {
		name   string
		p      llama.ContextParams
		forced int
	}{
		{"a sequence", llama.ContextParams{NCtx: 256}, 0},
		{"many sequences", llama.ContextParams{NCtx: 1024, NSeqMax: 64}, 0},
		{"many sequences with parts of their own", llama.ContextParams{NCtx: 64 * 256, NSeqMax: 64, SplitKV: true}, 0},
		{"a quantized cache", llama.ContextParams{NCtx: 1024, NSeqMax: 64, TypeK: ggml.Q8_0, TypeV: ggml.Q8_0}, 0},
		{"every row taken", llama.ContextParams{NCtx: 256}, 1},
		{"every row taken, a quantized cache", llama.ContextParams{NCtx: 256, TypeK: ggml.Q8_0, TypeV: ggml.Q8_0}, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			ggml.ForceAccelerator(test.forced)
			defer ggml.ForceAccelerator(0)
			var mu sync.Mutex
			lines := ""
			defer ggml.TapLog(func(_ slog.Level, line string) {
				mu.Lock()
				defer mu.Unlock()
				lines += line + "\n"
			})()
			newContext(t, seedModel(t), test.p)
			mu.Lock()
			defer mu.Unlock()
			if strings.Contains(lines, "set to disabled") || !strings.Contains(lines, "flash_attn") || strings.Contains(lines, "flash_attn    = disabled") {
				t.Errorf("libllama says:\n%s", lines)
			}
		})
	}
}

// perplexity reads a text in chunks, as many tokens at once as fit, and returns the exponential of the mean surprise at each token but the
// first of a chunk. The accelerator's thresholds and use are those of the graphs laid out here.
func perplexity(t testing.TB, m *llama.Model, tokens []llama.Token, chunk int) float64 {
	t.Helper()
	c := newContext(t, m, llama.ContextParams{NCtx: chunk})
	defer c.Close()
	b := newBatch(t, chunk, 1)
	surprise, n := 0.0, 0
	for ; len(tokens) >= chunk; tokens = tokens[chunk:] {
		b.Clear()
		for i, token := range tokens[:chunk] {
			if err := b.Add(token, llama.Pos(i), true, 0); err != nil {
				t.Fatal(err)
			}
		}
		if err := c.Decode(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		for i := range chunk - 1 {
			row, err := c.Logits(i)
			if err != nil {
				t.Fatal(err)
			}
			surprise, n = surprise-logProbability(row, tokens[i+1]), n+1
		}
		if err := c.Memory().Clear(false); err != nil {
			t.Fatal(err)
		}
	}
	if n == 0 {
		t.Fatal("the text is shorter than a chunk")
	}
	return math.Exp(surprise / float64(n))
}

func logProbability(logits []float32, token llama.Token) float64 {
	top, sum := float64(slices.Max(logits)), 0.0
	for _, x := range logits {
		sum += math.Exp(float64(x) - top)
	}
	return float64(logits[token]) - top - math.Log(sum)
}

// The text is this repository's own. A synthetic model of 1 B is read with EYELET_SLOW=1, if scripts/synth has made it.
func TestPerplexityStaysWithTheAccelerator(t *testing.T) {
	needAccelerator(t)
	text, err := os.ReadFile("../../docs/developing.md")
	if err != nil {
		t.Fatal(err)
	}
	paths, chunks := []string{seedPath}, 6
	if os.Getenv("EYELET_SLOW") != "" {
		found, _ := filepath.Glob("../../build/synth/llama-1b-*.gguf") // the pattern is well-formed
		paths = append(paths, found...)
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			m := loadModel(t, path, llama.ModelParams{GPULayers: llama.NoGPULayers})
			tokens, err := m.Vocab().Tokenize(string(text), true, false)
			if err != nil {
				t.Fatal(err)
			}
			const chunk = 256
			tokens = tokens[:min(len(tokens), chunks*chunk)]
			ggml.EnableAccelerator(false)
			without := perplexity(t, m, tokens, chunk)
			ggml.EnableAccelerator(true)
			ggml.ReadAcceleratorCounters(true)
			with := perplexity(t, m, tokens, chunk)
			calls := ggml.ReadAcceleratorCounters(true).Calls
			t.Logf("%d tokens: perplexity %.4f without the accelerator, %.4f with it (%+.4f %%), %d operations", len(tokens), without, with, 100*(with/without-1), calls)
			if calls == 0 {
				t.Error("the accelerator computed nothing")
			}
			if d := math.Abs(with/without - 1); !(d < 0.001) {
				t.Errorf("perplexity changes by %.3f %%, want less than 0.1 %%", 100*d)
			}
		})
	}
}
