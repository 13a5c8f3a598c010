// Bench-decode compares the speed of cgo/llama with llama.cpp's own llama-bench: the same file, threads and KV type, the same work
// (one token after the other into an empty context, as llama-bench's tg test does it: random tokens, nothing sampled).
//
//	eval "$(scripts/env)"
//	go run ./scripts/bench-decode models/builtin/eyelet-seed-q8_0.gguf build/synth/llama-1b-q4_k_m.gguf
//
// Both take turns, so that what else the machine does hits both alike. The figure that counts is the ratio of the medians.
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
	"slices"
	"strconv"
	"time"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/cgo/peers"
)

func main() {
	n := flag.Int("n", 128, "tokens a run")
	rounds := flag.Int("rounds", 5, "runs of each side, in turns")
	threads := flag.Int("threads", runtime.NumCPU(), "threads of both sides")
	least := flag.Float64("least", 0, "fail if a ratio is below this")
	flag.Parse()
	runtime.LockOSThread() // libgomp keeps a team of workers for each thread that computes
	failed := false
	for _, path := range flag.Args() {
		ratio, err := compare(path, *n, *rounds, *threads)
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

// compare prints both speeds in tokens a second and returns ours over theirs.
func compare(path string, n, rounds, threads int) (float64, error) {
	var ours, theirs []float64
	var about string
	for range rounds {
		speed, description, err := decode(path, n, threads)
		if err != nil {
			return 0, err
		}
		ours, about = append(ours, speed), description
		if speed, err = llamaBench(path, n, threads); err != nil {
			return 0, err
		}
		theirs = append(theirs, speed)
	}
	ratio := median(ours) / median(theirs)
	fmt.Printf("%s: %s\n  tg%d, %d threads, KV F16, libllama %s, libggml %s, %s\n", path, about, n, threads, llama.Version(), ggml.Version(), runtime.Version())
	fmt.Printf("  cgo/llama    %8.2f tok/s  %s\n  llama-bench  %8.2f tok/s  %s\n  ratio        %8.3f\n", median(ours), spread(ours), median(theirs), spread(theirs), ratio)
	return ratio, nil
}

// decode loads the model afresh, as llama-bench does, and times n single-token steps after one to warm up.
func decode(path string, n, threads int) (speed float64, about string, err error) {
	ctx := context.Background()
	m, err := llama.LoadModel(ctx, path, llama.ModelParams{})
	if err != nil {
		return 0, "", err
	}
	defer m.Close()
	c, err := llama.NewContext(m, llama.ContextParams{NCtx: n, Threads: threads})
	if err != nil {
		return 0, "", err
	}
	defer c.Close()
	b := llama.NewTokenBatch(1, 1)
	defer b.Close()
	vocab := m.Vocab().N()
	step := func(pos int) error {
		b.Clear()
		if err := b.Add(llama.Token(rand.IntN(vocab)), llama.Pos(pos), true, 0); err != nil {
			return err
		}
		return c.Decode(ctx, b)
	}
	if err := step(0); err != nil {
		return 0, "", err
	}
	if err := c.Memory().Clear(false); err != nil {
		return 0, "", err
	}
	start := time.Now()
	for i := range n {
		if err := step(i); err != nil {
			return 0, "", err
		}
	}
	return float64(n) / time.Since(start).Seconds(), fmt.Sprintf("%s, %.0f M parameters, %.1f MB", m.Description(), float64(m.NParams())/1e6, float64(m.Size())/1e6), nil
}

// llamaBench runs the same in llama.cpp's program.
func llamaBench(path string, n, threads int) (float64, error) {
	cmd, err := peers.Command(context.Background(), "llama-bench", "-m", path, "-p", "0", "-n", strconv.Itoa(n), "-r", "1",
		"-t", strconv.Itoa(threads), "-ctk", "f16", "-ctv", "f16", "-o", "json")
	if err != nil {
		return 0, err
	}
	out, err := cmd.Output()
	if err != nil {
		if exit, ok := err.(*exec.ExitError); ok {
			return 0, fmt.Errorf("llama-bench: %w: %s", err, exit.Stderr)
		}
		return 0, fmt.Errorf("llama-bench: %w", err)
	}
	var results []struct {
		Speed float64 `json:"avg_ts"`
	}
	if err := json.Unmarshal(out, &results); err != nil || len(results) != 1 {
		return 0, fmt.Errorf("llama-bench wrote %q: %v", out, err)
	}
	return results[0].Speed, nil
}

func median(x []float64) float64 {
	s := slices.Sorted(slices.Values(x))
	if len(s)%2 == 1 {
		return s[len(s)/2]
	}
	return (s[len(s)/2-1] + s[len(s)/2]) / 2
}

func spread(x []float64) string { return fmt.Sprintf("(%.2f to %.2f)", slices.Min(x), slices.Max(x)) }
