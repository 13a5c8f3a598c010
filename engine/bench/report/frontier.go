package report

import (
	"cmp"
	"slices"

	"github.com/eyelet-engine/eyelet/engine/bench"
)

// point is a cell in a chart of divergence over a cost.
type point struct {
	cell *bench.Cell
	cost float64 // less is better
	kl   float64
	best bool // no other is both cheaper and closer to the base
}

// sizeOf is the size of a cell's files in MiB.
func (v *view) sizeOf(c *bench.Cell) (float64, bool) {
	return float64(v.r.Bytes(c)) / (1 << 20), true
}

// tokenTime is the time of a token in ms.
func tokenTime(c *bench.Cell) (float64, bool) {
	if c.Speed == nil {
		return 0, false
	}
	return 1000 / c.Speed.TG128.Median, true
}

// firstToken is the time to the first token in ms.
func firstToken(c *bench.Cell) (float64, bool) {
	if c.Speed == nil || c.Speed.TTFTMS == nil {
		return 0, false
	}
	return c.Speed.TTFTMS.Median, true
}

// points are the cells that have a divergence and a cost, cheapest first, those of the frontier
// marked.
func (v *view) points(cells []*bench.Cell, cost func(*bench.Cell) (float64, bool)) (list []point) {
	for _, c := range cells {
		kl, _, ok := v.divergence(c)
		x, costs := cost(c)
		if ok && costs {
			list = append(list, point{cell: c, cost: x, kl: max(kl, least)})
		}
	}
	slices.SortStableFunc(list, func(a, b point) int {
		return cmp.Or(cmp.Compare(a.cost, b.cost), cmp.Compare(a.kl, b.kl))
	})
	lowest := 0.0
	for i := range list {
		if i == 0 || list[i].kl < lowest {
			list[i].best, lowest = true, list[i].kl
		}
	}
	return list
}

// least is the smallest divergence that charts tell from none: rounding of other batches makes
// about as much.
const least = 1e-7

// frontier are the points that no other beats.
func (v *view) frontier(cells []*bench.Cell, cost func(*bench.Cell) (float64, bool)) []point {
	return slices.DeleteFunc(v.points(cells, cost), func(p point) bool { return !p.best })
}

// first are the cells with the first number of threads and the first batch: those that charts of
// quality compare.
func (v *view) first() (list []*bench.Cell) {
	for i := range v.r.Cells {
		c := &v.r.Cells[i]
		if c.Threads == v.r.Cells[0].Threads && c.Batch == v.r.Cells[0].Batch {
			list = append(list, c)
		}
	}
	return list
}
