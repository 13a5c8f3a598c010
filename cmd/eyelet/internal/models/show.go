package models

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/cli"
	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/draw"
	"github.com/eyelet-engine/eyelet/engine/modelspec"
	"github.com/eyelet-engine/eyelet/engine/placement"
	"github.com/eyelet-engine/eyelet/models/diffusion"
	"github.com/eyelet-engine/eyelet/models/gguf"
	"github.com/eyelet-engine/eyelet/models/layout"
	"github.com/eyelet-engine/eyelet/models/quantize"
)

const showLong = `Shows what is in a GGUF file, which may be a language model or a vision projector:
its metadata, how much is stored in which format, and with --tensors each tensor.
For a model that is split over several files, give any of them. For a model of the
store, give its name; its manifest is shown, too.

A model that "eyelet run" would refuse, or an importance matrix that "eyelet quantize"
would refuse, is shown first; then the command fails with the reason.

Only metadata is read, so this is quick with files of any size. Long values are cut to
the width of the terminal; --json prints them in full. --license prints the texts of
the licences that came with a model of the store.

With --picture, the model's tower encodes a picture instead, to tell how many tokens
it takes and how long that lasts: by default, and under smaller bounds of
--image-tokens.`

const showExample = `  eyelet show llava.gguf
  eyelet show llava:7b
  eyelet show --tensors mmproj.gguf
  eyelet show --license llava:7b
  eyelet show llava:7b --picture photo.jpg
  eyelet show --json llava.gguf | jq '.metadata[] | select(.key == "llama.context_length").value'`

// NewShowCommand returns the command "eyelet show".
func NewShowCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:               "show FILE|NAME",
		Short:             "Show what is in a model file",
		Long:              showLong,
		Example:           showExample,
		Args:              cli.ExactArgs("FILE"),
		ValidArgsFunction: cli.CompleteModels,
		RunE: func(cmd *cobra.Command, args []string) error {
			path := args[0]
			stored, err := cli.FindAnyModel(path)
			if err != nil {
				return err
			}
			if cli.BoolFlag(cmd, "license") {
				return printLicenses(cmd.OutOrStdout(), path, stored)
			}
			if stored != nil {
				path = stored.Path
			}
			if picture, _ := cmd.Flags().GetString("picture"); picture != "" {
				projector, _ := cmd.Flags().GetString("mmproj")
				return showPicture(cmd, path, stored, picture, projector)
			}
			if file, err := diffusion.Inspect(path, draw.PartsOf(stored)); err == nil {
				return showDrawing(cmd, file, path, stored)
			}
			f, err := gguf.Open(path)
			if err != nil {
				return &cli.InputError{Err: err}
			}
			defer f.Close()
			summary := summarize(f)
			if stored != nil {
				summary.Stored = newStoredModel(stored)
			}
			summary.place(cmd.Context(), stored)
			problem := unusable(f)
			if problem != nil {
				summary.Problem = cli.Describe(problem)
			}
			err = cli.Print(cmd, cli.BoolFlag(cmd, "json"), summary, func(w *strings.Builder) {
				summary.print(w, cli.BoolFlag(cmd, "tensors"), outputWidth(cmd.OutOrStdout()))
			})
			return cmp.Or(err, problem)
		},
	}
	cmd.Flags().Bool("json", false, "print one JSON object with everything, tensors included")
	cmd.Flags().Bool("tensors", false, "list the tensors")
	cmd.Flags().Bool("license", false,
		"print the texts of the licences that came with a model of the store")
	cmd.Flags().String("picture",
		"", "say what this picture costs with the model: tokens and time under several bounds of "+
			"--image-tokens")
	cmd.Flags().String("mmproj", "",
		"with --picture: GGUF file of the projector, of a language model that is given as a file")
	cmd.MarkFlagsMutuallyExclusive("license", "picture")
	cmd.MarkFlagsMutuallyExclusive("tensors", "picture")
	cmd.MarkFlagsMutuallyExclusive("license", "json")
	cmd.MarkFlagsMutuallyExclusive("license", "tensors")
	return cmd
}

// unusable is why the command that a file is made for would refuse it: "eyelet quantize" an
// importance matrix, which is read as a whole, and "eyelet run" a model, as far as its header
// tells. Files of other kinds, as adapters, have no such command.
func unusable(f *gguf.File) error {
	switch kind, _ := f.Str("general.type"); {
	case kind == "imatrix":
		_, _, err := quantize.OpenImatrix(f.Path())
		return err
	case kind != "" && kind != "model" && kind != "mmproj", f.Architecture() == "":
		return nil
	}
	return modelspec.CheckFile(f.Path())
}

// Summary is what is in a model file. It is the document of "eyelet show --json", whose names stay
// as they are.
type Summary struct {
	File         string   `json:"file"`  // the first part of a split model
	Parts        []string `json:"parts"` // all files
	Size         int64    `json:"size"`  // bytes of all files
	Version      int      `json:"gguf_version"`
	Alignment    int64    `json:"alignment"`
	Architecture string   `json:"architecture"`
	Name         string   `json:"name"`
	// the recipe of quantization, "" if the file does not say
	FileType   string         `json:"file_type"`
	Parameters uint64         `json:"parameters"`
	Metadata   []MetadataItem `json:"metadata"`         // in the order of the file
	Types      []TypeSummary  `json:"types"`            // most bytes first
	Tensors    []TensorItem   `json:"tensors"`          // in the order of the file
	Stored     *StoredModel   `json:"stored,omitempty"` // of a model that was found by its name
	// why the model cannot be run, as far as its header tells, or the importance matrix not be used
	Problem  string    `json:"problem,omitempty"`
	Pictures *Pictures `json:"pictures,omitempty"` // of a vision projector
	// where a language model would lie if it were loaded now; null where that cannot be told
	Placement *placement.Placement `json:"placement"`
}

// Pictures says how pictures reach the tower of a vision projector.
type Pictures struct {
	AsTrained bool   `json:"as_trained"` // as the family's own processor makes them
	How       string `json:"how"`
}

// MetadataItem is one key of a model file and its value.
type MetadataItem struct {
	Key         string     `json:"key"`
	Type        string     `json:"type"`
	ElementType string     `json:"element_type,omitempty"` // of an array
	Value       gguf.Value `json:"value"`
}

// TypeSummary says how much of a model is stored in one tensor type.
type TypeSummary struct {
	Type     string `json:"type"`
	Tensors  int    `json:"tensors"`
	Elements uint64 `json:"elements"`
	Bytes    int64  `json:"bytes"`
}

// TensorItem describes one tensor.
type TensorItem struct {
	Name     string   `json:"name"`
	Type     string   `json:"type"`
	Dims     []uint64 `json:"dims"` // in ggml's order: the one that varies fastest first
	Elements uint64   `json:"elements"`
	Bytes    int64    `json:"bytes"`
	Part     int      `json:"part"`   // index into the parts of the model
	Offset   int64    `json:"offset"` // in that file
}

// summarize collects what is in a file.
func summarize(f *gguf.File) *Summary {
	s := &Summary{
		File:         f.Path(),
		Parts:        f.Parts(),
		Size:         f.Size(),
		Version:      f.Version(),
		Alignment:    f.Alignment(),
		Architecture: f.Architecture(),
		// Lists are never null in JSON.
		Metadata: []MetadataItem{},
		Types:    []TypeSummary{},
		Tensors:  []TensorItem{},
	}
	s.Name, _ = f.Str("general.name")
	if t, ok := f.FileType(); ok {
		s.FileType = t.String()
	}
	for _, kv := range f.Keys() {
		item := MetadataItem{Key: kv.Key, Type: kv.Value.Type().String(), Value: kv.Value}
		if kv.Value.Type() == gguf.Array {
			item.ElementType = kv.Value.ElemType().String()
		}
		s.Metadata = append(s.Metadata, item)
	}
	for _, t := range f.Types() {
		s.Types = append(s.Types, TypeSummary{t.Type.String(), t.Tensors, t.Elements, t.Bytes})
		s.Parameters += t.Elements
	}
	if s.Architecture == "clip" {
		standing := layout.StandingOf(f)
		s.Pictures = &Pictures{AsTrained: standing.Exact, How: standing.Text}
	}
	part := map[string]int{}
	for i, path := range f.Parts() {
		part[path] = i
	}
	for _, t := range f.Tensors() {
		dims := t.Dims
		if dims == nil {
			dims = []uint64{}
		}
		s.Tensors = append(s.Tensors, TensorItem{t.Name, t.Type.String(), dims, t.Elements(),
			t.Size(), part[t.Path()], t.Offset()})
	}
	return s
}

// print writes the summary as tables for a terminal that is width characters wide.
func (s *Summary) print(w *strings.Builder, tensors bool, width int) {
	if s.Stored != nil {
		s.Stored.print(w)
	}
	t := cli.NewTable(w)
	row := func(name, value string) {
		if value != "" {
			fmt.Fprintf(t, "%s\t%s\n", name, cli.Printable(value))
		}
	}
	row("File", s.File)
	if len(s.Parts) > 1 {
		row("Parts", strconv.Itoa(len(s.Parts)))
	}
	row("Size", fmt.Sprintf("%s (%d bytes)", cli.BytesText(uint64(s.Size)), s.Size))
	row("Format", fmt.Sprintf("GGUF version %d, alignment %d", s.Version, s.Alignment))
	row("Architecture", s.Architecture)
	row("Name", s.Name)
	row("File type", s.FileType)
	if s.Pictures != nil {
		row("Pictures", s.Pictures.How)
	}
	if s.Placement != nil {
		row("Placement", placementText(s.Placement))
	}
	row("Parameters", fmt.Sprintf("%s (%d)", cli.CountText(s.Parameters), s.Parameters))
	_ = t.Flush()
	s.printMetadata(w, width)
	s.printTypes(w)
	if tensors {
		s.printTensors(w)
	}
}

func (s *Summary) printMetadata(w *strings.Builder, width int) {
	fmt.Fprintf(w, "\nMetadata (%d)\n", len(s.Metadata))
	const maxKey = 60
	keyWidth, typeWidth := 0, 0
	rows := make([][2]string, len(s.Metadata))
	for i, item := range s.Metadata {
		name := item.Type
		if item.ElementType != "" {
			name = fmt.Sprintf("%s[%d]", item.ElementType, item.Value.Len())
		}
		rows[i] = [2]string{cli.Abbreviate(cli.Printable(item.Key), maxKey), name}
		keyWidth, typeWidth = max(keyWidth, len([]rune(rows[i][0]))), max(typeWidth, len(name))
	}
	valueWidth := max(width-keyWidth-typeWidth-6, 20)
	for i, item := range s.Metadata {
		value := cli.Abbreviate(cli.Printable(valueText(item.Value, valueWidth)), valueWidth)
		fmt.Fprintf(w, "  %-*s  %-*s  %s\n", keyWidth, rows[i][0], typeWidth, rows[i][1], value)
	}
}

// valueText returns the beginning of a value, not much longer than limit characters where that can
// be had cheaply.
func valueText(v gguf.Value, limit int) string {
	if v.Type() != gguf.Array {
		text := v.String()
		// a character has at most four bytes; what is cut through here is cut off later
		if len(text) > 4*limit {
			text = text[:4*limit+4]
		}
		return text
	}
	var b strings.Builder
	for i := range v.Len() {
		if i > 0 {
			b.WriteString(", ")
		}
		element := v.Index(i)
		if s, ok := element.Str(); ok {
			b.WriteString(strconv.Quote(s[:min(len(s), 4*limit)]))
		} else {
			b.WriteString(valueText(element, limit))
		}
		if b.Len() > 4*limit {
			break
		}
	}
	return "[" + b.String() + "]"
}

func (s *Summary) printTypes(w *strings.Builder) {
	fmt.Fprintf(w, "\nTensors (%d)\n", len(s.Tensors))
	var total int64
	for _, t := range s.Types {
		total += t.Bytes
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(t, "type\ttensors\telements\tsize\tshare\tbits each\t\n")
	for _, row := range s.Types {
		share, bits := 0.0, 0.0
		if total > 0 {
			share = 100 * float64(row.Bytes) / float64(total)
		}
		if row.Elements > 0 {
			bits = 8 * float64(row.Bytes) / float64(row.Elements)
		}
		fmt.Fprintf(t, "%s\t%d\t%s\t%s\t%.1f %%\t%.2f\t\n",
			row.Type, row.Tensors, cli.CountText(row.Elements), cli.BytesText(uint64(row.Bytes)),
			share, bits)
	}
	_ = t.Flush()
}

func (s *Summary) printTensors(w *strings.Builder) {
	fmt.Fprintln(w)
	t := cli.NewTable(w)
	for _, tensor := range s.Tensors {
		dims := make([]string, len(tensor.Dims))
		for i, n := range tensor.Dims {
			dims[i] = strconv.FormatUint(n, 10)
		}
		fmt.Fprintf(t, "  %s\t%s\t%s\t%s\n",
			cli.Printable(tensor.Name), tensor.Type, strings.Join(dims, " x "),
			cli.BytesText(uint64(tensor.Bytes)))
	}
	_ = t.Flush()
}

// outputWidth returns the width in characters for which to write: that of the terminal, or a usual
// one for a file or pipe.
func outputWidth(w io.Writer) int {
	if f, ok := w.(*os.File); ok {
		if width, _, err := term.GetSize(int(f.Fd())); err == nil && width >= 40 {
			return width
		}
	}
	return 120
}
