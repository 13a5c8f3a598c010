// Package ref is the plain arithmetic of vision transformers: every operation a
// short formula over gonum's matrix product, written to be read and trusted
// rather than to be fast. The built-in model's tower runs on it in float32; the
// tests of faster kernels compare with it in float64.
//
// All matrices are dense and row-major. A picture's activations are a matrix of
// one row a token, so a layer with n tokens of width d works on n x d matrices.
// Weights are kept as frameworks store them, one row an output feature: [Linear]
// multiplies by the transpose.
//
// Operations write into a destination that the caller provides and never
// allocate, so that a forward pass can reuse its buffers. They panic on
// mismatched shapes, as gonum does: shapes are the program's own, checked where a
// model is loaded.
package ref

import (
	"fmt"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"
	"gonum.org/v1/gonum/blas/blas64"
)

// Float is the precision that an operation computes in.
type Float interface{ float32 | float64 }

// Matrix is a row-major matrix, or a window of Cols columns of a wider one.
type Matrix[T Float] struct {
	Rows, Cols int
	// Stride is the distance between the starts of neighbouring rows in Data.
	Stride int
	Data   []T
}

// NewMatrix returns a zero matrix.
func NewMatrix[T Float](rows, cols int) Matrix[T] {
	return Matrix[T]{rows, cols, cols, make([]T, rows*cols)}
}

// MatrixOf returns a matrix over data, which is not copied. It panics unless data
// holds rows*cols numbers.
func MatrixOf[T Float](rows, cols int, data []T) Matrix[T] {
	if len(data) != rows*cols {
		panic(fmt.Sprintf("ref: %d numbers for a %d x %d matrix", len(data), rows, cols))
	}
	return Matrix[T]{rows, cols, cols, data}
}

// Row returns row i.
func (m Matrix[T]) Row(i int) []T { return m.Data[i*m.Stride:][:m.Cols] }

// RowRange returns rows from to end as a window on m.
func (m Matrix[T]) RowRange(from, end int) Matrix[T] {
	if from == end {
		return Matrix[T]{0, m.Cols, m.Stride, nil}
	}
	return Matrix[T]{end - from, m.Cols, m.Stride, m.Data[from*m.Stride : (end-1)*m.Stride+m.Cols]}
}

// ColRange returns columns from to end as a window on m.
func (m Matrix[T]) ColRange(from, end int) Matrix[T] {
	return Matrix[T]{m.Rows, end - from, m.Stride, m.Data[from:]}
}

func (m Matrix[T]) mustBe(rows, cols int, what string) {
	if m.Rows != rows || m.Cols != cols {
		panic(fmt.Sprintf("ref: %s is %d x %d, want %d x %d", what, m.Rows, m.Cols, rows, cols))
	}
}

// gemm computes dst = alpha·a·op(b) + beta·dst, where op transposes if tB is
// blas.Trans.
func gemm[T Float](tB blas.Transpose, alpha T, a, b Matrix[T], beta T, dst Matrix[T]) {
	switch x := any(a.Data).(type) {
	case []float32:
		blas32.Gemm(blas.NoTrans, tB, float32(alpha),
			blas32.General{Rows: a.Rows, Cols: a.Cols, Stride: a.Stride, Data: x},
			blas32.General{Rows: b.Rows, Cols: b.Cols, Stride: b.Stride,
				Data: any(b.Data).([]float32)}, float32(beta),
			blas32.General{Rows: dst.Rows, Cols: dst.Cols, Stride: dst.Stride,
				Data: any(dst.Data).([]float32)})
	case []float64:
		blas64.Gemm(blas.NoTrans, tB, float64(alpha),
			blas64.General{Rows: a.Rows, Cols: a.Cols, Stride: a.Stride, Data: x},
			blas64.General{Rows: b.Rows, Cols: b.Cols, Stride: b.Stride,
				Data: any(b.Data).([]float64)}, float64(beta),
			blas64.General{Rows: dst.Rows, Cols: dst.Cols, Stride: dst.Stride,
				Data: any(dst.Data).([]float64)})
	}
}
