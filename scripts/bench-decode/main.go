// Bench-decode compares the speed of cgo/llama with llama.cpp's own llama-bench: the same file,
// threads and KV type, the same work (one token after the other into an empty context, as
// llama-bench's tg test does it: random tokens, nothing sampled).
//
//	eval "$(scripts/env)"
//	go run ./scripts/bench-decode models/builtin/eyelet-builtin-q8_0.gguf build/synth/llama-1b-q4_k_m.gguf
//
// Both take turns, so that what else the machine does hits both alike. The figure that counts is
// the ratio of the medians.
//
// With -beside 2, the accelerator measures what it chooses by in a cache folder of its own and
// beside two processes that want all cores, which end before anything else is measured: choices of
// a busy machine may not make answers slower.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"time"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/cgo/peers"
	"github.com/eyelet-engine/eyelet/scripts/internal/busy"
	"github.com/eyelet-engine/eyelet/scripts/internal/stats"
)

func main() {
	busy.Main()
	n := flag.Int("n", 128, "tokens a run")
	rounds := flag.Int("rounds", 5, "turns of each side")
	reps := flag.Int("reps", 5, "runs a turn, on one loaded model, as llama-bench -r")
	threads := flag.Int("threads", runtime.NumCPU(), "threads of both sides")
	least := flag.Float64("least", 0, "fail if a ratio is below this")
	beside := flag.Int("beside", 0, "calibrate anew beside so many busy processes")
	flag.Parse()
	runtime.LockOSThread() // libgomp keeps a team of workers for each thread that computes
	if *beside > 0 {
		if err := calibrate(*beside, flag.Args()); err != nil {
			fmt.Fprintln(os.Stderr, "bench-decode:", err)
			os.Exit(1)
		}
	}
	failed := false
	for _, path := range flag.Args() {
		ratio, err := compare(path, *n, *rounds, *reps, *threads)
		if err != nil {
			fmt.Fprintln(os.Stderr, "bench-decode:", err)
			os.Exit(1)
		}
		failed = failed || ratio < *least
	}
	if flag.NArg() == 0 {
		fmt.Fprintln(os.Stderr, "usage: bench-decode [flags] MODEL.gguf...")
		os.Exit(2)
	}
	if failed {
		fmt.Fprintf(os.Stderr, "bench-decode: a ratio is below %v\n", *least)
		os.Exit(1)
	}
}

// calibrate measures what the accelerator chooses by for the types of models while other processes
// want all cores. What is measured stays in memory for the rest of the run.
func calibrate(processes int, models []string) error {
	cache, err := os.MkdirTemp("", "bench-decode-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(cache)
	if err := os.Setenv("EYELET_CACHE", cache); err != nil {
		return err
	}
	if err := llama.Init(); err != nil {
		return err
	}
	stop, err := busy.Start(processes)
	if err != nil {
		return err
	}
	defer stop()
	for _, path := range models {
		plain := ggml.PrepareAccelerator(0, path)
		fmt.Printf("%s, measured beside %d busy processes: weights as they lie in the file: %v\n",
			path, processes, plain)
	}
	for _, c := range ggml.CalibratedTypes(0) {
		fmt.Printf("  %v, busy %v:", c.Type, c.Busy)
		for _, choice := range c.Choices {
			fmt.Printf(" %d %s", choice.Rows, choice.Path)
		}
		fmt.Println()
	}
	return nil
}

// compare prints both speeds in tokens a second and returns ours over theirs.
func compare(path string, n, rounds, reps, threads int) (float64, error) {
	var ours, theirs []float64
	var about string
	for range rounds {
		speeds, description, err := decode(path, n, reps, threads)
		if err != nil {
			return 0, err
		}
		ours, about = append(ours, speeds...), description
		if speeds, err = llamaBench(path, n, reps, threads); err != nil {
			return 0, err
		}
		theirs = append(theirs, speeds...)
	}
	ratio := stats.Ratio(ours, theirs)
	fmt.Printf("%s: %s\n  tg%d, %d threads, KV F16, libllama %s, libggml %s, %s\n", path, about, n,
		threads, llama.Version(), ggml.Version(), runtime.Version())
	for _, side := range []struct {
		name   string
		speeds []float64
	}{{"cgo/llama", ours}, {"llama-bench", theirs}} {
		fmt.Printf("  %-11s  %8.2f tok/s  (%s)\n", side.name, stats.Median(side.speeds),
			stats.Range(side.speeds))
	}
	fmt.Printf("  ratio        %8.3f\n", ratio)
	return ratio, nil
}

// decode loads the model afresh, as llama-bench does, and times reps runs of n single-token steps
// after one step to warm up.
func decode(path string, n, reps, threads int) (speeds []float64, about string, err error) {
	ctx := context.Background()
	m, err := llama.LoadModel(ctx, path, llama.ModelParams{})
	if err != nil {
		return nil, "", err
	}
	defer m.Close()
	c, err := llama.NewContext(m, llama.ContextParams{NCtx: n, Threads: threads})
	if err != nil {
		return nil, "", err
	}
	defer c.Close()
	b := llama.NewTokenBatch(1, 1)
	defer b.Close()
	vocab := m.Vocab().N()
	run := func(n int) error {
		for pos := range n {
			b.Clear()
			if err := b.Add(llama.Token(rand.IntN(vocab)), llama.Pos(pos), true, 0); err != nil {
				return err
			}
			if err := c.Decode(ctx, b); err != nil {
				return err
			}
		}
		return c.Memory().Clear(false)
	}
	if err := run(1); err != nil {
		return nil, "", err
	}
	for range reps {
		start := time.Now()
		if err := run(n); err != nil {
			return nil, "", err
		}
		speeds = append(speeds, float64(n)/time.Since(start).Seconds())
	}
	about = fmt.Sprintf("%s, %.0f M parameters, %.1f MB", m.Description(), float64(m.NParams())/1e6,
		float64(m.Size())/1e6)
	if each := m.PromisedToken(); each > 0 {
		about += fmt.Sprintf("; by the accelerator's measurements a token's products take %v",
			each.Round(100*time.Microsecond))
	}
	return speeds, about, nil
}

// llamaBench runs the same in llama.cpp's program.
func llamaBench(path string, n, reps, threads int) ([]float64, error) {
	cmd, err := peers.Command(context.Background(), "llama-bench", "-m", path, "-p", "0", "-n",
		strconv.Itoa(n), "-r", strconv.Itoa(reps),
		"-t", strconv.Itoa(threads), "-ctk", "f16", "-ctv", "f16", "-o", "json")
	if err != nil {
		return nil, err
	}
	out, err := cmd.Output()
	if err != nil {
		if exit, ok := err.(*exec.ExitError); ok {
			return nil, fmt.Errorf("llama-bench: %w: %s", err, exit.Stderr)
		}
		return nil, fmt.Errorf("llama-bench: %w", err)
	}
	var results []struct {
		Speeds []float64 `json:"samples_ts"`
	}
	if err := json.Unmarshal(out, &results); err != nil || len(results) != 1 {
		return nil, fmt.Errorf("llama-bench wrote %q: %v", out, err)
	}
	return results[0].Speeds, nil
}
