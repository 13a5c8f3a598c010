package ref

import (
	"fmt"
	"math"
)

// A Kernel is how [Interpolate] weighs the points around a place.
type Kernel int

const (
	// Bilinear weighs the two nearest points of an axis by their distance.
	Bilinear Kernel = iota
	// Bicubic weighs the four nearest by Keys's cubic convolution (1981) with a = -3/4:
	//
	//	|t| ≤ 1:      (a+2)|t|³ - (a+3)|t|² + 1
	//	1 < |t| < 2:  a|t|³ - 5a|t|² + 8a|t| - 4a
	Bicubic
)

// Interpolate resamples the position embeddings of a grid of patches, so that a tower
// takes pictures of another size than it was trained on. src has a row for each place of
// a grid of fromH by fromW, row by row, dst one for each of toH by toW. Place i of n
// lies at (i + 1/2)·from/n - 1/2; places beyond the edge are those of the edge. It
// computes torch.nn.functional.interpolate with align_corners=False and no antialiasing,
// as the interpolate_pos_encoding of Hugging Face's towers does.
func Interpolate[T Float](dst Matrix[T], toH, toW int, src Matrix[T], fromH, fromW int,
	kernel Kernel) {
	if min(toH, toW, fromH, fromW) <= 0 {
		panic(fmt.Sprintf("ref: Interpolate from a grid of %d x %d to %d x %d", fromH, fromW, toH,
			toW))
	}
	src.mustBe(fromH*fromW, src.Cols, "Interpolate's source")
	dst.mustBe(toH*toW, src.Cols, "Interpolate's destination")
	down, across := taps(toH, fromH, kernel), taps(toW, fromW, kernel)
	for i := range dst.Rows {
		out := dst.Row(i)
		for c := range out {
			var sum float64
			for _, y := range down[i/toW] {
				for _, x := range across[i%toW] {
					sum += y.weight * x.weight * float64(src.Row(y.at*fromW + x.at)[c])
				}
			}
			out[c] = T(sum)
		}
	}
}

// tap is a point of an axis and its weight.
type tap struct {
	at     int
	weight float64
}

// taps lists what each of n places of an axis is made of.
func taps(n, from int, kernel Kernel) [][]tap {
	list := make([][]tap, n)
	for i := range list {
		place := (float64(i)+0.5)*float64(from)/float64(n) - 0.5
		first := int(math.Floor(place))
		if kernel == Bicubic {
			for k := first - 1; k <= first+2; k++ {
				list[i] = append(list[i], tap{min(max(k, 0), from-1), cubic(place - float64(k))})
			}
			continue
		}
		for k := first; k <= first+1; k++ {
			list[i] = append(list[i], tap{min(max(k, 0), from-1), 1 - math.Abs(place-float64(k))})
		}
	}
	return list
}

func cubic(t float64) float64 {
	const a = -0.75
	if t = math.Abs(t); t <= 1 {
		return ((a+2)*t-(a+3))*t*t + 1
	}
	return ((a*t-5*a)*t+8*a)*t - 4*a
}
