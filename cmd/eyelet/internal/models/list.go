// Package models holds the commands about model files and the store: to bring them in, list, show,
// convert, quantize, carry and remove them.
package models

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/cli"
	"github.com/eyelet-engine/eyelet/models/builtin"
	"github.com/eyelet-engine/eyelet/models/gguf"
	"github.com/eyelet-engine/eyelet/models/store"
)

const listLong = `Lists the models that can be run by name: those of the store, those of an Ollama
store on this machine, which are run in place and never changed, and the
built-in one. A model that cannot be used is listed with the reason.

--models-dir lists a folder as "eyelet serve --models-dir" serves it: which
projector each model gets, and which files cannot be used and why.

The store is the folder that EYELET_MODELS names, or eyelet/models in the user's
data directory. Ollama's is OLLAMA_MODELS, or ~/.ollama/models.`

// NewListCommand returns the command "eyelet list".
func NewListCommand() *cobra.Command {
	folder := ""
	cmd := &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List the models that can be run by name",
		Long:    listLong,
		Example: `  eyelet list
  eyelet list --models-dir /srv/models
  eyelet list --json | jq -r '.[].name'`,
		Args: cli.ExactArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			items, err := listedIn(folder)
			if err != nil {
				return err
			}
			return cli.Print(cmd, cli.BoolFlag(cmd, "json"), items, func(w *strings.Builder) {
				printList(w, items)
			})
		},
	}
	cmd.Flags().Bool("json", false, "print a JSON array")
	cmd.Flags().StringVar(&folder, "models-dir", "", "list this folder of GGUF files instead")
	_ = cmd.MarkFlagDirname("models-dir")
	return cmd
}

// listedIn lists a folder, or the store and what else can be run by name.
func listedIn(folder string) ([]ListedModel, error) {
	if folder != "" {
		list, err := store.Folder(folder)
		if err != nil {
			return nil, cli.Inputf("%s: %w", folder, cli.Cause(err))
		}
		return listedFiles(list), nil
	}
	s, err := cli.OpenStore()
	if err != nil {
		return nil, err
	}
	models, err := s.List()
	if err != nil {
		return nil, err
	}
	return listed(models), nil
}

// ListedModel is an item of "eyelet list --json", whose names stay as they are.
type ListedModel struct {
	Name         string     `json:"name"`
	Digest       string     `json:"digest"` // of the manifest; of the built-in model, its edition
	Source       string     `json:"source"` // "store", "ollama", "program", "folder"
	Size         int64      `json:"size"`   // bytes of all files
	Family       string     `json:"family"`
	Parameters   string     `json:"parameters"`
	Quantization string     `json:"quantization"`
	Vision       bool       `json:"vision"`
	Kind         store.Kind `json:"kind"`                // "text", "vision" or "draw"
	Projector    string     `json:"projector,omitempty"` // the file, of a model in a folder
	Modified     *time.Time `json:"modified,omitempty"`
	Error        string     `json:"error,omitempty"` // why the model cannot be used
}

// listed describes models; the built-in one comes first.
func listed(models []store.Model) []ListedModel {
	items := []ListedModel{{Name: cli.BuiltinNames[0], Digest: "sha256:" + builtin.Digest(),
		Source: "program", Family: "llama", Quantization: "Q8_0", Vision: true,
		Kind: store.KindVision, Size: builtin.Size()}}
	for _, m := range models {
		item := ListedModel{Name: m.Name.String(), Digest: string(m.Digest),
			Source: string(m.Source), Vision: m.Vision(), Kind: m.Kind(), Modified: &m.Modified}
		if err := m.Complete(); err != nil {
			item.Error = cli.Describe(err)
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

// listedFiles describes what lies in a folder.
func listedFiles(list *store.FolderList) []ListedModel {
	items := []ListedModel{}
	name := func(path string) string {
		if n, err := store.SuggestName(filepath.Base(path)); err == nil {
			return n.String()
		}
		return filepath.Base(path)
	}
	for _, files := range list.Models {
		item := ListedModel{Name: name(files.Model), Source: "folder",
			Vision: files.Projector != "", Kind: store.KindText}
		if item.Vision {
			item.Kind = store.KindVision
			item.Projector = filepath.Base(files.Projector)
			item.Size += sizeOf(files.Projector)
		}
		if f, err := gguf.Open(files.Model); err != nil {
			item.Error = cli.Describe(err)
		} else {
			c := store.ConfigOf(f)
			item.Size += f.Size()
			item.Family, item.Parameters, item.Quantization = c.ModelFamily, c.ModelType, c.FileType
			f.Close()
		}
		if info, err := os.Stat(files.Model); err == nil {
			modified := info.ModTime()
			item.Modified = &modified
		}
		items = append(items, item)
	}
	for _, u := range list.Unusable {
		items = append(items, ListedModel{Name: name(u.Path), Source: "folder",
			Size: sizeOf(u.Path), Error: filepath.Base(u.Path) + ": " + u.Reason})
	}
	return items
}

func printList(w *strings.Builder, items []ListedModel) {
	t := cli.NewTable(w)
	fmt.Fprint(t, "NAME\tID\tSIZE\tPARAMETERS\tTYPE\tVISION\tFROM\t\n")
	for _, item := range items {
		vision := "no"
		switch {
		case item.Projector != "":
			vision = cli.Printable(item.Projector)
		case item.Vision:
			vision = "yes"
		case item.Kind == store.KindDraw:
			vision = "draws"
		}
		digest := store.Digest(item.Digest).Short()
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", cli.Printable(item.Name), digest,
			cli.BytesText(uint64(item.Size)), cli.Printable(item.Parameters),
			cli.Printable(item.Quantization), vision, item.Source, cli.Printable(item.Error))
	}
	_ = t.Flush()
}
