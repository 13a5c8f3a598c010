package onednn

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"
	"unsafe"
)

func alloc(t *testing.T, n int) *Buffer {
	t.Helper()
	b, err := Alloc(n)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

// product runs a float32 product over random numbers and returns what it computed, and what it
// should have.
func product(t *testing.T, d MatmulDesc, threads int) (got, want []float32) {
	t.Helper()
	m, err := NewMatmul(d, threads)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	d = m.Desc()
	rng := rand.New(rand.NewPCG(1, 2))
	src, dst, bias := alloc(t, 4*d.M*d.SrcStride), alloc(t, 4*d.M*d.DstStride), alloc(t, 4*d.N)
	// a row for each column of the product, as model files have them
	weights := make([]float32, d.N*d.K)
	for _, v := range [][]float32{src.Float32(), dst.Float32(), bias.Float32(), weights} {
		for i := range v {
			v[i] = float32(rng.NormFloat64())
		}
	}
	want = append([]float32(nil), dst.Float32()...)
	for r := range d.M {
		for c := range d.N {
			sum := float64(0)
			if d.Bias {
				sum = float64(bias.Float32()[c])
			}
			for k := range d.K {
				sum += float64(src.Float32()[r*d.SrcStride+k]) * float64(weights[c*d.K+k])
			}
			if d.Sum {
				sum += float64(want[r*d.DstStride+c])
			}
			if d.Activation == QuickGELU {
				sum /= 1 + math.Exp(-1.702*sum)
			}
			want[r*d.DstStride+c] = float32(sum)
		}
	}
	packer, err := m.NewPacker(F32, 1, d.K, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer packer.Close()
	packed := alloc(t, m.PackedBytes())
	if err := packer.Run(0, unsafe.Pointer(&weights[0]), packed.Pointer(),
		alloc(t, packer.ScratchBytes())); err != nil {
		t.Fatal(err)
	}
	if err := m.Run(src, packed, bias, dst, alloc(t, m.ScratchBytes()), 1); err != nil {
		t.Fatal(err)
	}
	return dst.Float32(), want
}

func TestProductsEqualTheirDefinition(t *testing.T) {
	for _, d := range []MatmulDesc{
		{M: 1, N: 1, K: 1},
		{M: 7, N: 5, K: 3, Bias: true},
		{M: 33, N: 70, K: 65, Bias: true, Activation: QuickGELU},
		{M: 20, N: 40, K: 30, Bias: true, Sum: true, SrcStride: 37, DstStride: 45},
	} {
		got, want := product(t, d, 2)
		for i := range want {
			if math.Abs(float64(got[i]-want[i])) > 1e-4 {
				t.Fatalf("%v: number %d is %g, want %g", d, i, got[i], want[i])
			}
		}
	}
}

func TestMisuseIsAnError(t *testing.T) {
	for _, d := range []MatmulDesc{
		{M: 0, N: 1, K: 1}, {M: 1, N: -1, K: 1}, {M: 1, N: 1, K: 1 << 40},
		{M: 2, N: 4, K: 4, SrcStride: 3}, {M: 2, N: 4, K: 4, DstStride: 3},
	} {
		if m, err := NewMatmul(d, 1); err == nil {
			m.Close()
			t.Errorf("%+v is planned", d)
		}
	}
	m, err := NewMatmul(MatmulDesc{M: 4, N: 4, K: 4}, 1)
	if err != nil {
		t.Fatal(err)
	}
	small := alloc(t, 1)
	if err := m.Run(small, small, nil, small, small, 1); err == nil {
		t.Error("a product runs over buffers that are too short")
	}
	if p, err := m.NewPacker(F32, 0, 4, 1); err == nil {
		p.Close()
		t.Error("a packer of stride 0 is made")
	}
	m.Close()
	m.Close()
	for _, n := range []int{-1, maxBuffer + 1} {
		if b, err := Alloc(n); err == nil {
			b.Close()
			t.Errorf("a buffer of %d bytes", n)
		}
	}
	if _, err := NewMatmul(MatmulDesc{M: 4, N: 4, K: 4, Src: BF16, Weights: BF16, Dst: BF16},
		1); err != nil && !errors.Is(err, ErrUnsupported) {
		t.Errorf("bf16: %v", err)
	} else if err != nil && CPU().BF16 { // processors without may emulate them
		t.Errorf("bf16: %v on a processor of %+v", err, CPU())
	}
}
