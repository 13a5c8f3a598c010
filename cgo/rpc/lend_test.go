package rpc

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
	"github.com/eyelet-engine/eyelet/cgo/ggml/graph"
)

// What is lent reaches into structures of libggml: of versions alone that are known.
func TestOnlyTheCPUOfAKnownLibraryIsLentWithHelp(t *testing.T) {
	for version, want := range map[int]bool{-1: false, 2: false, 3: true, 6: true, 7: false} {
		if knows(version) != want {
			t.Errorf("version %d: %v", version, !want)
		}
	}
	if err := ggml.Load(); err != nil {
		t.Fatal(err)
	}
	for _, d := range ggml.Devices() {
		if d.Type == ggml.CPU && lend(d).Pointer() == d.Pointer() {
			t.Errorf("%s is lent as it is: is the interface of this libggml another one?", d.Name)
		}
	}
}

// lentCPU is the CPU as it is lent.
func lentCPU(t *testing.T) ggml.Device {
	t.Helper()
	t.Setenv("EYELET_CACHE", t.TempDir()) // without measurements weights are repacked
	if err := ggml.Load(); err != nil {
		t.Fatal(err)
	}
	for _, d := range ggml.Devices() {
		if d.Type == ggml.CPU {
			return lend(d)
		}
	}
	t.Fatal("there is no CPU")
	return ggml.Device{}
}

// quantized are rows of productIn values as a GGUF file has them.
func quantized(t *testing.T, kind ggml.Type, values []float32) []byte {
	t.Helper()
	size, err := kind.RowSize(len(values))
	if err != nil {
		t.Fatal(err)
	}
	data := make([]byte, size)
	if err := ggml.Quantize(kind, values, productIn, nil, data); err != nil {
		t.Fatal(err)
	}
	return data
}

// product is a weight on a device, with rows that it is multiplied by.
type product struct {
	b         *graph.Backend
	w, x, out *graph.Tensor
}

const productIn, productOut, productRows = 256, 64, 3

func newProduct(t *testing.T, device *ggml.Device, kind ggml.Type, weights []byte,
	rows []float32) product {
	t.Helper()
	b, err := graph.Open(device, 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	s := b.NewStore(3, true)
	t.Cleanup(s.Close)
	p := product{b: b, w: s.Tensor(kind, productIn, productOut),
		x:   s.Tensor(ggml.F32, productIn, productRows),
		out: s.Tensor(ggml.F32, productOut, productRows)}
	if err := s.Alloc(); err != nil {
		t.Fatal(err)
	}
	p.set(t, weights)
	if err := p.x.SetFloats(rows); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p product) set(t *testing.T, weights []byte) {
	t.Helper()
	if err := p.w.SetBytes(weights); err != nil {
		t.Fatal(err)
	}
}

func (p product) compute(t *testing.T) []float32 {
	t.Helper()
	g := p.b.NewGraph()
	defer g.Close()
	g.Copy(g.MulMat(p.w, p.x), p.out)
	if err := g.Compute(); err != nil {
		t.Fatal(err)
	}
	out, err := p.out.Floats()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// A weight is repacked once, or once found to have no other form, however often it is multiplied
// by; and again after it was overwritten.
func TestAWeightIsRepackedOnce(t *testing.T) {
	device := lentCPU(t)
	rng := rand.New(rand.NewPCG(1, 2))
	random := func(n int) []float32 {
		list := make([]float32, n)
		for i := range list {
			list[i] = float32(rng.NormFloat64())
		}
		return list
	}
	rows := random(productIn * productRows)
	for _, kind := range []ggml.Type{ggml.Q4_0, ggml.Q4_K, ggml.Q5_1, ggml.F16} {
		var weights [2][]byte
		for i := range weights {
			weights[i] = quantized(t, kind, random(productIn*productOut))
		}
		here := newProduct(t, nil, kind, weights[0], rows)
		there := newProduct(t, &device, kind, weights[0], rows)
		before := packings()
		for i, w := range weights {
			here.set(t, w)
			there.set(t, w)
			want := here.compute(t)
			for range 3 {
				for j, got := range there.compute(t) {
					if d := math.Abs(float64(got - want[j])); d > 1e-3*math.Sqrt(productIn) {
						t.Fatalf("%v, weights %d: number %d is %v, want %v", kind, i, j, got, want[j])
					}
				}
			}
		}
		if n := packings() - before; n != len(weights) {
			t.Errorf("%v: %d weights were looked at for repacking %d times", kind, len(weights), n)
		}
	}
}

// A client's choice about weights that are yet to come holds for these, and for no others.
func TestWeightsStayAsTheClientHasThem(t *testing.T) {
	device := lentCPU(t)
	if Decide(ggml.Choices{Machine: "another"}) {
		t.Error("another machine's choices are taken")
	}
	own, ok := ggml.ChoicesFor()
	if !ok {
		t.Skip("there is no accelerator")
	}
	weights := quantized(t, ggml.Q4_0, make([]float32, productIn*productOut))
	rows := make([]float32, productIn*productRows)
	defer func() { // as it was, for other tests
		own.Plain = false
		Decide(own)
	}()
	var all []product
	before := packings()
	for i, plain := range []bool{true, false, true} {
		own.Plain = plain
		if !Decide(own) {
			t.Fatal("this machine's choices are not taken")
		}
		all = append(all, newProduct(t, &device, ggml.Q4_0, weights, rows))
		for _, p := range all {
			p.compute(t)
		}
		if n := packings() - before; n != min(i, 1) {
			t.Errorf("after %d models %d weights were repacked", i+1, n)
		}
	}
}

// Whoever reads a weight otherwise, after its memory was given back, gets an error and no zeros.
func TestARepackedWeightIsReadNoOtherWay(t *testing.T) {
	device := lentCPU(t)
	weights := quantized(t, ggml.Q4_0, make([]float32, productIn*productOut))
	p := newProduct(t, &device, ggml.Q4_0, weights, make([]float32, productIn*productRows))
	p.compute(t)
	g := p.b.NewGraph()
	defer g.Close()
	g.Copy(g.MulMat(g.Reshape(p.w, productIn, productOut), p.x), p.out)
	if err := g.Compute(); err == nil {
		t.Error("a repacked weight was read in another shape")
	}
}
