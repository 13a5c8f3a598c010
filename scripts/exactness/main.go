// Command exactness measures how far from exact a model computes at each level of instruction sets
// that this machine has, by ggml alone and with the accelerator, and prints the table of
// docs/accelerator.md:
//
//	go run ./scripts/exactness [-text FILE,...] [-rows N] [-levels LEVEL,...] [MODEL.gguf ...]
//
// Exact are the weights that the file stores, widened to float32 and computed by ggml in float32,
// with keys and values in float32 as well: a test of cgo/llama holds that to float64. A model reads
// the text in windows; without -text, it reads one that it has drawn from itself. The standard
// errors are those of the mean over windows. With -rows, windows are read so many tokens at a time
// instead of at once, and the accelerator takes products of as few rows whatever was measured.
// Levels are set for a process by EYELET_ISA, so each is measured by a process of its own.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
	"github.com/eyelet-engine/eyelet/cgo/isa"
	"github.com/eyelet-engine/eyelet/cgo/llama"
)

const builtinModel = "models/builtin/eyelet-builtin-q8_0.gguf"

type options struct {
	text    string
	tokens  int
	window  int
	rows    int    // tokens that are read at once, 0 for a window
	levels  string // by name, with commas between them; "" for all
	threads int    // of a process
	jobs    int    // levels that are measured at the same time
	measure string // the folder of a run, in a process that measures a level
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var o options
	flag.StringVar(&o.text, "text", "", "files of text, or patterns of names, with commas "+
		"between them (default: what each model draws from itself)")
	flag.IntVar(&o.tokens, "tokens", 20480, "tokens to read")
	flag.IntVar(&o.window, "window", 256, "tokens of a window, which the model reads at once")
	flag.IntVar(&o.rows, "rows", 0, "tokens to read at once (default: a window)")
	flag.StringVar(&o.levels, "levels", "", "levels, with commas between them (default: all)")
	flag.IntVar(&o.threads, "threads", runtime.GOMAXPROCS(0),
		"threads that a model computes with; none of the figures depends on them")
	flag.IntVar(&o.jobs, "jobs", 1, "levels to measure at the same time")
	flag.StringVar(&o.measure, "measure", "", "used by the program itself")
	flag.Parse()
	models := flag.Args()
	if len(models) == 0 {
		models = []string{builtinModel}
	}
	if err := run(ctx, &o, models); err != nil {
		fmt.Fprintln(os.Stderr, "exactness:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o *options, models []string) error {
	if o.threads < 1 || o.jobs < 1 {
		return fmt.Errorf("%d threads, %d levels at a time: give 1 or more", o.threads, o.jobs)
	}
	if o.window < 2 || o.tokens < 2*o.window {
		return fmt.Errorf("%d tokens in windows of %d: give at least two windows of two", o.tokens,
			o.window)
	}
	if o.rows < 0 || o.rows > o.window {
		return fmt.Errorf("%d rows at a time: give 1 to %d, the window", o.rows, o.window)
	}
	levels, err := levelsOf(o.levels)
	if err != nil {
		return err
	}
	if o.measure != "" {
		found, err := measureLevel(ctx, o, models[0])
		if err != nil {
			return err
		}
		return json.NewEncoder(os.Stdout).Encode(found)
	}
	for _, model := range models {
		if err := measureModel(ctx, o, model, levels); err != nil {
			return fmt.Errorf("%s: %w", model, err)
		}
	}
	return nil
}

// measureModel prints the table of a model.
func measureModel(ctx context.Context, o *options, model string, levels []isa.Level) error {
	dir, err := os.MkdirTemp("", "eyelet-exactness-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	ggml.EnableAccelerator(false)
	tokens, exact, err := writeExact(ctx, o, model, dir)
	if err != nil {
		return err
	}
	fmt.Printf("\n%s: %d tokens in %d windows; libggml %s\n\n", filepath.Base(model), tokens,
		len(exact), ggml.Version())
	fmt.Print(tableHead(exact))
	return measureLevels(ctx, o, dir, model, levels, func(level isa.Level, found both) {
		fmt.Print(tableRow(level.String(), exact, found))
	})
}

// levelsOf returns the levels of this machine that a list names, all if it is empty. Native is
// none: it is the last of the others, or has what no level names.
func levelsOf(list string) (levels []isa.Level, err error) {
	wanted := strings.Split(list, ",")
	for _, level := range isa.Levels() {
		if level != isa.Native && (list == "" || slices.Contains(wanted, level.String())) {
			levels = append(levels, level)
		}
	}
	if list != "" && len(levels) != len(wanted) {
		return nil, fmt.Errorf("-levels %s: this machine has %v", list, isa.Levels())
	}
	return levels, nil
}

// measureLevels shows what each level came to, in order.
func measureLevels(ctx context.Context, o *options, dir, model string, levels []isa.Level,
	show func(isa.Level, both)) error {
	type result struct {
		level isa.Level
		found both
		err   error
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	turns := make(chan struct{}, o.jobs)
	var results []chan result
	for _, level := range levels {
		r := make(chan result, 1)
		results = append(results, r)
		go func() {
			turns <- struct{}{}
			defer func() { <-turns }()
			found, err := measureElsewhere(ctx, o, dir, model, level)
			r <- result{level, found, err}
		}()
	}
	for _, c := range results {
		r := <-c
		if r.err != nil {
			return fmt.Errorf("level %v: %w", r.level, r.err)
		}
		show(r.level, r.found)
	}
	return nil
}

// measureElsewhere runs this program at a level.
func measureElsewhere(ctx context.Context, o *options, dir, model string,
	level isa.Level) (found both, err error) {
	if ctx.Err() != nil {
		return found, ctx.Err()
	}
	program, err := os.Executable()
	if err != nil {
		return found, err
	}
	cmd := exec.CommandContext(ctx, program, "-measure", dir, "-window", strconv.Itoa(o.window),
		"-rows", strconv.Itoa(o.rows), "-threads", strconv.Itoa(o.threads), model)
	cmd.Env = append(os.Environ(), isa.Variable+"="+level.String())
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return found, err
	}
	return found, json.Unmarshal(out, &found)
}

// readText returns the tokens of files.
func readText(m *llama.Model, files string, n int) ([]llama.Token, error) {
	var all strings.Builder
	for pattern := range strings.SplitSeq(files, ",") {
		names, err := filepath.Glob(pattern)
		if err != nil || len(names) == 0 {
			return nil, fmt.Errorf("%s names no file: %v", pattern, err)
		}
		for _, name := range names {
			text, err := os.ReadFile(name)
			if err != nil {
				return nil, err
			}
			all.Write(text)
		}
	}
	tokens, err := m.Vocab().Tokenize(all.String(), false, false)
	if err == nil && len(tokens) < n {
		err = fmt.Errorf("the text has %d tokens, want %d", len(tokens), n)
	}
	if err != nil {
		return nil, err
	}
	return tokens[:n], nil
}
