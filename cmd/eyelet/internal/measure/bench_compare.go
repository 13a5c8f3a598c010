package measure

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/cli"
	"github.com/eyelet-engine/eyelet/engine/bench"
)

const benchCompareLong = `Says what changed from one run of "eyelet bench quants" to another beyond noise.

Speeds and times are compared by how far they differ from one process to the next,
which repetitions within a process do not show: "bench quants --runs 3" measures
it, and without that 4.5 % is assumed. Qualities are compared by the standard
errors of their means. A change counts if it would come about by chance in less
than one of a hundred comparisons, and speeds, times and memory must differ by
2 % as well. What differs between the runs themselves, such as the version of a
library, is told too.`

func newBenchCompareCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "compare A B",
		Short: "Say what changed between two runs beyond noise",
		Long:  benchCompareLong,
		Example: `  eyelet bench compare before/results.json after/results.json
  eyelet bench compare before after --json`,
		Args: cli.ExactArgs("A", "B"),
		RunE: func(cmd *cobra.Command, args []string) error {
			var runs [2]*bench.Results
			for i, path := range args {
				var err error
				if runs[i], err = bench.ReadResults(path); err != nil {
					return err
				}
			}
			c := bench.Compare(runs[0], runs[1])
			return cli.Print(cmd, cli.BoolFlag(cmd, "json"), c, func(w *strings.Builder) {
				printComparison(w, c)
			})
		},
	}
	cmd.Flags().Bool("json", false, "print one JSON object")
	return cmd
}

func printComparison(w *strings.Builder, c *bench.Comparison) {
	for _, note := range c.Notes {
		fmt.Fprintf(w, "differs  %s\n", cli.Printable(note))
	}
	t := cli.NewTable(w)
	for _, x := range c.Changes {
		verdict := "worse"
		if x.Better {
			verdict = "better"
		}
		p := ""
		if x.P > 0 {
			p = fmt.Sprintf("p %.1g", x.P)
		}
		fmt.Fprintf(t, "%s\t%s\t%.6g -> %.6g\t%+.1f %%\t%s\t%s\n", verdict, cli.Printable(x.Figure),
			x.A, x.B, 100*(x.Ratio-1), p, cli.Printable(x.Cell))
	}
	_ = t.Flush()
	for _, list := range []struct {
		name  string
		cells []string
	}{{"A", c.OnlyA}, {"B", c.OnlyB}} {
		for _, cell := range list.cells {
			fmt.Fprintf(w, "only in %s  %s\n", list.name, cli.Printable(cell))
		}
	}
	var assumed []string
	for _, s := range c.BetweenRuns {
		if s.Measured {
			fmt.Fprintf(w, "between runs  %s differs by %.1f %% (%d runs)\n", s.Figure,
				100*s.StdDev, s.Runs)
		} else {
			assumed = append(assumed, s.Figure)
		}
	}
	if len(assumed) > 0 {
		fmt.Fprintf(w, "between runs  %s: %.1f %% assumed; bench quants --runs 3 measures it\n",
			strings.Join(assumed, "; "), 100*bench.AssumedSpread)
	}
	fmt.Fprintf(w, "%s changed beyond noise, %d did not.\n", cli.Plural(len(c.Changes), "figure"),
		c.Same)
}
