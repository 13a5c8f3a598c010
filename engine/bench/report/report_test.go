package report

import (
	"bytes"
	"encoding/csv"
	"encoding/xml"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"

	"github.com/eyelet-engine/eyelet/engine/bench"
)

func sampleOfThree(x float64) *bench.Sample {
	return &bench.Sample{Mean: x, Median: x, Low: 0.9 * x, High: 1.1 * x, StdDev: 0.1 * x,
		Values: []float64{0.9 * x, x, 1.1 * x}}
}

// results of three models, one of them the base, with one projector or two. Names try to be markup.
func results(projectors int) *bench.Results {
	r := &bench.Results{Format: 1, Complete: true,
		Commands: []string{`eyelet bench quants '<b>.gguf'`},
		Towers:   map[string]*bench.TowerQuality{}, Qualities: map[string]*bench.Quality{}}
	r.Setup = bench.Setup{BaseModel: "m-f16", BaseKV: "f16", Text: "words.txt", Reps: 3}
	r.Models = []bench.ModelFile{{Name: "m-f16", Bytes: 100 << 20},
		{Name: "m-q8_0", Bytes: 50 << 20}, {Name: "m-<b>|q2_k</b>", Bytes: 25 << 20}}
	for i := range projectors {
		name := []string{"mmproj-m-f16", "mmproj-m-q8_0"}[i]
		r.Projectors = append(r.Projectors, bench.ModelFile{Name: name,
			Bytes: int64(20-10*i) << 20})
		r.Towers[name] = &bench.TowerQuality{Backend: "native"}
		r.Setup.BaseProjector = "mmproj-m-f16"
	}
	for i, m := range r.Models {
		names := []string{""}
		if projectors > 0 {
			names = []string{"mmproj-m-f16", "mmproj-m-q8_0"}[:projectors]
		}
		for k, p := range names {
			c := bench.Cell{Model: m.Name, Projector: p, KV: "f16", Threads: 2, Batch: 512,
				Speed: &bench.Speed{PP512: sampleOfThree(float64(100 + i)),
					TG128: sampleOfThree(float64(10 + 10*i))}}
			q := &bench.Quality{Text: &bench.Distribution{Tokens: 9, Perplexity: 7}}
			if i+k > 0 {
				q.Text.Against = &bench.Against{KLMean: 0.001 * float64(1+9*i+k), SameTop: 0.9}
			}
			if projectors > 0 {
				c.Speed.TTFTMS, c.Speed.DecodeImageMS, c.Speed.PreprocessMS, c.Speed.EncodeMS,
					c.Speed.PrefillMS = sampleOfThree(90), sampleOfThree(5), sampleOfThree(5),
					sampleOfThree(40), sampleOfThree(40)
				q.AfterImage = q.Text
				q.Answers = &bench.Answers{Exact: bench.Interval{Mean: 0.5, Low: 0.4, High: 0.6,
					N: 9}}
			}
			r.Cells = append(r.Cells, c)
			r.Qualities[c.QualityKey()] = q
		}
	}
	return r
}

func TestAReportIsOnePageWithoutTheNetwork(t *testing.T) {
	dir := t.TempDir()
	if err := Write(dir, results(2)); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(dir, HTMLFile))
	if err != nil {
		t.Fatal(err)
	}
	page := string(data)
	if n := strings.Count(page, "<svg"); n != 5 {
		t.Errorf("%d charts", n)
	}
	if m := regexp.MustCompile(`(src|href)="|<script [^>]|<link|fetch\(|import|url\(`).FindString(
		strings.ReplaceAll(page, "xmlns:xlink=", "")); m != "" {
		t.Errorf("the page loads something: %s", m)
	}
	if strings.Contains(page, "<b>") || !strings.Contains(page, "&lt;b&gt;|q2_k&lt;/b&gt;") {
		t.Error("a name became markup")
	}
	for _, drawing := range regexp.MustCompile(`(?s)<svg.*?</svg>`).FindAllString(page, -1) {
		d := xml.NewDecoder(strings.NewReader(drawing))
		for {
			if _, err := d.Token(); err == io.EOF {
				break
			} else if err != nil {
				t.Fatalf("a chart is no XML: %v", err)
			}
		}
		if strings.Contains(drawing, "NaN") || strings.Contains(drawing, "Inf") {
			t.Error("a chart has a place that is not a number")
		}
	}
	if i := strings.Index(page,
		"What to take in 4 GB of memory"); i < 0 ||
		i > strings.Index(page, "<svg") {
		t.Error("the first screen does not say what to take for 4 GB")
	}
	for _, text := range []string{"prefers-color-scheme: dark", "aria-sort", "filter rows",
		"The smallest with a KL divergence below 0.01 after a picture: q8_0 &#43; f16, 70.0 MiB",
		"eyelet bench quants", `class="best"`} {
		if !strings.Contains(page, text) {
			t.Errorf("%q is missing", text)
		}
	}
}

func TestTheFrontierIsWhatNothingBeats(t *testing.T) {
	r := results(1)
	v := newView(r)
	var names []string
	for _, p := range v.frontier(v.qualities(), v.sizeOf) {
		names = append(names, p.cell.Model)
	}
	if got := strings.Join(names, " "); got != "m-<b>|q2_k</b> m-q8_0" {
		t.Errorf("by size: %s", got)
	}
	// The closer one is as fast.
	r.Cells[1].Speed.TG128 = sampleOfThree(30)
	if f := v.frontier(v.first(), tokenTime); len(f) != 1 || f[0].cell.Model != "m-q8_0" {
		t.Errorf("by speed: %d points", len(f))
	}
}

func TestOtherFormsHoldTheFigures(t *testing.T) {
	for _, projectors := range []int{0, 1, 2} {
		r := results(projectors)
		r.Failures = map[string]string{"speed of x": "no\nluck"}
		dir := t.TempDir()
		if err := Write(dir, r); err != nil {
			t.Fatal(err)
		}
		table, err := os.ReadFile(filepath.Join(dir, CSVFile))
		if err != nil {
			t.Fatal(err)
		}
		rows, err := csv.NewReader(bytes.NewReader(table)).ReadAll()
		if err != nil || len(rows) != len(r.Cells)+1 || len(rows[0]) < 30 {
			t.Errorf("%d rows, %v", len(rows), err)
		}
		markdown, err := os.ReadFile(filepath.Join(dir, MarkdownFile))
		if err != nil || !strings.Contains(string(markdown), `| &lt;b>\|q2\_k&lt;/b> |`) ||
			!strings.Contains(string(markdown), "speed of x failed: no luck") {
			t.Errorf("%v\n%s", err, markdown)
		}
		var text strings.Builder
		Terminal(&text, r)
		if s := text.String(); !strings.Contains(s, "\nQuality\n") ||
			!strings.Contains(s, "\nSpeed\n") || strings.Contains(s, "no\nluck") {
			t.Error(s)
		}
	}
}

func TestAReportOfNothingYet(t *testing.T) {
	r := results(1)
	r.Complete, r.Qualities = false, nil
	for i := range r.Cells {
		r.Cells[i].Speed = nil
	}
	if err := Write(t.TempDir(), r); err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	if Terminal(&text, r); !strings.Contains(text.String(), "Not all is measured yet") {
		t.Error(text.String())
	}
}

func TestNamesAreShortened(t *testing.T) {
	got := shorten([]bench.ModelFile{{Name: "llava-7b-f16"}, {Name: "llava-7b-q4_k_m"},
		{Name: "llava-7b-q4_0"}})
	if got["llava-7b-f16"] != "f16" || got["llava-7b-q4_k_m"] != "q4_k_m" {
		t.Errorf("%v", got)
	}
	if one := shorten([]bench.ModelFile{{Name: "llava-7b-f16"}}); one["llava-7b-f16"] !=
		"llava-7b-f16" {
		t.Errorf("%v", one)
	}
}

func TestFiguresHaveFourDigits(t *testing.T) {
	for x, want := range map[float64]string{0: "0", 0.00001234: "1.23e-05", 0.0123: "0.0123",
		1.23456: "1.235", 12.3456: "12.35", 123.456: "123.5", 1234.5: "1234", 1e7: "1.00e+07"} {
		if got := figure(x); got != want {
			t.Errorf("%v: %s, want %s", x, got, want)
		}
	}
}

func TestChartsTellWhatTheyLeaveOut(t *testing.T) {
	r := results(2)
	n := len(r.Cells)
	for _, c := range r.Cells[:n:n] {
		c.KV = "q8_0"
		r.Cells = append(r.Cells, c)
	}
	list, err := newView(r).charts()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range list {
		if c.title == "Stages" && !strings.Contains(c.comment,
			fmt.Sprintf("%d of the %d combinations", n, 2*n)) {
			t.Errorf("%s: %s", c.title, c.comment)
		}
	}
	cells, _ := newView(r).rows(func(*bench.Cell) bool { return true })
	for range maxBars {
		r.Cells = append(r.Cells, r.Cells[n-1]) // differs from the base in both files
	}
	few, which := newView(r).rows(func(*bench.Cell) bool { return true })
	if len(few) >= len(cells) || slices.ContainsFunc(few, func(c *bench.Cell) bool {
		return c.Model != r.Setup.BaseModel && c.Projector != r.Setup.BaseProjector
	}) ||
		which == "" {
		t.Errorf("%d of %d rows, %q", len(few), len(cells), which)
	}
}

func TestNamesInChartsLieOverNothingThatMatters(t *testing.T) {
	p := newPlot("x", "y")
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = 0, 100, -7, 1
	var points, all plotter.XYs
	var labels []string
	for i := range 24 { // a curve whose points come close to each other
		q := plotter.XY{X: 3 + float64(i*i)/7, Y: 0.8 - 0.3*float64(i)}
		points, labels = append(points, q), append(labels, fmt.Sprintf("iq%d_xxs + q4_k_m, KV q8_0",
			i))
	}
	for i := range 200 {
		all = append(all, plotter.XY{X: float64(i%20) * 5, Y: -7 + float64(i/20)*0.8})
	}
	l := newPlacer(p, -1)
	out, _ := l.place(points, labels, append(all, points...))
	if len(out.Labels) < 6 {
		t.Errorf("%d of %d names found a place", len(out.Labels), len(labels))
	}
	var boxes []box
	for i, q := range out.XYs {
		width, height, depth := plot.DefaultTextHandler.Box(out.Labels[i], labelFont)
		x, y := l.at(q)
		b := box{x, y - float64(height+depth)/2, x + float64(width), y + float64(height+depth)/2}
		if b.left < 0 || b.right > l.width {
			t.Errorf("%s leaves the chart", out.Labels[i])
		}
		for k, other := range boxes {
			if b.overlaps(box{other.left, other.bottom + 2, other.right, other.top - 2}) {
				t.Errorf("%s lies over %s", out.Labels[i], out.Labels[k])
			}
		}
		for _, point := range points {
			x, y := l.at(point)
			if b.overlaps(around(x, y, 1)) {
				t.Errorf("%s lies over a point", out.Labels[i])
			}
		}
		boxes = append(boxes, b)
	}
}
