package report

import (
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// The size of a chart with names, in points.
const (
	paretoWidth  vg.Length = 560
	paretoHeight vg.Length = 400
)

// labelFont is that of names beside points.
var labelFont = font.Font{Typeface: "Liberation", Variant: "Sans", Size: vg.Points(11.5)}

// box is a rectangle in points.
type box struct{ left, bottom, right, top float64 }

func (b box) overlaps(o box) bool {
	return b.left < o.right && o.left < b.right && b.bottom < o.top && o.bottom < b.top
}

// around is a square about a place.
func around(x, y, radius float64) box { return box{x - radius, y - radius, x + radius, y + radius} }

// placer puts names beside the points of a frontier.
type placer struct {
	width, height float64 // of the plot without its axes, in points
	perX, perY    float64
	p             *plot.Plot
	towards       float64 // -1 where less is to the left, 1 where it is to the right
	taken         []box   // names, marked points, lines from names to their points
	others        []box   // what a name should not cover: other points, the line of the frontier
}

// newPlacer measures what the axes of a plot leave.
func newPlacer(p *plot.Plot, towards float64) *placer {
	area := p.DataCanvas(draw.New(vgsvg.New(paretoWidth, paretoHeight)))
	l := &placer{width: float64(area.Max.X - area.Min.X), height: float64(area.Max.Y - area.Min.Y),
		p: p, towards: towards}
	l.perX, l.perY = l.width/(p.X.Max-p.X.Min), l.height/(p.Y.Max-p.Y.Min)
	return l
}

// at is where a point lies.
func (l *placer) at(q plotter.XY) (x, y float64) {
	return (q.X - l.p.X.Min) * l.perX, (q.Y - l.p.Y.Min) * l.perY
}

// point is the point at a place.
func (l *placer) point(x, y float64) plotter.XY {
	return plotter.XY{X: l.p.X.Min + x/l.perX, Y: l.p.Y.Min + y/l.perY}
}

// along calls f for places on a line, no further apart than a letter is wide.
func along(x0, y0, x1, y1 float64, f func(x, y float64)) {
	n := 1 + int(math.Hypot(x1-x0, y1-y0)/4)
	for i := range n + 1 {
		share := float64(i) / float64(n)
		f(x0+share*(x1-x0), y0+share*(y1-y0))
	}
}

// place puts a name beside each point of a frontier, the first of which have the choice: where it
// lies over no other name and no marked point, and over as few others as there can be. That is
// below the frontier, where no point lies; a name that is not next to its point has a line to it. A
// name without a place is left out; the tables tell those too.
func (l *placer) place(points plotter.XYs, labels []string,
	all plotter.XYs) (out plotter.XYLabels, lines []plotter.XYs) {
	for i, q := range points {
		x, y := l.at(q)
		l.taken = append(l.taken, around(x, y, 4))
		if i > 0 {
			x0, y0 := l.at(points[i-1])
			along(x0, y0, x, y, func(x, y float64) { l.others = append(l.others, around(x, y, 1)) })
		}
	}
	for _, q := range all {
		x, y := l.at(q)
		l.others = append(l.others, around(x, y, 3))
	}
	for i, q := range points {
		b, ok := l.find(q, labels[i])
		if !ok {
			continue
		}
		l.taken = append(l.taken, b)
		out.Labels = append(out.Labels, labels[i])
		out.XYs = append(out.XYs, l.point(b.left, (b.bottom+b.top)/2))
		x, y := l.at(q)
		endX, endY := b.nearest(x, y)
		if math.Hypot(endX-x, endY-y) > 1.2*float64(labelFont.Size) {
			lines = append(lines, plotter.XYs{q, l.point(endX, endY)})
			along(x, y, endX, endY, func(x, y float64) {
				l.taken = append(l.taken, around(x, y, 0.5))
			})
		}
	}
	return out, lines
}

// nearest is the place of a box's edge that is nearest to another place.
func (b box) nearest(x, y float64) (float64, float64) {
	return max(b.left, min(x, b.right)), max(b.bottom, min(y, b.top))
}

// find finds the best place of a name.
func (l *placer) find(q plotter.XY, label string) (found box, ok bool) {
	// Viewers without the font have letters that are up to a sixth wider.
	letters, _, _ := plot.DefaultTextHandler.Box(label, labelFont)
	wide, size := 1.15*float64(letters), float64(labelFont.Size)
	x, y := l.at(q)
	fewest := math.MaxInt
	try := func(left, bottom float64) {
		b := box{left, bottom, left + wide, bottom + size}
		if b.left < 0 || b.right > l.width || b.bottom < 0 || b.top > l.height ||
			count(b, l.taken) > 0 || l.crosses(x, y, b) {
			return
		}
		if n := count(b, l.others); n < fewest {
			found, fewest = b, n
		}
	}
	for lower := range 8 { // ever further below, and ever more under the point
		for _, shift := range []float64{0, 0.4, 0.8} {
			left := x + 7
			if l.towards < 0 {
				left = x - 7 - wide
			}
			try(left-l.towards*(6*float64(lower)*(1-shift)+shift*(wide+7)),
				y-2-size-1.2*size*float64(lower))
			if fewest == 0 {
				return found, true
			}
		}
	}
	try(x+7, y+1)
	try(x-7-wide, y+1)
	return found, fewest < 3
}

// crosses reports whether the line from a point to its name would lie over another name.
func (l *placer) crosses(x, y float64, b box) (over bool) {
	endX, endY := b.nearest(x, y)
	along(x, y, endX, endY, func(x0, y0 float64) {
		if math.Hypot(x0-x, y0-y) > 6 && count(around(x0, y0, 0.5), l.taken) > 0 {
			over = true
		}
	})
	return over
}

// count is how many boxes lie over b.
func count(b box, boxes []box) (n int) {
	for _, t := range boxes {
		if b.overlaps(t) {
			n++
		}
	}
	return n
}
