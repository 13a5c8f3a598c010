package ref

import "math"

// An Activation is applied to each number of a matrix in place. Each is computed
// in float64 and rounded to the matrix's precision.
type Activation[T Float] func(x Matrix[T])

func each[T Float](x Matrix[T], f func(float64) float64) {
	for i := range x.Rows {
		row := x.Row(i)
		for j, v := range row {
			row[j] = T(f(float64(v)))
		}
	}
}

// GELU is the Gaussian error linear unit (Hendrycks, Gimpel 2016), exact:
//
//	x · Φ(x) = x/2 · (1 + erf(x/√2))
func GELU[T Float](x Matrix[T]) {
	each(x, func(v float64) float64 { return v / 2 * (1 + math.Erf(v/math.Sqrt2)) })
}

// GELUTanh is the GELU's approximation by tanh (the same paper):
//
//	x/2 · (1 + tanh(√(2/π) · (x + 0.044715·x³)))
func GELUTanh[T Float](x Matrix[T]) {
	each(x, func(v float64) float64 {
		return v / 2 * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(v+0.044715*v*v*v)))
	})
}

// QuickGELU is the GELU's approximation by the logistic function, which OpenAI's
// CLIP was trained with:
//
//	x / (1 + exp(-1.702·x))
func QuickGELU[T Float](x Matrix[T]) {
	each(x, func(v float64) float64 { return v / (1 + math.Exp(-1.702*v)) })
}

// SiLU is the sigmoid linear unit:
//
//	x / (1 + exp(-x))
func SiLU[T Float](x Matrix[T]) {
	each(x, func(v float64) float64 { return v / (1 + math.Exp(-v)) })
}
