// Bench-go-llama compares Predict of engine/go-llama.cpp with the engine itself: the same file,
// settings and text, 128 tokens, nothing left in the cache.
//
//	eval "$(scripts/env)"
//	go run ./scripts/bench-go-llama -least 0.97 build/synth/llama-1b-q4_k_m.gguf
//
// Both take turns, so that what else the machine does hits both alike. The figure that counts is
// the ratio of the medians.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/scripts/internal/stats"
	llama "github.com/go-skynet/go-llama.cpp"
)

const text = "Once upon a time there was an engine that looked at pictures, and"

func main() {
	n := flag.Int("n", 128, "tokens a run")
	rounds := flag.Int("rounds", 9, "turns of each side")
	least := flag.Float64("least", 0, "fail if a ratio is below this")
	flag.Parse()
	if flag.NArg() == 0 {
		fmt.Fprintln(os.Stderr, "usage: bench-go-llama [flags] MODEL.gguf...")
		os.Exit(2)
	}
	for _, path := range flag.Args() {
		ratio, err := compare(path, *n, *rounds)
		if err == nil && ratio < *least {
			err = fmt.Errorf("the ratio is below %v", *least)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "bench-go-llama:", err)
			os.Exit(1)
		}
	}
}

// compare prints both speeds in tokens a second and returns that of Predict over that of the
// engine.
func compare(path string, n, rounds int) (float64, error) {
	e, err := engine.New(engine.Options{})
	if err != nil {
		return 0, err
	}
	defer e.Close()
	m, err := e.Load(context.Background(), engine.ModelSpec{Model: path, Context: 512,
		GPULayers: -1})
	if err != nil {
		return 0, err
	}
	l, err := llama.New(path, llama.EnableF16Memory)
	if err != nil {
		return 0, err
	}
	defer l.Free()
	seed := uint32(1)
	direct := func() (tokens int, err error) {
		r := engine.Request{Prompt: text, MaxTokens: n, Fresh: true, ContextShift: true,
			Sampling: engine.Sampling{
				Temperature: 0.8, TopK: 40, TopP: 0.95, RepeatPenalty: 1.1, SpareNewline: true,
				IgnoreEnd: true, Seed: &seed,
			}}
		for event, err := range m.Generate(context.Background(), r) {
			if err != nil {
				return 0, err
			}
			tokens += len(event.Tokens)
		}
		return tokens, nil
	}
	through := func() (tokens int, err error) {
		_, err = l.Predict(text, llama.SetTokens(n), llama.SetSeed(1), llama.IgnoreEOS,
			llama.SetTokenCallback(func(string) bool { tokens++; return true }))
		return tokens, err
	}
	var speeds [2][]float64
	for round := range rounds + 1 {
		for i, run := range []func() (int, error){direct, through} {
			start := time.Now()
			tokens, err := run()
			if err != nil {
				return 0, err
			}
			if tokens != n {
				return 0, fmt.Errorf("%d tokens, wanted %d", tokens, n)
			}
			if round > 0 { // the first warms up
				speeds[i] = append(speeds[i], float64(tokens)/time.Since(start).Seconds())
			}
		}
	}
	ratio := stats.Ratio(speeds[1], speeds[0])
	fmt.Printf("%s: engine %.1f tok/s, Predict %.1f tok/s, ratio %.3f\n", path,
		stats.Median(speeds[0]), stats.Median(speeds[1]), ratio)
	return ratio, nil
}
