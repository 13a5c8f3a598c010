package main

import (
	"fmt"
	"image/color"
	"math"
	"os"
	"path/filepath"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/eyelet-engine/eyelet/scripts/internal/stats"
)

// The lines of a model's plot, in colours told apart by people who see colours differently (Okabe
// and Ito 2008).
var (
	colorOurs, colorTheirs = color.RGBA{0, 114, 178, 255}, color.RGBA{213, 94, 0, 255}
	colorLimit             = color.RGBA{120, 120, 120, 255}
	colorGrid              = color.RGBA{225, 225, 225, 255}
)

// chart is how fast prompts of so many tokens are computed: a plot for each model, all of the same
// scales.
type chart struct {
	title     string
	plots     []*plot.Plot
	low, high float64 // of all rates
}

func newChart(title string) *chart { return &chart{title: title, low: math.Inf(1)} }

// limits are what the machine could do with a model at the most.
type limits struct {
	read float64 // tokens a second, each of which reads all weights
	most float64 // tokens a second by the rate of oneDNN's products of 8-bit integers
}

// at is the limit of a prompt of so many tokens, for which weights are read once.
func (l limits) at(tokens float64) float64 { return min(l.read*tokens, l.most) }

// add draws the medians of a model's prompts: ours, llama-bench's, and the machine's limit, with
// its corner.
func (c *chart) add(path string, tests []test, found results, limit limits) error {
	var ours, theirs, most plotter.XYs
	for i, t := range tests {
		if t.prompt {
			n := float64(t.n)
			ours = append(ours, plotter.XY{X: n, Y: stats.Median(found[i].ours)})
			theirs = append(theirs, plotter.XY{X: n, Y: stats.Median(found[i].theirs)})
		}
	}
	if len(ours) < 2 {
		return fmt.Errorf("a chart of %s needs tests of prompts: give -tests pp1,pp2,pp4", path)
	}
	first, last := ours[0].X, ours[len(ours)-1].X
	for _, n := range []float64{first, limit.most / limit.read, last} {
		if n >= first && n <= last {
			most = append(most, plotter.XY{X: n, Y: limit.at(n)})
		}
	}
	p := plot.New()
	p.Title.Text = strings.TrimSuffix(filepath.Base(path), ".gguf")
	if len(c.plots) == 0 {
		p.Title.Text += ", " + c.title
	}
	p.X.Label.Text, p.Y.Label.Text = "tokens in a prompt (rows)", "tokens a second"
	p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, powers{}
	p.Y.Scale, p.Y.Tick.Marker = plot.LogScale{}, oneTwoFive{}
	p.Title.TextStyle.Font.Size, p.Title.TextStyle.Font.Variant = vg.Points(15), "Sans"
	for _, a := range []*plot.Axis{&p.X, &p.Y} {
		a.Label.TextStyle.Font.Size, a.Tick.Label.Font.Size = vg.Points(13), vg.Points(13)
		a.Label.TextStyle.Font.Variant, a.Tick.Label.Font.Variant = "Sans", "Sans"
	}
	p.Legend.Left, p.Legend.Top, p.Legend.Padding = true, true, vg.Points(3)
	p.Legend.TextStyle.Font.Size, p.Legend.TextStyle.Font.Variant = vg.Points(13), "Sans"
	p.Legend.YOffs = vg.Points(-4)
	grid := plotter.NewGrid()
	grid.Horizontal.Color, grid.Vertical.Color = colorGrid, colorGrid
	p.Add(grid)
	for _, l := range []struct {
		name   string
		xy     plotter.XYs
		color  color.Color
		dashes []vg.Length
	}{
		{"the machine's limit", most, colorLimit, []vg.Length{vg.Points(2), vg.Points(4)}},
		{"Eyelet", ours, colorOurs, nil},
		{"llama-bench", theirs, colorTheirs, []vg.Length{vg.Points(8), vg.Points(4)}},
	} {
		line, err := plotter.NewLine(l.xy)
		if err != nil {
			return err
		}
		line.Color, line.Width, line.Dashes = l.color, vg.Points(2.5), l.dashes
		p.Add(line)
		p.Legend.Add(l.name, line)
		for _, at := range l.xy {
			c.low, c.high = min(c.low, at.Y), max(c.high, at.Y)
		}
	}
	c.plots = append(c.plots, p)
	return nil
}

// powers marks powers of two, each with its number.
type powers struct{}

func (powers) Ticks(low, high float64) (ticks []plot.Tick) {
	for n := 1; float64(n) <= high; n *= 2 {
		if float64(n) >= low {
			ticks = append(ticks, plot.Tick{Value: float64(n), Label: fmt.Sprint(n)})
		}
	}
	return ticks
}

// oneTwoFive marks 1, 2 and 5 times powers of ten.
type oneTwoFive struct{}

func (oneTwoFive) Ticks(low, high float64) (ticks []plot.Tick) {
	for unit := math.Pow(10, math.Floor(math.Log10(low))); unit <= high; unit *= 10 {
		for _, n := range []float64{1, 2, 5} {
			if v := n * unit; v >= low && v <= high {
				ticks = append(ticks, plot.Tick{Value: v, Label: fmt.Sprintf("%g", v)})
			}
		}
	}
	return ticks
}

// save writes the plots, two side by side, in a format that the file's name ends with. Above the
// lines there is room for their names.
func (c *chart) save(path string) (err error) {
	columns := min(2, len(c.plots))
	rows := (len(c.plots) + columns - 1) / columns
	grid := make([][]*plot.Plot, rows)
	for i := range grid {
		grid[i] = make([]*plot.Plot, columns)
	}
	for i, p := range c.plots {
		p.Y.Min, p.Y.Max = c.low/1.2, c.high*4
		grid[i/columns][i%columns] = p
	}
	canvas, err := draw.NewFormattedCanvas(vg.Length(columns)*15*vg.Centimeter,
		vg.Length(rows)*11*vg.Centimeter, strings.TrimPrefix(filepath.Ext(path), "."))
	if err != nil {
		return err
	}
	on := draw.New(canvas)
	on.SetColor(color.White)
	on.Fill(on.Rectangle.Path())
	tiles := draw.Tiles{Rows: rows, Cols: columns, PadX: 6 * vg.Millimeter,
		PadY: 6 * vg.Millimeter, PadTop: 2 * vg.Millimeter, PadBottom: 2 * vg.Millimeter,
		PadLeft: 2 * vg.Millimeter, PadRight: 4 * vg.Millimeter}
	for i, row := range plot.Align(grid, tiles, on) {
		for j, at := range row {
			if grid[i][j] != nil {
				grid[i][j].Draw(at)
			}
		}
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	_, err = canvas.WriteTo(f)
	if closed := f.Close(); err == nil {
		err = closed
	}
	return err
}
