package ref

import (
	"math"
	"slices"
	"testing"
)

func TestQuantizeRoundsToTheNearestCode(t *testing.T) {
	x := MatrixOf(3, 4, []float64{
		127, -63.5, 62.5, 0.49, // halves to even
		-2, 1, 0.5, -0.007,
		0, 0, 0, 0,
	})
	q := NewCodes[float64](3, 4)
	Quantize(q, x, 127)
	if want := []int8{127, -64, 62, 0, -127, 64, 32, 0, 0, 0, 0, 0}; !slices.Equal(q.Code, want) {
		t.Errorf("codes %v, want %v", q.Code, want)
	}
	mustBeNear(t, "scale", q.Scale, []float64{1, 2. / 127, 0}, 1e-15)
	Quantize(q, x, 63)
	if top := slices.Max(q.Code); top != 63 {
		t.Errorf("the largest code is %d, want 63", top)
	}
}

func TestLinearQuantizedIsNearLinear(t *testing.T) {
	both(t, testLinearQuantized[float32], testLinearQuantized[float64])
}

func testLinearQuantized[T Float](t *testing.T, _ float64) {
	const n, in, out = 6, 200, 9
	x, w, b := random[T](n, in, 1), random[T](out, in, 2), random[T](1, out, 3).Data
	qx, qw := NewCodes[T](n, in), NewCodes[T](out, in)
	Quantize(qx, x, 127)
	Quantize(qw, w, 127)
	got, want := NewMatrix[T](n, out), NewMatrix[T](n, out)
	for _, bias := range [][]T{b, nil} {
		LinearQuantized(got, qx, qw, bias)
		Linear(want, x, w, bias)
		for i := range n {
			for o := range out {
				// Each factor is off by at most half its scale.
				bound := 1e-4
				for j := range in {
					bound += math.Abs(float64(x.Row(i)[j]))*float64(qw.Scale[o])/2 +
						math.Abs(float64(w.Row(o)[j]))*float64(qx.Scale[i])/2 +
						float64(qw.Scale[o])*float64(qx.Scale[i])/4
				}
				d := math.Abs(float64(got.Row(i)[o]) - float64(want.Row(i)[o]))
				if d > bound {
					t.Errorf("output %d of row %d is off by %g, more than rounding allows: %g", o,
						i, d, bound)
				}
				if d > bound/4 { // errors of either sign cancel
					t.Errorf("output %d of row %d is off by %g, of at most %g: the rounding leans to one side", o, i, d, bound)
				}
			}
		}
	}
}

func TestLinearQuantizedIsTheDequantizedProduct(t *testing.T) {
	qx := Codes[float64]{1, 3, []int8{-127, 5, 127}, []float64{0.5}}
	qw := Codes[float64]{2, 3, []int8{127, 1, -127, -3, 0, 2}, []float64{2, 0.25}}
	got := NewMatrix[float64](1, 2)
	LinearQuantized(got, qx, qw, []float64{10, -1})
	mustBeNear(t, "product", got.Data, []float64{(-127*127 + 5 - 127*127) + 10, 0.5*0.25*(381+254) -
		1}, 0)
}
