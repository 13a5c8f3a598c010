package models

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/cli"
	"github.com/eyelet-engine/eyelet/models/store"
)

// NewStoreCommand returns the command "eyelet store".
func NewStoreCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "store COMMAND",
		Short: "Look after the folder of models",
		Long: `Looks after the store: the folder that EYELET_MODELS names, or eyelet/models in
the user's data directory. Each file is kept once, under the SHA-256 of its
contents, and appears only when it is complete.`,
		Example: `  eyelet store check
      reads every file and compares it with its name
  eyelet store check --repair
      and removes what is damaged
  eyelet store gc
      frees what no model needs any more
  eyelet store key site.key
      makes a key to sign bundles with`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			return &cli.UsageError{Err: fmt.Errorf("there is no command %q", args[0]),
				Command: cmd.CommandPath()}
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newStoreCheckCommand(), newStoreGCCommand(), newStoreKeyCommand())
	return cmd
}

func newStoreCheckCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Read every file of the store and compare it with its name",
		Long: `Reads every file of the store and compares it with its name, which is the SHA-256
of its contents. The exit code is 0 if all is whole, and 1 if something is not.

With --repair, damaged files are removed, and the names that need them: import
or pull those models again.`,
		Example: `  eyelet store check
  eyelet store check --repair --json`,
		Args: cli.ExactArgs(),
		RunE: checkStore,
	}
	f := cmd.Flags()
	f.Bool("repair", false, "remove what is damaged, and names that cannot be used without it")
	f.Bool("quick", false, "compare sizes, do not read the files")
	f.Bool("json", false, "print one JSON object")
	return cmd
}

// StoreReport is the document of "eyelet store check --json", whose names stay as they are.
type StoreReport struct {
	Store    string         `json:"store"`
	OK       bool           `json:"ok"` // no problems, or all of them repaired
	Models   int            `json:"models"`
	Blobs    int            `json:"blobs"`
	Bytes    int64          `json:"bytes"`
	Unused   int64          `json:"unused_bytes"`
	Repaired bool           `json:"repaired"`
	Problems []StoreProblem `json:"problems"`
}

// StoreProblem is a fault of the store.
type StoreProblem struct {
	Path  string   `json:"path"`
	Error string   `json:"error"`
	Names []string `json:"names"` // that cannot be used because of it
	// Repaired: what was damaged is removed, and the names. What only cannot be read stays.
	Repaired bool `json:"repaired"`
}

func checkStore(cmd *cobra.Command, _ []string) error {
	s, err := cli.OpenStore()
	if err != nil {
		return err
	}
	o := store.CheckOptions{Quick: cli.BoolFlag(cmd, "quick")}
	size, err := s.Check(cmd.Context(), store.CheckOptions{Quick: true})
	if err != nil {
		return err
	}
	progress, done := cli.TransferProgress(cmd, "checking the store", size.Bytes)
	o.Progress = progress
	check, repair := s.Check, cli.BoolFlag(cmd, "repair")
	if repair {
		check = s.Repair
	}
	r, err := check(cmd.Context(), o)
	done()
	if err != nil {
		return err
	}
	report := StoreReport{Store: s.Root(), OK: true, Models: r.Models, Blobs: r.Blobs,
		Bytes: r.Bytes, Unused: r.Unused, Problems: []StoreProblem{}}
	for _, p := range r.Problems {
		item := StoreProblem{Path: p.Path, Error: cli.Describe(p.Err), Names: []string{},
			Repaired: repair && p.Repair != ""}
		report.OK, report.Repaired = report.OK && item.Repaired, report.Repaired || item.Repaired
		for _, n := range p.Names {
			item.Names = append(item.Names, n.String())
		}
		report.Problems = append(report.Problems, item)
	}
	err = cli.Print(cmd, cli.BoolFlag(cmd, "json"), report, report.print)
	if err == nil && !report.OK {
		err = cli.ErrSilent
	}
	return err
}

func (r *StoreReport) print(w *strings.Builder) {
	for _, p := range r.Problems {
		fmt.Fprintf(w, "%s\n", p.Error)
		for _, name := range p.Names {
			if p.Repaired {
				fmt.Fprintf(w, "  %s is removed; import it again\n", name)
			} else {
				fmt.Fprintf(w, "  %s cannot be used\n", name)
			}
		}
	}
	state := "whole"
	switch {
	case r.Repaired && r.OK:
		state = "repaired"
	case r.Repaired:
		state = "repaired, but for what cannot be read"
	case !r.OK:
		state = "damaged; \"eyelet store check --repair\" removes what is"
	}
	fmt.Fprintf(w, "%s: %s, %s, %s (%s unused): %s\n", cli.Printable(r.Store),
		cli.Plural(r.Models, "model"), cli.Plural(r.Blobs, "file"),
		cli.BytesText(uint64(r.Bytes)), cli.BytesText(uint64(r.Unused)), state)
}

func newStoreGCCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "gc",
		Short: "Remove files that no model needs",
		Long: `Removes files that no model needs: what interrupted imports left, and files of
names that were taken away while others added models. What is younger than an
hour stays, since somebody may go on with it, unless --all is given. While models
are being added, nothing is removed.`,
		Example: `  eyelet store gc
  eyelet store gc --all`,
		Args: cli.ExactArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := cli.OpenStore()
			if err != nil {
				return err
			}
			grace := store.DefaultGrace
			if cli.BoolFlag(cmd, "all") {
				grace = 0
			}
			removed, err := s.GC(grace)
			if err == nil {
				cli.Say(cmd, "%s are free.", cli.BytesText(uint64(removed.Bytes)))
			}
			return err
		},
	}
	cmd.Flags().Bool("all", false, "remove young files too")
	return cmd
}
