// Synth writes models of real shapes with random weights, for measuring speed and memory where
// nobody wants to download a real one: a GGUF language model of the Llama architecture and, with
// -mmproj, a CLIP tower with LLaVA's projector; with -tower, the tower and projector of another
// family.
//
//	eval "$(scripts/env)"
//	go run ./scripts/synth -shape 1b -type Q4_K_M           # build/synth/llama-1b-q4_k_m.gguf
//	go run ./scripts/synth -shape 1b -mmproj                # build/synth/mmproj-1b-f16.gguf
//	go run ./scripts/synth -tower qwen2.5-vl-3b             # build/synth/mmproj-qwen2.5-vl-3b-f16.gguf
//	go run ./scripts/synth -mmproj -outliers 5              # mmproj-1b-outliers-f16.gguf there: the
//	                                                        # same function, through states of which
//	                                                        # some channels are 2^5 times as large
//	                                                        # (-outlier-channels, 3; with -undamped,
//	                                                        # another function)
//	go run ./scripts/synth -shape 1b -reads gemma3-4b       # llama-1b-gemma3-4b-q4_k_m.gguf and
//	                                                        # mmproj-1b-gemma3-4b-f16.gguf there
//
//	go run ./scripts/synth -draw                            # build/synth/sd15-f16.safetensors: Stable Diffusion 1.5
//
// The same flags give the same bytes: weights come from a generator seeded by -seed and the
// tensor's name. The tokenizer is that of the built-in model, padded with unused entries to the
// size of the vocabulary, so text can be tokenized; what the model answers is noise.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"time"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/models/diffusion/diffusiontest"
	"github.com/eyelet-engine/eyelet/models/gguf"
)

func main() {
	shape := flag.String("shape", "1b", "size of the model: "+strings.Join(shapeNames(), " or "))
	fileType := flag.String("type", "Q4_K_M",
		"mixture of tensor types of the language model, or F16")
	mmproj := flag.Bool("mmproj", false, "write the vision tower and projector instead, in F16")
	outliers := flag.Int("outliers", 0,
		"with -mmproj: multiply a few channels of what layers read by 2 to the power of this")
	channels := flag.Int("outlier-channels", 3, "how many channels -outliers enlarges")
	undamped := flag.Bool("undamped", false,
		"leave the weights that read such channels as they are, which changes the function")
	draw := flag.Bool("draw", false,
		"write a model that makes pictures instead: the shapes of Stable Diffusion 1.5, in F16")
	family := flag.String("tower", "",
		"write the vision tower and projector of a family instead, in F16: "+strings.Join(
			familyNames(), " or "))
	reads := flag.String("reads", "",
		"write a language model that reads a family's pictures, and the tower for it: "+
			strings.Join(familyNames(), " or "))
	seed := flag.Uint64("seed", 1, "seed of the weights")
	tokenizer := flag.String("tokenizer", "models/builtin/eyelet-builtin-q8_0.gguf",
		"GGUF `file` to take the tokenizer from")
	out := flag.String("o", "", "output `file` (default build/synth/...)")
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "synth: unexpected argument %q\n", flag.Arg(0))
		os.Exit(2)
	}
	if *outliers < 0 || *outliers > 8 || *outliers > 0 && !*mmproj {
		fmt.Fprintln(os.Stderr, "synth: -outliers is 0 to 8, with -mmproj")
		os.Exit(2)
	}
	if *channels < 1 || *channels > 64 {
		fmt.Fprintln(os.Stderr, "synth: -outlier-channels is 1 to 64")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if *draw {
		if *out == "" {
			*out = filepath.Join("build", "synth", "sd15-f16.safetensors")
		}
		if err := writeDrawing(*out, *seed); err != nil {
			fmt.Fprintln(os.Stderr, "synth:", err)
			os.Exit(1)
		}
		return
	}
	err := error(nil)
	switch {
	case *reads != "":
		err = runPair(ctx, *shape, *fileType, *reads, *seed, *tokenizer)
	case *family != "":
		err = runFamily(ctx, *family, 0, *seed, *out)
	default:
		err = run(ctx, *shape, *fileType, *mmproj, outliersOf{*outliers, *channels, !*undamped},
			"", *seed, *tokenizer, *out)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "synth:", err)
		os.Exit(1)
	}
}

// runPair writes a language model that reads pictures of a family, and the family's tower for it.
func runPair(ctx context.Context, shape, fileType, family string, seed uint64,
	tokenizer string) error {
	name := shape + "-" + family
	model := fmt.Sprintf("llama-%s-%s.gguf", name, strings.ToLower(fileType))
	if err := run(ctx, shape, fileType, false, outliersOf{}, family, seed, tokenizer,
		filepath.Join("build", "synth", model)); err != nil {
		return err
	}
	return runFamily(ctx, family, shapes[shape].width, seed,
		filepath.Join("build", "synth", fmt.Sprintf("mmproj-%s-f16.gguf", name)))
}

// run writes a language model, which reads pictures of the family reads if that is not "", or the
// tower of its shape.
func run(ctx context.Context, shapeName, fileType string, mmproj bool, outliers outliersOf,
	reads string, seed uint64, tokenizer, out string) error {
	s, ok := shapes[shapeName]
	if !ok {
		return fmt.Errorf("unknown shape %q; give %s", shapeName, strings.Join(shapeNames(),
			" or "))
	}
	if reads != "" {
		if s.reads, ok = familyTowers[reads]; !ok {
			return unknownTower(reads)
		}
	}
	if out == "" {
		name := fmt.Sprintf("llama-%s-%s.gguf", shapeName, strings.ToLower(fileType))
		if mmproj {
			name = fmt.Sprintf("mmproj-%s-f16.gguf", shapeName)
		}
		if outliers.power > 0 {
			name = fmt.Sprintf("mmproj-%s-outliers-f16.gguf", shapeName)
		}
		out = filepath.Join("build", "synth", name)
	}
	if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil {
		return err
	}
	weights := &weights{seed: seed, outliers: outliers, ctx: ctx}
	start := time.Now()
	var err error
	switch {
	case mmproj:
		err = write(weights, tower(s, weights), out)
	case strings.EqualFold(fileType, "F16"):
		err = writeLanguage(s, weights, tokenizer, out)
	default:
		err = quantized(ctx, s, weights, tokenizer, fileType, out)
	}
	if err != nil {
		return err
	}
	return said(out, start)
}

func unknownTower(name string) error {
	return fmt.Errorf("unknown tower %q; give %s", name, strings.Join(familyNames(), " or "))
}

// runFamily writes the tower of a family, with rows of a width, 0 for the family's own.
func runFamily(ctx context.Context, name string, width int, seed uint64, out string) error {
	s, ok := familyTowers[name]
	if !ok {
		return unknownTower(name)
	}
	if width > 0 {
		s.out = width
	}
	if out == "" {
		out = filepath.Join("build", "synth", fmt.Sprintf("mmproj-%s-f16.gguf", name))
	}
	if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil {
		return err
	}
	weights, start := &weights{seed: seed, ctx: ctx}, time.Now()
	if err := write(weights, s.write(weights), out); err != nil {
		return err
	}
	return said(out, start)
}

// said tells of a file that was written.
func said(out string, start time.Time) error {
	info, err := os.Stat(out)
	if err != nil {
		return err
	}
	report("", 0, 0, "")
	fmt.Fprintf(os.Stderr, "%s: %.1f MB in %.0f s\n", out, float64(info.Size())/1e6,
		time.Since(start).Seconds())
	return nil
}

// quantized writes the model in F16 first: libllama's quantizer chooses the type of each tensor in
// a mixture.
func quantized(ctx context.Context, s shape, weights *weights, tokenizer, fileType,
	out string) error {
	t, err := llama.ParseFileType(fileType)
	if err != nil {
		return err
	}
	half := out + ".f16"
	defer os.Remove(half)
	if err := writeLanguage(s, weights, tokenizer, half); err != nil {
		return err
	}
	if err := ggml.Load(); err != nil {
		return err
	}
	return llama.Quantize(ctx, half, out, llama.QuantizeParams{Type: t,
		Progress: func(done, total int, tensor string) {
			report("quantize", done, total, tensor)
		}})
}

// writeDrawing writes a model that makes pictures.
func writeDrawing(out string, seed uint64) error {
	if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil {
		return err
	}
	start := time.Now()
	if err := diffusiontest.WriteSD15(out, seed); err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "%s: in %.0f s\n", out, time.Since(start).Seconds())
	return nil
}

func writeLanguage(s shape, weights *weights, tokenizer, out string) error {
	w, err := language(s, weights, tokenizer)
	if err != nil {
		return err
	}
	return write(weights, w, out)
}

// write streams the model to a file, with progress.
func write(weights *weights, w *gguf.Writer, out string) error {
	weights.progress = func(done, total int, tensor string) {
		report("write", done, total, tensor)
	}
	return w.WriteFile(out)
}

// report rewrites one line on a terminal and is silent elsewhere; no step clears the line.
func report(step string, done, total int, tensor string) {
	if info, err := os.Stderr.Stat(); err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return
	}
	fmt.Fprint(os.Stderr, "\r\033[K")
	if step != "" {
		fmt.Fprintf(os.Stderr, "%s %d/%d %s", step, done, total, tensor)
	}
}
