package measure

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"github.com/eyelet-engine/eyelet/cgo/rpc"
	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/cli"
	"github.com/eyelet-engine/eyelet/engine/bench"
	quantsreport "github.com/eyelet-engine/eyelet/engine/bench/report"
)

const benchQuantsLong = `Measures what each quantization of a vision model costs and brings: a matrix of
model files, projector files, types of the KV cache, threads and batch sizes.

Speed: load, decoding a photo, preprocessing, encoding, prefill, time to the
first token; pp512 and tg128 as llama-bench defines them; memory and energy.
Quality against a base (--base, else the largest files): perplexity and KL
divergence over a text, the same of right answers to questions about pictures,
error of the image tokens, and scores of the model's own answers.

With --out, results are kept in a folder with a report (report.html, report.md,
results.csv, results.json). Each measurement is saved when it is done: Ctrl-C
loses one at most, and the same command goes on. Measure on a quiet machine.

Questions are a folder with questions.jsonl or such a file, an object a line:
{"picture": "a.png", "question": "What is it?", "answers": ["a cat", "cat"]}.`

const benchQuantsExample = `  eyelet bench quants llava-f16.gguf llava-q8_0.gguf llava-q4_k_m.gguf \
      --projector mmproj-f16.gguf --projector mmproj-q8_0.gguf --out bench-llava
  eyelet bench quants llava-*.gguf --projector mmproj-q8_0.gguf --kv f16,q8_0 --threads 4,8
  eyelet bench quants llava-*.gguf --projector mmproj-f16.gguf --questions my-questions/ --count 50
  eyelet bench quants model-*.gguf --against llama-bench --only speed
  eyelet bench quants model-*.gguf --only speed --format csv > speeds.csv`

// benchQuantsOptions are the flags of bench quants.
type benchQuantsOptions struct {
	q       bench.QuantsOptions
	only    string
	against string
	format  string
	json    bool
}

func newBenchQuantsCommand() *cobra.Command {
	var o benchQuantsOptions
	cmd := &cobra.Command{
		Use:     "quants MODEL...",
		Short:   "Measure what quantizations of a vision model cost and bring",
		Long:    benchQuantsLong,
		Example: benchQuantsExample,
		RunE: func(cmd *cobra.Command, args []string) error {
			return benchQuants(cmd, args, &o)
		},
	}
	f := cli.OrderedFlags(cmd)
	f.StringArrayVarP(&o.q.Projectors, "projector", "p", nil, "mmproj file; may be repeated")
	f.StringVar(&o.q.Base, "base", "",
		"model file that quality is compared with (default: the largest)")
	f.StringVar(&o.q.BaseProjector, "base-projector", "",
		"mmproj file that it is compared with (default: the largest)")
	f.StringSliceVar(&o.q.KV, "kv",
		[]string{"f16"}, "types of the KV cache: f32, f16, bf16, q8_0, q5_1, q5_0, q4_1, q4_0; "+
			"the base has the first")
	f.IntSliceVarP(&o.q.Threads, "threads", "t", nil, "numbers of threads (default: one a core)")
	f.IntSliceVar(&o.q.Batch, "batch", []int{512},
		"tokens computed at once in a prompt (llama-bench's -ub)")
	f.IntVarP(&o.q.Reps, "reps", "r", 5, "repetitions of each speed in a process")
	f.IntVar(&o.q.Runs, "runs",
		1, "processes that measure each speed, a round of all after the other; several tell "+
			"bench compare what differs from run to run")
	f.StringVar(&o.q.RPC, "rpc", "",
		"with --only speed: other machines that take layers, as HOST:PORT with commas between them")
	f.IntVar(&o.q.Context, "ctx", 0, "context length, for memory (default: eyelet's own)")
	f.StringVar(&o.q.VisionPrecision, "vision-precision", "auto",
		"arithmetic of native towers: auto, f32, bf16, int8, int16")
	f.StringVar(&o.q.Text, "text", "",
		"text file for perplexity (default: the built-in questions and answers)")
	f.IntVar(&o.q.Windows, "windows", 0,
		"how many windows of 512 tokens of the text (default: all)")
	f.StringVar(&o.q.Questions, "questions", "",
		"questions about pictures: a folder or file (default: 400 of the built-in model's domain)")
	f.IntVar(&o.q.Count, "count", 100, "how many of the questions are asked; 0 for all")
	f.Uint64Var(&o.q.Seed, "seed", 1, "seed that they are drawn with")
	f.StringVarP(&o.q.Out, "out", "o", "", "folder for results and report")
	f.BoolVar(&o.q.Restart, "restart", false, "forget the results in the folder and begin anew")
	f.StringVar(&o.only, "only", "", "speed or quality")
	f.StringVar(&o.against, "against", "", "measure an installed peer on the same: llama-bench")
	f.StringVar(&o.format, "format", "",
		"print the speeds as llama-bench does, with its field names: csv, json, jsonl, md, sql")
	f.BoolVar(&o.json, "json", false, "print the results as JSON")
	_ = cmd.MarkFlagFilename("projector", "gguf")
	cli.CompleteWith(cmd, "format", quantsreport.LlamaBenchFormats...)
	cli.CompleteWith(cmd, "only", "speed", "quality")
	cli.CompleteWith(cmd, "against", "llama-bench")
	return cmd
}

// check finds mistakes on the command line, and fills in the defaults.
func (o *benchQuantsOptions) check(models []string) error {
	o.q.Models = models
	if _, err := cli.ParsePrecision(o.q.VisionPrecision); err != nil {
		return err
	}
	switch {
	case len(models) == 0:
		return cli.Usagef("MODEL is missing: give the GGUF files of a model in several quantizations")
	case o.only != "" && o.only != "speed" && o.only != "quality":
		return cli.Usagef("--only is %q; give speed or quality", o.only)
	case o.against != "" && o.against != "llama-bench":
		return cli.Usagef("--against is %q; give llama-bench", o.against)
	case o.q.RPC != "" && (o.only != "speed" || o.against != ""):
		return cli.Usagef("--rpc goes with --only speed, and without --against")
	case o.against != "" && o.only == "quality":
		return cli.Usagef("--against measures speed, and --only quality leaves that out")
	case o.q.Reps < 1 || o.q.Reps > bench.MaxRounds:
		return cli.Usagef("--reps is %d; give 1 to %d", o.q.Reps, bench.MaxRounds)
	case o.format != "" && !slices.Contains(quantsreport.LlamaBenchFormats, o.format):
		return cli.Usagef("--format is %q; give %s", o.format,
			strings.Join(quantsreport.LlamaBenchFormats, ", "))
	case o.format != "" && (o.json || o.only == "quality"):
		return cli.Usagef("--format prints speeds, and goes with neither --json nor --only quality")
	case o.q.Runs < 1 || o.q.Runs > bench.MaxRounds:
		return cli.Usagef("--runs is %d; give 1 to %d", o.q.Runs, bench.MaxRounds)
	case o.q.Count < 0 || o.q.Windows < 0 || o.q.Context < 0:
		return cli.Usagef("--count, --windows and --ctx cannot be negative")
	case o.q.Restart && o.q.Out == "":
		return cli.Usagef("--restart wants --out")
	}
	o.q.NoSpeed, o.q.NoQuality, o.q.Against = o.only == "quality", o.only == "speed",
		o.against != ""
	if len(o.q.Threads) == 0 {
		n, err := cli.ThreadCount(0)
		o.q.Threads = []int{n}
		return err
	}
	return nil
}

// reachable finds out, before anything is measured, whether somebody listens at the addresses of a
// list of RPC servers.
func reachable(ctx context.Context, list string) error {
	if list == "" {
		return nil
	}
	addresses, err := rpc.Addresses(list)
	if err != nil {
		return cli.Usagef("--rpc: %w", err)
	}
	d := net.Dialer{Timeout: 10 * time.Second}
	for _, address := range addresses {
		c, err := d.DialContext(ctx, "tcp", address)
		if err != nil {
			return fmt.Errorf("the RPC server %s cannot be reached: %w", address, err)
		}
		_ = c.Close()
	}
	return nil
}

// maxLanes bounds the processes that measure qualities of small models at once, and their memory.
const maxLanes = 8

func benchQuants(cmd *cobra.Command, models []string, o *benchQuantsOptions) error {
	if err := o.check(models); err != nil {
		return err
	}
	if err := reachable(cmd.Context(), o.q.RPC); err != nil {
		return err
	}
	kept := o.q.Out != ""
	if !kept {
		dir, err := os.MkdirTemp("", "eyelet-bench-*")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		o.q.Out = dir
	}
	var flags []string
	if cli.BoolFlag(cmd, "no-accel") {
		flags = append(flags, "--no-accel")
	}
	if f := cmd.Flag("accel-cache"); f.Changed {
		flags = append(flags, "--accel-cache", f.Value.String())
	}
	processes := &cells{flags: flags}
	defer processes.close()
	o.q.Run, o.q.Lanes = processes.run, maxLanes
	o.q.Version, o.q.Command = cli.ReadVersions().Eyelet, commandLine(os.Args)
	bar := newJobBar(cmd.ErrOrStderr(), cli.BoolFlag(cmd, "quiet") || o.json)
	o.q.Progress = bar.show
	results, err := bench.Quants(cmd.Context(), o.q)
	bar.done()
	if results == nil {
		return err
	}
	if kept {
		err = errors.Join(err, quantsreport.Write(o.q.Out, results))
	}
	if errors.Is(err, context.Canceled) && kept {
		fmt.Fprintf(cmd.ErrOrStderr(), "%s holds what was measured; the same command goes on\n",
			o.q.Out)
	}
	if err != nil {
		return err
	}
	return o.print(cmd, results, kept)
}

// print writes the tables, or the document.
func (o *benchQuantsOptions) print(cmd *cobra.Command, r *bench.Results, kept bool) error {
	if o.json {
		return cli.WriteJSON(cmd.OutOrStdout(), r)
	}
	var text strings.Builder
	if o.format != "" {
		if err := quantsreport.LlamaBench(&text, r, o.format); err != nil {
			return err
		}
		kept = false // a program reads it
	} else {
		quantsreport.Terminal(&text, r)
	}
	if kept {
		fmt.Fprintf(&text, "\n%s shows all of it.\n", filepath.Join(o.q.Out, quantsreport.HTMLFile))
	}
	if _, err := cmd.OutOrStdout().Write([]byte(text.String())); err != nil {
		return err
	}
	if len(r.Failures) > 0 {
		return fmt.Errorf("%s could not be made; the same command with --out tries again",
			cli.Plural(len(r.Failures), "measurement"))
	}
	return nil
}

// commandLine writes a command so that a shell reads it back.
func commandLine(args []string) string {
	quoted := make([]string, len(args))
	for i, arg := range args {
		quoted[i] = arg
		if arg == "" || strings.ContainsAny(arg, " \t\n\"'\\$`*?[]{}()<>|&;#~!") {
			quoted[i] = "'" + strings.ReplaceAll(arg, "'", `'\''`) + "'"
		}
	}
	if len(quoted) > 0 {
		quoted[0] = filepath.Base(quoted[0])
	}
	return strings.Join(quoted, " ")
}

// jobBar shows how far a matrix is.
type jobBar struct{ bar *progressbar.ProgressBar }

// newJobBar makes a bar where someone is looking.
func newJobBar(stderr io.Writer, quiet bool) *jobBar {
	if quiet || !cli.IsTerminal(stderr) {
		return &jobBar{progressbar.DefaultSilent(1)}
	}
	return &jobBar{progressbar.NewOptions(1, progressbar.OptionSetWriter(stderr),
		progressbar.OptionShowCount(), progressbar.OptionSetPredictTime(false),
		progressbar.OptionSetElapsedTime(false), progressbar.OptionClearOnFinish(),
		progressbar.OptionSetWidth(20))}
}

func (b *jobBar) show(p bench.Progress) {
	text := cli.Printable(p.Job)
	if p.Next != "" {
		text += ": " + cli.Printable(p.Next)
	}
	if p.Left > 0 {
		text = "about " + p.Left.Round(time.Second).String() + " left; " + text
	}
	b.bar.ChangeMax(max(p.Total, 1))
	b.bar.Describe(cli.Abbreviate(text, 90))
	_ = b.bar.Set(p.Done)
}

func (b *jobBar) done() { _ = b.bar.Clear() }
