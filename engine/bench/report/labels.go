package report

import (
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
)

// The size of a chart with names, and what of it the axes leave, in points.
const (
	paretoWidth  vg.Length = 560
	paretoHeight vg.Length = 360
	plotWidth              = 500.0
	plotHeight             = 315.0
)

// labelFont is that of names beside points.
var labelFont = font.Font{Typeface: "Liberation", Variant: "Sans", Size: vg.Points(10.5)}

// box is a rectangle in points.
type box struct{ left, bottom, right, top float64 }

func (b box) overlaps(o box) bool {
	return b.left < o.right && o.left < b.right && b.bottom < o.top && o.bottom < b.top
}

// place puts a name beside each point where it lies over no other name, no marked point and as few
// others as there can be: right above, right below, left above or left below. A name without a
// place is left out; the tables tell those too. Earlier points have the choice.
func place(p *plot.Plot, points plotter.XYs, labels []string,
	all plotter.XYs) (out plotter.XYLabels) {
	perX, perY := plotWidth/(p.X.Max-p.X.Min), plotHeight/(p.Y.Max-p.Y.Min)
	dot := func(q plotter.XY, radius float64) box {
		x, y := (q.X-p.X.Min)*perX, (q.Y-p.Y.Min)*perY
		return box{x - radius, y - radius, x + radius, y + radius}
	}
	size := float64(labelFont.Size)
	var taken []box
	for _, q := range points {
		taken = append(taken, dot(q, 3))
	}
	for i, q := range points {
		// Viewers without the font have letters that are up to a sixth wider.
		letters, _, _ := plot.DefaultTextHandler.Box(labels[i], labelFont)
		wide := 1.15 * float64(letters)
		at := dot(q, 0)
		var found *box
		fewest := 0
		for _, b := range []box{
			{at.left + 7, at.bottom + 1, at.left + 7 + wide, at.bottom + 1 + size},
			{at.left + 7, at.bottom - 1 - size, at.left + 7 + wide, at.bottom - 1},
			{at.left - 7 - wide, at.bottom + 1, at.left - 7, at.bottom + 1 + size},
			{at.left - 7 - wide, at.bottom - 1 - size, at.left - 7, at.bottom - 1},
		} {
			if b.left < 0 || b.right > plotWidth || b.bottom < 0 || b.top > plotHeight ||
				covers(b, taken) {
				continue
			}
			n := 0
			for _, other := range all {
				if b.overlaps(dot(other, 3)) {
					n++
				}
			}
			if found == nil || n < fewest {
				found, fewest = &b, n
			}
		}
		if found == nil {
			continue
		}
		taken = append(taken, *found)
		out.Labels = append(out.Labels, labels[i])
		out.XYs = append(out.XYs, plotter.XY{X: p.X.Min + found.left/perX,
			Y: p.Y.Min + (found.bottom+size/2)/perY})
	}
	return out
}

func covers(b box, taken []box) bool {
	for _, t := range taken {
		if b.overlaps(t) {
			return true
		}
	}
	return false
}
