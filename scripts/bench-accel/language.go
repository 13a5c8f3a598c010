package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/cgo/peers"
)

// test is one of llama-bench's: a prompt of n tokens at once, or n tokens one after the other.
type test struct {
	prompt bool
	n      int
}

func (t test) String() string {
	if t.prompt {
		return fmt.Sprintf("pp%d", t.n)
	}
	return fmt.Sprintf("tg%d", t.n)
}

func parseTests(names string) (tests []test, err error) {
	for name := range strings.SplitSeq(names, ",") {
		kind, number := name[:min(2, len(name))], name[min(2, len(name)):]
		n, err := strconv.Atoi(number)
		if kind != "pp" && kind != "tg" || err != nil || n < 1 || n > 4096 {
			return nil, fmt.Errorf("no test %q: give pp or tg and a number of tokens", name)
		}
		tests = append(tests, test{kind == "pp", n})
	}
	return tests, nil
}

// bar is the ratio that a test of a kind of model is to reach.
func (t test) bar(description string) float64 {
	if t.prompt && t.n >= 4 && t.n <= 32 && (strings.HasSuffix(description, "Q8_0") ||
		strings.HasSuffix(description, "Q4_K - Medium")) {
		return 1.8
	}
	if t != (test{true, 512}) {
		return 0.98
	}
	for kind, bar := range map[string]float64{"F16": 5, "Q8_0": 3.2, "Q4_K - Medium": 1.45} {
		if strings.HasSuffix(description, kind) {
			return bar
		}
	}
	return 0
}

// benchModel lets llama-bench and both of our sides take turns.
func benchModel(ctx context.Context, path string, o *options) (results, error) {
	found := make(results, len(o.tests))
	for i, t := range o.tests {
		found[i] = &result{name: t.String(), unit: "tok/s"}
	}
	for range o.rounds {
		for i, t := range o.tests {
			speed, err := llamaBench(ctx, path, t, o.threads)
			if err != nil {
				return nil, err
			}
			found[i].theirs = append(found[i].theirs, speed)
		}
		if err := ours(ctx, path, o, found); err != nil {
			return nil, err
		}
	}
	return found, nil
}

// ours loads the model and runs each test once after a warm-up.
func ours(ctx context.Context, path string, o *options, found results) error {
	m, err := llama.LoadModel(ctx, path, llama.ModelParams{GPULayers: llama.NoGPULayers})
	if err != nil {
		return err
	}
	defer m.Close()
	longest := 0
	for _, t := range o.tests {
		longest = max(longest, t.n)
	}
	c, err := llama.NewContext(m, llama.ContextParams{NCtx: longest, Threads: o.threads})
	if err != nil {
		return err
	}
	defer c.Close()
	b := llama.NewTokenBatch(longest, 1)
	defer b.Close()
	for i, t := range o.tests {
		warm := t
		warm.n = min(t.n, 64)
		if !t.prompt {
			warm.n = 1
		}
		if err := t.run(ctx, c, b, warm.n); err != nil {
			return err
		}
		ggml.ReadAcceleratorCounters(true)
		start := time.Now()
		if err := t.run(ctx, c, b, t.n); err != nil {
			return err
		}
		took := time.Since(start)
		n := ggml.ReadAcceleratorCounters(true)
		x := found[i]
		x.bytes = float64(cmp.Or(uint64(m.TokenBytes()), m.Size()))
		x.perToken = 2 * float64(m.NParams()) * x.bytes / float64(m.Size())
		x.ours, x.bar = append(x.ours, float64(t.n)/took.Seconds()), t.bar(m.Description())
		limit := o.int8
		if strings.HasSuffix(m.Description(), "F16") { // BF16 too
			limit = o.bf16
		}
		x.noteBest(counted(n, took, limit))
	}
	return nil
}

// counted tells what the accelerator did, and how that compares with the rate of oneDNN's own
// products.
func counted(n ggml.AcceleratorCounters, took time.Duration, limit float64) string {
	if n.Calls == 0 {
		return "nothing for the accelerator"
	}
	rate := float64(n.Operations) / n.Time.Seconds() / 1e9
	return fmt.Sprintf("%d operations, %.0f %% of the time at %.0f GFLOP/s, %.0f %% of oneDNN's",
		n.Calls, 100*n.Time.Seconds()/took.Seconds(), rate, 100*rate/limit)
}

// run computes n random tokens into an empty context.
func (t test) run(ctx context.Context, c *llama.Context, b *llama.Batch, n int) error {
	vocab := c.Model().Vocab().N()
	b.Clear()
	for pos := range n {
		last := !t.prompt || pos == n-1
		if err := b.Add(llama.Token(rand.IntN(vocab)), llama.Pos(pos), last, 0); err != nil {
			return err
		}
		if !last {
			continue
		}
		if err := c.Decode(ctx, b); err != nil {
			return err
		}
		b.Clear()
	}
	return c.Memory().Clear(false)
}

// llamaBench runs a test in llama.cpp's program, which warms up by itself.
func llamaBench(ctx context.Context, path string, t test, threads int) (float64, error) {
	prompt, generate := t.n, 0
	if !t.prompt {
		prompt, generate = 0, t.n
	}
	cmd, err := peers.Command(ctx, "llama-bench", "-m", path, "-p", strconv.Itoa(prompt), "-n",
		strconv.Itoa(generate), "-r", "1", "-t", strconv.Itoa(threads), "-o", "json")
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
	var answer []struct {
		Speeds []float64 `json:"samples_ts"`
	}
	if err := json.Unmarshal(out, &answer); err != nil || len(answer) != 1 ||
		len(answer[0].Speeds) != 1 {
		return 0, fmt.Errorf("llama-bench wrote %q: %v", out, err)
	}
	return answer[0].Speeds[0], nil
}
