package engine

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/models/layout/layouttest"
	"github.com/eyelet-engine/eyelet/models/vision/libmtmd"
)

// Marks around the table in docs/families.md.
const tableBegin, tableEnd = "<!-- table: scripts/families -->\n", "<!-- end of table -->"

// Without EYELET_SLOW=1 larger pictures and longer prompts stay out of the table.
const tablePixels, tableTokens = 1000 * 300, 1600

// TestWriteTableOfFamilies writes the table in the file that EYELET_FAMILIES_TABLE names: what
// eyelet and libmtmd alone make of the bench. Where EYELET_FAMILIES names families, the rows of
// others stay as they are.
func TestWriteTableOfFamilies(t *testing.T) {
	path := os.Getenv("EYELET_FAMILIES_TABLE")
	if path == "" {
		t.Skip("scripts/families runs this")
	}
	ggml.EnableAccelerator(false)
	defer ggml.EnableAccelerator(true)
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(page), tableBegin)
	old, after, ok2 := strings.Cut(rest, tableEnd)
	if !ok || !ok2 {
		t.Fatalf("%s has no place for the table", path)
	}
	all, err := layouttest.Families()
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	which := fmt.Sprintf("Of pictures up to %d pixels and prompts up to %d tokens", tablePixels,
		tableTokens)
	if os.Getenv("EYELET_SLOW") != "" {
		which = "Of the pictures of " + sizes(all[0])
	}
	fmt.Fprintf(&b, "%s\n%s; transformers %s, libmtmd %s.\n\n", strings.TrimSpace(tableBegin),
		which, all[0].MadeWith["transformers"], llama.Version())
	b.WriteString("| family | processor | who | tokens | pixels | embeddings | text |\n|---|---|---|---|---|---|---|\n")
	named := strings.Fields(os.Getenv("EYELET_FAMILIES"))
	for _, name := range named {
		if !slices.ContainsFunc(all, func(g *layouttest.Golden) bool { return g.Name == name }) {
			t.Fatalf("there is no family %s", name)
		}
	}
	for _, g := range all {
		if len(named) > 0 && !slices.Contains(named, g.Name) {
			b.WriteString(rowsOf(old, g.Name))
			continue
		}
		m, projector := openBench(t, g)
		var own []truth
		g.Pictures = slices.DeleteFunc(g.Pictures, func(p layouttest.Picture) bool {
			return os.Getenv("EYELET_SLOW") == "" && (p.W*p.H > tablePixels ||
				p.Tokens > tableTokens)
		})
		for _, p := range g.Pictures {
			own = append(own, measureTruth(t, m, g, p))
		}
		writeRow(&b, fmt.Sprintf("| %s | `%s` | eyelet, %s", g.Name, g.Processor, m.Info().Encoder),
			own)
		t.Logf("%s: %+v", g.Name, own)
		var theirs []truth
		real := m.vision
		alone, err := openAlone(t, projector, m)
		if err != nil {
			fmt.Fprintf(&b, "| | | libmtmd | does not open the file: %s | | | |\n",
				strings.ReplaceAll(err.Error(), projector, "it"))
			continue
		}
		m.vision, m.pictureIdentity = alone, "alone"
		for _, p := range g.Pictures {
			theirs = append(theirs, measureTruth(t, m, g, p))
		}
		m.vision = real
		alone.Close()
		writeRow(&b, "| | | libmtmd", theirs)
	}
	b.WriteString("\n")
	if err := os.WriteFile(path, []byte(before+b.String()+tableEnd+after), 0o644); err != nil {
		t.Fatal(err)
	}
}

// openAlone opens libmtmd on the file as it is, and lets it lay pictures out.
func openAlone(t *testing.T, projector string, m *Model) (*libmtmd.Encoder, error) {
	return libmtmd.Open(t.Context(), projector, libmtmd.Options{Threads: m.engine.threads,
		Model: m.lm, AsIs: true})
}

// rowsOf cuts the rows of a family out of a table.
func rowsOf(table, name string) string {
	_, rest, ok := strings.Cut(table, "| "+name+" |")
	if !ok {
		return ""
	}
	own, theirs, _ := strings.Cut(rest, "\n")
	theirs, _, _ = strings.Cut(theirs, "\n")
	return "| " + name + " |" + own + "\n" + theirs + "\n"
}

func sizes(g *layouttest.Golden) string {
	var list []string
	for _, p := range g.Pictures {
		list = append(list, fmt.Sprintf("%d x %d", p.W, p.H))
	}
	return strings.Join(slices.Compact(list), ", ")
}

// writeRow sums a family up: how many of the pictures are equal, and the worst error.
func writeRow(b *strings.Builder, head string, list []truth) {
	taken := func(x truth) bool { return !x.failed && !x.skipped && !x.refused }
	if i := slices.IndexFunc(list, func(x truth) bool {
		return x.failed
	}); i >= 0 && !slices.ContainsFunc(list, taken) {
		fmt.Fprintf(b, "%s | refuses pictures: %s | | | |\n", head,
			strings.ReplaceAll(list[i].detail, "|", "\\|"))
		return
	}
	n, tokens, pixels, text, refused := 0, 0, 0, 0, 0
	worst := 0.0
	count := func(ok bool, sum *int) {
		if ok {
			*sum++
		}
	}
	for _, x := range list {
		if x.skipped || x.refused {
			count(x.refused, &refused)
			continue
		}
		n++
		count(x.tokens, &tokens)
		count(x.pixels, &pixels)
		count(x.text, &text)
		worst = max(worst, x.rows)
	}
	seen := fmt.Sprintf("%d of %d", pixels, n)
	if pixels == 0 {
		seen = "not seen"
	}
	note := ""
	if refused > 0 {
		note = fmt.Sprintf(", %d refused", refused)
	}
	fmt.Fprintf(b, "%s | %d of %d%s | %s | %.1g | %d of %d |\n", head, tokens, n, note, seen, worst,
		text, n)
}
