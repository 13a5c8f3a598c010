package patch

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/eyelet-engine/eyelet/kernels/ref"
)

func TestInterpolatedPositionsEqualTheReference(t *testing.T) {
	const width = 5
	for _, c := range []struct{ from, cols, rows, extra int }{{4, 7, 7, 0}, {16, 24, 24, 1},
		{24, 16, 16, 1}, {1, 3, 3, 1}, {3, 1, 1, 0}, {5, 5, 5, 1}, {6, 11, 3, 0}} {
		rows := random(rand.New(rand.NewPCG(7, uint64(c.cols))), (c.extra+c.from*c.from)*width, 1)
		got, err := InterpolatePositions(rows, width, c.extra, c.from, c.cols, c.rows)
		if err != nil {
			t.Fatal(err)
		}
		for i := range c.extra * width {
			if got[i] != rows[i] {
				t.Errorf("%+v: the class token's position changed", c)
			}
		}
		want := ref.NewMatrix[float64](c.cols*c.rows, width)
		ref.Interpolate(want, c.rows, c.cols, ref.MatrixOf(c.from*c.from, width,
			double(rows[c.extra*width:])), c.from, c.from, ref.Bicubic)
		for i, w := range want.Data {
			if g := float64(got[c.extra*width+i]); math.Abs(g-w) > 1e-6 {
				t.Fatalf("%+v: number %d is %g, want %g", c, i, g, w)
			}
		}
	}
	if _, err := InterpolatePositions(make([]float32, 7), 2, 0, 2, 3, 3); err == nil {
		t.Error("misshapen positions are taken")
	}
}
