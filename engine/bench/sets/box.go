package sets

import (
	"math"
	"regexp"
	"strconv"
)

// Box is a rectangle: left, top, right, bottom, in shares of the picture's sides.
type Box [4]float64

// iou is the intersection of two boxes over their union.
func iou(a, b Box) float64 {
	area := func(x Box) float64 { return (x[2] - x[0]) * (x[3] - x[1]) }
	both := Box{max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])}
	common := max(0, both[2]-both[0]) * max(0, both[3]-both[1])
	if union := area(a) + area(b) - common; union != 0 {
		if share := common / union; !math.IsNaN(share) {
			return share
		}
	}
	return 0
}

// boxMetric is RefCOCO's (Kazemzadeh et al. 2014; Yu et al. 2016): a box is right if it overlaps
// the right one by half. The mean overlap comes beside it.
func boxMetric(said string, q *Question) []float64 {
	overlap := iou(q.Box, boxIn(said))
	return []float64{truth(overlap >= 0.5), max(0, overlap)}
}

var fourNumbers = regexp.MustCompile(
	`\[\s*(-?\d+(?:\.\d+)?),\s*(-?\d+(?:\.\d+)?),\s*(-?\d+(?:\.\d+)?),\s*(-?\d+(?:\.\d+)?)\s*\]`)

// boxIn is the first box in an answer, four numbers in square brackets; the empty box for none.
func boxIn(said string) (b Box) {
	if m := fourNumbers.FindStringSubmatch(said); m != nil {
		for i := range b {
			// digits only; a number out of range is infinite
			b[i], _ = strconv.ParseFloat(m[i+1], 64)
		}
	}
	return b
}
