package measure

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/chat"
	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/cli"
	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/engine/bench"
	"github.com/eyelet-engine/eyelet/engine/bench/sets"
)

// layoutNames are the layouts of public sets, as --layout takes them.
func layoutNames() (names []string) {
	for _, l := range sets.Layouts {
		names = append(names, l.Name)
	}
	return names
}

// checkSet finds mistakes in the flags of a public set.
func (o *evalOptions) checkSet() error {
	switch {
	case o.set == "" && (o.layout != "" || o.split != ""):
		return cli.Usagef("--layout and --split want --set")
	case o.set != "" && o.questions != "":
		return cli.Usagef("--set and --questions contradict each other")
	case o.layout != "" && sets.LayoutNamed(o.layout) == nil:
		return cli.Usagef("--layout is %q; give one of %s", o.layout, strings.Join(layoutNames(),
			", "))
	}
	return nil
}

// evalSet asks the questions of a public set.
func evalSet(cmd *cobra.Command, o *evalOptions) (err error) {
	r := &o.run
	w := cli.StartProgress(cmd.ErrOrStderr(), "reading "+cli.Printable(o.set), r.Quiet || r.JSON)
	set, err := sets.Open(cmd.Context(), o.set, o.layout, o.split)
	w.Done()
	if err != nil {
		return err
	}
	defer set.Close()
	set.Sample(o.count, o.seed)
	noteLosses(cmd.ErrOrStderr(), set)
	if !cmd.Flags().Changed("max-tokens") {
		r.Request.MaxTokens = set.Layout.MaxTokens
	}
	s, err := chat.Open(cmd, r)
	if err != nil {
		return err
	}
	defer s.CloseInto(&err)
	var file *bench.AnswerFile
	if o.answers != "" {
		if file, err = bench.OpenAnswers(o.answers, o.head(s, set)); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, file.Close()) }()
		if n := file.Done(); n > 0 && !r.Quiet {
			rest := "the rest is asked"
			if n == len(set.Questions) {
				rest = "nothing is asked"
			}
			fmt.Fprintf(s.Stderr, "eyelet: note: %s has %d of %d answers; %s\n",
				cli.Printable(o.answers), n, len(set.Questions), rest)
		}
	}
	bar := cli.NewBar(s.Stderr, len(set.Questions), "questions", r.Quiet || r.JSON)
	e, err := bench.EvalSet(s.Context, s.Model, set, bench.EvalOptions{
		Parallel: r.Spec.Parallel, MaxTokens: r.Request.MaxTokens,
		Request:  engine.Request{Messages: s.Opening()},
		Progress: func(done, _ int) { _ = bar.Set(done) },
	}, file)
	_ = bar.Finish()
	if err != nil {
		return err
	}
	return cli.Print(cmd, r.JSON, e, func(w *strings.Builder) { printSet(w, e, set) })
}

// noteLosses tells what of a set is not there or cannot be asked.
func noteLosses(stderr io.Writer, set *sets.Set) {
	if set.Missing > 0 {
		fmt.Fprintf(stderr, "eyelet: note: %s of the set not there; scores are of the rest\n",
			arePlural(set.Missing, "file"))
	}
	if set.Skipped > 0 {
		fmt.Fprintf(stderr, "eyelet: note: %s left out, the first for this reason: %s\n",
			arePlural(set.Skipped, "row"), cli.Printable(set.WhySkipped))
	}
	if set.NoPicture > 0 {
		fmt.Fprintf(stderr, "eyelet: note: the pictures of %s are not in the folder, as %s; "+
			"such questions count as wrong\n", cli.Plural(set.NoPicture, "question"),
			cli.Printable(set.WhichPicture))
	}
}

// head says what answers are to, so that a later run goes on with the same alone.
func (o *evalOptions) head(s *chat.Session, set *sets.Set) bench.AnswerHead {
	r := &o.run
	h := bench.AnswerHead{
		Model: s.Model.Info().Name, Layout: set.Layout.Name, Split: set.Split,
		Questions: len(set.Questions), Files: map[string]string{},
		Settings: map[string]string{
			"max-tokens": fmt.Sprint(r.Request.MaxTokens), "cache-type": r.Spec.CacheType,
			"vision-backend": r.Spec.Encoder, "vision-precision": r.Spec.VisionPrecision,
		},
	}
	if r.System != "" {
		h.Settings["system"] = r.System
	}
	if o.count > 0 {
		h.Sample = fmt.Sprintf("%d with seed %d", o.count, o.seed)
	}
	for role, path := range map[string]string{"model file": r.Spec.Model,
		"projector file": r.Spec.Projector} {
		if info, err := os.Stat(path); path != "" && err == nil {
			h.Files[role] = fmt.Sprintf("%d bytes of %s", info.Size(),
				info.ModTime().UTC().Format("2006-01-02 15:04:05"))
		}
	}
	return h
}

// printSet writes the table of scores, in percent.
func printSet(b *strings.Builder, e *bench.SetEvaluation, set *sets.Set) {
	split := ""
	if e.Split != "" {
		split = ", " + e.Split
	}
	fmt.Fprintf(b, "%s on %s (%s%s)\n", cli.Printable(e.Model), cli.Printable(e.Set),
		set.Layout.Title,
		split)
	w := cli.NewTable(b)
	fmt.Fprint(w, "kind\tasked")
	for _, name := range e.Metrics {
		fmt.Fprintf(w, "\t%s", metricText(name))
	}
	fmt.Fprintln(w)
	for _, k := range append(slices.Clone(e.Kinds), e.All) {
		fmt.Fprintf(w, "%s\t%d", cli.Printable(cmp.Or(k.Kind, "all")), k.Scores[e.Metrics[0]].N)
		for _, name := range e.Metrics {
			i := k.Scores[name]
			fmt.Fprintf(w, "\t%.2f (%.2f to %.2f)", 100*i.Mean, 100*i.Low, 100*i.High)
		}
		fmt.Fprintln(w)
	}
	_ = w.Flush()
	if e.Faults > 0 {
		fmt.Fprintf(b, "%s could not be asked, and counted as wrong; the file of answers (-o) says "+
			"why.\n", cli.Plural(e.Faults, "question"))
	}
}

// metricText is the name of a metric for people.
func metricText(name string) string {
	switch name {
	case "vqa_accuracy":
		return "VQA accuracy"
	case "anls":
		return "ANLS"
	case "ocrbench_accuracy":
		return "OCRBench accuracy"
	case "accuracy_at_iou_0.5":
		return "accuracy at IoU 0.5"
	case "mean_iou":
		return "mean IoU"
	}
	return strings.ReplaceAll(name, "_", " ")
}

// arePlural counts things with their verb.
func arePlural(n int, thing string) string {
	if n == 1 {
		return cli.Plural(n, thing) + " is"
	}
	return cli.Plural(n, thing) + " are"
}
