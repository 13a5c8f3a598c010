package ref

import "gonum.org/v1/gonum/blas"

// Linear computes the fully connected layer
//
//	dst = x · wᵀ + b
//
// x is n x in, w is out x in, dst is n x out; b has out numbers, or is nil for none.
// dst must not overlap x.
func Linear[T Float](dst, x, w Matrix[T], b []T) {
	w.mustBe(w.Rows, x.Cols, "Linear's weight")
	dst.mustBe(x.Rows, w.Rows, "Linear's destination")
	if b == nil {
		gemm(blas.Trans, 1, x, w, 0, dst)
		return
	}
	for i := range dst.Rows {
		copy(dst.Row(i), b[:dst.Cols])
	}
	gemm(blas.Trans, 1, x, w, 1, dst)
}

// Add computes dst += x, the residual connection. The shapes are equal.
func Add[T Float](dst, x Matrix[T]) {
	x.mustBe(dst.Rows, dst.Cols, "Add's operand")
	for i := range dst.Rows {
		d, v := dst.Row(i), x.Row(i)
		for j := range d {
			d[j] += v[j]
		}
	}
}
