package models

import (
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/cli"
	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/pictures"
	"github.com/eyelet-engine/eyelet/engine/bench"
	"github.com/eyelet-engine/eyelet/engine/multimodal"
	"github.com/eyelet-engine/eyelet/kernels/imaging"
	"github.com/eyelet-engine/eyelet/models/gguf"
	"github.com/eyelet-engine/eyelet/models/quantize"
	"github.com/eyelet-engine/eyelet/models/vision"
)

// projector quantizes a vision tower with its projector.
func (o *quantizeOptions) projector(cmd *cobra.Command, f *gguf.File,
	q *Quantization) error {
	for name, set := range map[string]bool{"output-type": o.outputType != "",
		"embedding-type": o.embeddingType != "", "keep-output": o.keepOutput,
		"keep-split": o.keepSplit, "prune-layers": len(o.pruneLayers) > 0} {
		if set {
			return cli.Usagef("--%s is for language models, and %s is a projector", name, f.Path())
		}
	}
	search := o.maxError != 0 || o.targetSize != ""
	if search && len(o.tensors)+len(o.tensorFiles) > 0 {
		return cli.Usagef("--tensor cannot be used with --max-error or --target-size")
	}
	if len(o.images) > 0 && !search && !o.measure {
		return cli.Usagef("--image is for --measure, --max-error and --target-size")
	}
	if err := o.overrideKeys(); err != nil {
		return err
	}
	overrides, err := o.overrides(cmd.ErrOrStderr(), f)
	if err != nil {
		return err
	}
	w := cli.StartProgress(cmd.ErrOrStderr(), "quantizing "+cli.Printable(f.Path()), o.quiet ||
		o.json)
	defer w.Done()
	var plan *quantize.Plan
	if search || o.measure {
		plan, q.Error, err = o.measured(cmd, w, f, overrides)
	} else {
		plan, err = o.byRule(f, overrides)
	}
	if err != nil {
		return err
	}
	typ := plan.Type.String()
	if search {
		typ = "mixed"
	}
	q.record(typ, plan)
	if o.dryRun {
		return nil
	}
	r, err := plan.Write(cmd.Context(), o.out, quantize.WriteOptions{Threads: o.threads,
		Progress: func(done, total int, _ string) {
			w.SetFraction(float64(done-1) / float64(total))
		}})
	if err != nil {
		return err
	}
	q.Out, q.Bytes, q.SHA256 = r.Path, r.Bytes, r.SHA256
	return nil
}

// byRule plans with the type that was asked for, and exceptions.
func (o *quantizeOptions) byRule(f *gguf.File,
	overrides []quantize.Override) (*quantize.Plan, error) {
	t, err := projectorType(o.typ)
	if err != nil {
		return nil, err
	}
	options := quantize.Options{Type: t, Pure: o.pure, Tensors: overrides}
	if options.Importance, options.Keys, err = o.towerImatrix(f); err != nil {
		return nil, err
	}
	return quantize.PlanProjector(f, options)
}

// towerImatrix reads --imatrix for a projector. keys are all that are set in the result's metadata.
func (o *quantizeOptions) towerImatrix(f *gguf.File) (
	weights map[string][]float32, keys []gguf.KV, err error) {
	if o.imatrix != "" {
		weights, keys, err = quantize.ReadImatrix(o.imatrix, f, o.usesWeights)
	}
	return weights, slices.Concat(o.keys, keys), err
}

// overrides reads the rules for single tensors, and warns of those that contradict each other.
func (o *quantizeOptions) overrides(stderr io.Writer,
	f *gguf.File) (list []quantize.Override, err error) {
	entries, err := o.allTensorRules()
	if err != nil {
		return nil, err
	}
	var rules []llama.TensorType
	err = parseTensorTypes(entries, func(pattern, name string) error {
		r, err := regexp.Compile(pattern)
		if err != nil {
			return cli.Usagef("--tensor has the pattern %q: %v", pattern, err)
		}
		t, err := projectorType(name)
		list = append(list, quantize.Override{Pattern: r, Type: t})
		rules = append(rules, llama.TensorType{Pattern: pattern, Type: ggml.Type(t)})
		return err
	})
	if err == nil {
		o.warnOverlaps(stderr, f, rules)
	}
	return list, err
}

// measured makes a plan and measures it, on the thread that computes.
func (o *quantizeOptions) measured(cmd *cobra.Command, w *cli.Progress, f *gguf.File,
	overrides []quantize.Override) (plan *quantize.Plan, e *QuantizationError, err error) {
	pictures, err := o.pictures(cmd, f)
	if err != nil {
		return nil, nil, err
	}
	ctx := cmd.Context()
	err = bench.OnThread(func() error {
		meter, err := quantize.NewMeter(ctx, f, pictures, o.threads)
		if err != nil {
			return err
		}
		var d vision.Difference
		if o.maxError != 0 || o.targetSize != "" {
			lowest, err := o.lowest()
			if err != nil {
				return err
			}
			weights, keys, err := o.towerImatrix(f)
			if err != nil {
				return err
			}
			plan, d, err = quantize.Search(ctx, f, meter, quantize.SearchOptions{
				Goal: quantize.Goal{MaxError: o.maxError, TargetSize: o.bytes}, Lowest: lowest,
				Threads: o.threads, Importance: weights, Keys: keys,
				Progress: func(done float64, next string) {
					if next != "" {
						w.SetText("measuring, " + strconv.Itoa(int(100*done)) + " %: " + next)
					}
				},
			})
			if err != nil {
				return err
			}
		} else {
			if plan, err = o.byRule(f, overrides); err != nil {
				return err
			}
			if d, err = meter.Measure(ctx, plan); err != nil {
				return err
			}
		}
		e = &QuantizationError{Pictures: len(pictures), Relative: d.Relative,
			MeanCosine: d.MeanCosine, LowestCosine: d.LowestCosine}
		return nil
	})
	return plan, e, err
}

// pictures are those that --image names, or a photo that is made up.
func (o *quantizeOptions) pictures(cmd *cobra.Command,
	f *gguf.File) (list []*imaging.RGB, err error) {
	info, err := vision.Describe(f)
	if err != nil {
		return nil, fmt.Errorf("the error of %s cannot be measured: %w; give --type alone",
			f.Path(), err)
	}
	for _, path := range o.images {
		p, err := pictures.Open(cmd.Context(), path, cmd.InOrStdin())
		if err != nil {
			return nil, err
		}
		img, err := multimodal.Pixels(cmd.Context(), p)
		if err != nil {
			return nil, err
		}
		list = append(list, img)
	}
	if len(list) == 0 {
		list = append(list, bench.Photo(info.ImageSize, info.ImageSize))
	}
	return list, nil
}

// print writes a summary, or in a dry run what becomes of each tensor.
func (q *Quantization) print(w *strings.Builder, dryRun bool) {
	t := cli.NewTable(w)
	tensors, bytes := map[string]int{}, map[string]int64{}
	for _, x := range q.Tensors {
		tensors[x.To]++
		bytes[x.To] += x.Bytes
		if dryRun {
			note := ""
			if x.Fallback {
				note = "rows do not fit " + strings.ToLower(q.Type)
			}
			to := x.To
			if to == x.From {
				to = "as it is"
			}
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", cli.Printable(x.Name), x.From, to,
				cli.BytesText(uint64(x.Bytes)), note)
		}
	}
	_ = t.Flush()
	if dryRun {
		fmt.Fprintln(w)
	}
	name := q.Out
	if dryRun {
		name = "A dry run of " + q.Type
	}
	fmt.Fprintf(w, "%s: %s, %.0f %% of %s (%s)\n", cli.Printable(name), cli.BytesText(uint64(
		q.Bytes)),
		100*float64(q.Bytes)/float64(max(q.SourceBytes, 1)), cli.Printable(q.Source),
		cli.BytesText(uint64(q.SourceBytes)))
	byBytes := slices.SortedFunc(maps.Keys(bytes), func(a, b string) int {
		return int(bytes[b] - bytes[a])
	})
	for _, typ := range byBytes {
		fmt.Fprintf(w, "  %-8s %4d tensors  %s\n", typ, tensors[typ], cli.BytesText(uint64(
			bytes[typ])))
	}
	if e := q.Error; e != nil {
		fmt.Fprintf(w, "  image tokens: relative error %.4f, cosine %.6f in the mean "+
			"and %.6f at least (%s)\n", e.Relative, e.MeanCosine, e.LowestCosine,
			cli.Plural(e.Pictures, "picture"))
	}
	if q.SHA256 != "" {
		fmt.Fprintf(w, "  sha256 %s\n", q.SHA256)
	}
}
