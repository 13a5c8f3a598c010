package measure

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/cli"
	"github.com/eyelet-engine/eyelet/engine/bench"
)

const adviseLong = `Names the quantization of model, projector and KV cache that serves a wish best
within some memory, with the measured reasons, out of what "eyelet bench quants"
measured. RESULTS is its folder, or the results.json in it.

Wishes: faithful, the least divergence from the base; fast, the shortest time to
an answer; small, the smallest files. The latter two keep the divergence below
0.1 nats where they can. A difference that is smaller than its error decides
nothing, and the reasons say so.`

const adviseExample = `  eyelet bench quants llava-*.gguf --projector mmproj-f16.gguf --out bench-llava
  eyelet advise bench-llava --memory 4GB
  eyelet advise bench-llava --memory 8GiB --wish fast --json`

// NewAdviseCommand returns the command "eyelet advise".
func NewAdviseCommand() *cobra.Command {
	var memory, wish string
	cmd := &cobra.Command{
		Use:     "advise RESULTS",
		Short:   "Say which quantization to take for a machine's memory",
		Long:    adviseLong,
		Example: adviseExample,
		Args:    cli.ExactArgs("RESULTS"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return advise(cmd, args[0], memory, bench.Wish(wish))
		},
	}
	f := cli.OrderedFlags(cmd)
	f.StringVar(&memory, "memory",
		"", "what the program may take, as 4GB or 6GiB (default: the memory of the machine that "+
			"measured)")
	f.StringVar(&wish, "wish", string(bench.Faithful), "faithful, fast or small")
	f.Bool("json", false, "print one JSON object")
	cli.CompleteWith(cmd, "wish", "faithful", "fast", "small")
	return cmd
}

// namesModel reports whether somebody who asks for advice has named a model, and no results.
func namesModel(name string) bool {
	if strings.HasSuffix(strings.ToLower(name), ".gguf") {
		return true
	}
	if _, err := os.Stat(name); err == nil {
		return false
	}
	stored, err := cli.FindStored(name)
	return err == nil && stored != nil || slices.Contains(cli.BuiltinNames, name)
}

func advise(cmd *cobra.Command, path, memory string, wish bench.Wish) error {
	if !slices.Contains(bench.Wishes, wish) {
		return cli.Usagef("--wish is %q; give faithful, fast or small", wish)
	}
	if namesModel(path) {
		return cli.Usagef("%s is a model, and advice is drawn from measurements: make some with eyelet bench quants MODEL... --out FOLDER, and give the folder", path)
	}
	r, err := bench.ReadResults(path)
	if err != nil {
		return err
	}
	limit := r.Host.Memory
	if memory != "" {
		if limit, err = cli.ParseSize(memory); err != nil {
			return cli.Usagef("--memory is %q; give a size like 4GB or 6GiB", memory)
		}
	} else if limit <= 0 {
		return cli.Usagef("--memory is missing, and the results do not say what memory the machine has")
	}
	a, err := bench.Advise(r, limit, wish)
	if err != nil {
		return err
	}
	return cli.Print(cmd, cli.BoolFlag(cmd, "json"), a, func(w *strings.Builder) {
		fmt.Fprintf(w, "Model      %s\n", cli.Printable(a.Model))
		if a.Projector != "" {
			fmt.Fprintf(w, "Projector  %s\n", cli.Printable(a.Projector))
		}
		fmt.Fprintf(w, "KV cache   %s\n\n", a.KV)
		for _, reason := range a.Reasons {
			fmt.Fprintf(w, "- %s\n", cli.Printable(reason))
		}
	})
}
