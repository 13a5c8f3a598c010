// Bench-rpc compares a model on two RPC servers with the same model in one process: whether greedy
// answers have the same tokens, and the speed of prompts and answers.
//
//	make build && eval "$(scripts/env)"
//	go run ./scripts/synth                                  # build/synth/llama-1b-q4_k_m.gguf
//	go run ./scripts/bench-rpc -model build/synth/llama-1b-q4_k_m.gguf
//
// It starts the servers on the loopback, or takes those that -rpc names. On one machine the servers
// compute one after the other, so that the ratio is what the protocol costs. Rounds alternate
// between the two, and the ratios are those of the medians.
package main

import (
	"bufio"
	"cmp"
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/scripts/internal/stats"
)

type options struct {
	model, rpc, program string
	prompt, answer      int // tokens
	rounds              int
}

func main() {
	var o options
	flag.StringVar(&o.model, "model", "build/synth/llama-1b-q4_k_m.gguf",
		"GGUF `file` of a language model")
	flag.StringVar(&o.rpc, "rpc", "",
		"`servers` to use, as host:port,host:port (default: two are started here)")
	flag.StringVar(&o.program, "eyelet", "build/bin/eyelet", "eyelet's `program`, which serves")
	flag.IntVar(&o.prompt, "prompt", 256, "tokens of the prompt, about")
	flag.IntVar(&o.answer, "answer", 64, "tokens of the answer")
	flag.IntVar(&o.rounds, "rounds", 3, "rounds")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "bench-rpc:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) error {
	if o.rpc == "" {
		var addresses []string
		for range 2 {
			address, end, err := serve(ctx, o.program)
			if err != nil {
				return err
			}
			defer end()
			addresses = append(addresses, address)
		}
		o.rpc = strings.Join(addresses, ",")
	}
	e, err := engine.New(engine.Options{})
	if err != nil {
		return err
	}
	defer e.Close()
	ways := []struct {
		name            string
		spec            engine.ModelSpec
		tokens          []engine.Token
		prefill, decode []float64 // tokens a second
	}{
		{name: "one process", spec: engine.ModelSpec{Model: o.model, Device: engine.NoDevice,
			NoSpeculation: true}},
		{name: "RPC servers", spec: engine.ModelSpec{Model: o.model, RPC: o.rpc,
			NoSpeculation: true}},
	}
	for i := range ways {
		w := &ways[i]
		start := time.Now()
		m, err := e.Load(ctx, w.spec)
		if err != nil {
			return fmt.Errorf("%s: %w", w.name, err)
		}
		defer m.Close()
		fmt.Printf("%s: loaded in %.1f s\n", w.name, time.Since(start).Seconds())
		for round := range o.rounds + 1 { // the first does not count
			tokens, t, n, err := ask(ctx, m, o)
			if err != nil {
				return fmt.Errorf("%s: %w", w.name, err)
			}
			if round == 0 {
				w.tokens = tokens
				continue
			}
			w.prefill = append(w.prefill, float64(n)/t.Prefill.Seconds())
			w.decode = append(w.decode, float64(len(tokens)-1)/t.Generate.Seconds())
			fmt.Printf("%s: prompt %.1f tok/s, answer %.1f tok/s\n", w.name, w.prefill[round-1],
				w.decode[round-1])
		}
	}
	for i, t := range ways[0].tokens {
		if i >= len(ways[1].tokens) || ways[1].tokens[i] != t {
			return fmt.Errorf("the answers differ from token %d of %d on", i, len(ways[0].tokens))
		}
	}
	fmt.Printf("the same %d tokens\n", len(ways[0].tokens))
	compared := func(what string, over, alone []float64) {
		fmt.Printf("%s: %.1f over RPC, %.1f in one process, %.2f times\n", what,
			stats.Median(over), stats.Median(alone), stats.Ratio(over, alone))
	}
	compared("prompt", ways[1].prefill, ways[0].prefill)
	compared("answer", ways[1].decode, ways[0].decode)
	return nil
}

// ask has one answer made, with nothing of an earlier one.
func ask(ctx context.Context, m *engine.Model,
	o options) (tokens []engine.Token, t engine.Timings, prompt int, err error) {
	r := engine.Request{Prompt: strings.Repeat("What the sea brings, the sea takes. ", o.prompt/10),
		Fresh: true, MaxTokens: o.answer}
	r.Sampling.IgnoreEnd = true
	for event, err := range m.Generate(ctx, r) {
		if err != nil {
			return nil, t, 0, err
		}
		tokens = append(tokens, event.Tokens...)
		if event.Done != nil {
			t, prompt = event.Done.Timings, event.Done.Usage.Prompt
		}
	}
	return tokens, t, prompt, nil
}

var lending = regexp.MustCompile(` at (\S+:\d+);`)

// serve starts a server on the loopback.
func serve(ctx context.Context, program string) (address string, end func(), err error) {
	cmd := exec.CommandContext(ctx, program, "rpc", "--listen", "127.0.0.1:0")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return "", nil, err
	}
	if err := cmd.Start(); err != nil {
		return "", nil, err
	}
	line, err := bufio.NewReader(stderr).ReadString('\n')
	at := lending.FindStringSubmatch(line)
	if at == nil {
		_ = cmd.Wait()
		return "", nil, fmt.Errorf("%s rpc: %w", program, cmp.Or(err, fmt.Errorf("%s", line)))
	}
	return at[1], func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	}, nil
}
