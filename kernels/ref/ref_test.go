package ref

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/eyelet-engine/eyelet/kernels/imaging"
)

func random[T Float](rows, cols int, seed uint64) Matrix[T] {
	r := rand.New(rand.NewPCG(seed, 0))
	m := NewMatrix[T](rows, cols)
	for i := range m.Data {
		m.Data[i] = T(float32(r.NormFloat64())) // the same numbers in both precisions
	}
	return m
}

func mustBeNear[T Float](t *testing.T, what string, got []T, want []float64, tolerance float64) {
	t.Helper()
	for i := range want {
		if d := math.Abs(float64(got[i]) - want[i]); !(d <= tolerance*max(1, math.Abs(want[i]))) {
			t.Fatalf("%s: number %d is %v, want %v", what, i, got[i], want[i])
		}
	}
}

// both runs a test in both precisions with their tolerances.
func both(t *testing.T, f32 func(*testing.T, float64), f64 func(*testing.T, float64)) {
	t.Run("float32", func(t *testing.T) { f32(t, 1e-5) })
	t.Run("float64", func(t *testing.T) { f64(t, 1e-13) })
}

func TestLinearIsTheSumOverInputs(t *testing.T) {
	both(t, testLinear[float32], testLinear[float64])
}

func testLinear[T Float](t *testing.T, tolerance float64) {
	x, w, b := random[T](5, 70, 1), random[T](9, 70, 2), random[T](1, 9, 3).Data
	wide := random[T](5, 11, 4) // the destination is a window that spares the outer columns
	left, right := wide.Row(2)[0], wide.Row(2)[10]
	dst := wide.ColRange(1, 10)
	for _, bias := range [][]T{b, nil} {
		Linear(dst, x, w, bias)
		for i := range 5 {
			want := make([]float64, 9)
			for o := range want {
				for k := range 70 {
					want[o] += float64(x.Row(i)[k]) * float64(w.Row(o)[k])
				}
				if bias != nil {
					want[o] += float64(bias[o])
				}
			}
			mustBeNear(t, "row", dst.Row(i), want, tolerance)
		}
	}
	if wide.Row(2)[0] != left || wide.Row(2)[10] != right {
		t.Error("Linear writes beside its destination")
	}
}

func TestAttentionIsTheFormulaHeadByHead(t *testing.T) {
	both(t, testAttention[float32], testAttention[float64])
}

func testAttention[T Float](t *testing.T, tolerance float64) {
	const n, heads, d = 7, 3, 4
	q, k, v := random[T](n, heads*d, 1), random[T](n, heads*d, 2), random[T](n, heads*d, 3)
	got := NewMatrix[T](n, heads*d)
	Attention(got, q, k, v, heads, NewMatrix[T](n, n))
	for i := range n {
		want := make([]float64, heads*d)
		for h := range heads {
			weights, sum := make([]float64, n), 0.0
			for j := range n {
				s := 0.0
				for c := h * d; c < (h+1)*d; c++ {
					s += float64(q.Row(i)[c]) * float64(k.Row(j)[c])
				}
				weights[j] = math.Exp(s / math.Sqrt(d))
				sum += weights[j]
			}
			for c := h * d; c < (h+1)*d; c++ {
				for j := range n {
					want[c] += weights[j] / sum * float64(v.Row(j)[c])
				}
			}
		}
		mustBeNear(t, "row", got.Row(i), want, tolerance)
	}
}

func TestSoftmaxOfLargeNumbersDoesNotOverflow(t *testing.T) {
	x := MatrixOf(2, 3, []float32{1000, 1000, 1000, -1000, 0, 200})
	Softmax(x)
	mustBeNear(t, "softmax", x.Data, []float64{1. / 3, 1. / 3, 1. / 3, 0, 0, 1}, 1e-7)
}

func TestLayerNormGivesRowsMeanZeroAndVarianceOne(t *testing.T) {
	both(t, testLayerNorm[float32], testLayerNorm[float64])
}

func testLayerNorm[T Float](t *testing.T, tolerance float64) {
	const eps = 1e-5
	// By PyTorch 2.15 in float64: torch.nn.functional.layer_norm(x, (4,), gain, bias, 1e-5).
	x := MatrixOf(1, 4, []T{1, 2, 3, 6})
	LayerNorm(x, x, []T{1, 1, 1, 2}, []T{0, 0, 0, 1}, eps)
	mustBeNear(t, "PyTorch's row", x.Data, []float64{-1.0690434404458735, -0.5345217202229368, 0,
		4.207130321337621}, max(tolerance, 1e-12))

	x = random[T](3, 50, 1)
	for i := range x.Data {
		x.Data[i] = x.Data[i]*5 + 100 // a mean far from zero
	}
	ones := make([]T, 50)
	for i := range ones {
		ones[i] = 1
	}
	y := NewMatrix[T](3, 50)
	LayerNorm(y, x, ones, make([]T, 50), eps)
	for i := range 3 {
		var sum, squares float64
		for _, v := range y.Row(i) {
			sum += float64(v)
			squares += float64(v) * float64(v)
		}
		if math.Abs(sum/50) > 1e-6 || math.Abs(squares/50-1) > 1e-5 {
			t.Errorf("row %d: mean %g, variance %g", i, sum/50, squares/50)
		}
	}
}

// By PyTorch 2.15 in float64: gelu(x), gelu(x, approximate="tanh"), x*sigmoid(1.702*x), silu(x).
var activations = []struct{ x, gelu, tanh, quick, silu float64 }{
	{-3, -0.00404969409489031, -0.0036373920817729943, -0.01807130970778597, -0.14227761953270035},
	{-0.5, -0.15426876936299344, -0.15428599017485606, -0.1496115633936199, -0.1887703343990727},
	{0, 0.0, 0.0, 0.0, 0.0},
	{1, 0.841344746068543, 0.8411919906082768, 0.8457957659328212, 0.7310585786300049},
	{4, 3.9998733150326675, 3.9999297540518075, 3.9955852758604187, 3.928055160151634},
}

func TestActivationsEqualPyTorch(t *testing.T) {
	both(t, testActivations[float32], testActivations[float64])
}

func testActivations[T Float](t *testing.T, tolerance float64) {
	tolerance = max(tolerance, 1e-12)
	for _, a := range activations {
		for _, f := range []struct {
			name string
			f    Activation[T]
			want float64
		}{{"GELU", GELU[T], a.gelu}, {"GELUTanh", GELUTanh[T], a.tanh}, {"QuickGELU", QuickGELU[T],
			a.quick}, {"SiLU", SiLU[T], a.silu}} {
			x := MatrixOf(1, 1, []T{T(a.x)})
			f.f(x)
			mustBeNear(t, fmt.Sprintf("%s(%g)", f.name, a.x), x.Data, []float64{f.want}, tolerance)
		}
	}
}

func TestPatchifyThenLinearIsAConvolution(t *testing.T) {
	const w, h, p, out = 7, 4, 2, 3 // the last column of pixels is in no patch
	img := imaging.NewRGB(w, h)
	for i := range img.Pix {
		img.Pix[i] = uint8(37 * i)
	}
	mean, std := [3]float64{0.1, 0.2, 0.3}, [3]float64{0.5, 0.25, 2}
	kernel := random[float64](out, 3*p*p, 1) // [out][channel][y][x]
	patches := NewMatrix[float64](w/p*h/p, 3*p*p)
	Patchify(patches, img, p, mean, std)
	got := NewMatrix[float64](patches.Rows, out)
	Linear(got, patches, kernel, nil)
	for py := range h / p {
		for px := range w / p {
			want := make([]float64, out)
			for o := range out {
				for c := range 3 {
					for y := range p {
						for x := range p {
							pixel := float64(img.Pix[3*((py*p+y)*w+px*p+x)+c])
							want[o] += kernel.Row(o)[c*p*p+y*p+x] * (pixel/255 - mean[c]) / std[c]
						}
					}
				}
			}
			mustBeNear(t, "patch", got.Row(py*(w/p)+px), want, 1e-12)
		}
	}
}

func TestMismatchedShapesPanic(t *testing.T) {
	m := NewMatrix[float32]
	for name, f := range map[string]func(){
		"Linear":    func() { Linear(m(2, 3), m(2, 4), m(3, 5), nil) },
		"Add":       func() { Add(m(2, 3), m(3, 2)) },
		"Attention": func() { Attention(m(2, 4), m(2, 4), m(2, 4), m(2, 4), 3, m(2, 2)) },
		"Patchify": func() {
			Patchify(m(1, 12), imaging.NewRGB(4, 2), 2, [3]float32{}, [3]float32{1, 1, 1})
		},
		"MatrixOf": func() { MatrixOf(2, 2, make([]float32, 3)) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s accepts mismatched shapes", name)
				}
			}()
			f()
		}()
	}
}

func BenchmarkLinear(b *testing.B) {
	for _, size := range [][2]int{{256, 256}, {256, 1024}, {1024, 256}} {
		in, out := size[0], size[1]
		b.Run(fmt.Sprintf("65x%d to %d", in, out), func(b *testing.B) {
			x, w, dst := random[float32](65, in, 1), random[float32](out, in, 2),
				NewMatrix[float32](65, out)
			for b.Loop() {
				Linear(dst, x, w, nil)
			}
			b.ReportMetric(2*65*float64(in)*float64(out)*float64(b.N)/b.Elapsed().Seconds()/1e9,
				"GFLOP/s")
		})
	}
}
