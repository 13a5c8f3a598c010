// Bench-quantize compares the time and the memory of "eyelet quantize" with llama-quantize's, on
// the same file, in turns:
//
//	make build && scripts/setup --quiet --peers
//	eval "$(scripts/env)"
//	go run ./scripts/synth -shape 1b -type F16          # build/synth/llama-1b-f16.gguf
//	go run ./scripts/bench-quantize -model build/synth/llama-1b-f16.gguf -type Q4_K_M
//
// Both write the same bytes, which it checks. It prints seconds on the clock, of processors, and
// the highest resident memory, of each round; last the ratios of the medians. The first round, in
// which the system reads the file, does not count.
package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/eyelet-engine/eyelet/cgo/peers"
	"github.com/eyelet-engine/eyelet/scripts/internal/stats"
)

func main() {
	model := flag.String("model", "build/synth/llama-1b-f16.gguf", "GGUF `file` to quantize")
	fileType := flag.String("type", "Q4_K_M", "mixture of tensor types")
	threads := flag.Int("threads", 2, "threads of both")
	rounds := flag.Int("rounds", 3, "rounds that count")
	program := flag.String("eyelet", "build/bin/eyelet", "eyelet's `program`")
	folder := flag.String("dir", "", "`folder` for the results (default: beside the model)")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if *folder == "" {
		*folder = filepath.Dir(*model)
	}
	if err := run(ctx, *program, *model, *fileType, *folder, *threads, *rounds); err != nil {
		fmt.Fprintln(os.Stderr, "bench-quantize:", err)
		os.Exit(1)
	}
}

// cost is what a run took.
type cost struct {
	clock, cpu time.Duration
	peak       int64 // bytes
}

func run(ctx context.Context, program, model, fileType, folder string, threads, rounds int) error {
	dir, err := os.MkdirTemp(folder, "bench-quantize-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	ours, theirs := filepath.Join(dir, "ours.gguf"), filepath.Join(dir, "theirs.gguf")
	n := strconv.Itoa(threads)
	costs := map[string][]cost{}
	for round := range rounds + 1 {
		for _, name := range []string{"llama-quantize", "eyelet"} {
			cmd := exec.CommandContext(ctx, program, "quantize", "--quiet", "--force", model, "-o",
				ours, "--type", fileType, "--threads", n)
			if name == "llama-quantize" {
				if cmd, err = peers.Command(ctx, name, model, theirs, fileType, n); err != nil {
					return err
				}
			}
			c, err := measure(cmd)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			fmt.Printf("round %d  %-14s  %6.2f s  %6.2f s of processors  %5d MiB\n", round, name,
				c.clock.Seconds(), c.cpu.Seconds(), c.peak>>20)
			if round > 0 {
				costs[name] = append(costs[name], c)
			}
		}
		if round == 0 {
			if err := sameBytes(ours, theirs); err != nil {
				return err
			}
		}
	}
	for _, figure := range []struct {
		name string
		of   func(cost) float64
	}{
		{"time", func(c cost) float64 {
			return c.clock.Seconds()
		}}, {"time of processors", func(c cost) float64 {
			return c.cpu.Seconds()
		}},
		{"memory", func(c cost) float64 { return float64(c.peak) }},
	} {
		fmt.Printf("eyelet / llama-quantize, %s: %.3f\n", figure.name,
			stats.Ratio(each(costs["eyelet"], figure.of), each(costs["llama-quantize"], figure.of)))
	}
	return nil
}

func measure(cmd *exec.Cmd) (c cost, err error) {
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	start := time.Now()
	if err := cmd.Run(); err != nil {
		return c, fmt.Errorf("%w: %s", err, out.Bytes()[max(0, out.Len()-500):])
	}
	c.clock, c.cpu = time.Since(start), cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime()
	if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		c.peak = usage.Maxrss << 10
	}
	return c, nil
}

// each returns one figure of each cost.
func each(list []cost, of func(cost) float64) (figures []float64) {
	for _, c := range list {
		figures = append(figures, of(c))
	}
	return figures
}

func sameBytes(a, b string) error {
	var sums [2][]byte
	for i, path := range []string{a, b} {
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		h := sha256.New()
		_, err = io.Copy(h, f)
		f.Close()
		if err != nil {
			return err
		}
		sums[i] = h.Sum(nil)
	}
	if !bytes.Equal(sums[0], sums[1]) {
		return fmt.Errorf("%s and %s differ", a, b)
	}
	return nil
}
