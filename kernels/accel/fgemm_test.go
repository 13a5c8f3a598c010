package accel

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"unsafe"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
	"github.com/eyelet-engine/eyelet/cgo/onednn"
)

// floatISAs are the sets of instructions of the float kernels. Those that the processor lacks are
// skipped aloud.
var floatISAs = []string{"plain", "avx2", "avx512"}

// atOneLevel says that this process runs the tests with the best instructions alone, as others run
// them at other levels: in short mode, and where scripts/test says that test-levels follows.
func atOneLevel(t *testing.T) bool {
	t.Helper()
	if testing.Short() {
		t.Attr("reduced", "one level")
	}
	return testing.Short() || os.Getenv("EYELET_LEVELS_FOLLOW") != ""
}

// onEachISA runs a test with each set of instructions that is not left to other processes.
func onEachISA(t *testing.T, test func(t *testing.T)) {
	t.Cleanup(func() { useFloats("") })
	list := floatISAs
	if atOneLevel(t) {
		list = []string{floatsISA()}
	}
	for _, isa := range list {
		t.Run(isa, func(t *testing.T) {
			if !useFloats(isa) {
				t.Skipf("this processor has no %s, or may not use it", isa)
			}
			if got := floatsISA(); got != isa {
				t.Fatalf("%s is in use, want %s", got, isa)
			}
			test(t)
		})
	}
}

func normals(n int, seed uint64) []float32 {
	rng := rand.New(rand.NewPCG(seed, 1))
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(rng.NormFloat64())
	}
	return x
}

// encode stores rows of numbers as a type, and returns the numbers that the type keeps of them. Of
// a type that is tabled, it makes random blocks instead.
func encode(t testing.TB, typ ggml.Type, x []float32, rowLen int) (data []byte, kept []float32) {
	t.Helper()
	size, err := typ.RowSize(len(x))
	if err != nil {
		t.Fatal(err)
	}
	data, kept = make([]byte, size), make([]float32, len(x))
	if tabled(typ) {
		randomBlocks(t, typ, data, kept)
		return data, kept
	}
	if err := ggml.Quantize(typ, x, rowLen, nil, data); err != nil {
		t.Fatal(err)
	}
	if err := ggml.Dequantize(typ, data, kept); err != nil {
		t.Fatal(err)
	}
	return data, kept
}

// randomBlocks fills blocks of a type with random bytes, as long as their numbers are finite and
// none of them outweighs all others, and returns the numbers.
func randomBlocks(t testing.TB, typ ggml.Type, data []byte, numbers []float32) {
	t.Helper()
	rng := rand.New(rand.NewPCG(uint64(len(data)), uint64(typ)))
	for len(data) > 0 {
		block, n := data[:typ.TypeSize()], typ.BlockSize()
		for most := math.Inf(1); !(most < 1000); {
			for i := range block {
				block[i] = byte(rng.Uint32())
			}
			if err := ggml.Dequantize(typ, block, numbers[:n]); err != nil {
				t.Fatal(err)
			}
			most = 0
			for _, x := range numbers[:n] {
				most += math.Abs(float64(x))
			}
		}
		data, numbers = data[len(block):], numbers[n:]
	}
}

// newFloatProduct makes a product over random numbers, with gaps between the rows of every matrix,
// and returns its weights as floats.
func newFloatProduct(t testing.TB, typ ggml.Type, m, n, k,
	gap int) (p *floatProduct, weights []float32) {
	t.Helper()
	dense, weights := encode(t, typ, normals(n*k, 1), k)
	row := len(dense) / n
	p = &floatProduct{product{typ: typ, m: m, n: n, k: k, wStride: row + 4*gap, xStride: k + gap,
		yStride: n + gap}}
	p.w = make([]byte, n*p.wStride)
	for i := range n {
		copy(p.w[i*p.wStride:], dense[i*row:][:row])
	}
	p.x, p.y = normals(m*p.xStride, 2), make([]float32, m*p.yStride)
	for i := range p.y {
		p.y[i] = -12345
	}
	return p, weights
}

// unit is the largest relative error of rounding to float32.
const unit = 1.0 / (1 << 24)

func TestFloatProductsEqualFloat64(t *testing.T) {
	onEachISA(t, func(t *testing.T) {
		for _, c := range []struct {
			typ     ggml.Type
			m, n, k int
		}{
			{ggml.F32, 1, 1, 1}, {ggml.F16, 2, 3, 5}, {ggml.BF16, 16, 6, 256},
			{ggml.F16, 17, 7, 257}, {ggml.F16, 33, 127, 64},
			{ggml.F32, 70, 241, 300}, {ggml.BF16, 64, 100, 513}, {ggml.F16, 577, 13, 64},
			{ggml.F16, 48, 14, 1024}, {ggml.F32, 31, 122, 19},
			{ggml.F16, 1100, 9, 40}, // more rows than are packed at a time
			{ggml.Q8_0, 19, 130, 320}, {ggml.Q4_0, 5, 8, 32}, {ggml.Q4_K, 33, 25, 512},
			{ggml.Q6_K, 20, 121, 256}, {ggml.IQ4_NL, 9, 10, 96},
		} {
			p, weights := newFloatProduct(t, c.typ, c.m, c.n, c.k, 3)
			want, untouched := exactFloats(&p.product, weights), slices.Clone(p.y)
			for _, threads := range []int{1, 2, 5} {
				copy(p.y, untouched)
				if err := p.run(threads); err != nil {
					t.Fatalf("%v: %v", c, err)
				}
				want.check(t, &p.product)
			}
		}
	})
}

func TestFloatProductsOfAllShapes(t *testing.T) {
	onEachISA(t, func(t *testing.T) {
		for m := 1; m <= 18; m++ {
			for n := 1; n <= 30; n++ {
				p, weights := newFloatProduct(t, ggml.BF16, m, n, 1+(m*n)%23, (m+n)%3)
				if err := p.run(2); err != nil {
					t.Fatal(err)
				}
				exactFloats(&p.product, weights).check(t, &p.product)
			}
		}
	})
}

// A model of 1 row and 65536 weights: every number of 16 bits times one is what ggml takes it for.
func TestEveryNumberOf16BitsIsWidenedExactly(t *testing.T) {
	onEachISA(t, func(t *testing.T) {
		for _, typ := range []ggml.Type{ggml.F16, ggml.BF16} {
			p := &floatProduct{product{typ: typ, m: 1, n: 1 << 16, k: 1, wStride: 2, xStride: 1,
				yStride: 1 << 16, x: []float32{1}}}
			p.w, p.y = make([]byte, 2<<16), make([]float32, 1<<16)
			for i := range 1 << 16 {
				p.w[2*i], p.w[2*i+1] = byte(i), byte(i>>8)
			}
			want := make([]float32, 1<<16)
			if err := ggml.Dequantize(typ, p.w, want); err != nil {
				t.Fatal(err)
			}
			if err := p.run(2); err != nil {
				t.Fatal(err)
			}
			for i, got := range p.y {
				if got != want[i] && !(got != got && want[i] != want[i]) {
					t.Fatalf("%v %#04x is %g, want %g", typ, i, got, want[i])
				}
			}
		}
	})
}

func TestNotANumberStaysInItsRow(t *testing.T) {
	onEachISA(t, func(t *testing.T) {
		p, _ := newFloatProduct(t, ggml.F16, 20, 30, 40, 0)
		p.x[3*p.xStride+7] = float32(math.NaN())
		p.x[5*p.xStride+39] = float32(math.Inf(1))
		if err := p.run(2); err != nil {
			t.Fatal(err)
		}
		for i, y := range p.y {
			finite := !math.IsNaN(float64(y)) && !math.IsInf(float64(y), 0)
			if row := i / p.n; finite == (row == 3 || row == 5) {
				t.Fatalf("y[%d][%d] = %g", row, i%p.n, y)
			}
		}
	})
}

func TestFloatProductsThatAreDeclined(t *testing.T) {
	good, _ := newFloatProduct(t, ggml.Q8_0, 2, 2, 64, 0)
	for name, spoil := range map[string]func(p *floatProduct){
		"part of a block": func(p *floatProduct) { p.k = 63 },
		"no numbers":      func(p *floatProduct) { p.k = 0 },
		"integers":        func(p *floatProduct) { p.typ = ggml.I32 },
	} {
		bad := *good
		spoil(&bad)
		if err := bad.run(1); !errors.Is(err, errDeclined) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, empty := range []product{{typ: ggml.F16, k: 8, wStride: 16, xStride: 8},
		{typ: ggml.F16, m: 0, n: 1, k: 8, w: make([]byte, 16), wStride: 16, xStride: 8,
			yStride: 1}} {
		if err := (&floatProduct{empty}).run(1); err != nil {
			t.Errorf("nothing to compute: %v", err)
		}
	}
}

func TestFloatProductsAfterTheirMemoryWasFreed(t *testing.T) {
	for range 3 {
		p, weights := newFloatProduct(t, ggml.F16, 20, 30, 40, 1)
		if err := p.run(2); err != nil {
			t.Fatal(err)
		}
		exactFloats(&p.product, weights).check(t, &p.product)
		freeFloats()
	}
}

// copiesOf repeats weights until no cache holds them, as those of a model do not stay in one.
func copiesOf(w []byte) [][]byte {
	copies := [][]byte{w}
	for n := len(w); n < 160<<20; n += len(w) {
		copies = append(copies, append([]byte(nil), w...))
	}
	return copies
}

func BenchmarkFloatProduct(b *testing.B) {
	const threads = 2
	for _, s := range [][3]int{{512, 1024, 1024}, {512, 4096, 1024}, {512, 1024, 4096},
		{512, 2048, 2048}, {512, 5632, 2048}, {512, 2048, 5632}, {64, 2048, 2048}, {64, 5632, 2048},
		{64, 2048, 5632}, {577, 1024, 1024}, {577, 4096, 1024}, {577, 577, 64},
		{577, 64, 577}} {
		m, n, k := s[0], s[1], s[2]
		work := 2e-9 * float64(m) * float64(n) * float64(k)
		rate := func(b *testing.B) {
			b.ReportMetric(work*float64(b.N)/b.Elapsed().Seconds(), "GFLOP/s")
		}
		p, _ := newFloatProduct(b, ggml.F16, m, n, k, 0)
		copies := copiesOf(p.w)
		b.Run(fmt.Sprintf("%dx%dx%d/eyelet", m, n, k), func(b *testing.B) {
			for i := range b.N {
				p.w = copies[i%len(copies)]
				if err := p.run(threads); err != nil {
					b.Fatal(err)
				}
			}
			rate(b)
		})
		// over float32 weights that were packed before, and stay in the cache
		b.Run(fmt.Sprintf("%dx%dx%d/onednn", m, n, k), func(b *testing.B) {
			benchmarkOneDNN(b, onednn.MatmulDesc{M: m, N: n, K: k, Src: onednn.F32,
				Weights: onednn.F32, Dst: onednn.F32}, threads)
			rate(b)
		})
	}
}

func benchmarkOneDNN(b *testing.B, d onednn.MatmulDesc, threads int) {
	product, err := onednn.NewThreadedMatmul(d, threads)
	if err != nil {
		b.Fatal(err)
	}
	defer product.Close()
	packer, err := product.NewPacker(onednn.F32, 1, d.K, 1)
	if err != nil {
		b.Fatal(err)
	}
	defer packer.Close()
	var buffers []*onednn.Buffer
	for _, n := range []int{4 * d.M * d.K, product.PackedBytes(), 4 * d.M * d.N,
		product.ScratchBytes(), packer.ScratchBytes()} {
		buffer, err := onednn.Alloc(n)
		if err != nil {
			b.Fatal(err)
		}
		defer buffer.Close()
		buffers = append(buffers, buffer)
	}
	copy(buffers[0].Float32(), normals(d.M*d.K, 3))
	weights := normals(d.N*d.K, 4)
	if err := packer.Run(0, unsafe.Pointer(&weights[0]), buffers[1].Pointer(),
		buffers[4]); err != nil {
		b.Fatal(err)
	}
	b.ResetTimer()
	for range b.N {
		if err := product.Run(buffers[0], buffers[1], nil, buffers[2], buffers[3],
			threads); err != nil {
			b.Fatal(err)
		}
	}
}
