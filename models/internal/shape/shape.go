// Package shape multiplies dimensions that files give, which may be anything.
package shape

import (
	"math"
	"math/bits"
)

// Elements returns the product of dimensions, and whether it fits in int64. A dimension of 0
// empties a tensor but counts as 1 here: it must not hide an overflow from readers that multiply
// strides.
func Elements(dims []uint64) (n uint64, empty, fits bool) {
	n = 1
	for _, d := range dims {
		if d == 0 {
			empty = true
		} else if n, fits = Product(n, d); !fits {
			return 0, empty, false
		}
	}
	return n, empty, true
}

// Product returns a product, and whether it fits in int64.
func Product(a, b uint64) (n uint64, fits bool) {
	hi, lo := bits.Mul64(a, b)
	return lo, hi == 0 && lo <= math.MaxInt64
}
