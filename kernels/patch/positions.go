package patch

import (
	"fmt"
	"math"
)

// InterpolatePositions resamples position embeddings learned for a grid of from x from patches to
// one of to x to, so that a tower takes pictures of another size than it was trained on. rows holds
// extra rows (the class token's), which are kept, then one of width numbers for each place of the
// grid. The weights are those of Keys's cubic convolution with a = -3/4 at pixel centres, edges
// repeated: torch.nn.functional.interpolate(mode="bicubic", align_corners=False), which Hugging
// Face's interpolate_pos_encoding calls.
func InterpolatePositions(rows []float32, width, extra, from, to int) ([]float32, error) {
	if width < 1 || extra < 0 || from < 1 || to < 1 || from > maxSide || to > maxSide ||
		len(rows) != (extra+from*from)*width {
		return nil, fmt.Errorf(
			"patch: %d numbers of positions, %d wide, for a grid of %d x %d and %d rows more", len(
				rows), width, from, from, extra)
	}
	out := make([]float32, (extra+to*to)*width)
	copy(out, rows[:extra*width])
	src, dst := rows[extra*width:], out[extra*width:]
	taps := cubicTaps(from, to)
	// Across, then down; between the two stands a grid of from rows by to columns.
	between := make([]float64, from*to*width)
	for y := range from {
		for x, t := range taps {
			sum := between[(y*to+x)*width:][:width]
			for k, at := range t.at {
				for i, v := range src[(y*from+at)*width:][:width] {
					sum[i] += t.weight[k] * float64(v)
				}
			}
		}
	}
	sum := make([]float64, width)
	for y, t := range taps {
		for x := range to {
			clear(sum)
			for k, at := range t.at {
				for i, v := range between[(at*to+x)*width:][:width] {
					sum[i] += t.weight[k] * v
				}
			}
			for i, v := range sum {
				dst[(y*to+x)*width+i] = float32(v)
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
