// Bench-rpc compares a model on two RPC servers with the same model in one process: whether greedy
// answers have the same tokens, and the speed of prompts and answers.
//
//	make build && eval "$(scripts/env)"
//	go run ./scripts/synth                                  # build/synth/llama-1b-q4_k_m.gguf
//	go run ./scripts/bench-rpc -model build/synth/llama-1b-q4_k_m.gguf
//
// It starts the servers on the loopback, or takes those that -rpc names. On one machine the servers
// compute one after the other, so that the ratio is what the protocol costs. Each round has a
// prompt of its own, and the ratios are those of the medians.
package main

import (
	"bufio"
	"cmp"
	"context"
	"flag"
	"fmt"
	"math"
	"os"
	"os/exec"
	"os/signal"
	"regexp"
	"strconv"
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
	threads             int
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
	flag.IntVar(&o.threads, "threads", 0,
		"compute threads of each process; 0 for one a core. What a token is computed to depends on them")
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
			address, end, err := serve(ctx, o)
			if err != nil {
				return err
			}
			defer end()
			addresses = append(addresses, address)
		}
		o.rpc = strings.Join(addresses, ",")
	}
	e, err := engine.New(engine.Options{Threads: o.threads, AllThreads: true})
	if err != nil {
		return err
	}
	defer e.Close()
	ways := []struct {
		name            string
		spec            engine.ModelSpec
		answers         []answer  // of each round
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
			a, t, n, err := ask(ctx, m, o, round)
			if err != nil {
				return fmt.Errorf("%s: %w", w.name, err)
			}
			w.answers = append(w.answers, a)
			if round == 0 {
				continue
			}
			w.prefill = append(w.prefill, float64(n)/t.Prefill.Seconds())
			w.decode = append(w.decode, float64(len(a.tokens)-1)/t.Generate.Seconds())
			fmt.Printf("%s: prompt %.1f tok/s, answer %.1f tok/s\n", w.name, w.prefill[round-1],
				w.decode[round-1])
		}
	}
	for round, one := range ways[0].answers {
		if err := compare(one, ways[1].answers[round]); err != nil {
			return fmt.Errorf("prompt %d: %w", round, err)
		}
	}
	fmt.Printf("the same %d tokens to each of %d prompts\n", o.answer, len(ways[0].answers))
	compared := func(what string, over, alone []float64) {
		fmt.Printf("%s: %.1f over RPC, %.1f in one process, %.2f times\n", what,
			stats.Median(over), stats.Median(alone), stats.Ratio(over, alone))
	}
	compared("prompt", ways[1].prefill, ways[0].prefill)
	compared("answer", ways[1].decode, ways[0].decode)
	return nil
}

// answer is the tokens of an answer, with the logarithms of their probabilities.
type answer struct {
	tokens   []engine.Token
	logprobs []float64
}

// compare says how far the probabilities of two answers are apart, and where their tokens part,
// which is an error.
func compare(one, other answer) error {
	first, largest := -1, 0.0
	for i, t := range one.tokens {
		if i >= len(other.tokens) || other.tokens[i] != t {
			return fmt.Errorf("the answers differ from token %d of %d on; before, log probabilities "+
				"differed by up to %.2g, from token %d on", i, len(one.tokens), largest, first)
		}
		if d := math.Abs(one.logprobs[i] - other.logprobs[i]); d > 0 {
			if largest = max(largest, d); first < 0 {
				first = i
			}
		}
	}
	if first < 0 {
		fmt.Printf("%d tokens with the same probabilities\n", len(one.tokens))
	} else {
		fmt.Printf("log probabilities differ by up to %.2g, from token %d on\n", largest, first)
	}
	return nil
}

// texts are what prompts are made of, one a round.
var texts = []string{"What the sea brings, the sea takes. ", "Seven machines stand in a row, and " +
	"one of them hums. ", "def add(a, b):\n    return a + b\n\n", "Le vent se lève sur la ville. "}

// ask has one answer made, with nothing of an earlier one.
func ask(ctx context.Context, m *engine.Model, o options,
	round int) (a answer, t engine.Timings, prompt int, err error) {
	r := engine.Request{Prompt: strings.Repeat(texts[round%len(texts)], o.prompt/10),
		Fresh: true, MaxTokens: o.answer, Logprobs: true}
	r.Sampling.IgnoreEnd = true
	for event, err := range m.Generate(ctx, r) {
		if err != nil {
			return a, t, 0, err
		}
		a.tokens = append(a.tokens, event.Tokens...)
		for _, p := range event.Logprobs {
			a.logprobs = append(a.logprobs, p.Logprob)
		}
		if event.Done != nil {
			t, prompt = event.Done.Timings, event.Done.Usage.Prompt
		}
	}
	return a, t, prompt, nil
}

var lending = regexp.MustCompile(` at (\S+:\d+);`)

// serve starts a server on the loopback.
func serve(ctx context.Context, o options) (address string, end func(), err error) {
	cmd := exec.CommandContext(ctx, o.program, "rpc", "--listen", "127.0.0.1:0", "--threads",
		strconv.Itoa(o.threads))
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
		return "", nil, fmt.Errorf("%s rpc: %w", o.program, cmp.Or(err, fmt.Errorf("%s", line)))
	}
	return at[1], func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	}, nil
}
