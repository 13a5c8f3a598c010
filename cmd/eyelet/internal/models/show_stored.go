package models

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/cli"
	"github.com/eyelet-engine/eyelet/models/store"
)

// StoredModel is what a name stands for, beside the model file. It is part of the document of
// "eyelet show --json".
type StoredModel struct {
	Name      string       `json:"name"`
	Digest    string       `json:"digest"` // of the manifest
	Source    string       `json:"source"` // "store", "ollama", "program"
	Size      int64        `json:"size"`   // bytes of all files
	Projector string       `json:"projector,omitempty"`
	System    string       `json:"system,omitempty"`
	Template  string       `json:"template,omitempty"` // Ollama's
	Params    store.Params `json:"parameters"`
	Licenses  []string     `json:"licenses,omitempty"` // texts
	// what the model says of itself: licences, authors, source …
	Origin map[string]string `json:"origin,omitempty"`
}

// newStoredModel describes a model that was found by its name.
func newStoredModel(r *store.Resolved) *StoredModel {
	m := &StoredModel{Name: r.Name.String(), Digest: string(r.Digest), Source: string(r.Source),
		Projector: r.Projector, System: r.System,
		Template: r.Template, Params: r.Params, Licenses: r.Licenses}
	if r.Manifest == nil {
		m.Source = "program"
		return m
	}
	m.Size, m.Origin = r.Manifest.Size(), r.Manifest.Describe()
	return m
}

// print writes what the model file does not know.
func (m *StoredModel) print(w *strings.Builder) {
	t := cli.NewTable(w)
	row := func(name, value string) {
		if value != "" {
			fmt.Fprintf(t, "%s\t%s\n", name, cli.Abbreviate(cli.Printable(strings.TrimSpace(value)),
				90))
		}
	}
	row("Model", m.Name)
	row("Digest", m.Digest)
	row("From", m.Source)
	row("Projector", m.Projector)
	row("System prompt", m.System)
	row("Template", m.Template)
	row("Stop", strings.Join(m.Params.Stop, ", "))
	for _, key := range slices.Sorted(maps.Keys(m.Origin)) {
		row("  "+key, m.Origin[key])
	}
	for _, text := range m.Licenses {
		line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
		row("Licence", line)
	}
	fmt.Fprintln(t)
	_ = t.Flush()
}

// printLicenses writes the texts of the licences that came with a model.
func printLicenses(w io.Writer, ref string, stored *store.Resolved) error {
	if stored == nil || len(stored.Licenses) == 0 {
		return cli.Inputf("no text of a licence came with %s; \"eyelet import --license\" keeps one, and \"eyelet show\" tells what the model file says", ref)
	}
	for i, text := range stored.Licenses {
		if i > 0 {
			text = "\n---\n\n" + text
		}
		for line := range strings.Lines(text) {
			if _, err := fmt.Fprintln(w, cli.Printable(strings.TrimRight(line,
				"\r\n"))); err != nil {
				return err
			}
		}
	}
	return nil
}
