package accel

import (
	"math"
	"testing"
)

// dot is a sum of products in float64, and the sum of their magnitudes. It adds up four sums, none
// of which waits for another.
func dot(x, w []float32) (sum, size float64) {
	var s, m [4]float64
	w = w[:len(x)]
	for len(x) >= 4 && len(w) >= 4 {
		a, b := float64(x[0])*float64(w[0]), float64(x[1])*float64(w[1])
		c, d := float64(x[2])*float64(w[2]), float64(x[3])*float64(w[3])
		s[0], s[1], s[2], s[3] = s[0]+a, s[1]+b, s[2]+c, s[3]+d
		m[0], m[1] = m[0]+math.Abs(a), m[1]+math.Abs(b)
		m[2], m[3] = m[2]+math.Abs(c), m[3]+math.Abs(d)
		x, w = x[4:], w[4:]
	}
	for i := range x {
		a := float64(x[i]) * float64(w[i])
		s[0], m[0] = s[0]+a, m[0]+math.Abs(a)
	}
	return s[0] + s[1] + s[2] + s[3], m[0] + m[1] + m[2] + m[3]
}

// exact is a product in float64, and how much each number of another one may be off.
type exact struct{ want, bound []float64 }

// exactFloats is the product of floats: each number may err by 4 units of the sum of the magnitudes
// that are added up.
func exactFloats(p *product, weights []float32) *exact {
	e := &exact{make([]float64, 0, p.m*p.n), make([]float64, 0, p.m*p.n)}
	for i := range p.m {
		for j := range p.n {
			want, size := dot(p.x[i*p.xStride:][:p.k], weights[j*p.k:])
			e.want, e.bound = append(e.want, want), append(e.bound, 4*unit*size)
		}
	}
	return e
}

// exactIntegers is the product of integers. Rounding a group of x errs by at most half of its
// largest number divided by limit, in each of its numbers; float32's sums, and offsets that cancel,
// by no more than 2e-5 of the largest number. Where that is below 1e-34, the group counts for
// nothing.
func exactIntegers(isa string, p *product, weights []float32) *exact {
	group, limit := rounding(isa, p.typ)
	groups := p.k / group
	errors, sums := make([]float64, p.m*groups), make([]float64, p.n*groups)
	for i := range errors {
		var most float32
		for _, x := range p.x[i/groups*p.xStride+i%groups*group:][:group] {
			if x < 0 {
				x = -x
			}
			if x > most {
				most = x
			}
		}
		errors[i] = float64(most)*(0.5/limit+2e-5) + 1e-34
	}
	for i := range sums {
		for _, w := range weights[i*group:][:group] {
			sums[i] += math.Abs(float64(w))
		}
	}
	e := exactFloats(p, weights)
	for i := range p.m {
		for j := range p.n {
			bound := 0.0
			for g, err := range errors[i*groups:][:groups] {
				bound += err * sums[j*groups+g]
			}
			e.bound[i*p.n+j] = bound
		}
	}
	return e
}

// check compares a product. Nothing between the rows of y may have changed.
func (e *exact) check(t *testing.T, p *product) {
	t.Helper()
	for i := range p.m {
		for j := range p.n {
			got, want, bound := float64(p.y[i*p.yStride+j]), e.want[i*p.n+j], e.bound[i*p.n+j]
			if !(math.Abs(got-want) <= bound) {
				t.Fatalf("%v %dx%dx%d: y[%d][%d] = %g, want %g: off by %.3g of the bound", p.typ,
					p.m, p.n, p.k, i, j, got, want, math.Abs(got-want)/bound)
			}
		}
		for j := p.n; j < p.yStride; j++ {
			if p.y[i*p.yStride+j] != -12345 {
				t.Fatalf("something was written behind row %d", i)
			}
		}
	}
}
