package measure

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/cli"
	"github.com/eyelet-engine/eyelet/engine/bench"
)

const evalCompareLong = `Compares how two runs answered the same questions of a public set. A and B are files
that "eyelet eval --set FOLDER -o FILE" wrote, say of two quantizations.

Each question is compared with itself: McNemar's exact test where answers are right
or wrong, and a paired bootstrap for the difference of all scores, with its 95 %
interval. A difference that chance makes in one of twenty comparisons or more is
called none.`

func newEvalCompareCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "compare A B",
		Short: "Say whether two runs answered the same questions differently",
		Long:  evalCompareLong,
		Example: `  eyelet eval --model llava-f16.gguf --mmproj mmproj.gguf --set textvqa -o f16.jsonl
  eyelet eval --model llava-q4_k_m.gguf --mmproj mmproj.gguf --set textvqa -o q4.jsonl
  eyelet eval compare f16.jsonl q4.jsonl`,
		Args: cli.ExactArgs("A", "B"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := bench.CompareAnswers(args[0], args[1])
			if err != nil {
				return err
			}
			return cli.Print(cmd, cli.BoolFlag(cmd, "json"), c, func(w *strings.Builder) {
				printAnswers(w, c, args[0], args[1])
			})
		},
	}
	cmd.Flags().Bool("json", false, "print one JSON object")
	return cmd
}

// printAnswers writes the comparison as a table, scores in percent. The files tell two
// quantizations apart, whose models have one name.
func printAnswers(b *strings.Builder, c *bench.AnswerComparison, fileA, fileB string) {
	fmt.Fprintf(b, "A  %s (%s)\nB  %s (%s)\n", cli.Printable(fileA), cli.Printable(c.A.Model),
		cli.Printable(fileB), cli.Printable(c.B.Model))
	fmt.Fprintf(b, "%s of both, %.1f %% answered alike", cli.Plural(c.Shared, "question"),
		100*c.Same.Mean)
	if c.OnlyA+c.OnlyB > 0 {
		fmt.Fprintf(b, "; left out: %d of A alone, %d of B alone", c.OnlyA, c.OnlyB)
	}
	fmt.Fprint(b, "\n\n")
	w := cli.NewTable(b)
	fmt.Fprintln(w, "kind\tmetric\tA\tB\tB - A, 95 % interval\tp (bootstrap)\tp (McNemar)\tverdict")
	for i := range c.Scores {
		s := &c.Scores[i]
		mcnemar := ""
		if m := s.McNemar; m != nil {
			mcnemar = fmt.Sprintf("%.3g (%d : %d)", m.P, m.OnlyA, m.OnlyB)
		}
		verdict := "no difference beyond chance"
		switch {
		case s.Significant() && s.B > s.A:
			verdict = "B is better"
		case s.Significant():
			verdict = "A is better"
		}
		fmt.Fprintf(w, "%s\t%s\t%.2f\t%.2f\t%+.2f (%+.2f to %+.2f)\t%.3g\t%s\t%s\n",
			cli.Printable(cmp.Or(s.Kind, "all")), metricText(s.Metric), 100*s.A, 100*s.B,
			100*s.Difference.Mean, 100*s.Difference.Low, 100*s.Difference.High, s.BootstrapP,
			mcnemar, verdict)
	}
	_ = w.Flush()
}
