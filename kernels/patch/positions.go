package patch

import (
	"fmt"
	"math"
)

// InterpolatePositions resamples position embeddings learned for a grid of from x from patches to
// one of cols x rows, so that a tower takes pictures of another size than it was trained on. table
// holds extra rows (the class token's), which are kept, then one of width numbers for each place of
// the grid. The weights are those of Keys's cubic convolution with a = -3/4 at pixel centres, edges
// repeated: torch.nn.functional.interpolate(mode="bicubic", align_corners=False), which Hugging
// Face's interpolate_pos_encoding calls, and grid_sample at the centres of patches.
func InterpolatePositions(table []float32, width, extra, from, cols, rows int) ([]float32, error) {
	if width < 1 || extra < 0 || from < 1 || cols < 1 || rows < 1 || from > maxSide ||
		cols > maxSide || rows > maxSide || len(table) != (extra+from*from)*width {
		return nil, fmt.Errorf(
			"patch: %d numbers of positions, %d wide, for a grid of %d x %d and %d rows more",
			len(table), width, from, from, extra)
	}
	out := make([]float32, (extra+cols*rows)*width)
	copy(out, table[:extra*width])
	src, dst := table[extra*width:], out[extra*width:]
	// Across, then down; between the two stands a grid of from rows by cols columns.
	between := make([]float64, from*cols*width)
	across := cubicTaps(from, cols)
	for y := range from {
		for x, t := range across {
			sum := between[(y*cols+x)*width:][:width]
			for k, at := range t.at {
				for i, v := range src[(y*from+at)*width:][:width] {
					sum[i] += t.weight[k] * float64(v)
				}
			}
		}
	}
	sum := make([]float64, width)
	for y, t := range cubicTaps(from, rows) {
		for x := range cols {
			clear(sum)
			for k, at := range t.at {
				for i, v := range between[(at*cols+x)*width:][:width] {
					sum[i] += t.weight[k] * v
				}
			}
			for i, v := range sum {
				dst[(y*cols+x)*width+i] = float32(v)
			}
		}
	}
	return out, nil
}

// cubicTap lists the four places of an axis that one place of the new axis is made of, and their
// weights.
type cubicTap struct {
	at     [4]int
	weight [4]float64
}

func cubicTaps(from, to int) []cubicTap {
	const a = -0.75
	taps := make([]cubicTap, to)
	for i := range taps {
		place := (float64(i)+0.5)*float64(from)/float64(to) - 0.5
		first := int(math.Floor(place)) - 1
		for k := range 4 {
			d := math.Abs(place - float64(first+k))
			w := (a+2)*d*d*d - (a+3)*d*d + 1
			if d > 1 {
				w = a*d*d*d - 5*a*d*d + 8*a*d - 4*a
			}
			taps[i].at[k], taps[i].weight[k] = min(max(first+k, 0), from-1), w
		}
	}
	return taps
}
