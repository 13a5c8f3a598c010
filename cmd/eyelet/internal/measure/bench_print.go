package measure

import (
	"fmt"
	"strings"

	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/cli"
	"github.com/eyelet-engine/eyelet/engine/bench"
)

// printVisionReport writes a report as tables.
func printVisionReport(w *strings.Builder, r *bench.VisionReport) {
	t := cli.NewTable(w)
	fmt.Fprintf(t, "Projector\t%s\n", cli.Printable(r.Projector))
	fmt.Fprintf(t, "Tower\t%s: %d x %d pixels, patches of %d, %d blocks, %d wide; %d tokens a tile, %d wide\n", r.Tower.Family,
		r.Tower.ImageSize, r.Tower.ImageSize, r.Tower.PatchSize, r.Tower.Blocks, r.Tower.Hidden,
		r.Tower.TileTokens, r.Tower.Width)
	fmt.Fprintf(t, "Processor\t%s, %s, oneDNN %s\n", r.Machine.ISA, cli.Plural(r.Machine.Threads,
		"thread"), r.Machine.OneDNN)
	fmt.Fprintf(t, "Rounds\t%d\n", r.Rounds)
	for _, l := range r.Limits {
		var shapes []string
		for _, s := range l.Shapes {
			shapes = append(shapes, fmt.Sprintf("%s %.0f", s.Name, s.GFLOPS))
		}
		fmt.Fprintf(t, "Limit %s\t%.0f GFLOP/s (%s)\n", starred(l.Precision, l.Emulated), l.GFLOPS,
			strings.Join(shapes, ", "))
	}
	_ = t.Flush() // into memory
	printEncodes(w, r)
	printAgreement(w, r)
	printPreprocessing(w, r)
	printNotes(w, r)
}

// starred marks what is explained below the tables.
func starred(name string, emulated bool) string {
	if emulated {
		return name + "*"
	}
	return name
}

// rangeText writes a median with the least and the greatest.
func rangeText(s bench.Spread, format func(float64) string) string {
	return fmt.Sprintf("%s (%s to %s)", format(s.Median), format(s.Low), format(s.High))
}

func timesText(x float64) string { return fmt.Sprintf("%.2fx", x) }

func printEncodes(w *strings.Builder, r *bench.VisionReport) {
	fmt.Fprint(w, "\nEncoding\n")
	t := cli.NewTable(w)
	fmt.Fprint(t, "  backend\ttiles\ttime\tlongest step\tas fast as libmtmd\taccelerated\tto fewest tiles\tGFLOP\tGFLOP/s\tof limit\tmemory\tweights\tload\n")
	for _, c := range r.Contestants {
		for i, e := range c.Encodes {
			mtmd, fast, first, share, memory, weights, load := "", "", "", "", "", "", ""
			if e.TimesMtmd != nil {
				mtmd = rangeText(*e.TimesMtmd, timesText)
			}
			if e.TimesAccelerated != nil {
				fast = timesText(e.TimesAccelerated.Median)
			}
			if e.TimesFirst != nil {
				first = timesText(e.TimesFirst.Median)
			}
			if e.LimitShare != nil {
				share = fmt.Sprintf("%.0f %%", 100**e.LimitShare)
			}
			if e.PeakBytes != nil {
				memory = cli.BytesText(uint64(*e.PeakBytes))
			}
			if i == 0 {
				weights, load = cli.BytesText(uint64(c.WeightBytes)), cli.MillisecondsText(c.LoadMS)
			}
			fmt.Fprintf(t, "  %s\t%d\t%s\t%s\t%s\t%s\t%s\t%.3g\t%.0f\t%s\t%s\t%s\t%s\n",
				starred(c.Name, c.Emulated), e.Tiles, rangeText(e.MS, cli.MillisecondsText),
				cli.MillisecondsText(e.StepMS.Median), mtmd, fast, first, e.GFLOP, e.GFLOPS, share,
				memory, weights, load)
		}
	}
	_ = t.Flush()
}

func printAgreement(w *strings.Builder, r *bench.VisionReport) {
	fmt.Fprint(w, "\nAgreement, by image token\n")
	t := cli.NewTable(w)
	fmt.Fprint(t, "  backend\twith\tlowest cosine\tmean cosine\tlargest error\trelative error\n")
	for _, c := range r.Contestants {
		for _, a := range c.Agreement {
			fmt.Fprintf(t, "  %s\t%s\t%.6f\t%.6f\t%.2g\t%.2g\n", starred(c.Name, c.Emulated),
				a.With, a.LowestCosine, a.MeanCosine, a.MaxError, a.Relative)
		}
	}
	_ = t.Flush()
}

func printPreprocessing(w *strings.Builder, r *bench.VisionReport) {
	p := r.Preprocessing
	fmt.Fprintf(w, "\nA photo of %d x %d pixels (JPEG, %s) to %s\n", p.Width, p.Height,
		cli.BytesText(uint64(p.FileBytes)), cli.Plural(p.Tiles, "tile"))
	t := cli.NewTable(w)
	fmt.Fprintf(t, "  decode\t%s\tto %d x %d\n", rangeText(p.DecodeMS, cli.MillisecondsText),
		p.ScaledW,
		p.ScaledH)
	fmt.Fprintf(t, "  pad and resample\t%s\n", rangeText(p.ResizeMS, cli.MillisecondsText))
	fmt.Fprintf(t, "  both, at full size\t%s\n", rangeText(p.FullMS, cli.MillisecondsText))
	if p.Share > 0 {
		fmt.Fprintf(t, "  share\t%.1f %%\tof the way to embeddings, with %s of encoding\n",
			100*p.Share, cli.MillisecondsText(p.EncodeMS))
	}
	_ = t.Flush()
}

func printNotes(w *strings.Builder, r *bench.VisionReport) {
	fmt.Fprint(w, "\n")
	for _, c := range r.Contestants {
		if c.Emulated {
			fmt.Fprintf(w, "%s*: carried out in f32 on this processor, and compared with f32's limit.\n", c.Precision)
		}
		if c.Backend == "mtmd" && c.Blocks < r.Tower.Blocks {
			fmt.Fprintf(w, "libmtmd runs %d of the %d blocks; native runs all.\n", c.Blocks,
				r.Tower.Blocks)
		}
	}
	fmt.Fprintf(w, "GFLOP %s.\nMemory is the %s.\n", r.WorkFormula, r.MemoryMethod)
}
