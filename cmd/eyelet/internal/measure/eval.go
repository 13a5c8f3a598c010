package measure

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/chat"
	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/cli"
	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/engine/bench"
)

const evalLong = `Asks a model questions about pictures and scores its answers, by kind of question,
with 95 % confidence intervals (bootstrap).

Questions are a folder with questions.jsonl or such a file, an object a line:
{"picture": "a.png", "question": "What is it?", "answers": ["a cat", "cat"], "kind": "animals"}.
Without --questions they are those of the built-in model's domain, whose pictures
it never saw in training.

--set reads your copy of a public set, as it is published, in Parquet, as JSON beside
pictures, or as a table between tabs: TextVQA, DocVQA, ChartQA, OCRBench, MMMU, multiple
choice as AI2D, RefCOCO. Its layout is found by its columns, or by the name of the file,
and answers are scored by its own metric. With -o,
answers are written as they come, and the same command goes on where it was stopped;
"eyelet eval compare" tests whether two such runs differ.

Scores of other questions: literal, right to the letter; exact, but for case, spaces and
a full stop at the end; F1 of words; ANLS, the similarity that document questions are scored with.
Of several right answers the nearest counts.`

const evalExample = `  eyelet eval
  eyelet eval --model llava-q4_k_m.gguf --mmproj mmproj-f16.gguf --questions my-questions/
  eyelet eval llava:7b --questions my-questions/ --answers said.jsonl --json
  eyelet eval llava:7b --set TextVQA/ --count 500 -o textvqa-7b.jsonl
  eyelet eval compare textvqa-f16.jsonl textvqa-q4.jsonl
  eyelet eval --vision-backend mtmd`

// evalOptions are the flags of eval.
type evalOptions struct {
	run       chat.Options
	questions string
	set       string // folder of a public set
	layout    string
	split     string
	answers   string
	count     int
	seed      uint64
}

// NewEvalCommand returns the command "eyelet eval".
func NewEvalCommand() *cobra.Command {
	var o evalOptions
	cmd := &cobra.Command{
		Use:     "eval [flags] [NAME]",
		Short:   "Score a model's answers to questions about pictures",
		Long:    evalLong,
		Example: evalExample,
		RunE:    func(cmd *cobra.Command, args []string) error { return eval(cmd, args, &o) },
	}
	f, r := cmd.Flags(), &o.run
	f.SortFlags = false
	f.StringVarP(&r.Spec.Model, "model", "m", "",
		"name or digest of a model, or GGUF file of a language model (default: the built-in model)")
	f.StringVar(&r.Spec.Projector, "mmproj", "",
		"GGUF file of the vision projector that belongs to it (default: that of the named model)")
	f.StringVar(&o.questions, "questions", "",
		"questions about pictures: a folder or file (default: 400 of the built-in model's domain)")
	f.StringVar(&o.set, "set", "", "a public set: the folder or file that you have of it")
	f.StringVar(&o.layout, "layout", "", "its layout: "+strings.Join(layoutNames(),
		", ")+" (default: found by its columns)")
	f.StringVar(&o.split, "split", "",
		"its part, as validation (default: the one that the set is scored on)")
	f.IntVar(&o.count, "count", 0,
		"how many of the questions are asked, drawn at random (default: all)")
	f.Uint64Var(&o.seed, "seed", 1, "seed that they are drawn with")
	f.StringVarP(&o.answers, "answers", "o",
		"", "write questions, answers and scores to this file, a JSON object a line; with --set, "+
			"go on with it")
	f.BoolVar(&r.JSON, "json", false, "print the scores as JSON")
	f.IntVarP(&r.Request.MaxTokens, "max-tokens", "n", 256,
		"longest answer in tokens (with --set, by default, what its answers need)")
	f.IntVar(&r.Spec.Parallel, "parallel", engine.DefaultParallel, "questions under way at a time")
	cli.AddThreadsFlag(f, &r.Threads)
	f.IntVarP(&r.Spec.Context, "ctx", "c", 0,
		fmt.Sprintf("context length in tokens (default: %d, or what the model was trained for)",
			engine.DefaultContext))
	cli.AddVisionFlags(f, &r.Spec)
	cli.AddPlacementFlags(f, &r.Spec)
	_ = cmd.RegisterFlagCompletionFunc("model", cli.CompleteModels)
	cli.CompleteWith(cmd, "layout", layoutNames()...)
	cmd.AddCommand(newEvalCompareCommand())
	return cmd
}

// check finds mistakes on the command line, before a model is loaded.
func (o *evalOptions) check(flags *pflag.FlagSet, args []string) error {
	r := &o.run
	switch {
	case len(args) > 0:
		return cli.Usagef("%q is no model, and eval takes nothing else; questions come with "+
			"--questions", args[0])
	case r.Spec.Model == "" && r.Spec.Projector != "":
		return cli.Usagef("--mmproj was given without --model")
	case o.count < 0:
		return cli.Usagef("--count cannot be negative")
	case r.Request.MaxTokens < 1:
		return cli.Usagef("--max-tokens is %d; give 1 or more", r.Request.MaxTokens)
	}
	if err := o.checkSet(); err != nil {
		return err
	}
	if err := r.RequireProjector(); err != nil {
		return err
	}
	return cli.CheckRanges(flags, "max-tokens", "threads", "parallel", "ctx")
}

func eval(cmd *cobra.Command, args []string, o *evalOptions) (err error) {
	r := &o.run
	r.Quiet = cli.BoolFlag(cmd, "quiet")
	if args, err = r.ResolveModel(args); err != nil {
		return err
	}
	if err := o.check(cmd.Flags(), args); err != nil {
		return err
	}
	if r.Stored != nil {
		r.System = r.Stored.System
	}
	if o.set != "" {
		return evalSet(cmd, o)
	}
	set, err := o.open()
	if err != nil {
		return err
	}
	defer set.Close()
	s, err := chat.Open(cmd, r)
	if err != nil {
		return err
	}
	defer s.CloseInto(&err)
	bar := cli.NewBar(s.Stderr, len(set.Questions), "questions", r.Quiet || r.JSON)
	e, err := bench.Eval(s.Context, s.Model, set, bench.EvalOptions{
		Parallel: r.Spec.Parallel, MaxTokens: r.Request.MaxTokens,
		Request:  engine.Request{Messages: s.Opening()},
		Progress: func(int, int) { _ = bar.Add(1) },
	})
	_ = bar.Finish()
	if err != nil {
		return err
	}
	err = cli.Print(cmd, r.JSON, e, func(w *strings.Builder) { printEvaluation(w, e) })
	if o.answers != "" { // after the scores, which a full disk must not cost
		err = errors.Join(err, e.WriteAnswers(o.answers))
	}
	return err
}

// open opens the questions.
func (o *evalOptions) open() (set *bench.QuestionSet, err error) {
	if o.questions == "" {
		set, err = bench.BuiltinQuestions()
	} else {
		set, err = bench.OpenQuestions(o.questions)
	}
	if err != nil {
		return nil, err
	}
	return set.Sample(o.count, o.seed), nil
}

// printEvaluation writes the table of scores, in percent.
func printEvaluation(w *strings.Builder, e *bench.Evaluation) {
	fmt.Fprintf(w, "%s on %s\n", cli.Printable(e.Model), cli.Printable(e.Questions))
	t := cli.NewTable(w)
	fmt.Fprintln(t, "kind\tasked\tliteral\texact\tF1\tANLS")
	for _, k := range e.Kinds {
		fmt.Fprintln(t, evalLine(k.Kind, k))
	}
	fmt.Fprintln(t, evalLine("all", e.All))
	_ = t.Flush()
}

func evalLine(name string, k bench.KindScores) string {
	percent := func(i bench.Interval) string {
		return fmt.Sprintf("%.1f (%.1f to %.1f)", 100*i.Mean, 100*i.Low, 100*i.High)
	}
	return fmt.Sprintf("%s\t%d\t%s\t%s\t%.1f\t%.1f", cli.Printable(name), k.Exact.N, percent(
		k.Literal),
		percent(k.Exact), 100*k.F1.Mean, 100*k.ANLS.Mean)
}
