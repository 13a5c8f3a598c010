package graph

import (
	"errors"
	"math"
	"os"
	"testing"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
)

func openCPU(t *testing.T) *Backend {
	t.Helper()
	b, err := Open(nil, 2)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

// filled is a store of one tensor for each shape, counting up, and one of the results.
func filled(t *testing.T, b *Backend, result []int, shapes ...[]int) (in []*Tensor, out *Tensor) {
	t.Helper()
	s := b.NewStore(len(shapes)+1, false)
	t.Cleanup(s.Close)
	for _, dims := range shapes {
		in = append(in, s.Tensor(ggml.F32, dims...))
	}
	out = s.Tensor(ggml.F32, result...)
	if err := s.Alloc(); err != nil {
		t.Fatal(err)
	}
	for _, x := range in {
		values := make([]float32, x.elements())
		for i := range values {
			values[i] = float32(i)
		}
		if err := x.SetFloats(values); err != nil {
			t.Fatal(err)
		}
	}
	return in, out
}

func TestProductsAndViewsAreWhatTheyAreCalled(t *testing.T) {
	b := openCPU(t)
	in, out := filled(t, b, []int{2, 2}, []int{3, 2}, []int{3, 4})
	g := b.NewGraph()
	g.Copy(g.MulMat(in[0], g.View(in[1], [4]int{0, 1, 0, 0}, [4]int{3, 2, 1, 1})), out)
	if err := g.Compute(); err != nil {
		t.Fatal(err)
	}
	got, err := out.Floats()
	if err != nil {
		t.Fatal(err)
	}
	// weights 0 1 2, 3 4 5; rows 3 4 5, 6 7 8
	for i, want := range []float32{14, 50, 23, 86} {
		if got[i] != want {
			t.Errorf("%v, want 14 50 23 86", got)
			break
		}
	}
	if s := b.Stats(); s.Graphs != 1 || s.Splits != 1 {
		t.Errorf("%+v", s)
	}
}

func TestActivationsAreTheirFormulas(t *testing.T) {
	b := openCPU(t)
	for name, f := range map[string]struct {
		op   func(*Graph, *Tensor) *Tensor
		want func(x float64) float64
	}{
		"gelu": {(*Graph).GELUErf, func(x float64) float64 {
			return x * (1 + math.Erf(x/math.Sqrt2)) / 2
		}},
		"silu":    {(*Graph).SiLU, func(x float64) float64 { return x / (1 + math.Exp(-x)) }},
		"sigmoid": {(*Graph).Sigmoid, func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }},
		"square":  {(*Graph).Square, func(x float64) float64 { return x * x }},
		"scale": {func(g *Graph, x *Tensor) *Tensor { return g.Scale(x, 2, 1) },
			func(x float64) float64 { return 2*x + 1 }},
	} {
		in, out := filled(t, b, []int{6}, []int{6})
		g := b.NewGraph()
		g.Copy(f.op(g, g.Scale(in[0], 1, -3)), out)
		if err := g.Compute(); err != nil {
			t.Fatal(err)
		}
		got, _ := out.Floats()
		for i, y := range got {
			if want := f.want(float64(i - 3)); math.Abs(float64(y)-want) > 1e-5 {
				t.Errorf("%s of %d: %g, want %g", name, i-3, y, want)
			}
		}
	}
}

// Each of these ends the process if ggml sees it.
func TestWhatDoesNotFitIsAnError(t *testing.T) {
	b := openCPU(t)
	other := openCPU(t)
	in, out := filled(t, b, []int{4, 2}, []int{4, 6}, []int{3, 6}, []int{4, 6, 2},
		[]int{4, 4})
	foreign, _ := filled(t, other, []int{1}, []int{4, 6})
	closed := b.NewStore(1, false)
	gone := closed.Tensor(ggml.F32, 4, 6)
	if err := closed.Alloc(); err != nil {
		t.Fatal(err)
	}
	closed.Close()
	x, narrow, deep, square := in[0], in[1], in[2], in[3]
	for name, op := range map[string]func(g *Graph) *Tensor{
		"a product of other widths":   func(g *Graph) *Tensor { return g.MulMat(x, narrow) },
		"a product of fewer matrices": func(g *Graph) *Tensor { return g.MulMat(deep, x) },
		"a sum of other shapes":       func(g *Graph) *Tensor { return g.Add(x, narrow) },
		"a sum with a longer one":     func(g *Graph) *Tensor { return g.Add(x, deep) },
		"a sum of a permutation": func(g *Graph) *Tensor {
			return g.Add(g.Permute(square, [4]int{1, 0, 2, 3}), square)
		},
		"a product with a permutation": func(g *Graph) *Tensor {
			return g.Mul(square, g.Permute(square, [4]int{1, 0, 2, 3}))
		},
		"a norm with a negative epsilon": func(g *Graph) *Tensor { return g.Norm(x, -1) },
		"a norm with no number": func(g *Graph) *Tensor {
			return g.RMSNorm(x, math.NaN())
		},
		"a shape of more elements": func(g *Graph) *Tensor { return g.Reshape(x, 5, 5) },
		"a shape of nothing":       func(g *Graph) *Tensor { return g.Reshape(x, 0, 24) },
		"a shape of five dimensions": func(g *Graph) *Tensor {
			return g.Reshape(x, 1, 1, 1, 4, 6)
		},
		"a view beyond the end": func(g *Graph) *Tensor {
			return g.View(x, [4]int{0, 5, 0, 0}, [4]int{4, 2, 1, 1})
		},
		"a view before the beginning": func(g *Graph) *Tensor {
			return g.View(x, [4]int{-1, 0, 0, 0}, [4]int{4, 2, 1, 1})
		},
		"a permutation that names twice": func(g *Graph) *Tensor {
			return g.Permute(x, [4]int{0, 0, 1, 2})
		},
		"joining of other heights":   func(g *Graph) *Tensor { return g.Concat(x, deep, 0) },
		"joining along no dimension": func(g *Graph) *Tensor { return g.Concat(x, x, 4) },
		"softmax of a permutation": func(g *Graph) *Tensor {
			return g.SoftMax(g.Permute(x, [4]int{1, 0, 2, 3}), 1)
		},
		"a shape of a permutation": func(g *Graph) *Tensor {
			return g.Reshape(g.Permute(x, [4]int{1, 0, 2, 3}), 24)
		},
		"a tensor of another backend": func(g *Graph) *Tensor { return g.Add(x, foreign[0]) },
		"a tensor without memory":     func(g *Graph) *Tensor { return g.Add(x, gone) },
		"nothing":                     func(g *Graph) *Tensor { return g.Add(x, nil) },
		"too many": func(g *Graph) *Tensor {
			y := x
			for range mostTensors + 1 {
				y = g.Add(y, x)
			}
			return y
		},
	} {
		g := b.NewGraph()
		y := op(g)
		if y != nil {
			t.Errorf("%s: it is taken", name)
			g.Close()
			continue
		}
		g.Copy(y, out)
		if err := g.Compute(); err == nil || errors.Is(err, ErrDevice) {
			t.Errorf("%s: %v", name, err)
		}
		if err := g.Compute(); err == nil {
			t.Errorf("%s: computed after its end", name)
		}
	}
	g := b.NewGraph()
	g.Copy(x, out)
	if err := g.Compute(); err == nil || errors.Is(err, ErrDevice) {
		t.Errorf("a result of another size: %v", err)
	}
	for name, err := range map[string]error{
		"bytes of another number": x.SetBytes(make([]byte, 3)), "of nothing": x.SetFloats(nil),
		"after the end": gone.SetFloats(make([]float32, 24)),
	} {
		if err == nil {
			t.Errorf("set %s", name)
		}
	}
	s := b.NewStore(1, false)
	s.Tensor(ggml.Q8_0, 33, 2)
	if err := s.Alloc(); err == nil {
		t.Error("a row that is not whole blocks has memory")
	}
	s.Close()
}

func TestAClosedBackendIsAnError(t *testing.T) {
	b := openCPU(t)
	b.Close()
	b.Close()
	if err := b.NewGraph().Compute(); err == nil {
		t.Error("a closed backend computed")
	}
	if err := b.NewStore(1, false).Alloc(); err == nil || b.MultipliesBy(ggml.F32, 1, 1) {
		t.Error("a closed backend took tensors")
	}
}

func TestMemoryThatIsNotThereIsAnErrorOfTheDevice(t *testing.T) {
	if mode, _ := os.ReadFile("/proc/sys/vm/overcommit_memory"); string(mode) == "1\n" {
		t.Skip("this system promises all memory that it is asked for")
	}
	b := openCPU(t)
	s := b.NewStore(1, false)
	defer s.Close()
	s.Tensor(ggml.F32, 1<<10, 1<<10, 1<<18)
	if err := s.Alloc(); !errors.Is(err, ErrDevice) {
		t.Errorf("a tebibyte: %v", err)
	}
}
