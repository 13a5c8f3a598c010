// Bench-draw measures what Eyelet adds to stable-diffusion.cpp's own program, and what a running
// answer notices of a picture that is being drawn.
//
//	make && scripts/setup --draw && eval "$(scripts/env)"
//	go run ./scripts/synth -draw
//	go run ./scripts/synth -shape 1b -type Q4_K_M
//	go run ./scripts/bench-draw
//
// First, in turns: "sd-cli" with the arguments that Eyelet would give it, and "eyelet draw". Time
// is that of the whole process, and beside it what all processors were busy with it, which other
// programs disturb less; memory is the peak of resident memory, of "eyelet draw" with its child's
// at the same moment.
//
// Then a server answers a question with a language model, alone, beside a picture that it draws,
// and beside sd-cli with the same number of threads and the same priority as the server: two
// programs that share the machine. What counts is the time between two tokens, over as many turns;
// the last two are measured with each number of threads that -threads lists.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/eyelet-engine/eyelet/scripts/internal/stats"
)

// bench is what is measured with.
type bench struct {
	eyelet, program, model, language string
	rounds, size, steps, tokens      int
	threads                          []int // of the child; 0 for one a core
	dir                              string
}

func main() {
	var b bench
	flag.StringVar(&b.eyelet, "eyelet", "build/bin/eyelet", "the program `file` of Eyelet")
	flag.StringVar(&b.program, "sd", "build/draw/sd-cli",
		"the program `file` of stable-diffusion.cpp")
	flag.StringVar(&b.model, "model", "build/synth/sd15-f16.safetensors",
		"`file` of a model that draws")
	flag.StringVar(&b.language, "language", "build/synth/llama-1b-q4_k_m.gguf",
		"`file` of a language model; empty to leave the second part out")
	flag.IntVar(&b.rounds, "rounds", 5, "turns of each side")
	flag.IntVar(&b.size, "size", 128, "pixels of a side")
	flag.IntVar(&b.steps, "steps", 4, "steps of a picture")
	threads := flag.String("threads", "0,1",
		"`numbers` of threads of the child, 0 for one a core; the first part takes the first")
	flag.IntVar(&b.tokens, "tokens", 64, "tokens of an answer")
	flag.Parse()
	for text := range strings.SplitSeq(*threads, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			fmt.Fprintf(os.Stderr, "bench-draw: -threads is %q; give numbers as 0,1\n", *threads)
			os.Exit(2)
		}
		b.threads = append(b.threads, n)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := b.run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "bench-draw:", err)
		os.Exit(1)
	}
}

func (b *bench) run(ctx context.Context) (err error) {
	for _, path := range []*string{&b.eyelet, &b.program, &b.model, &b.language} {
		if *path == "" {
			continue
		}
		if *path, err = filepath.Abs(*path); err != nil {
			return err
		}
		if _, err := os.Stat(*path); err != nil {
			return err
		}
	}
	if b.dir, err = os.MkdirTemp("", "bench-draw-"); err != nil {
		return err
	}
	defer os.RemoveAll(b.dir)
	if err := b.overhead(ctx); err != nil || b.language == "" {
		return err
	}
	return b.beside(ctx)
}

// byHand is the program as it is called without Eyelet.
func (b *bench) byHand(ctx context.Context, steps, threads int) *exec.Cmd {
	args := []string{"-m", b.model, "-p", "a red house", "-W", strconv.Itoa(b.size), "-H",
		strconv.Itoa(b.size), "--steps", strconv.Itoa(steps), "-s", "42", "-o", "hand.png"}
	if threads > 0 {
		args = append(args, "-t", strconv.Itoa(threads))
	}
	cmd := exec.CommandContext(ctx, b.program, args...)
	cmd.Dir, cmd.Env = b.dir, append(os.Environ(), "OMP_WAIT_POLICY=passive")
	return cmd
}

// byEyelet is "eyelet draw".
func (b *bench) byEyelet(ctx context.Context) *exec.Cmd {
	args := []string{"draw", "a red house", "--model", b.model, "--width", strconv.Itoa(b.size),
		"--height", strconv.Itoa(b.size),
		"--steps", strconv.Itoa(b.steps), "--seed", "42", "-o", "eyelet.png"}
	if n := b.threads[0]; n > 0 {
		args = append(args, "-t", strconv.Itoa(n))
	}
	cmd := exec.CommandContext(ctx, b.eyelet, args...)
	cmd.Dir, cmd.Env = b.dir, append(os.Environ(), "EYELET_DRAW="+b.program)
	return cmd
}

// overhead prints what Eyelet adds.
func (b *bench) overhead(ctx context.Context) error {
	var times, busy, memories [2][]float64
	for range b.rounds {
		for side, cmd := range []*exec.Cmd{b.byHand(ctx, b.steps, b.threads[0]),
			b.byEyelet(ctx)} {
			seconds, bytes, err := measure(cmd)
			if err == nil {
				// of children too
				busy[side] = append(busy[side],
					(cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds())
			}
			if err != nil {
				return err
			}
			times[side], memories[side] = append(times[side], seconds),
				append(memories[side], bytes)
		}
	}
	hand, own := stats.Median(times[0]), stats.Median(times[1])
	handBytes, ownBytes := stats.Median(memories[0]), stats.Median(memories[1])
	fmt.Printf("%d x %d pixels, %d steps, medians of %d\n", b.size, b.size, b.steps, b.rounds)
	fmt.Printf("time    sd-cli %.2f s, eyelet draw %.2f s: %+.1f %%\n", hand, own, 100*(own/hand-1))
	handBusy, ownBusy := stats.Median(busy[0]), stats.Median(busy[1])
	fmt.Printf("busy    sd-cli %.2f s, eyelet draw and its child %.2f s: %+.1f %%\n", handBusy,
		ownBusy, 100*(ownBusy/handBusy-1))
	fmt.Printf("memory  sd-cli %.0f MB, eyelet draw and its child %.0f MB: %+.1f %%\n",
		handBytes/1e6, ownBytes/1e6, 100*(ownBytes/handBytes-1))
	return nil
}

// measure runs a program and returns its seconds and the peak of resident memory of it and its
// children.
func measure(cmd *exec.Cmd) (seconds, bytes float64, err error) {
	var output strings.Builder
	cmd.Stdout, cmd.Stderr = &output, &output
	start := time.Now()
	if err := cmd.Start(); err != nil {
		return 0, 0, err
	}
	done := make(chan struct{})
	var watch sync.WaitGroup
	watch.Go(func() {
		for {
			bytes = max(bytes, resident(cmd.Process.Pid))
			select {
			case <-done:
				return
			case <-time.After(100 * time.Millisecond):
			}
		}
	})
	err = cmd.Wait()
	seconds = time.Since(start).Seconds()
	close(done)
	watch.Wait()
	if err != nil {
		return 0, 0, fmt.Errorf("%w: %s", err, output.String())
	}
	return seconds, bytes, nil
}

// resident is the memory that a process and those that it started have now, in bytes. Pages of
// files, as of libraries, count too.
func resident(pid int) (bytes float64) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == "VmRSS:" {
			kilobytes, _ := strconv.ParseFloat(fields[1], 64)
			bytes = 1024 * kilobytes
		}
	}
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, path := range tasks {
		children, _ := os.ReadFile(path)
		for _, text := range strings.Fields(string(children)) {
			if child, err := strconv.Atoi(text); err == nil {
				bytes += resident(child)
			}
		}
	}
	return bytes
}

// beside prints the times between the tokens of an answer, alone and beside others.
func (b *bench) beside(ctx context.Context) error {
	load := exec.CommandContext(ctx, b.eyelet, "import", b.model, "--name", "draws", "--quiet")
	load.Env = b.environment()
	if out, err := load.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	for _, threads := range b.threads {
		if err := b.besideThreads(ctx, threads); err != nil {
			return err
		}
	}
	return nil
}

// besideThreads is beside with so many threads of the child.
func (b *bench) besideThreads(ctx context.Context, threads int) error {
	address, stop, err := b.serve(ctx, threads)
	if err != nil {
		return err
	}
	defer stop()
	if _, err := b.answer(ctx, address); err != nil { // loads the model
		return err
	}
	long := 1000 // steps, more than an answer lasts
	cases := []struct {
		what  string
		begin func(ctx context.Context) error
	}{
		{"alone", nil},
		{"beside a picture that the server draws", func(ctx context.Context) error {
			return b.generate(ctx, address)
		}},
		{"beside sd-cli as another program", func(ctx context.Context) error {
			return b.byHand(ctx, long, threads).Run()
		}},
	}
	gaps := make([][]float64, len(cases))
	for range b.rounds {
		for i, c := range cases {
			part, err := b.during(ctx, address, c.begin)
			if err != nil {
				return err
			}
			gaps[i] = append(gaps[i], part...)
		}
	}
	fmt.Printf("threads of the child: %s\n", threadsText(threads))
	for i, c := range cases {
		median := stats.Median(gaps[i])
		fmt.Printf("an answer %s: %.0f ms a token (%.2f times alone), the longest gap %.0f ms\n",
			c.what, median, median/stats.Median(gaps[0]), slices.Max(gaps[i]))
	}
	fmt.Printf("a token beside a picture takes %.2f of the time beside sd-cli as another program\n",
		stats.Median(gaps[1])/stats.Median(gaps[2]))
	return nil
}

// during has a question answered while begin runs, which may be nil.
func (b *bench) during(ctx context.Context, address string,
	begin func(ctx context.Context) error) (gaps []float64, err error) {
	drawing, cancel := context.WithCancel(ctx)
	var work sync.WaitGroup
	if begin != nil {
		work.Go(func() { _ = begin(drawing) })
		time.Sleep(10 * time.Second) // until it draws
	}
	gaps, err = b.answer(ctx, address)
	cancel()
	work.Wait()
	return gaps, err
}

func threadsText(n int) string {
	if n == 0 {
		return "one a core"
	}
	return strconv.Itoa(n)
}

// environment is that of the server, with a store of its own.
func (b *bench) environment() []string {
	return append(os.Environ(), "EYELET_DRAW="+b.program,
		"EYELET_MODELS="+filepath.Join(b.dir, "models"))
}

// serve starts "eyelet serve" with the language model and the model that draws.
func (b *bench) serve(ctx context.Context,
	threads int) (address string, stop func(), err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	address = l.Addr().String()
	l.Close()
	args := []string{"serve", "--listen", address, "--model", b.language, "--name", "answers",
		"--no-ollama", "--quiet"}
	if threads > 0 {
		args = append(args, "--draw-threads", strconv.Itoa(threads))
	}
	cmd := exec.CommandContext(ctx, b.eyelet, args...)
	cmd.Env, cmd.Stderr = b.environment(), os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	if err := cmd.Start(); err != nil {
		return "", nil, err
	}
	stop = func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
	}
	for range 100 {
		if c, err := net.Dial("tcp", address); err == nil {
			c.Close()
			return address, stop, nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	stop()
	return "", nil, errors.New("the server does not listen")
}

// endless is the schema of an answer that ends only where its tokens are counted: a model with
// random weights may end at once otherwise.
var endless = map[string]any{"type": "array", "items": map[string]any{"type": "integer"},
	"minItems": 900}

// answer has a question answered, and returns the milliseconds between its tokens.
func (b *bench) answer(ctx context.Context, address string) (gaps []float64, err error) {
	body, err := post(ctx, address, "/api/generate", map[string]any{"model": "answers",
		"prompt": "Count", "raw": true, "format": endless,
		"options": map[string]any{"num_predict": b.tokens, "seed": 1}})
	if err != nil {
		return nil, err
	}
	defer body.Close()
	lines := bufio.NewScanner(body)
	var tokens []time.Time
	for lines.Scan() {
		tokens = append(tokens, time.Now())
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	tokens = tokens[:max(len(tokens)-1, 0)] // the last line is the end of the answer
	if len(tokens) < 8 {
		return nil, fmt.Errorf("the answer has %d tokens, too few to measure", len(tokens))
	}
	return stats.Gaps(tokens), nil
}

// generate has the server draw until ctx is done.
func (b *bench) generate(ctx context.Context, address string) error {
	for ctx.Err() == nil {
		body, err := post(ctx, address, "/v1/images/generations", map[string]any{"model": "draws",
			"prompt": "a red house", "steps": 150, "size": fmt.Sprintf("%dx%[1]d", b.size)})
		if err != nil {
			return err
		}
		_, _ = io.Copy(io.Discard, body)
		body.Close()
	}
	return nil
}

func post(ctx context.Context, address, path string, v any) (io.ReadCloser, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+address+path,
		bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	if answer.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(answer.Body, 1000))
		answer.Body.Close()
		return nil, fmt.Errorf("%s: %s: %s", path, answer.Status, text)
	}
	return answer.Body, nil
}
