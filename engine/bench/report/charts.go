package report

import (
	"bytes"
	"fmt"
	"image/color"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"

	"github.com/eyelet-engine/eyelet/engine/bench"
)

// The colours of charts, told apart by people who see colours differently (Okabe and Ito 2008).
var (
	strong  = color.RGBA{0, 114, 178, 255}
	faint   = color.RGBA{170, 170, 170, 255}
	ink     = color.RGBA{40, 40, 40, 255}
	grid    = color.RGBA{230, 230, 230, 255}
	palette = []color.RGBA{{86, 180, 233, 255}, {240, 228, 66, 255}, {0, 158, 115, 255},
		{213, 94, 0, 255}}
)

// chart is a drawing with what it shows.
type chart struct {
	title, comment string
	svg            string
	tall           bool // a row for each combination
}

func newPlot(x, y string) *plot.Plot {
	p := plot.New()
	p.X.Label.Text, p.Y.Label.Text = x, y
	for _, a := range []*plot.Axis{&p.X, &p.Y} {
		a.Label.TextStyle.Font.Variant, a.Tick.Label.Font.Variant = "Sans", "Sans"
		a.Label.TextStyle.Font.Size, a.Tick.Label.Font.Size = vg.Points(12), vg.Points(11)
		a.Color, a.Tick.Color, a.Label.TextStyle.Color, a.Tick.Label.Color = ink, ink, ink, ink
	}
	p.Legend.TextStyle.Font.Variant, p.Legend.TextStyle.Font.Size = "Sans", vg.Points(11)
	p.BackgroundColor = nil // the page's own, by day and in the dark
	return p
}

func addGrid(p *plot.Plot) {
	g := plotter.NewGrid()
	g.Horizontal.Color, g.Vertical.Color = grid, grid
	p.Add(g)
}

// fonts are those whose letters are as wide as the ones that plot places words by, where a viewer
// has one of them.
const fonts = "Liberation Sans,Arial,Helvetica,sans-serif"

// roomy is a name before something that it must not touch: where a viewer has none of the fonts,
// letters are up to a sixth wider.
func roomy(name string) string { return name + strings.Repeat(" ", 1+len(name)/4) }

// fontFamily matches how vgsvg names fonts, which viewers may not have; fixedSize the size in
// points, in whose place the page puts its own.
//
// inDark are the colours for which the page has others in the dark.
var (
	inDark = strings.NewReplacer("#282828", "var(--ink)", "#E6E6E6", "var(--grid)", "#AAAAAA",
		"var(--faint)", "#0072B2", "var(--strong)")
	fontFamily = regexp.MustCompile(`font-family:[^;"]*`)
	fixedSize  = regexp.MustCompile(`^<svg width="[^"]*" height="[^"]*"`)
)

// svg draws a plot. The size is left to the page.
func svg(p *plot.Plot, width, height vg.Length) (string, error) {
	c := vgsvg.New(width, height)
	p.Draw(draw.New(c))
	var b bytes.Buffer
	if _, err := c.WriteTo(&b); err != nil {
		return "", fmt.Errorf("report: %w", err)
	}
	out := b.Bytes()
	if i := bytes.Index(out, []byte("<svg")); i >= 0 {
		out = out[i:] // the page needs no XML declaration
	}
	drawing := fixedSize.ReplaceAllString(inDark.Replace(string(out)), "<svg")
	return fontFamily.ReplaceAllString(drawing, "font-family:"+fonts), nil
}

// fromZero are the usual ticks without those below zero, where an axis only has room for names.
type fromZero struct{ plot.DefaultTicks }

// Ticks implements plot.Ticker.
func (t fromZero) Ticks(low, high float64) []plot.Tick {
	return t.DefaultTicks.Ticks(max(low, 0), high)
}

// logTicks marks 1, 2 and 5 of each power of ten on an axis of logarithms. plot.LogScale is not
// used: plot leaves room for the label of an axis where it would be without the logarithm.
type logTicks struct{}

// Ticks implements plot.Ticker.
func (logTicks) Ticks(low, high float64) (list []plot.Tick) {
	for e := math.Floor(low); e <= math.Ceil(high); e++ {
		for m := 1; m < 10; m++ {
			x := e + math.Log10(float64(m))
			if x < low-1e-9 || x > high+1e-9 {
				continue
			}
			tick := plot.Tick{Value: x}
			if wide := high-low > 2.5; m == 1 || !wide && (m == 2 || m == 5) {
				tick.Label = strconv.FormatFloat(float64(m)*math.Pow(10, e), 'g', 3, 64)
			}
			list = append(list, tick)
		}
	}
	return list
}

// pareto draws the divergence over a cost, and the frontier of what no other beats. invert makes a
// place on the axis of a cost; towards is -1 if a lower cost is further left there, else 1.
func (v *view) pareto(title, x string, cost func(*bench.Cell) (float64, bool),
	invert func(float64) float64, towards float64) (*chart, error) {
	points := v.points(v.first(), cost)
	if len(points) < 2 {
		return nil, nil
	}
	p := newPlot(x, "KL divergence "+v.divergenceName()+", nats")
	p.X.Tick.Marker, p.Y.Tick.Marker = fromZero{}, logTicks{}
	addGrid(p)
	var best, rest, line plotter.XYs
	var labels []string
	lowest, highest := math.Inf(1), math.Inf(-1)
	for _, q := range points {
		xy := plotter.XY{X: invert(q.cost), Y: math.Log10(q.kl)}
		lowest, highest = min(lowest, xy.Y), max(highest, xy.Y)
		if q.best {
			best, labels = append(best, xy), append(labels, v.pointLabel(q.cell))
		} else {
			rest = append(rest, xy)
		}
	}
	line = slices.Clone(best)
	if len(rest) > 0 {
		s, err := plotter.NewScatter(rest)
		if err != nil {
			return nil, fmt.Errorf("report: %w", err)
		}
		s.GlyphStyle = draw.GlyphStyle{Color: faint, Radius: vg.Points(3),
			Shape: draw.CircleGlyph{}}
		p.Add(s)
	}
	l, err := plotter.NewLine(line)
	if err != nil {
		return nil, fmt.Errorf("report: %w", err)
	}
	l.LineStyle = draw.LineStyle{Color: strong, Width: vg.Points(1.5)}
	s, err := plotter.NewScatter(best)
	if err != nil {
		return nil, fmt.Errorf("report: %w", err)
	}
	s.GlyphStyle = draw.GlyphStyle{Color: strong, Radius: vg.Points(4), Shape: draw.CircleGlyph{}}
	p.Add(l, s)
	p.Y.Min, p.Y.Max = lowest-0.6, highest+0.2 // room for the lowest names
	// Plot would widen this as well, but after names have their places.
	if p.X.Max == p.X.Min {
		p.X.Min, p.X.Max = p.X.Min-1, p.X.Max+1
	}
	margin := (p.X.Max - p.X.Min) * 0.05
	if p.X.Min, p.X.Max = p.X.Min-margin, p.X.Max+margin; towards < 0 { // room for names
		p.X.Min -= 3 * margin
	} else {
		p.X.Max += 3 * margin
	}
	placed, lines := newPlacer(p, towards).place(best, labels, append(slices.Clone(best), rest...))
	for _, line := range lines {
		l, err := plotter.NewLine(line)
		if err != nil {
			return nil, fmt.Errorf("report: %w", err)
		}
		l.LineStyle = draw.LineStyle{Color: faint, Width: vg.Points(0.7)}
		p.Add(l)
	}
	if len(placed.Labels) > 0 {
		names, err := plotter.NewLabels(placed)
		if err != nil {
			return nil, fmt.Errorf("report: %w", err)
		}
		for i := range names.TextStyle {
			names.TextStyle[i].Font, names.TextStyle[i].Color,
				names.TextStyle[i].YAlign = labelFont, ink, text.YCenter
		}
		p.Add(names)
	}
	comment := "Lower is closer to the base. Blue: no other combination is both cheaper and closer; grey: one is."
	if n := len(placed.Labels); n < len(best) {
		comment += fmt.Sprintf(" %d of the %d blue ones have room for a name; the table marks all that are so for size.", n, len(best))
	}
	drawing, err := svg(p, paretoWidth, paretoHeight)
	return &chart{title: title, svg: drawing, comment: comment}, err
}

// pointLabel names a point; the type of the KV cache is told where it is not the base's.
func (v *view) pointLabel(c *bench.Cell) string {
	if c.KV != v.r.Setup.BaseKV {
		return v.label(c) + ", KV " + c.KV
	}
	return v.label(c)
}

// maxBars bounds the rows of a chart.
const maxBars = 50

// rows are the cells that a chart with a row for each shows, the first on top, and a sentence that
// tells which those are if it is not all.
func (v *view) rows(of func(*bench.Cell) bool) (cells []*bench.Cell, which string) {
	var all int
	for i := range v.r.Cells {
		if c := &v.r.Cells[i]; c.Speed != nil {
			all++
		}
	}
	first, base := &v.r.Cells[0], v.r.Setup
	for _, c := range v.first() {
		if c.KV == first.KV && c.Speed != nil && of(c) {
			cells = append(cells, c)
		}
	}
	if len(cells) > maxBars { // those that differ from the base in one file tell most
		cells = slices.DeleteFunc(cells, func(c *bench.Cell) bool {
			return c.Model != base.BaseModel && c.Projector != base.BaseProjector
		})
		cells = cells[:min(len(cells), maxBars)]
	}
	if len(cells) < all {
		which = fmt.Sprintf(" Here are %d of the %d combinations that were timed, with a KV cache in %s; the table has all.", len(cells), all, first.KV)
	}
	slices.Reverse(cells) // rows are drawn from below
	return cells, which
}

// stageBars stacks the stages of a question about a photo, a bar for each cell.
func (v *view) stageBars() (*chart, error) {
	cells, which := v.rows(func(c *bench.Cell) bool { return c.Speed.TTFTMS != nil })
	if len(cells) == 0 {
		return nil, nil
	}
	stages := []struct {
		name string
		of   func(*bench.Speed) float64
	}{
		{"decode the photo", func(s *bench.Speed) float64 { return s.DecodeImageMS.Median }},
		{"preprocess", func(s *bench.Speed) float64 { return s.PreprocessMS.Median }},
		{"encode", func(s *bench.Speed) float64 { return s.EncodeMS.Median }},
		{"prefill", func(s *bench.Speed) float64 { return s.PrefillMS.Median }},
	}
	p := newPlot("ms to the first token of an answer about a photo", "")
	addGrid(p)
	p.Legend.Top, p.Legend.Padding = true, vg.Points(3)
	var below *plotter.BarChart
	for i, stage := range stages {
		values := make(plotter.Values, len(cells))
		for k, c := range cells {
			values[k] = stage.of(c.Speed)
		}
		bars, err := plotter.NewBarChart(values, vg.Points(11))
		if err != nil {
			return nil, fmt.Errorf("report: %w", err)
		}
		bars.Horizontal, bars.Color, bars.LineStyle.Width = true, palette[i], 0
		if below != nil {
			bars.StackOn(below)
		}
		below = bars
		p.Add(bars)
		p.Legend.Add(roomy(stage.name), bars)
	}
	names := make([]string, len(cells))
	for k, c := range cells {
		names[k] = roomy(v.label(c))
	}
	p.NominalY(names...)
	p.X.Min = 0
	p.X.Max *= 1.4 // room for the legend
	drawing, err := svg(p, 560, vg.Length(70+20*len(cells)))
	return &chart{title: "Stages", svg: drawing,
		comment: "Medians. Loading the model comes before, once." + which, tall: true}, err
}

// spread draws each repetition of tg128.
func (v *view) spread() (*chart, error) {
	cells, which := v.rows(func(c *bench.Cell) bool {
		return c.Projector == v.r.Cells[0].Projector
	})
	if len(cells) == 0 {
		return nil, nil
	}
	p := newPlot("tokens/s of tg128, each repetition", "")
	addGrid(p)
	var dots, medians plotter.XYs
	names := make([]string, len(cells))
	for k, c := range cells {
		for _, x := range c.Speed.TG128.Values {
			dots = append(dots, plotter.XY{X: x, Y: float64(k)})
		}
		medians = append(medians, plotter.XY{X: c.Speed.TG128.Median, Y: float64(k)})
		names[k] = roomy(v.shortModel[c.Model])
	}
	for i, xys := range []plotter.XYs{dots, medians} {
		s, err := plotter.NewScatter(xys)
		if err != nil {
			return nil, fmt.Errorf("report: %w", err)
		}
		s.GlyphStyle = draw.GlyphStyle{Color: strong, Radius: vg.Points(3), Shape: draw.RingGlyph{}}
		if i == 1 {
			s.GlyphStyle = draw.GlyphStyle{Color: palette[3], Radius: vg.Points(5),
				Shape: draw.PlusGlyph{}}
		}
		p.Add(s)
	}
	p.NominalY(names...)
	p.X.Min = 0
	drawing, err := svg(p, 560, vg.Length(70+20*len(cells)))
	return &chart{title: "Spread", svg: drawing,
		comment: "Rings: repetitions; plus signs: medians." + which, tall: true}, err
}

// charts are all that there is something to show in.
func (v *view) charts() (list []chart, err error) {
	same := func(x float64) float64 { return x }
	for _, draw := range []func() (*chart, error){
		func() (*chart, error) {
			return v.pareto("Quality over size", "MiB of the files", v.sizeOf, same, -1)
		},
		func() (*chart, error) {
			return v.pareto("Quality over speed", "tokens/s (tg128)", tokenTime,
				func(x float64) float64 { return 1000 / x }, 1)
		},
		func() (*chart, error) {
			return v.pareto("Quality over the wait for a first token",
				"ms from the question about a photo to the first token", firstToken, same, -1)
		},
		v.stageBars, v.spread,
	} {
		c, err := draw()
		if err != nil {
			return nil, err
		}
		if c != nil {
			list = append(list, *c)
		}
	}
	return list, nil
}
