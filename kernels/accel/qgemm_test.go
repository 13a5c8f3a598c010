package accel

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
)

// integerTypes are the types that integer products take.
var integerTypes = []ggml.Type{
	ggml.Q4_0, ggml.Q4_1, ggml.Q5_0, ggml.Q5_1, ggml.Q8_0, ggml.IQ4_NL, ggml.Q2_K, ggml.Q3_K,
	ggml.Q4_K, ggml.Q5_K, ggml.Q6_K,
}

// integerISAs are the sets of instructions of the integer kernels. Those that the processor lacks
// are skipped aloud.
var integerISAs = []string{"plain", "avx2", "avxvnni", "vnni"}

// onEachIntegerISA is onEachISA for the integer kernels.
func onEachIntegerISA(t *testing.T, test func(t *testing.T, isa string)) {
	t.Cleanup(func() { useIntegers("") })
	list := integerISAs
	if atOneLevel(t) {
		list = []string{integersISA()}
	}
	for _, isa := range list {
		t.Run(isa, func(t *testing.T) {
			if !useIntegers(isa) {
				t.Skipf("this processor has no %s, or may not use it", isa)
			}
			if got := integersISA(); got != isa {
				t.Fatalf("%s is in use, want %s", got, isa)
			}
			test(t, isa)
		})
	}
}

// rounding returns how many numbers of a row of x share a scale, and the integer that their largest
// becomes.
func rounding(isa string, typ ggml.Type) (group int, limit float64) {
	switch {
	case isa == "plain":
		return 32, 8191
	case isa == "avx2" && (typ == ggml.Q8_0 || typ == ggml.IQ4_NL):
		return 32, 32767
	case typ.BlockSize() == 256:
		return 256, 127
	}
	return 32, 127
}

// newIntegerProduct makes a product over encoded weights and random numbers, with gaps between the
// rows of every matrix.
func newIntegerProduct(t testing.TB, typ ggml.Type, m, n, k, gap int,
	dense []byte) *integerProduct {
	t.Helper()
	row, err := typ.RowSize(k)
	if err != nil {
		t.Fatal(err)
	}
	p := &integerProduct{product{typ: typ, m: m, n: n, k: k, wStride: row + 2*gap, xStride: k + gap,
		yStride: n + gap}}
	// Every matrix ends where its slice does.
	p.w, p.x, p.y = make([]byte, max(0, n*p.wStride-2*gap)), normals(m*p.xStride-gap, 2),
		make([]float32, m*p.yStride)
	for i := range n {
		copy(p.w[i*p.wStride:], dense[i*row:][:row])
	}
	for i := range p.y {
		p.y[i] = -12345
	}
	return p
}

func TestIntegerProductsEqualFloat64(t *testing.T) {
	onEachIntegerISA(t, func(t *testing.T, isa string) {
		for _, typ := range integerTypes {
			block := typ.BlockSize()
			for _, c := range [][3]int{{1, 1, 1}, {2, 16, 2}, {3, 15, 3}, {6, 17, 1}, {7, 33, 5},
				{31, 100, 9}, {65, 49, 1024/block + 1}} {
				m, n, k := c[0], c[1], c[2]*block
				dense, weights := encode(t, typ, normals(n*k, 1), k)
				want := exactIntegers(isa, &newIntegerProduct(t, typ, m, n, k, 3, dense).product,
					weights)
				for _, threads := range []int{1, 2, 5} {
					p := newIntegerProduct(t, typ, m, n, k, 3, dense)
					if err := p.run(threads); err != nil {
						t.Fatalf("%v: %v", typ, err)
					}
					want.check(t, &p.product)
				}
			}
		}
	})
}

func TestIntegerProductsOfAllShapes(t *testing.T) {
	onEachIntegerISA(t, func(t *testing.T, isa string) {
		for _, typ := range integerTypes {
			dense, weights := encode(t, typ, normals(34*typ.BlockSize(), 1), typ.BlockSize())
			for m := 1; m <= 13; m++ {
				for n := 1; n <= 34; n++ {
					p := newIntegerProduct(t, typ, m, n, typ.BlockSize(), (m+n)%3, dense)
					if err := p.run(2); err != nil {
						t.Fatal(err)
					}
					exactIntegers(isa, &p.product, weights).check(t, &p.product)
				}
			}
		}
	})
}

// Blocks of random bytes have scales, and offsets, that no encoder writes: of any sign, denormal,
// very large.
func TestIntegerProductsOfAnyBlocks(t *testing.T) {
	onEachIntegerISA(t, func(t *testing.T, isa string) {
		rng := rand.New(rand.NewPCG(7, 1))
		for _, typ := range integerTypes {
			m, n, k := 7, 40, 3*typ.BlockSize()
			size, err := typ.RowSize(n * k)
			if err != nil {
				t.Fatal(err)
			}
			dense, weights := make([]byte, size), make([]float32, n*k)
			for round := range 8 {
				for i := range dense {
					dense[i] = byte(rng.Uint32())
				}
				if round > 4 { // the largest codes, or the smallest, and random scales
					extremeCodes(typ, dense, round%2 == 0)
				}
				makeFinite(typ, dense)
				if err := ggml.Dequantize(typ, dense, weights); err != nil {
					t.Fatal(err)
				}
				p := newIntegerProduct(t, typ, m, n, k, 1, dense)
				if round%3 == 0 { // sums as large as can be
					for i := range p.x {
						p.x[i] = 3
					}
				}
				if err := p.run(2); err != nil {
					t.Fatal(err)
				}
				checkAnyBlocks(t, isa, p, weights)
			}
		}
	})
}

// halves returns where in a block the numbers of 16 bits are.
func halves(typ ggml.Type) []int {
	switch typ {
	case ggml.Q4_1, ggml.Q5_1, ggml.Q4_K, ggml.Q5_K:
		return []int{0, 2}
	case ggml.Q2_K:
		return []int{80, 82}
	case ggml.Q3_K:
		return []int{108}
	case ggml.Q6_K:
		return []int{208}
	}
	return []int{0}
}

// makeFinite takes a bit from exponents that are all ones.
func makeFinite(typ ggml.Type, dense []byte) {
	for b := 0; b < len(dense); b += typ.TypeSize() {
		for _, at := range halves(typ) {
			if high := &dense[b+at+1]; *high&0x7c == 0x7c {
				*high &^= 0x40
			}
		}
	}
}

// extremeCodes fills blocks with ones or zeros, except for their numbers of 16 bits. (Q8_0's ones
// stand for -1, its zeros for 0.)
func extremeCodes(typ ggml.Type, dense []byte, ones bool) {
	for b := 0; b < len(dense); b += typ.TypeSize() {
		block := dense[b:][:typ.TypeSize()]
		keep := append([]byte(nil), block...)
		for i := range block {
			block[i] = 0
			if ones {
				block[i] = 0xff
			}
		}
		for _, at := range halves(typ) {
			copy(block[at:at+2], keep[at:])
		}
	}
}

// checkAnyBlocks compares as exactIntegers does, with a bound for every weight of a group as large
// as its largest: a scale and an offset may cancel in some and not in others.
func checkAnyBlocks(t *testing.T, isa string, p *integerProduct, weights []float32) {
	t.Helper()
	worst := make([]float32, len(weights))
	block := p.typ.BlockSize()
	for first := 0; first < len(weights); first += block {
		var most float64
		for _, w := range weights[first:][:block] {
			most = max(most, math.Abs(float64(w)))
		}
		for i := range block {
			worst[first+i] = float32(most)
		}
	}
	_, limit := rounding(isa, p.typ)
	for i := range p.m {
		var largest float64
		for k := range p.k {
			largest = max(largest, math.Abs(float64(p.x[i*p.xStride+k])))
		}
		for j := range p.n {
			var want, size float64
			for k := range p.k {
				want += float64(p.x[i*p.xStride+k]) * float64(weights[j*p.k+k])
				size += largest * float64(worst[j*p.k+k])
			}
			if got, bound := float64(p.y[i*p.yStride+j]),
				size*(0.5/limit+2e-5); !(math.Abs(got-want) <= bound) {
				t.Fatalf("%v: y[%d][%d] = %g, want %g: off by %.3g of the bound", p.typ, i, j, got,
					want, math.Abs(got-want)/bound)
			}
		}
	}
}

func TestIntegerProductsOfExtremeNumbers(t *testing.T) {
	onEachIntegerISA(t, func(t *testing.T, isa string) {
		for name, x := range map[string]func(i int) float32{
			"zeros":     func(i int) float32 { return 0 },
			"all alike": func(i int) float32 { return 1 },
			"alternate": func(i int) float32 { return float32(1 - 2*(i%2)) },
			"huge":      func(i int) float32 { return 1e30 * float32(i%7-3) },
			"tiny":      func(i int) float32 { return 1e-30 * float32(i%7-3) },
			"denormal":  func(i int) float32 { return 1e-42 * float32(i%7-3) },
			"mixed":     func(i int) float32 { return float32(math.Pow(10, float64(i%60-30))) },
			"one alone": func(i int) float32 { return float32(b2i(i%97 == 0)) * 1e4 },
		} {
			for _, typ := range integerTypes {
				m, n, k := 5, 20, 2*typ.BlockSize()
				dense, weights := encode(t, typ, normals(n*k, 3), k)
				p := newIntegerProduct(t, typ, m, n, k, 0, dense)
				for i := range p.x {
					p.x[i] = x(i)
				}
				if err := p.run(2); err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				exactIntegers(isa, &p.product, weights).check(t, &p.product)
			}
		}
	})
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

func TestIntegersKeepNotANumberInItsRow(t *testing.T) {
	onEachIntegerISA(t, func(t *testing.T, isa string) {
		for _, typ := range integerTypes {
			dense, _ := encode(t, typ, normals(30*256, 1), 256)
			for at := range 34 { // wherever it is in a group
				p := newIntegerProduct(t, typ, 20, 30, 256, 0, dense)
				p.x[3*p.xStride+at] = float32(math.NaN())
				p.x[5*p.xStride+255-at] = float32(math.Inf(1 - at%2*2))
				p.x[6*p.xStride+at], p.x[6*p.xStride+255-at] = float32(math.NaN()),
					float32(math.Inf(1))
				if err := p.run(2); err != nil {
					t.Fatal(err)
				}
				for i, y := range p.y {
					if row := i / p.n; (y != y) != (row == 3 || row == 5 || row == 6) {
						t.Fatalf("%v: y[%d][%d] = %g", typ, row, i%p.n, y)
					}
				}
			}
		}
	})
}

func TestIntegerProductsOfMoreRowsThanAreTakenAtOnce(t *testing.T) {
	onEachIntegerISA(t, func(t *testing.T, isa string) {
		const m, n, k = 1500, 3, 32 << 10
		dense, weights := encode(t, ggml.Q4_0, normals(n*k, 1), k)
		p := newIntegerProduct(t, ggml.Q4_0, m, n, k, 0, dense)
		want := exactIntegers(isa, &p.product, weights)
		if err := p.run(2); err != nil {
			t.Fatal(err)
		}
		want.check(t, &p.product)
		clear(p.y)
		freeIntegers()
		if err := p.run(1); err != nil {
			t.Fatal(err)
		}
		want.check(t, &p.product)
	})
}

func TestIntegerProductsThatAreDeclined(t *testing.T) {
	dense, _ := encode(t, ggml.Q4_K, normals(2*512, 1), 512)
	good := newIntegerProduct(t, ggml.Q4_K, 2, 2, 512, 0, dense)
	for name, spoil := range map[string]func(p *integerProduct){
		"part of a block": func(p *integerProduct) { p.k = 511 },
		"no numbers":      func(p *integerProduct) { p.k = 0 },
		"floats":          func(p *integerProduct) { p.typ = ggml.F16; p.k = 32 },
	} {
		bad := *good
		spoil(&bad)
		if err := bad.run(1); !errors.Is(err, errDeclined) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := good.run(0); !errors.Is(err, errDeclined) {
		t.Errorf("no threads: %v", err)
	}
	for _, empty := range []product{{typ: ggml.Q4_0, k: 32, wStride: 18, xStride: 32},
		{typ: ggml.Q4_0, n: 1, k: 32, w: make([]byte, 18), wStride: 18, xStride: 32, yStride: 1}} {
		if err := (&integerProduct{empty}).run(1); err != nil {
			t.Errorf("nothing to compute: %v", err)
		}
	}
	if useIntegers("mmx") {
		t.Error("there are instructions of no such name")
	}
	for _, typ := range ggml.Types() {
		want := false
		for _, known := range integerTypes {
			want = want || typ == known
		}
		if got := integersSupport(typ, 1024, 16); got != want {
			t.Errorf("%v: supported %v, want %v", typ, got, want)
		}
	}
}

// spread returns the root of the mean square of what y is off, as a share of that of the exact
// product.
func spread(p *integerProduct, want []float64) float64 {
	var off, size float64
	for i, want := range want {
		d := float64(p.y[i]) - want
		off, size = off+d*d, size+want*want
	}
	return math.Sqrt(off / size)
}

// ggml's CPU backend rounds activations to 8 bits too. Against float64 products of the same
// weights, the error here must be no larger.
func TestIntegerProductsAreAsExactAsGGML(t *testing.T) {
	if err := ggml.Load(); err != nil {
		t.Fatal(err)
	}
	for _, outliers := range []bool{false, true} {
		for _, typ := range integerTypes {
			m, n, k := 64, 96, 2048
			dense, weights := encode(t, typ, normals(n*k, 1), k)
			p := newIntegerProduct(t, typ, m, n, k, 0, dense)
			for i := range p.x {
				if outliers && i%229 == 0 {
					p.x[i] *= 20
				}
			}
			want := exactFloats(&p.product, weights).want
			if err := p.runGGML(2); err != nil {
				t.Fatal(err)
			}
			peer := spread(p, want)
			if err := p.run(2); err != nil {
				t.Fatal(err)
			}
			here := spread(p, want)
			t.Logf("%v, outliers %v: %.2e of the product, ggml %.2e", typ, outliers, here, peer)
			if !(here <= 1.1*peer) {
				t.Errorf("%v: off by %.2e of the product, ggml by %.2e", typ, here, peer)
			}
		}
	}
}
