// Bench-accel tells what the accelerator (kernels/accel) gains: language models against llama.cpp's
// own llama-bench, with llama-bench's tests (pp512, pp64, tg128: random tokens into an empty
// context, nothing sampled), and towers in libmtmd against libmtmd without it.
//
//	eval "$(scripts/env)"
//	go run ./scripts/bench-accel -mmproj build/synth/mmproj-1b-f16.gguf \
//	  build/synth/llama-1b-f16.gguf build/synth/llama-1b-q4_k_m.gguf
//
// With -chart, a line chart of the rates over the rows of prompts is written (SVG, PNG or PDF), a
// plot a model: ours, llama-bench's and the machine's limit, which is a plain loop's rate of
// reading memory, and oneDNN's rate of products of 8-bit integers:
//
//	go run ./scripts/bench-accel -tests pp1,pp2,pp4,pp8,pp16,pp32,pp64,pp128,pp256,pp512 \
//	  -chart rows.svg build/synth/llama-1b-q4_k_m.gguf build/synth/llama-1b-q8_0.gguf
//
// The sides take turns, so that what else the machine does hits all alike. The figures that count
// are the ratios of the medians; bars are what the accelerator is to reach on them.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
	"github.com/eyelet-engine/eyelet/cgo/isa"
	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/engine/bench"
	"github.com/eyelet-engine/eyelet/kernels/nn"
	"github.com/eyelet-engine/eyelet/scripts/internal/stats"
)

// options are the flags.
type options struct {
	rounds, threads int
	tests           []test
	strict          bool
	chart           string // file to write

	bf16, int8 float64 // GFLOP/s of oneDNN's own products
	read       float64 // bytes a second that a plain loop reads; for a chart alone
}

// measureOneDNN finds what the processor can do in products like those of the models.
func (o *options) measureOneDNN(ctx context.Context) (err error) {
	s := bench.Shape{M: 512, N: 5632, K: 2048}
	if o.bf16, err = bench.ProductRate(ctx, s, nn.BF16, o.threads, 10); err != nil {
		return err
	}
	if o.int8, err = bench.ProductRate(ctx, s, nn.Int8, o.threads, 10); err != nil {
		return err
	}
	fmt.Printf("oneDNN's own product of %d x %d x %d: bfloat16 %.0f GFLOP/s, 8-bit integers %.0f\n",
		s.M, s.N, s.K, o.bf16, o.int8)
	if o.chart != "" {
		if o.read, err = readRate(o.threads, 10); err != nil {
			return err
		}
		fmt.Printf("a plain loop reads %.1f GB/s\n", o.read/1e9)
	}
	return nil
}

// limitsOf are those of a model whose tokens read so many bytes of weights, and take so many
// operations.
func (o *options) limitsOf(r *result) limits {
	return limits{read: o.read / r.bytes, most: 1e9 * o.int8 / r.perToken}
}

func main() {
	o := options{}
	flag.IntVar(&o.rounds, "rounds", 3, "turns of each side")
	flag.IntVar(&o.threads, "threads", runtime.NumCPU(), "threads of all sides")
	flag.BoolVar(&o.strict, "strict", false, "fail if a ratio is below its bar")
	flag.StringVar(&o.chart, "chart", "", "`file` to write a line chart of prompts' rates to")
	names := flag.String("tests", "pp512,pp64,tg128", "`tests` of language models")
	mmproj := flag.String("mmproj", "",
		"projector `files` to encode a picture with, separated by commas")
	lm := flag.String("lm", "build/synth/llama-1b-q4_k_m.gguf",
		"language `model` that the projectors belong to")
	cache := flag.Uint64("cache", 0,
		"`bytes` of memory for weights that the accelerator keeps converted")
	flag.Parse()
	runtime.LockOSThread() // libgomp keeps a team of workers for each thread that computes
	ggml.SetAcceleratorCache(*cache)
	if err := run(&o, *names, *mmproj, *lm, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "bench-accel:", err)
		os.Exit(1)
	}
}

func run(o *options, names, mmproj, lm string, models []string) (err error) {
	if o.tests, err = parseTests(names); err != nil {
		return err
	}
	if err := llama.Init(); err != nil {
		return err
	}
	if a := ggml.AcceleratorState(); !a.Loaded {
		return fmt.Errorf("no accelerator: %s", a.Reason)
	}
	ctx := context.Background()
	fmt.Printf("%d threads, libllama %s, libggml %s, %s\n", o.threads, llama.Version(),
		ggml.Version(), runtime.Version())
	if err := o.measureOneDNN(ctx); err != nil {
		return err
	}
	var short []string
	level, _ := isa.Chosen() // Init has checked it
	lines := newChart(fmt.Sprintf("%d threads, %v", o.threads, level))
	for _, path := range models {
		results, err := benchModel(ctx, path, o)
		if err != nil {
			return err
		}
		short = append(short, results.print(path)...)
		if o.chart == "" {
			continue
		}
		if err := lines.add(path, o.tests, results, o.limitsOf(results[0])); err != nil {
			return err
		}
	}
	if o.chart != "" {
		if err := lines.save(o.chart); err != nil {
			return err
		}
	}
	for path := range strings.SplitSeq(mmproj, ",") {
		if path == "" {
			continue
		}
		results, err := benchTower(ctx, path, lm, o)
		if err != nil {
			return err
		}
		short = append(short, results.print(path)...)
	}
	if o.strict && len(short) > 0 {
		return fmt.Errorf("below the bar: %s", strings.Join(short, ", "))
	}
	return nil
}

// result is a test's figures: bigger is better.
type result struct {
	name, unit   string
	ours, theirs []float64
	bar          float64 // 0 if there is none
	note         string
	perToken     float64 // operations of a token: two for each of the numbers that it reads
	bytes        float64 // of weights that a token reads
}

// noteBest keeps the note of the fastest turn.
func (r *result) noteBest(note string) {
	if last := len(r.ours) - 1; r.ours[last] == slices.Max(r.ours) {
		r.note = note
	}
}

type results []*result

// print writes a table, and returns the names of tests that are below their bars.
func (r results) print(title string) (short []string) {
	fmt.Println(title)
	for _, x := range r {
		ratio := stats.Ratio(x.ours, x.theirs)
		fmt.Printf("  %-7s %s  accelerator %s  peer %s", x.name, x.unit, figures(x.ours),
			figures(x.theirs))
		fmt.Printf("  ratio %.3f", ratio)
		if x.bar > 0 {
			verdict := "reached"
			if ratio < x.bar {
				verdict = "missed"
				short = append(short, title+" "+x.name)
			}
			fmt.Printf("  bar %.2f %s", x.bar, verdict)
		}
		if x.note != "" {
			fmt.Printf("  (%s)", x.note)
		}
		fmt.Println()
	}
	return short
}

func figures(x []float64) string {
	return fmt.Sprintf("%.2f (%s)", stats.Median(x), stats.Range(x))
}
