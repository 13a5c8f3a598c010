package models

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/cli"
	"github.com/eyelet-engine/eyelet/models/diffusion"
	"github.com/eyelet-engine/eyelet/models/store"
)

// DrawingSummary is what is in the file of a model that draws. It is the document of "eyelet show
// --json" for one, whose names stay as they are.
type DrawingSummary struct {
	Kind       store.Kind `json:"kind"` // "draw"
	File       string     `json:"file"`
	Size       int64      `json:"size"`   // bytes
	Format     string     `json:"format"` // "safetensors" or "gguf"
	Family     string     `json:"family"`
	Parameters uint64     `json:"parameters"`
	Type       string     `json:"type"` // of most of the weights
	// pixels of the pictures that it was trained with
	Side int `json:"side"`
	// of which the sides of its pictures are multiples
	Multiple int           `json:"multiple"`
	Parts    []DrawingPart `json:"parts,omitempty"`  // in files of their own
	Stored   *StoredModel  `json:"stored,omitempty"` // of a model that was found by its name
}

// DrawingPart is a part of a model in a file of its own.
type DrawingPart struct {
	Part diffusion.Part `json:"part"`
	File string         `json:"file"`
}

// showDrawing shows a model that draws.
func showDrawing(cmd *cobra.Command, f *diffusion.File, path string, stored *store.Resolved) error {
	s := DrawingSummary{Kind: store.KindDraw, File: path, Size: f.Size, Format: f.Format,
		Family: f.Family, Parameters: f.Parameters, Type: f.Type,
		Side: f.Side, Multiple: f.Multiple}
	if stored != nil {
		s.Stored = newStoredModel(stored)
		for _, part := range stored.Parts.List() {
			s.Parts = append(s.Parts, DrawingPart{part, stored.Parts[part]})
		}
	}
	return cli.Print(cmd, cli.BoolFlag(cmd, "json"), s, s.print)
}

// print writes the summary as a table.
func (s *DrawingSummary) print(w *strings.Builder) {
	if s.Stored != nil {
		s.Stored.print(w)
	}
	t := cli.NewTable(w)
	rows := [][2]string{{"Kind", "draws pictures (\"eyelet draw\")"}, {"File", s.File}}
	for _, p := range s.Parts {
		rows = append(rows, [2]string{"Its " + string(p.Part), p.File})
	}
	for _, row := range append(rows, [][2]string{
		{"Size", fmt.Sprintf("%s (%d bytes)", cli.BytesText(uint64(s.Size)), s.Size)},
		{"Format", s.Format}, {"Family", s.Family},
		{"Parameters", fmt.Sprintf("%s (%d)", cli.CountText(s.Parameters), s.Parameters)},
		{"Weights", s.Type},
		{"Pictures", fmt.Sprintf("%d x %d pixels as trained, in multiples of %d", s.Side, s.Side,
			s.Multiple)},
	}...) {
		fmt.Fprintf(t, "%s\t%s\n", row[0], cli.Printable(row[1]))
	}
	_ = t.Flush()
}
