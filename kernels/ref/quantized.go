package ref

import (
	"fmt"
	"math"
)

// Codes is a row-major matrix of 8-bit numbers with a scale for each row: element j of
// row i stands for Scale[i] · Code[i·Cols + j].
type Codes[T Float] struct {
	Rows, Cols int
	Code       []int8
	Scale      []T
}

// NewCodes returns a matrix of zeros.
func NewCodes[T Float](rows, cols int) Codes[T] {
	return Codes[T]{rows, cols, make([]int8, rows*cols), make([]T, rows)}
}

// Quantize approximates each row of x by 8-bit numbers,
//
//	scale_i = max_j |x[i,j]| / limit
//	code[i,j] = round(x[i,j] / scale_i)
//
// halves going to the even neighbour. limit is the largest code, 1 to 127. A row of
// zeros has scale 0. Of weights, a row is an output, so that each has its own scale; of
// activations, a token. The error of an element is at most half its row's scale.
func Quantize[T Float](dst Codes[T], x Matrix[T], limit int) {
	x.mustBe(dst.Rows, dst.Cols, "Quantize's source")
	if limit < 1 || limit > 127 {
		panic(fmt.Sprintf("ref: Quantize to codes up to %d", limit))
	}
	for i := range x.Rows {
		var top float64
		for _, v := range x.Row(i) {
			top = max(top, math.Abs(float64(v)))
		}
		dst.Scale[i] = T(top / float64(limit))
		codes := dst.Code[i*dst.Cols:][:dst.Cols]
		for j, v := range x.Row(i) {
			codes[j] = 0
			if top > 0 {
				codes[j] = int8(math.RoundToEven(float64(v) / top * float64(limit)))
			}
		}
	}
}

// LinearQuantized is [Linear] of quantized activations and weights, whose products are
// summed as integers:
//
//	dst[i,o] = scaleX_i · scaleW_o · Σ_j x[i,j]·w[o,j] + b[o]
//
// x is n x in, w is out x in, dst is n x out; b has out numbers, or is nil for none.
func LinearQuantized[T Float](dst Matrix[T], x, w Codes[T], b []T) {
	dst.mustBe(x.Rows, w.Rows, "LinearQuantized's destination")
	if x.Cols != w.Cols {
		panic(fmt.Sprintf("ref: LinearQuantized's input is %d wide, its weight %d", x.Cols, w.Cols))
	}
	for i := range dst.Rows {
		row, out := x.Code[i*x.Cols:][:x.Cols], dst.Row(i)
		for o := range out {
			var sum int64
			for j, c := range w.Code[o*w.Cols:][:w.Cols] {
				sum += int64(row[j]) * int64(c)
			}
			v := float64(x.Scale[i]) * float64(w.Scale[o]) * float64(sum)
			if b != nil {
				v += float64(b[o])
			}
			out[o] = T(v)
		}
	}
}
