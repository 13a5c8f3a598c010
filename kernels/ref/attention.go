package ref

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/blas"
)

// Softmax replaces each row of x by its softmax, exp(x_j) / Σ exp(x_k), with the
// row's maximum subtracted first so that nothing overflows.
func Softmax[T Float](x Matrix[T]) {
	for i := range x.Rows {
		row := x.Row(i)
		top := row[0]
		for _, v := range row {
			top = max(top, v)
		}
		var sum float64
		for j, v := range row {
			e := math.Exp(float64(v - top))
			row[j] = T(e)
			sum += e
		}
		for j := range row {
			row[j] = T(float64(row[j]) / sum)
		}
	}
}

// Attention computes multi-head self-attention without a mask (Vaswani et al.
// 2017). Head h owns columns h·d to (h+1)·d of q, k, v and dst, d = width / heads:
//
//	dst_h = softmax(q_h · k_hᵀ / √d) · v_h
//
// q, k, v and dst are n x width; scores is an n x n matrix of work space. heads
// must divide the width. dst must not overlap the inputs.
func Attention[T Float](dst, q, k, v Matrix[T], heads int, scores Matrix[T]) {
	n, width := q.Rows, q.Cols
	k.mustBe(n, width, "Attention's k")
	v.mustBe(n, width, "Attention's v")
	dst.mustBe(n, width, "Attention's destination")
	scores.mustBe(n, n, "Attention's work space")
	if heads <= 0 || width%heads != 0 {
		panic(fmt.Sprintf("ref: %d heads in a width of %d", heads, width))
	}
	d := width / heads
	scale := T(1 / math.Sqrt(float64(d)))
	for from := 0; from < width; from += d {
		gemm(blas.Trans, scale, q.ColRange(from, from+d), k.ColRange(from, from+d), 0, scores)
		Softmax(scores)
		gemm(blas.NoTrans, 1, scores, v.ColRange(from, from+d), 0, dst.ColRange(from, from+d))
	}
}
