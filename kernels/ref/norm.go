package ref

import "math"

// LayerNorm normalises each row of x to mean 0 and variance 1, then scales and
// shifts it by column (Ba, Kiros, Hinton 2016):
//
//	dst[i,j] = (x[i,j] - mean_i) / sqrt(var_i + eps) · gain[j] + bias[j]
//
// var is the biased variance (divided by the width). Sums run in float64. dst may
// be x.
func LayerNorm[T Float](dst, x Matrix[T], gain, bias []T, eps float64) {
	dst.mustBe(x.Rows, x.Cols, "LayerNorm's destination")
	n := float64(x.Cols)
	for i := range x.Rows {
		row, out := x.Row(i), dst.Row(i)
		var sum float64
		for _, v := range row {
			sum += float64(v)
		}
		mean := sum / n
		var squares float64
		for _, v := range row {
			d := float64(v) - mean
			squares += d * d
		}
		scale := 1 / math.Sqrt(squares/n+eps)
		for j, v := range row {
			out[j] = T((float64(v)-mean)*scale)*gain[j] + bias[j]
		}
	}
}
