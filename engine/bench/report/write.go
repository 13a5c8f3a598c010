package report

import (
	"bytes"
	"cmp"
	_ "embed"
	"encoding/csv"
	"fmt"
	"html/template"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"unicode"

	"github.com/eyelet-engine/eyelet/engine/bench"
	"github.com/eyelet-engine/eyelet/models/atomicfile"
)

//go:embed report.html.tmpl
var pageSource string

var pageTemplate = template.Must(template.New("report").Parse(pageSource))

// fact is a line of how it was measured.
type fact struct{ Name, Value string }

// page is what the template shows.
type page struct {
	Title, Summary string
	Picks          []pick
	Findings       []string
	Charts, Tall   []pageChart
	Tables         []pageTable
	Tensors        []pageTable // folded
	Notes          []string
	Facts          []fact
	Commands       []string
}

type pageChart struct {
	Title, Comment string
	SVG            template.HTML
}

type pageTable struct {
	Title, Comment string
	Head           []string
	Rows           []pageRow
}

type pageRow struct {
	Best  bool
	Cells []string
}

// Write writes report.html, report.md and results.csv into a folder, each of them whole or not at
// all.
func Write(dir string, r *bench.Results) error {
	v := newView(r)
	html, err := v.html()
	if err != nil {
		return err
	}
	table, err := v.csv()
	if err != nil {
		return err
	}
	for name, data := range map[string][]byte{HTMLFile: html, MarkdownFile: v.markdown(),
		CSVFile: table} {
		if err := writeFile(filepath.Join(dir, name), data); err != nil {
			return err
		}
	}
	return nil
}

func writeFile(path string, data []byte) error {
	err := atomicfile.Write(path, atomicfile.Options{Sync: atomicfile.Nothing},
		func(w io.Writer) error {
			_, err := w.Write(data)
			return err
		})
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	return nil
}

func (v *view) title() string {
	return fmt.Sprintf("Quantizations of %s", commonName(v.r.Setup.BaseModel))
}

// commonName is a name without a type at its end.
func commonName(name string) string {
	if i := strings.LastIndexAny(name, "-."); i > 0 {
		rest := strings.ToLower(name[i+1:])
		if strings.HasPrefix(rest, "f16") || strings.HasPrefix(rest, "bf16") ||
			strings.HasPrefix(rest, "f32") || strings.HasPrefix(rest, "q") {
			return name[:i]
		}
	}
	return name
}

func (v *view) summary() string {
	s := v.r.Setup
	measured := 0
	for i := range v.r.Cells {
		if c := &v.r.Cells[i]; c.Speed != nil || v.r.Quality(c) != nil {
			measured++
		}
	}
	text := fmt.Sprintf("%s, compared with %s", counted(measured, "combination"), s.BaseModel)
	if s.BaseProjector != "" {
		text += " and " + s.BaseProjector
	}
	text += fmt.Sprintf(" with a KV cache in %s.", s.BaseKV)
	if !v.r.Complete {
		text += " Not all is measured yet."
	}
	return text
}

func counted(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// findings are what a reader wants to know first: what to take, and the smallest combinations that
// stay within some divergences.
func (v *view) findings() []string { return append(v.advice(), v.smallest()...) }

// smallest are the smallest combinations that stay within some divergences.
func (v *view) smallest() (list []string) {
	points := v.points(v.first(), v.sizeOf)
	for _, limit := range []float64{0.001, 0.01, 0.1} {
		i := slices.IndexFunc(points, func(p point) bool { return p.kl <= limit })
		if i < 0 {
			continue
		}
		p := points[i]
		text := fmt.Sprintf("The smallest with a KL divergence below %g %s: %s, %.1f MiB", limit,
			v.divergenceName(), v.pointLabel(p.cell), p.cost)
		if s := p.cell.Speed; s != nil {
			text += fmt.Sprintf(", %s tokens/s", figure(s.TG128.Median))
		}
		list = append(list, text+".")
	}
	return list
}

// adviceMemory is the memory that advice is given for without being asked, in bytes: what small
// machines have to spare.
const adviceMemory = 4e9

// pick is the combination that serves a wish best in adviceMemory.
type pick struct {
	For     string // the wish, in words
	Files   []fact // model, projector and cache
	Reasons []string
}

// picks are those for each wish, the first for who has none.
func (v *view) picks() (list []pick) {
	for _, wish := range bench.Wishes {
		a, err := bench.Advise(v.r, adviceMemory, wish)
		if err != nil { // nothing fits, or nothing is measured yet
			continue
		}
		p := pick{Files: []fact{{"Model", a.Model}}, Reasons: a.Reasons}
		p.For = map[bench.Wish]string{bench.Faithful: "The best choice: closest to the base",
			bench.Fast: "The fastest", bench.Small: "The smallest"}[wish]
		if a.Projector != "" {
			p.Files = append(p.Files, fact{"Projector", a.Projector})
		}
		p.Files = append(p.Files, fact{"KV cache", a.KV})
		list = append(list, p)
	}
	return list
}

// advice tells the picks in a sentence each.
func (v *view) advice() (list []string) {
	for _, p := range v.picks() {
		var files []string
		for _, f := range p.Files {
			name := strings.Replace(strings.ToLower(f.Name), "kv", "KV", 1)
			files = append(files, name+" "+f.Value)
		}
		list = append(list, fmt.Sprintf("%s in 4 GB of memory: %s: %s.",
			p.For, strings.Join(files, ", "), strings.Join(p.Reasons, "; ")))
	}
	return list
}

// facts tell how it was measured.
func (v *view) facts() []fact {
	h, s := v.r.Host, v.r.Setup
	versions := fmt.Sprintf("eyelet %s, libllama %s, libggml %s, oneDNN %s (%s), %s", h.Eyelet,
		h.Llama, h.GGML, h.OneDNN, h.ISA, h.Go)
	if h.Accelerator != "" {
		versions += ", accelerator " + h.Accelerator
	}
	list := []fact{
		{"Machine", fmt.Sprintf("%s, %d cores, %.1f GiB, %s", h.CPU, h.Cores,
			float64(h.Memory)/(1<<30), h.System)},
		{"Versions", versions},
		{"Measured", v.r.Created.Format("2006-01-02 15:04") + " to " +
			v.r.Updated.Format("2006-01-02 15:04") + " UTC"},
	}
	if s.Text != "" {
		list = append(list, fact{"Text",
			fmt.Sprintf("%s (sha256 %.12s), windows of 512 tokens as llama-perplexity cuts them, the second half of each counts", s.Text, s.TextSHA256)})
	}
	if s.Questions != "" && len(v.r.Projectors) > 0 {
		n := "all"
		if s.Count > 0 {
			n = fmt.Sprintf("%d, drawn with seed %d", s.Count, s.Seed)
		}
		list = append(list, fact{"Questions", fmt.Sprintf("%s: %s (sha256 %.12s)", s.Questions, n,
			s.QuestionsSHA)})
	}
	if slices.ContainsFunc(v.r.Cells, func(c bench.Cell) bool { return c.Speed != nil }) {
		list = append(list, fact{"Repetitions",
			fmt.Sprintf("%d of each speed, after one that does not count", s.Reps)})
	} else {
		list = append(list, fact{"Speed", "not measured"})
	}
	for _, f := range append(slices.Clone(v.r.Models), v.r.Projectors...) {
		list = append(list, fact{f.Name, fmt.Sprintf("%s, %.1f MiB, %.12s",
			cmp.Or(f.Type, "of mixed types"), float64(f.Bytes)/(1<<20), f.Identity)})
	}
	return list
}

// notes are what failed or was left out.
func (v *view) notes() (list []string) {
	for _, name := range slices.Sorted(maps.Keys(v.r.Failures)) {
		list = append(list, name+" failed: "+v.r.Failures[name])
	}
	seen := map[string]bool{}
	for _, key := range slices.Sorted(maps.Keys(v.r.Qualities)) {
		if n := v.r.Qualities[key].Note; n != "" && !seen[n] {
			seen[n] = true
			list = append(list, n)
		}
	}
	return list
}

func (v *view) html() ([]byte, error) {
	p := page{Title: v.title(), Summary: v.summary(), Picks: v.picks(),
		Findings: v.smallest(), Notes: v.notes(),
		Facts: v.facts(), Commands: v.r.Commands}
	charts, err := v.charts()
	if err != nil {
		return nil, err
	}
	for _, c := range charts {
		// vgsvg escapes what it writes; names of files reach it as text.
		list := &p.Charts
		if c.tall {
			list = &p.Tall
		}
		*list = append(*list, pageChart{Title: c.title, Comment: c.comment,
			SVG: template.HTML(c.svg)})
	}
	for _, t := range v.tables() {
		p.Tables = append(p.Tables, t.page())
	}
	for _, t := range []table{tensorTable("Tensors of the language models", v.r.Models,
		v.shortModel), tensorTable("Tensors of the projectors", v.r.Projectors, v.shortTower)} {
		if len(t.rows) > 0 {
			p.Tensors = append(p.Tensors, t.page())
		}
	}
	var b bytes.Buffer
	if err := pageTemplate.Execute(&b, p); err != nil {
		return nil, fmt.Errorf("report: %w", err)
	}
	return b.Bytes(), nil
}

// page is the table as the template shows it.
func (t table) page() pageTable {
	p := pageTable{Title: t.title, Comment: t.comment, Head: t.head}
	for i, row := range t.rows {
		p.Rows = append(p.Rows, pageRow{Best: t.best[i], Cells: row})
	}
	return p
}

// markdownText keeps text from ending a table's cell, and from being markup.
func markdownText(s string) string {
	return strings.NewReplacer("|", `\|`, "*", `\*`, "_", `\_`, "<", "&lt;", "`", "\\`", "\n",
		" ").Replace(s)
}

func (v *view) markdown() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# %s\n\n%s\n\n", markdownText(v.title()), markdownText(v.summary()))
	for _, f := range v.findings() {
		fmt.Fprintf(&b, "- %s\n", markdownText(f))
	}
	for _, t := range v.tables() {
		fmt.Fprintf(&b, "\n## %s\n\n", t.title)
		for i, row := range append([][]string{t.head}, t.rows...) {
			b.WriteString("|")
			for _, c := range row {
				fmt.Fprintf(&b, " %s |", markdownText(c))
			}
			b.WriteString("\n")
			if i == 0 {
				b.WriteString("|" + strings.Repeat("---|", len(row)) + "\n")
			}
		}
		fmt.Fprintf(&b, "\n%s\n", markdownText(t.comment))
	}
	if notes := v.notes(); len(notes) > 0 {
		b.WriteString("\n## Notes\n\n")
		for _, n := range notes {
			fmt.Fprintf(&b, "- %s\n", markdownText(n))
		}
	}
	b.WriteString("\n## How it was measured\n\n")
	for _, f := range v.facts() {
		fmt.Fprintf(&b, "- %s: %s\n", markdownText(f.Name), markdownText(f.Value))
	}
	b.WriteString("\nTo repeat it:\n\n")
	for _, c := range v.r.Commands {
		fmt.Fprintf(&b, "    %s\n", strings.ReplaceAll(c, "\n", " "))
	}
	return b.Bytes()
}

// Terminal writes the tables for a terminal.
func Terminal(w *strings.Builder, r *bench.Results) {
	v := newView(r)
	fmt.Fprintf(w, "%s\n", terminalText(v.summary()))
	for _, f := range v.findings() {
		fmt.Fprintf(w, "- %s\n", terminalText(f))
	}
	for _, t := range v.tables() {
		fmt.Fprintf(w, "\n%s\n", t.title)
		tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		for _, row := range append([][]string{t.head}, t.rows...) {
			for i, c := range row {
				row[i] = terminalText(c)
			}
			fmt.Fprintf(tw, "  %s\n", strings.Join(row, "\t"))
		}
		_ = tw.Flush() // into memory
	}
	for _, n := range v.notes() {
		fmt.Fprintf(w, "\n%s\n", terminalText(n))
	}
}

// terminalText leaves out characters that would move the cursor.
func terminalText(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
}

// csv is a row for each cell, all figures in plain units: bytes, milliseconds, tokens a second,
// nats.
func (v *view) csv() ([]byte, error) {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	columns := csvColumns()
	head := make([]string, len(columns))
	for i, c := range columns {
		head[i] = c.name
	}
	if err := w.Write(head); err != nil {
		return nil, fmt.Errorf("report: %w", err)
	}
	for i := range v.r.Cells {
		c := &v.r.Cells[i]
		row := make([]string, len(columns))
		for k, column := range columns {
			row[k] = column.of(v, c)
		}
		if err := w.Write(row); err != nil {
			return nil, fmt.Errorf("report: %w", err)
		}
	}
	w.Flush()
	return b.Bytes(), w.Error()
}
