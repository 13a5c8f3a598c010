// Bench-gpu measures vision towers on a GPU: the graphs of package vision beside libmtmd on the
// same device, over the same picture and in turns, and how far the rows of both are from those of
// the CPU's kernels in float32. Of a language model, it measures prompts of 512 tokens and 128
// single ones there, beside llama-bench. Servers are compared on a device by
// scripts/compare-server; scripts/measure-gpu does all of it.
//
//	scripts/setup --peers --vulkan && make build && eval "$(scripts/env)"
//	go run ./scripts/synth && go run ./scripts/synth -mmproj
//	go run ./scripts/synth -tower qwen2.5-vl-3b
//	build/bin/eyelet devices
//	go run ./scripts/bench-gpu -device Vulkan0
//	go run ./scripts/compare-server -device Vulkan0 -rounds 3
//
// libmtmd computes LLaVA's towers in a layout of its own (docs/llava-as-trained.md): for those, low
// cosines are expected of it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
	"github.com/eyelet-engine/eyelet/engine/bench"
	"github.com/eyelet-engine/eyelet/kernels/nn"
	"github.com/eyelet-engine/eyelet/models/vision"
	"github.com/eyelet-engine/eyelet/models/vision/libmtmd"
	"github.com/eyelet-engine/eyelet/scripts/internal/stats"
)

type options struct {
	device        string
	model         string // empty for none
	threads       int
	projectors    []string
	width, height int
	rounds        int
}

func main() {
	var o options
	flag.StringVar(&o.device, "device", "Vulkan0", "`device` as \"eyelet devices\" names it")
	projectors := flag.String("mmproj", "build/synth/mmproj-1b-f16.gguf,"+
		"build/synth/mmproj-qwen2.5-vl-3b-f16.gguf", "GGUF `files` of towers, with commas between")
	flag.StringVar(&o.model, "model", "build/synth/llama-1b-q4_k_m.gguf",
		"GGUF `file` of a language model; empty for none")
	flag.IntVar(&o.threads, "threads", runtime.NumCPU(), "threads of the CPU")
	flag.IntVar(&o.width, "width", 1024, "pixels of the picture")
	flag.IntVar(&o.height, "height", 768, "pixels of the picture")
	flag.IntVar(&o.rounds, "rounds", 9, "turns of each side, after one that compiles shaders")
	flag.Parse()
	if *projectors != "" {
		o.projectors = strings.Split(*projectors, ",")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	err := bench.OnThread(func() error { return o.run(ctx) })
	if err == nil && o.model != "" {
		err = o.language(ctx)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench-gpu:", err)
		os.Exit(1)
	}
}

func (o *options) run(ctx context.Context) error {
	if err := ggml.Load(); err != nil {
		return err
	}
	gpus := ggml.GPUs()
	i := slices.IndexFunc(gpus, func(d ggml.Device) bool { return d.Name == o.device })
	if i < 0 || o.rounds < 1 {
		return fmt.Errorf("no device %q, or less than one round; \"eyelet devices\" lists what "+
			"there is", o.device)
	}
	fmt.Printf("%s: %s (%s), ggml %s\n\n", gpus[i].Name, gpus[i].Description, gpus[i].Backend,
		ggml.Version())
	if len(o.projectors) == 0 {
		return nil
	}
	fmt.Println("| tower | tokens | eyelet, ms | libmtmd, ms | ratio | lowest cosine | libmtmd's |" +
		" at most 1.0 of it, and right |")
	fmt.Println("|---|---|---|---|---|---|---|---|")
	for _, path := range o.projectors {
		if err := o.compare(ctx, path, &gpus[i]); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	return nil
}

// compare prints a row of the table.
func (o *options) compare(ctx context.Context, path string, device *ggml.Device) error {
	graph, err := vision.OpenGraph(path, vision.GraphOptions{Device: device})
	if err != nil {
		return err
	}
	defer graph.Close()
	theirs, err := libmtmd.Open(ctx, path, libmtmd.Options{Threads: o.threads,
		Devices: []ggml.Device{*device}})
	if err != nil {
		return err
	}
	defer theirs.Close()
	sides := []vision.Encoder{graph, theirs}
	var rows [2][]float32
	times := make([][]float64, 2)
	for round := range o.rounds + 1 {
		for k := range sides {
			i := (round + k) % 2
			in, err := vision.Preprocess(ctx, sides[i], bench.Photo(o.width, o.height))
			if err != nil {
				return err
			}
			start := time.Now()
			rows[i], err = vision.Encode(ctx, sides[i], in)
			took := time.Since(start)
			if err = errors.Join(err, in.Close()); err != nil {
				return err
			}
			if round > 0 {
				times[i] = append(times[i], took.Seconds()*1e3)
			}
		}
	}
	want, err := o.reference(ctx, path)
	if err != nil {
		return err
	}
	var cosines [2]float64
	for i := range rows {
		if len(rows[i]) == len(want) {
			cosines[i] = vision.Compare(rows[i], want, graph.Info().Width).LowestCosine
		}
	}
	a, b := stats.Median(times[0]), stats.Median(times[1])
	fmt.Printf("| %s | %d | %.1f | %.1f | %.2f | %.5f | %.5f | %s |\n", filepath.Base(path),
		len(want)/graph.Info().Width, a, b, a/b, cosines[0], cosines[1],
		verdict(a <= b && cosines[0] >= right))
	return nil
}

// right is the least cosine of a row of a tower that computes as it should, with products rounded
// to float16.
const right = 0.999

func verdict(met bool) string {
	if met {
		return "met"
	}
	return "missed"
}

// language compares a language model that lies on the device with the same in llama-bench.
func (o *options) language(ctx context.Context) error {
	j := bench.Job{Kind: bench.JobSpeed, Model: o.model, Device: o.device, KV: "f16",
		Threads: o.threads, Batch: 512, Reps: o.rounds, Context: 1024}
	quiet := func(string) {}
	ours, err := bench.RunJob(ctx, &j, quiet)
	if err != nil {
		return err
	}
	j.Kind = bench.JobPeer
	theirs, err := bench.RunJob(ctx, &j, quiet)
	if err != nil {
		return err
	}
	fmt.Printf("\n| %s | eyelet, tok/s | llama-bench, tok/s | ratio | at least 0.98 of it |\n",
		filepath.Base(o.model))
	fmt.Println("|---|---|---|---|---|")
	for _, row := range []struct {
		name         string
		ours, theirs *bench.Sample
	}{
		{"a prompt of 512 tokens", ours.Speed.PP512, theirs.Peer.PP512},
		{"128 single tokens", ours.Speed.TG128, theirs.Peer.TG128},
	} {
		a, b := row.ours.Median, row.theirs.Median
		fmt.Printf("| %s | %.1f | %.1f | %.2f | %s |\n", row.name, a, b, a/b,
			verdict(a >= 0.98*b))
	}
	return nil
}

// reference are the rows of the CPU's kernels in float32.
func (o *options) reference(ctx context.Context, path string) ([]float32, error) {
	native, err := vision.OpenNative(path, vision.NativeOptions{Precision: nn.F32,
		Threads: o.threads})
	if err != nil {
		return nil, err
	}
	defer native.Close()
	in, err := vision.Preprocess(ctx, native, bench.Photo(o.width, o.height))
	if err != nil {
		return nil, err
	}
	rows, err := vision.Encode(ctx, native, in)
	return rows, errors.Join(err, in.Close())
}
