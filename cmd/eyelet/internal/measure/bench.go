// Package measure holds the commands that measure models: bench, eval, and advise, which chooses by
// what was measured.
package measure

import (
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/cli"
	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/pictures"
	"github.com/eyelet-engine/eyelet/engine/bench"
	"github.com/eyelet-engine/eyelet/engine/multimodal"
)

const benchExample = `  eyelet bench vision --quick
      the built-in model's tower, within seconds
  eyelet bench vision --mmproj mmproj.gguf --json > report.json
      a projector of yours, all figures
  eyelet bench quants llava-*.gguf --projector mmproj-f16.gguf --out bench-llava
      quantizations of a model side by side: speed, memory, quality, one page`

// NewBenchCommand returns the command "eyelet bench".
func NewBenchCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure how fast this machine is, and what quantizations cost",
		Long: `Measures how fast this machine is at what eyelet does, and what quantizations of
a model cost and bring.`,
		Example: benchExample,
		Args:    cli.KnownCommand,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newBenchVisionCommand(), newBenchQuantsCommand(), newBenchCompareCommand(),
		newBenchCellCommand())
	return cmd
}

const benchVisionLong = `Measures how fast a vision tower turns pictures into embeddings, in each precision
of the native backend and with llama.cpp's own encoder (libmtmd) beside it, and
how right the results are. Contestants take turns, round by round, in one
process, so that a busy machine slows all of them alike; ratios are those of the
same round. Figures are medians, with the least and the greatest.

GFLOP/s are set beside the machine's limit: what oneDNN's own matrix product
reaches on the shapes of this tower, in the same precision, in the same run.

The built-in model's tower is a toy. scripts/synth -mmproj in eyelet's sources
writes towers of full size with random weights: LLaVA 1.5's, CLIP ViT-L/14 at
336 pixels, and those of Qwen2.5-VL, Gemma 3 and SmolVLM2.`

const benchVisionExample = `  eyelet bench vision --quick
  eyelet bench vision --mmproj mmproj.gguf --image photo.jpg
  eyelet bench vision --mmproj mmproj.gguf --precision int8 --backend native --tiles 1,2,5
  eyelet bench vision --mmproj mmproj.gguf --backend native,mtmd,mtmd-accelerated
  eyelet bench vision --mmproj mmproj.gguf --rounds 9 --json > report.json`

// benchVisionOptions are the flags of bench vision.
type benchVisionOptions struct {
	cli.TowerFlags
	image      string
	backends   []string
	precisions []string
	tiles      []int
	rounds     int
	quick      bool
	json       bool
}

func newBenchVisionCommand() *cobra.Command {
	var o benchVisionOptions
	cmd := &cobra.Command{
		Use:     "vision",
		Short:   "Measure the encoding of pictures",
		Long:    benchVisionLong,
		Example: benchVisionExample,
		Args:    cli.ExactArgs(),
		RunE:    func(cmd *cobra.Command, _ []string) error { return benchVision(cmd, &o) },
	}
	o.Register(cmd)
	f := cmd.Flags()
	f.StringVarP(&o.image, "image", "i", "",
		"picture to cut the tiles from (default: one that is made up)")
	f.StringSliceVar(&o.backends, "backend", []string{"native", "mtmd"},
		"contestants: "+strings.Join(bench.VisionBackends(), ", "))
	f.StringSliceVar(&o.precisions, "precision", []string{"f32", "bf16", "int8"},
		"precisions of native: auto, f32, bf16, int8, int16")
	f.IntSliceVar(&o.tiles, "tiles", []int{1, 5}, "how many tiles are encoded at a time")
	f.IntVar(&o.rounds, "rounds", 5, "how often all is measured")
	f.BoolVar(&o.quick, "quick", false,
		"two rounds of one tile, where --rounds and --tiles do not say otherwise")
	f.BoolVar(&o.json, "json", false, "print one JSON object")
	cli.CompleteWith(cmd, "backend", bench.VisionBackends()...)
	cli.CompleteWith(cmd, "precision", "auto", "f32", "bf16", "int8", "int16")
	return cmd
}

// options checks the flags and turns them into what package bench takes.
func (o *benchVisionOptions) options(cmd *cobra.Command) (bench.VisionOptions, error) {
	v := bench.VisionOptions{Backends: o.backends, Tiles: o.tiles, Rounds: o.rounds}
	if !cmd.Flags().Changed("tiles") {
		v.Tiles = nil // what suits the tower
	}
	if o.quick {
		if !cmd.Flags().Changed("tiles") {
			v.Tiles = []int{1}
		}
		if !cmd.Flags().Changed("rounds") {
			v.Rounds = 2
		}
	}
	switch {
	case len(v.Backends) == 0, cmd.Flags().Changed("tiles") && len(v.Tiles) == 0,
		len(o.precisions) == 0:
		return v, cli.Usagef("--backend, --precision and --tiles each want one entry at least")
	case v.Rounds < 1 || v.Rounds > bench.MaxRounds:
		return v, cli.Usagef("--rounds is %d; give 1 to %d", v.Rounds, bench.MaxRounds)
	case cmd.Flags().Changed("precision") && !slices.Contains(v.Backends, "native"):
		return v, cli.Usagef("--precision belongs to the backend native, which does not take part")
	}
	for _, name := range v.Backends {
		if !slices.Contains(bench.VisionBackends(), name) {
			return v, cli.Usagef("--backend %q is unknown; give %s", name,
				strings.Join(bench.VisionBackends(), ", "))
		}
	}
	for _, n := range v.Tiles {
		if n < 1 || n > bench.MaxTiles {
			return v, cli.Usagef("--tiles has %d; give 1 to %d", n, bench.MaxTiles)
		}
	}
	for _, name := range o.precisions {
		p, err := cli.ParsePrecision(name)
		if err != nil {
			return v, err
		}
		v.Precisions = append(v.Precisions, p)
	}
	return v, nil
}

func benchVision(cmd *cobra.Command, o *benchVisionOptions) error {
	v, err := o.options(cmd)
	if err != nil {
		return err
	}
	if o.image != "" {
		picture, err := pictures.Open(cmd.Context(), o.image, cmd.InOrStdin())
		if err != nil {
			return err
		}
		if v.Picture, err = multimodal.Pixels(cmd.Context(), picture); err != nil {
			return err
		}
	}
	if err := o.Resolve(); err != nil {
		return err
	}
	v.Projector, v.Threads = o.Projector, o.Threads
	w := cli.StartProgress(cmd.ErrOrStderr(), "measuring", cli.BoolFlag(cmd, "quiet"))
	v.Progress = func(done float64, next string) {
		if next != "" {
			w.SetText(strconv.Itoa(int(100*done)) + " %: " + next)
		}
	}
	report, err := bench.Vision(cmd.Context(), v)
	w.Done()
	if err != nil {
		return err
	}
	return cli.Print(cmd, o.json, report, func(w *strings.Builder) { printVisionReport(w, report) })
}
