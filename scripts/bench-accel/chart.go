package main

import (
	"fmt"
	"path/filepath"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/plotutil"
	"gonum.org/v1/plot/vg"

	"github.com/eyelet-engine/eyelet/scripts/internal/stats"
)

// chart is a line chart of how fast prompts of so many tokens are computed, model by model.
type chart struct {
	plot   *plot.Plot
	models int
}

func newChart(threads int) *chart {
	p := plot.New()
	p.Title.Text = fmt.Sprintf("Rate over rows, %d threads", threads)
	p.X.Label.Text, p.Y.Label.Text = "tokens in a prompt (rows)", "tok/s"
	p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, rowTicks{}
	p.Y.Min = 0
	p.Legend.Top, p.Legend.Left = true, true
	return &chart{plot: p}
}

// rowTicks marks powers of two, each with its number.
type rowTicks struct{}

func (rowTicks) Ticks(low, high float64) (ticks []plot.Tick) {
	for n := 1; float64(n) <= high; n *= 2 {
		if float64(n) >= low {
			ticks = append(ticks, plot.Tick{Value: float64(n), Label: fmt.Sprint(n)})
		}
	}
	return ticks
}

// add draws the medians of a model's prompts: ours in a full line, llama-bench's in a broken one of
// the same colour, and dotted what oneDNN's rate in 8-bit integers would allow a model of so many
// operations a token.
func (c *chart) add(path string, tests []test, found results, limit float64) error {
	var ours, theirs plotter.XYs
	for i, t := range tests {
		if t.prompt {
			ours = append(ours, plotter.XY{X: float64(t.n), Y: stats.Median(found[i].ours)})
			theirs = append(theirs, plotter.XY{X: float64(t.n), Y: stats.Median(found[i].theirs)})
		}
	}
	if len(ours) == 0 {
		return fmt.Errorf("a chart of %s needs tests of prompts: give -tests pp1,pp2,pp4", path)
	}
	name := strings.TrimSuffix(filepath.Base(path), ".gguf")
	full := plotter.XYs{{X: ours[0].X, Y: limit}, {X: ours[len(ours)-1].X, Y: limit}}
	for i, xy := range []plotter.XYs{ours, theirs, full} {
		line, err := plotter.NewLine(xy)
		if err != nil {
			return err
		}
		line.Color = plotutil.Color(c.models)
		line.Dashes = [][]vg.Length{nil, {vg.Points(6), vg.Points(3)},
			{vg.Points(1), vg.Points(3)}}[i]
		c.plot.Add(line)
		c.plot.Legend.Add(name+[]string{"", ", llama-bench", ", oneDNN's 8-bit rate"}[i], line)
	}
	c.models++
	return nil
}

func (c *chart) save(path string) error {
	return c.plot.Save(22*vg.Centimeter, 14*vg.Centimeter, path)
}
