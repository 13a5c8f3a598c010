package main

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/eyelet-engine/eyelet/models/builtin"
	"github.com/eyelet-engine/eyelet/models/store"
)

const listLong = `Lists the models that can be run by name: those of the store, those of an Ollama
store on this machine, which are run in place and never changed, and the
built-in one.

The store is the folder that EYELET_MODELS names, or eyelet/models in the user's
data directory. Ollama's is OLLAMA_MODELS, or ~/.ollama/models.`

func newListCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List the models that can be run by name",
		Long:    listLong,
		Example: `  eyelet list
  eyelet list --json | jq -r '.[].name'`,
		Args: wantArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := openStore()
			if err != nil {
				return err
			}
			models, err := s.List()
			if err != nil {
				return err
			}
			items := listed(models)
			if flagSet(cmd, "json") {
				return writeJSON(cmd.OutOrStdout(), items)
			}
			return printList(cmd.OutOrStdout(), items)
		},
	}
	cmd.Flags().Bool("json", false, "print a JSON array")
	return cmd
}

// ListedModel is an item of "eyelet list --json", whose names stay as they are.
type ListedModel struct {
	Name         string     `json:"name"`
	Digest       string     `json:"digest"` // of the manifest; of the built-in model, its edition
	Source       string     `json:"source"` // "store", "ollama", "program"
	Size         int64      `json:"size"`   // bytes of all files
	Family       string     `json:"family"`
	Parameters   string     `json:"parameters"`
	Quantization string     `json:"quantization"`
	Vision       bool       `json:"vision"`
	Modified     *time.Time `json:"modified,omitempty"`
	Error        string     `json:"error,omitempty"` // why the model cannot be used
}

// listed describes models; the built-in one comes first.
func listed(models []store.Model) []ListedModel {
	items := []ListedModel{{Name: builtinNames[0], Digest: "sha256:" + builtin.Digest(), Source: "program", Family: "llama", Quantization: "Q8_0", Vision: true, Size: builtin.Size()}}
	for _, m := range models {
		item := ListedModel{Name: m.Name.String(), Digest: string(m.Digest), Source: string(m.Source), Vision: m.Vision(), Modified: &m.Modified}
		if err := m.Complete(); err != nil {
			item.Error = describe(err)
		}
		if m.Manifest != nil {
			item.Size = m.Manifest.Size()
		}
		if c, err := m.Config(); err == nil {
			item.Family, item.Parameters, item.Quantization = c.ModelFamily, c.ModelType, c.FileType
		}
		items = append(items, item)
	}
	return items
}

func printList(w io.Writer, items []ListedModel) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprint(t, "NAME\tID\tSIZE\tPARAMETERS\tTYPE\tVISION\tFROM\t\n")
	for _, item := range items {
		vision := "no"
		if item.Vision {
			vision = "yes"
		}
		digest := store.Digest(item.Digest).Short()
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", printable(item.Name), digest, bytesText(uint64(item.Size)), printable(item.Parameters),
			printable(item.Quantization), vision, item.Source, item.Error)
	}
	return t.Flush()
}
