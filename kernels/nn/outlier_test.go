package nn

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/eyelet-engine/eyelet/cgo/onednn"
	"github.com/eyelet-engine/eyelet/kernels/ref"
)

// Trained towers have channels, rows and single numbers that are many times as large as the others.
// What 8-bit weights make of them must stay near the exact result.
func TestInputsWithOutliersKeepTheirResult(t *testing.T) {
	const rows, in, out = 150, 768, 96
	type input func(rng *rand.Rand, x, weight []float32)
	inputs := map[string]input{
		"normal": func(*rand.Rand, []float32, []float32) {},
		"large rows": func(_ *rand.Rand, x, _ []float32) {
			for i := range x {
				x[i] *= []float32{1, 1000, 0.001}[i/in%3]
			}
		},
		"heavy tails": func(_ *rand.Rand, x, _ []float32) {
			for i, v := range x {
				x[i] = v * v * v
			}
		},
		"activated heavy tails": func(_ *rand.Rand, x, _ []float32) {
			for i, v := range x {
				v = v * v * v
				x[i] = v / (1 + float32(math.Exp(-1.702*float64(v))))
			}
		},
		"one token": func(_ *rand.Rand, x, _ []float32) { x[70*in+5] = 5000 },
	}
	for _, channels := range []int{1, 3, 8} {
		for _, factor := range []float32{16, 32} {
			// Those outputs that read them as they read others drown the rest; the other ones do
			// not.
			for _, share := range []int{0, 2, 1} {
				name := fmt.Sprintf("%d channels %vx, 1 of %d outputs damped", channels, factor,
					share)
				inputs[name] = func(_ *rand.Rand, x, weight []float32) {
					for i := range x {
						if i%in%(in/channels) == 7 {
							x[i] *= factor
						}
					}
					for i := range weight {
						if i%in%(in/channels) == 7 && share > 0 && i/in%share == 0 {
							weight[i] /= factor
						}
					}
				}
			}
		}
	}
	for name, change := range inputs {
		for _, way := range integerWays() {
			t.Run(fmt.Sprintf("%s/%v/%+v", name, way.precision, way.panels), func(t *testing.T) {
				rng := rand.New(rand.NewPCG(7, 8))
				x, layer := random(rng, rows*in, 1, 0), randomLinear(rng, in, out)
				clear(layer.Bias)
				change(rng, x, layer.Weight)
				plan := openWith(t, Config{Precision: way.precision, Threads: 2, Rows: rows,
					Hidden: in, Heads: 2, FF: 64, Eps: 1e-6}, way.panels)
				m, err := plan.NewMLP(nil, []Layer{{LinearWeights: layer}})
				if err != nil {
					t.Fatal(err)
				}
				defer m.Close()
				buffer, err := onednn.Alloc(4 * len(x))
				if err != nil {
					t.Fatal(err)
				}
				defer buffer.Close()
				copy(buffer.Float32(), x)
				got, err := plan.RunMLP(m, buffer, 1, Rows{Stride: rows, Count: rows})
				if err != nil {
					t.Fatal(err)
				}
				defer got.Close()
				want := refLinear(ref.MatrixOf(rows, in, double(x)), layer)
				lowest := 1.0
				for r := range rows {
					lowest = min(lowest, cosine(got.Float32()[r*out:][:out], want.Row(r)))
				}
				t.Logf("lowest cosine %.6f", lowest)
				bound := 0.9998
				switch {
				case way.precision == Int16:
					bound = 0.99999
				case !way.panels.integers && !onednn.CPU().VNNI: // 7 bits
					bound = 0.9996
				}
				if !(lowest >= bound) {
					t.Errorf("the lowest cosine of a row is %g, want at least %g", lowest, bound)
				}
			})
		}
	}
}

// integerWays returns the ways to compute products of integers that this processor has.
func integerWays() (list []struct {
	precision Precision
	panels    panels
}) {
	for _, which := range waysOf() {
		list = append(list, struct {
			precision Precision
			panels    panels
		}{Int8, which})
	}
	if hasPanels() {
		list = append(list, struct {
			precision Precision
			panels    panels
		}{Int16, panels{integers: true}})
	}
	return list
}

func cosine(a []float32, b []float64) float64 {
	var dot, aa, bb float64
	for i, x := range b {
		y := float64(a[i])
		dot, aa, bb = dot+x*y, aa+y*y, bb+x*x
	}
	return dot / math.Sqrt(aa*bb)
}

// Rows come out the same whatever rows are computed beside them.
func TestARowDoesNotDependOnItsNeighbours(t *testing.T) {
	const rows, in, out = 140, 256, 96
	for _, way := range integerWays() {
		rng := rand.New(rand.NewPCG(9, 10))
		layer := randomLinear(rng, in, out)
		plan := openWith(t, Config{Precision: way.precision, Threads: 1, Rows: rows, Hidden: in,
			Heads: 2, FF: 64, Eps: 1e-6}, way.panels)
		m, err := plan.NewMLP(nil, []Layer{{LinearWeights: layer}})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		buffer, err := onednn.Alloc(4 * rows * in)
		if err != nil {
			t.Fatal(err)
		}
		defer buffer.Close()
		x := buffer.Float32()
		copy(x, random(rng, rows*in, 1, 0))
		var last []float32
		for range 2 {
			got, err := plan.RunMLP(m, buffer, 1, Rows{Stride: rows, Count: rows})
			if err != nil {
				t.Fatal(err)
			}
			for i, v := range last {
				if got.Float32()[i] != v {
					t.Fatalf("%+v: number %d is %g, and was %g beside other rows", way, i,
						got.Float32()[i], v)
				}
			}
			last = append([]float32(nil), got.Float32()[:50*out]...)
			got.Close()
			x[60*in+3] = 1e4 // a row for which 8 bits are too few
		}
	}
}
