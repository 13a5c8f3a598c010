package graph

import (
	"math"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
)

// testDevice is the device that EYELET_TEST_DEVICE names.
func testDevice(t *testing.T) *ggml.Device {
	t.Helper()
	name := os.Getenv("EYELET_TEST_DEVICE")
	if name == "" {
		t.Skip("EYELET_TEST_DEVICE names no device")
	}
	if err := ggml.Load(); err != nil {
		t.Fatal(err)
	}
	for _, d := range ggml.GPUs() {
		if d.Name == name {
			return &d
		}
	}
	t.Fatalf("there is no device %s", name)
	return nil
}

// operation is what a device is compared with the CPU in: its operands, of random numbers, and the
// shape of the result.
type operation struct {
	name   string
	result []int
	in     [][]int
	op     func(g *Graph, in []*Tensor) *Tensor
}

// operations are those of vision towers, over numbers of rows that are a multiple of nothing too.
func operations() (list []operation) {
	for _, n := range []int{16, 17, 18, 20, 50, 64, 65, 577} {
		list = append(list,
			operation{"products over n", []int{8, 33}, [][]int{{n, 8}, {n, 33}},
				func(g *Graph, in []*Tensor) *Tensor { return g.MulMat(in[0], in[1]) }},
			operation{"products of n rows", []int{8, n}, [][]int{{32, 8}, {32, n}},
				func(g *Graph, in []*Tensor) *Tensor { return g.MulMat(in[0], in[1]) }},
			operation{"products of batches over n", []int{8, 33, 2}, [][]int{{n, 8, 2}, {n, 33, 2}},
				func(g *Graph, in []*Tensor) *Tensor { return g.MulMat(in[0], in[1]) }},
			operation{"keys and queries", []int{n, n, 2}, [][]int{{16, 2, n}, {16, 2, n}},
				func(g *Graph, in []*Tensor) *Tensor {
					byHead := [4]int{0, 2, 1, 3}
					k := g.Pad(g.Cont(g.Permute(in[0], byHead)), [4]int{0, -n & 7, 0, 0})
					scores := g.MulMat(k, g.Permute(in[1], byHead))
					return g.Cont(g.View(scores, [4]int{}, [4]int{n, n, 2, 1}))
				}},
			operation{"softmax", []int{n, n, 2}, [][]int{{n, n, 2}},
				func(g *Graph, in []*Tensor) *Tensor { return g.SoftMax(in[0], 0.5) }},
			operation{"values turned", []int{n, 16, 2}, [][]int{{16, 2, n}},
				func(g *Graph, in []*Tensor) *Tensor {
					return g.Cont(g.Permute(in[0], [4]int{1, 2, 0, 3}))
				}},
			operation{"scores and values", []int{16, n, 2}, [][]int{{n, 16, 2}, {n, n, 2}},
				func(g *Graph, in []*Tensor) *Tensor {
					return g.MulMat(in[0], g.SoftMax(in[1], 1))
				}},
			operation{"joined rows", []int{16, n + 1, 2}, [][]int{{16, 1, 2}, {16, n, 2}},
				func(g *Graph, in []*Tensor) *Tensor { return g.Concat(in[0], in[1], 1) }},
			operation{"without the first row", []int{16, n - 1, 2}, [][]int{{16, n, 2}},
				func(g *Graph, in []*Tensor) *Tensor {
					return g.Cont(g.View(in[0], [4]int{0, 1, 0, 0}, [4]int{16, n - 1, 2, 1}))
				}},
			operation{"a norm", []int{32, n}, [][]int{{32, n}, {32}, {32}},
				func(g *Graph, in []*Tensor) *Tensor {
					return g.Add(g.Mul(g.Norm(in[0], 1e-5), in[1]), in[2])
				}},
			operation{"an RMS norm", []int{32, n}, [][]int{{32, n}},
				func(g *Graph, in []*Tensor) *Tensor { return g.RMSNorm(in[0], 1e-5) }},
			operation{"halves exchanged", []int{16, 2, n}, [][]int{{16, 2, n}},
				func(g *Graph, in []*Tensor) *Tensor {
					half := [4]int{8, 2, n, 1}
					return g.Concat(g.View(in[0], [4]int{8, 0, 0, 0}, half),
						g.View(in[0], [4]int{}, half), 0)
				}},
			operation{"sums of turned squares", []int{1, 16, n}, [][]int{{16, 4, n}},
				func(g *Graph, in []*Tensor) *Tensor {
					return g.SumRows(g.Cont(g.Permute(in[0], [4]int{1, 0, 2, 3})))
				}},
			operation{"activations", []int{16, n}, [][]int{{16, n}},
				func(g *Graph, in []*Tensor) *Tensor {
					return g.Add(g.Add(g.GELUErf(in[0]), g.GELU(in[0])),
						g.Add(g.QuickGELU(in[0]), g.SiLU(in[0])))
				}})
	}
	return list
}

// compute runs an operation and returns its result.
func (o *operation) compute(t *testing.T, b *Backend) []float32 {
	t.Helper()
	s := b.NewStore(len(o.in)+1, true)
	defer s.Close()
	var in []*Tensor
	for _, dims := range o.in {
		in = append(in, s.Tensor(ggml.F32, dims...))
	}
	out := s.Tensor(ggml.F32, o.result...)
	if err := s.Alloc(); err != nil {
		t.Fatal(err)
	}
	for i, x := range in {
		values, r := make([]float32, x.elements()), rand.New(rand.NewPCG(uint64(i), 1))
		for k := range values {
			values[k] = float32(r.NormFloat64())
		}
		if err := x.SetFloats(values); err != nil {
			t.Fatal(err)
		}
	}
	g := b.NewGraph()
	g.Copy(o.op(g, in), out)
	if err := g.Compute(); err != nil {
		t.Fatalf("%s: %v", o.name, err)
	}
	got, err := out.Floats()
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// A device may round what it multiplies to float16, as ggml's Vulkan backend does.
func TestADeviceComputesWhatTheCPUComputes(t *testing.T) {
	d, cpu := testDevice(t), openCPU(t)
	b, err := Open(d, 2)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	for _, o := range operations() {
		want, got := o.compute(t, cpu), o.compute(t, b)
		var off, norm float64
		for i := range want {
			x, y := float64(got[i]), float64(want[i])
			off, norm = off+(x-y)*(x-y), norm+y*y
		}
		if e := math.Sqrt(off / norm); !(e <= 2e-3) {
			t.Errorf("%s, %v: relative error %g", o.name, o.in, e)
		}
	}
	if s := b.Stats(); s.Graphs != s.Splits {
		t.Errorf("%d graphs went in %d parts: the CPU computed some", s.Graphs, s.Splits)
	}
}
