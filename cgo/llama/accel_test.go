package llama_test

import (
	"log/slog"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/cgo/peers"
)

// libllama lays out graphs of one row a sequence to see where attention ends up. The accelerator
// takes such rows once there are enough, and is not the device of any layer: flash attention must
// stay all the same, or else a quantized cache of values cannot be.
func TestFlashAttentionStaysOnWithTheAccelerator(t *testing.T) {
	peers.RequireAccelerator(t)
	for _, test := range []struct {
		name   string
		p      llama.ContextParams
		forced int
	}{
		{"a sequence", llama.ContextParams{NCtx: 256}, 0},
		{"many sequences", llama.ContextParams{NCtx: 1024, NSeqMax: 64}, 0},
		{"many sequences with parts of their own", llama.ContextParams{NCtx: 64 * 256, NSeqMax: 64,
			SplitKV: true}, 0},
		{"a quantized cache", llama.ContextParams{NCtx: 1024, NSeqMax: 64, TypeK: ggml.Q8_0,
			TypeV: ggml.Q8_0}, 0},
		{"every row taken", llama.ContextParams{NCtx: 256}, 1},
		{"every row taken, a quantized cache", llama.ContextParams{NCtx: 256, TypeK: ggml.Q8_0,
			TypeV: ggml.Q8_0}, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			ggml.ForceAccelerator(test.forced, "")
			defer ggml.ForceAccelerator(0, "")
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
			if strings.Contains(lines, "set to disabled") || !strings.Contains(lines,
				"flash_attn") || strings.Contains(lines, "flash_attn    = disabled") {
				t.Errorf("libllama says:\n%s", lines)
			}
		})
	}
}

// readChunk reads tokens at once and returns the logits of each. The accelerator's thresholds and
// use are those of the graphs laid out here.
func readChunk(t testing.TB, m *llama.Model, tokens []llama.Token) [][]float32 {
	t.Helper()
	return rowsOf(t, m, llama.ContextParams{NCtx: len(tokens)}, tokens)
}

// surprise adds up the surprise at each token but the first of a chunk, in nats.
func surprise(rows [][]float32, tokens []llama.Token) (sum float64) {
	for i, row := range rows[:len(rows)-1] {
		sum += logSum(row) - float64(row[tokens[i+1]])
	}
	return sum
}

// logSum is the logarithm of the sum of the exponentials: a logit less it is the logarithm of its
// token's probability.
func logSum(logits []float32) float64 {
	top, sum := float64(slices.Max(logits)), 0.0
	for _, x := range logits {
		sum += math.Exp(float64(x) - top)
	}
	return top + math.Log(sum)
}

// written draws chunks of tokens from a model itself, one after the other: of a text of another
// kind, a small model is so surprised that rounding shows.
func written(t testing.TB, m *llama.Model, chunks, chunk int) (tokens []llama.Token) {
	t.Helper()
	rng := rand.New(rand.NewPCG(1, 1))
	c := newContext(t, m, llama.ContextParams{NCtx: chunk})
	defer c.Close()
	for range chunks {
		if err := c.Memory().Clear(false); err != nil {
			t.Fatal(err)
		}
		tokens = append(tokens, m.Vocab().BOS())
		for pos := range chunk - 1 {
			row := decode(t, c, tokens[len(tokens)-1:], llama.Pos(pos), 0)
			token, left, all := 0, rng.Float64(), logSum(row)
			for ; token < len(row)-1; token++ {
				if left -= math.Exp(float64(row[token]) - all); left < 0 {
					break
				}
			}
			tokens = append(tokens, llama.Token(token))
		}
	}
	return tokens
}

// mostOfGGML is how many times ggml's own divergence from exact probabilities that of the
// accelerator may be: both round activations to as many bits, or the accelerator to more, so that
// it may differ by chance alone. Divergence grows with the square of an error.
const mostOfGGML = 1.5

// Both ggml and the accelerator round; the yardstick is the model in float64. Synthetic models of 1
// B are read with EYELET_SLOW=1, those that scripts/synth has made.
func TestTheAcceleratorIsAsExactAsGGML(t *testing.T) {
	peers.RequireAccelerator(t)
	paths := []string{seedPath}
	if os.Getenv("EYELET_SLOW") != "" {
		found, _ := filepath.Glob("../../build/synth/llama-1b-*.gguf") // the pattern is well-formed
		paths = append(paths, found...)
	}
	for i, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			chunks, chunk := 2, 256
			if i > 0 {
				chunks, chunk = 1, 64
			}
			m := loadModel(t, path, plain())
			exact := newReference(t, path)
			defer ggml.EnableAccelerator(true)
			var ggmls, ours deviation
			var calls uint64
			var without, with, best float64
			for tokens := range slices.Chunk(written(t, m, chunks, chunk), chunk) {
				want := exact.logits(tokens)
				ggml.EnableAccelerator(false)
				rows := readChunk(t, m, tokens)
				ggmls.add(rows, want)
				without += surprise(rows, tokens)

				ggml.EnableAccelerator(true)
				ggml.ReadAcceleratorCounters(true)
				rows = readChunk(t, m, tokens)
				calls += ggml.ReadAcceleratorCounters(true).Calls
				ours.add(rows, want)
				with += surprise(rows, tokens)
				for i := range chunk - 1 {
					best += logSum64(want.Row(i)) - want.Row(i)[tokens[i+1]]
				}
			}
			ggmls, ours = ggmls.finish(), ours.finish()
			n := float64(chunks * (chunk - 1))
			t.Logf("perplexity over %.0f tokens: %.4f in float64, %.4f by ggml, %.4f with the accelerator (%d operations)", n, math.Exp(best/n), math.Exp(without/n),
				math.Exp(with/n), calls)
			t.Logf("logits are off by %.2e, ggml's by %.2e; divergence %.2e, ggml's %.2e", ours.rms,
				ggmls.rms, ours.kl, ggmls.kl)
			if calls == 0 {
				t.Error("the accelerator computed nothing")
			}
			if !(ours.kl <= mostOfGGML*ggmls.kl) {
				t.Errorf("the divergence from exact probabilities is %.2f times that of ggml alone, want at most %.1f", ours.kl/ggmls.kl, mostOfGGML)
			}
		})
	}
}

// It holds for this process if no other test leaves a context open, as none does.
func TestTheAcceleratorKeepsNoMemoryOfClosedContexts(t *testing.T) {
	peers.RequireAccelerator(t)
	ggml.ForceAccelerator(8, "")
	defer ggml.ForceAccelerator(0, "")
	tokens, err := seedModel(t).Vocab().Tokenize(strings.Repeat(prompt+" ", 4), true, false)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		c := newContext(t, seedModel(t), llama.ContextParams{NCtx: 256})
		decode(t, c, tokens, 0, 0)
		if n := ggml.ReadAcceleratorCounters(false); n.Kept == 0 || n.Calls == 0 {
			t.Errorf("in use: %+v", n)
		}
		c.Close()
		if n := ggml.ReadAcceleratorCounters(true); n.Kept != 0 {
			t.Errorf("closed: %+v", n)
		}
	}
}

// forceKeeping makes the accelerator compute products of at least rows rows on the path that keeps
// weights, and that every processor has: which one is its own choice differs, and where the widest
// arithmetic is AVX2 that one keeps nothing.
func forceKeeping(t *testing.T, rows int) {
	t.Helper()
	if !ggml.ForceAccelerator(rows, "onednn-f32") {
		t.Fatal("the accelerator knows no path of that name")
	}
	t.Cleanup(func() { ggml.ForceAccelerator(0, "") })
}

// Each round's weights, in the form that the accelerator keeps, would show if they stayed.
func TestProcessMemoryReturnsAfterTheModelCloses(t *testing.T) {
	peers.RequireAccelerator(t)
	path := mixtures(t)["F16"]
	tokens := tokenize(t, strings.Repeat(prompt+" ", 4))
	forceKeeping(t, 8)
	ggml.SetAcceleratorCache(1 << 30)
	defer ggml.SetAcceleratorCache(0)
	const rounds, settled = 8, 3
	var used [rounds]int
	kept := 0
	for i := range rounds {
		m, err := llama.LoadModel(t.Context(), path, plain())
		if err != nil {
			t.Fatal(err)
		}
		c := newContext(t, m, llama.ContextParams{NCtx: 256})
		decode(t, c, tokens, 0, 0)
		kept = int(ggml.ReadAcceleratorCounters(false).Kept)
		c.Close()
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
		if n := ggml.ReadAcceleratorCounters(true).Kept; n != 0 {
			t.Fatalf("%d bytes are kept after the model was closed", n)
		}
		used[i] = residentBytes(t)
	}
	if kept < leastKept {
		t.Errorf("no more than %d bytes were kept while the model was open, want at least %d", kept,
			leastKept)
	}
	t.Logf("kept while open: %d bytes; in use after each round: %v", kept, used)
	if grown := used[rounds-1] - used[settled-1]; grown > kept {
		t.Errorf("%d rounds left %d bytes in use, and each kept %d", rounds-settled, grown, kept)
	}
}

// residentBytes returns the memory of the process, Go's heap being collected and given back.
func residentBytes(t *testing.T) int {
	t.Helper()
	debug.FreeOSMemory()
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Skip("no /proc to read memory from")
	}
	pages, err := strconv.Atoi(strings.Fields(string(text))[1])
	if err != nil {
		t.Fatal(err)
	}
	return pages * os.Getpagesize()
}
