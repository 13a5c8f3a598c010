package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
	"github.com/eyelet-engine/eyelet/cgo/llama"
)

// What lies in the folder of a run.
const (
	tokensFile = "tokens.json" // the windows of the text
	// logarithms of the exact probabilities in float32, place after place
	logitsFile  = "exact"
	widenedFile = "widened.gguf"
)

// writeExact computes a text exactly, and leaves tokens and probabilities in a folder.
func writeExact(ctx context.Context, o *options, model,
	dir string) (tokens int, exact []window, err error) {
	windows, err := textOf(ctx, o, model)
	if err != nil {
		return 0, nil, err
	}
	text, err := json.Marshal(windows)
	if err != nil {
		return 0, nil, err
	}
	if err := os.WriteFile(filepath.Join(dir, tokensFile), text, 0o644); err != nil {
		return 0, nil, err
	}
	f32, err := llama.ParseFileType("F32")
	if err != nil {
		return 0, nil, err
	}
	wide := filepath.Join(dir, widenedFile)
	if err := llama.Quantize(ctx, model, wide, llama.QuantizeParams{Type: f32,
		AllowRequantize: true}); err != nil {
		return 0, nil, err
	}
	f, err := os.Create(filepath.Join(dir, logitsFile))
	if err != nil {
		return 0, nil, err
	}
	defer f.Close()
	w := bufio.NewWriterSize(f, 1<<20)
	var sum window
	err = readWindows(ctx, wide, windows, 0, llama.ContextParams{Threads: o.threads,
		ExactCache:     true,
		FlashAttention: llama.FlashOff}, func(row []float32, next llama.Token, last bool) error {
		sum.Surprise -= float64(row[next])
		if last {
			sum.Surprise /= float64(o.window - 1)
			exact, sum = append(exact, sum), window{}
			progress("exact", len(exact), len(windows))
		}
		return binary.Write(w, binary.LittleEndian, row)
	})
	if err != nil {
		return 0, nil, err
	}
	os.Remove(wide)
	return o.window * len(windows), exact, w.Flush()
}

// textOf returns the windows that a model is to read.
func textOf(ctx context.Context, o *options, model string) (windows [][]llama.Token, err error) {
	m, err := llama.LoadModel(ctx, model, llama.ModelParams{GPULayers: llama.NoGPULayers})
	if err != nil {
		return nil, err
	}
	defer m.Close()
	n := o.tokens / o.window
	if o.text == "" {
		return draw(ctx, o, m, n)
	}
	tokens, err := readText(m, o.text, n*o.window)
	if err != nil {
		return nil, err
	}
	return slices.Collect(slices.Chunk(tokens, o.window)), nil
}

// draw lets a model write windows, each from the beginning: of another text a small model is so
// surprised that its perplexity says nothing.
func draw(ctx context.Context, o *options, m *llama.Model,
	n int) (windows [][]llama.Token, err error) {
	c, err := llama.NewContext(m, llama.ContextParams{NCtx: o.window, Threads: o.threads})
	if err != nil {
		return nil, err
	}
	defer c.Close()
	b := llama.NewTokenBatch(1, 1)
	defer b.Close()
	rng := rand.New(rand.NewPCG(1, 1))
	for range n {
		if err := c.Memory().Clear(false); err != nil {
			return nil, err
		}
		tokens := []llama.Token{m.Vocab().BOS()}
		for len(tokens) < o.window {
			b.Clear()
			if err := b.Add(tokens[len(tokens)-1], llama.Pos(len(tokens)-1), true, 0); err != nil {
				return nil, err
			}
			if err := c.Decode(ctx, b); err != nil {
				return nil, err
			}
			row, err := c.Logits(0)
			if err != nil {
				return nil, err
			}
			tokens = append(tokens, choose(row, rng.Float64()))
		}
		windows = append(windows, tokens)
		progress("text", len(windows), n)
	}
	return windows, nil
}

// choose draws a token by the probabilities that logits stand for, with a number from 0 to 1.
func choose(logits []float32, at float64) llama.Token {
	p := slices.Clone(logits)
	logProbabilities(p)
	for i, x := range p {
		if at -= math.Exp(float64(x)); at < 0 {
			return llama.Token(i)
		}
	}
	return llama.Token(len(p) - 1)
}

// readWindows lets a model read windows, so many rows at a time or, with 0, each at once, and shows
// the logarithms of its probabilities at each place but the last of a window.
func readWindows(ctx context.Context, model string, windows [][]llama.Token, rows int,
	p llama.ContextParams, see func(row []float32, next llama.Token, last bool) error) error {
	m, err := llama.LoadModel(ctx, model, llama.ModelParams{GPULayers: llama.NoGPULayers})
	if err != nil {
		return err
	}
	defer m.Close()
	p.NCtx = len(windows[0])
	c, err := llama.NewContext(m, p)
	if err != nil {
		return err
	}
	defer c.Close()
	b := llama.NewTokenBatch(p.NCtx, 1)
	defer b.Close()
	if rows == 0 {
		rows = p.NCtx
	}
	for _, tokens := range windows {
		if err := c.Memory().Clear(false); err != nil {
			return err
		}
		for first := 0; first < len(tokens); first += rows {
			portion := tokens[first:min(first+rows, len(tokens))]
			b.Clear()
			for i, token := range portion {
				if err := b.Add(token, llama.Pos(first+i), true, 0); err != nil {
					return err
				}
			}
			if err := c.Decode(ctx, b); err != nil {
				return err
			}
			for i := range portion {
				at := first + i
				if at == len(tokens)-1 {
					break
				}
				row, err := c.Logits(i)
				if err != nil {
					return err
				}
				logProbabilities(row)
				if err := see(row, tokens[at+1], at == len(tokens)-2); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// measureLevel reads the text of a run by ggml alone and with the accelerator, at the level that
// this process is held to.
func measureLevel(ctx context.Context, o *options, model string) (found both, err error) {
	text, err := os.ReadFile(filepath.Join(o.measure, tokensFile))
	if err != nil {
		return found, err
	}
	var windows [][]llama.Token
	if err := json.Unmarshal(text, &windows); err != nil {
		return found, err
	}
	if err := ggml.Load(); err != nil {
		return found, err
	}
	if a := ggml.AcceleratorState(); !a.Loaded {
		return found, fmt.Errorf("no accelerator: %s", a.Reason)
	}
	ggml.ForceAccelerator(o.rows, "")
	for _, accel := range []bool{false, true} {
		ggml.EnableAccelerator(accel)
		ggml.ReadAcceleratorCounters(true)
		w, err := compareWindows(ctx, o, model, windows)
		if err != nil {
			return found, err
		}
		if taken := ggml.ReadAcceleratorCounters(true).Calls > 0; taken != accel {
			return found, fmt.Errorf("the accelerator computed: %v, want %v", taken, accel)
		}
		if accel {
			found.Accel = w
		} else {
			found.GGML = w
		}
	}
	return found, nil
}

func compareWindows(ctx context.Context, o *options, model string,
	windows [][]llama.Token) (list []window, err error) {
	f, err := os.Open(filepath.Join(o.measure, logitsFile))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r := bufio.NewReaderSize(f, 1<<20)
	var sum window
	var bytes []byte
	var want []float32
	err = readWindows(ctx, model, windows, o.rows, llama.ContextParams{Threads: o.threads},
		func(row []float32, next llama.Token, last bool) error {
			if bytes == nil {
				bytes, want = make([]byte, 4*len(row)), make([]float32, len(row))
			}
			if _, err := io.ReadFull(r, bytes); err != nil {
				return err
			}
			for i := range want {
				want[i] = math.Float32frombits(binary.LittleEndian.Uint32(bytes[4*i:]))
			}
			n := float64(len(windows[0]) - 1)
			sum.Surprise, sum.KL = sum.Surprise-float64(row[next])/n, sum.KL+divergence(want, row)/n
			if last {
				list, sum = append(list, sum), window{}
				progress(os.Getenv("EYELET_ISA"), len(list), len(windows))
			}
			return nil
		})
	return list, err
}

// progress says how far a part of the work is, on a line that the next replaces.
func progress(part string, done, all int) {
	fmt.Fprintf(os.Stderr, "\r%-8s %d of %d windows ", part, done, all)
	if done == all {
		fmt.Fprintln(os.Stderr)
	}
}
