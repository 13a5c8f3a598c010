// Bench-busy measures how fast answers are written beside another program that keeps a core busy,
// against the same machine without it: with as many threads as have a core for themselves, as the
// engine does by itself; with all threads throughout; and with one.
//
//	eval "$(scripts/env)"
//	go run ./scripts/synth -shape 1b -type q4_k_m
//	go run ./scripts/bench-busy build/synth/llama-1b-q4_k_m.gguf
//
// The sides take turns. What counts is the ratio within a turn, for what else the machine does hits
// both of its halves.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"

	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/scripts/internal/busy"
	"github.com/eyelet-engine/eyelet/scripts/internal/stats"
)

// side is a way of choosing threads.
type side struct {
	name    string
	options engine.Options
}

// measured are tokens a second of all turns.
type measured struct{ alone, busy, ratio []float64 }

func main() {
	busy.Main()
	n := flag.Int("n", 96, "tokens of an answer")
	rounds := flag.Int("rounds", 3, "turns of each side")
	loops := flag.Int("loops", 1, "programs that want a core")
	threads := flag.Int("threads", 0, "threads (default: one a core)")
	flag.Parse()
	if flag.NArg() != 1 || *n < 2 || *rounds < 1 || *loops < 1 {
		fmt.Fprintln(os.Stderr, "usage: bench-busy [flags] MODEL.gguf")
		os.Exit(2)
	}
	if err := run(flag.Arg(0), *n, *rounds, *loops, *threads); err != nil {
		fmt.Fprintln(os.Stderr, "bench-busy:", err)
		os.Exit(1)
	}
}

func run(model string, n, rounds, loops, threads int) error {
	sides := []side{
		{"adapted", engine.Options{Threads: threads}},
		{"all threads", engine.Options{Threads: threads, AllThreads: true}},
		{"one thread", engine.Options{Threads: 1, AllThreads: true}},
	}
	results := make([]measured, len(sides))
	for round := range rounds {
		for i, s := range sides {
			alone, beside, err := turn(model, s.options, n, loops)
			if err != nil {
				return err
			}
			r := &results[i]
			r.alone, r.busy, r.ratio = append(r.alone, alone), append(r.busy, beside),
				append(r.ratio, beside/alone)
			fmt.Printf("round %d, %-11s  alone %6.1f tok/s, beside %d busy %6.1f tok/s, "+
				"ratio %.2f\n", round+1, s.name, alone, loops, beside, beside/alone)
		}
	}
	fmt.Println()
	all := stats.Median(results[1].alone)
	for i, s := range sides {
		r := &results[i]
		fmt.Printf("%-11s  alone %6.1f, busy %6.1f (%.1f to %.1f) tok/s; of its own %.2f (%.2f to %.2f), of all threads alone %.2f\n", s.name, stats.Median(r.alone),
			stats.Median(r.busy), slices.Min(r.busy), slices.Max(r.busy), stats.Median(r.ratio),
			slices.Min(r.ratio), slices.Max(r.ratio), stats.Median(r.busy)/all)
	}
	return nil
}

// turn measures one side, alone and beside busy programs, with one loaded model.
func turn(model string, options engine.Options, n, loops int) (alone, beside float64, err error) {
	ctx := context.Background()
	e, err := engine.New(options)
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	m, err := e.Load(ctx, engine.ModelSpec{Model: model, Context: 1024, NoSpeculation: true})
	if err != nil {
		return 0, 0, err
	}
	if _, err := write(ctx, m, 16); err != nil {
		return 0, 0, err
	}
	if alone, err = write(ctx, m, n); err != nil {
		return 0, 0, err
	}
	stop, err := busy.Start(loops)
	if err != nil {
		return 0, 0, err
	}
	defer stop()
	if _, err := write(ctx, m, 16); err != nil { // what a moment ago was quiet is seen to be busy
		return 0, 0, err
	}
	beside, err = write(ctx, m, n)
	return alone, beside, err
}

// write has n tokens written, and returns how many a second after the first.
func write(ctx context.Context, m *engine.Model, n int) (float64, error) {
	r := engine.Request{Prompt: "Once upon a time", MaxTokens: n}
	r.Sampling.IgnoreEnd = true
	for e, err := range m.Generate(ctx, r) {
		if err != nil {
			return 0, err
		}
		if e.Done != nil {
			if e.Done.Usage.Completion < 2 {
				return 0, fmt.Errorf("the answer ended after %d tokens", e.Done.Usage.Completion)
			}
			return float64(e.Done.Usage.Completion-1) / e.Done.Timings.Generate.Seconds(), nil
		}
	}
	return 0, errors.New("there was no answer")
}
