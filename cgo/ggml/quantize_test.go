package ggml

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"
	"unsafe"
)

// goldens were made by scripts/golden/ggml.py.
type goldens struct {
	MadeBy      string `json:"made_by"`
	Row         []byte
	Dequantized []struct {
		Type          Type
		Name          string
		Bytes, Values []byte
	}
	Quantized []struct {
		Type  Type
		Name  string
		Bytes []byte
	}
}

func readGoldens(t *testing.T) goldens {
	t.Helper()
	data, err := os.ReadFile("testdata/quants.json")
	if err != nil {
		t.Fatal(err)
	}
	var g goldens
	if err := json.Unmarshal(data, &g); err != nil {
		t.Fatal(err)
	}
	return g
}

// floats reads float32 values as the machines that ggml runs on store them.
func floats(t *testing.T, b []byte) []float32 {
	t.Helper()
	f := make([]float32, len(b)/4)
	if err := Dequantize(F32, b, f); err != nil {
		t.Fatal(err)
	}
	return f
}

func TestDequantizeEqualsPythonGGUF(t *testing.T) {
	g := readGoldens(t)
	seen := map[Type]bool{F32: true}
	for _, test := range g.Dequantized {
		seen[test.Type] = true
		t.Run(test.Name, func(t *testing.T) {
			want := floats(t, test.Values)
			got := make([]float32, len(want))
			if err := Dequantize(test.Type, test.Bytes, got); err != nil {
				t.Fatal(err)
			}
			for i := range want {
				// NumPy may round a product of scales where ggml rounds the next one.
				if diff := math.Abs(float64(got[i] - want[i])); !(diff <=
					1e-6*math.Abs(float64(want[i]))) {
					t.Fatalf("value %d is %v, want %v", i, got[i], want[i])
				}
			}
		})
	}
	for _, typ := range Types() {
		// The package's NumPy code has no Q1_0, Q2_0; the round trips test those.
		if typ.CanDequantize() && !seen[typ] && typ != Q1_0 && typ != Q2_0 && typ.CanQuantize() {
			t.Errorf("%v has no golden", typ)
		}
	}
}

func TestQuantizeEqualsPythonGGUF(t *testing.T) {
	g := readGoldens(t)
	row := floats(t, g.Row)
	for _, test := range g.Quantized {
		t.Run(test.Name, func(t *testing.T) {
			got := make([]byte, len(test.Bytes))
			if err := Quantize(test.Type, row, len(row), nil, got); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, test.Bytes) {
				t.Error("the blocks differ")
			}
		})
	}
}

// roundTripError bounds the relative error (root of the sum of squares) of normally distributed
// values, about a quarter above what was measured. Formats of b bits come to about 2^-b.
var roundTripError = map[Type]float64{
	F32: 0, F16: 3e-4, BF16: 2.2e-3, Q8_0: 7e-3, Q6_K: 0.025, Q5_K: 0.05, Q5_1: 0.05, Q5_0: 0.055,
	Q4_K: 0.1, Q4_1: 0.1,
	Q4_0: 0.115, IQ4_NL: 0.1, IQ4_XS: 0.1, MXFP4: 0.16, NVFP4: 0.13, Q3_K: 0.2, IQ3_S: 0.19,
	IQ3_XXS: 0.23, Q2_K: 0.4, IQ2_S: 0.33,
	IQ2_XS: 0.36, IQ2_XXS: 0.42, IQ1_M: 0.7, IQ1_S: 0.7, TQ1_0: 0.95, TQ2_0: 0.95, Q2_0: 0.8,
	Q1_0: 0.8,
}

// slowTests includes the types whose tables ggml takes many seconds to make.
var slowTests = os.Getenv("EYELET_SLOW") != ""

func isSlow(t Type) bool { return t == IQ1_S || t == IQ1_M || t == IQ2_S }

func normal(n int, seed uint64) []float32 {
	r := rand.New(rand.NewPCG(seed, 0))
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(r.NormFloat64() * 0.02)
	}
	return x
}

func ones(n int) []float32 {
	w := make([]float32, n)
	for i := range w {
		w[i] = 1
	}
	return w
}

func TestRoundTrips(t *testing.T) {
	const rows, rowLen = 4, 512
	src := normal(rows*rowLen, 1)
	for _, typ := range Types() {
		if !typ.CanQuantize() {
			continue
		}
		t.Run(typ.String(), func(t *testing.T) {
			if isSlow(typ) && !slowTests {
				t.Skip("ggml takes seconds to make its table for this type; set EYELET_SLOW=1")
			}
			size, err := typ.RowSize(len(src))
			if err != nil {
				t.Fatal(err)
			}
			blob, back := make([]byte, size), make([]float32, len(src))
			var imatrix []float32
			if typ.RequiresImatrix() {
				imatrix = ones(rowLen)
			}
			if err := Quantize(typ, src, rowLen, imatrix, blob); err != nil {
				t.Fatal(err)
			}
			if err := Dequantize(typ, blob, back); err != nil {
				t.Fatal(err)
			}
			var diff, norm float64
			for i := range src {
				diff += math.Pow(float64(back[i]-src[i]), 2)
				norm += math.Pow(float64(src[i]), 2)
			}
			bound, ok := roundTripError[typ]
			if got := math.Sqrt(diff / norm); !ok || got > bound {
				t.Errorf("relative error %.4g, want at most %v", got, bound)
			}
		})
	}
}

func TestImatrixMovesErrorToUnimportantColumns(t *testing.T) {
	const rowLen = 256
	src, imatrix := normal(16*rowLen, 2), ones(rowLen)
	for i := range imatrix {
		if i%2 == 0 {
			imatrix[i] = 1000
		}
	}
	evenError := func(imatrix []float32) (sum float64) {
		size, _ := Q4_K.RowSize(len(src))
		blob, back := make([]byte, size), make([]float32, len(src))
		if err := Quantize(Q4_K, src, rowLen, imatrix, blob); err != nil {
			t.Fatal(err)
		}
		if err := Dequantize(Q4_K, blob, back); err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(src); i += 2 {
			sum += math.Pow(float64(back[i]-src[i]), 2)
		}
		return sum
	}
	if with, without := evenError(imatrix), evenError(nil); with >= without {
		t.Errorf("squared error of the important columns is %g with the matrix, %g without", with,
			without)
	}
}

func TestQuantizeRefusesMisuse(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	x := normal(512, 3)
	with := func(v float32) []float32 {
		y := normal(512, 3)
		y[77] = v
		return y
	}
	tests := []struct {
		name    string
		t       Type
		src     []float32
		rowLen  int
		imatrix []float32
		size    int
		want    string
	}{
		{"an unknown type", Type(4), x, 512, nil, 288, "cannot quantize"},
		{"a type of activations", Q8_K, x, 512, nil, 584, "cannot quantize"},
		{"an integer type", I8, x, 512, nil, 512, "cannot quantize"},
		{"a row that is not whole blocks", Q4_K, x, 128, nil, 288, "whole number"},
		{"a row of nothing", Q4_0, x, 0, nil, 288, "whole number"},
		{"a negative row", Q4_0, x, -32, nil, 288, "whole number"},
		{"values that are not whole rows", Q4_0, x[:480], 512, nil, 270, "rows of 512"},
		{"a short destination", Q4_0, x, 512, nil, 287, "288 bytes, not 287"},
		{"a long destination", Q4_0, x, 512, nil, 289, "288 bytes, not 289"},
		{"no destination", Q4_0, x, 512, nil, 0, "288 bytes, not 0"},
		{"no importance matrix where one is needed", IQ2_XXS, x, 512, nil, 132,
			"needs an importance matrix"},
		{"an importance matrix of all values and not of a row", Q4_K, x, 256, ones(512), 288,
			"512 weights for rows of 256"},
		{"a negative weight", Q4_K, x, 512, append(ones(511), -1), 288, "importance weight 511"},
		{"an infinite weight", Q4_K, x, 512, append(ones(511), inf), 288, "importance weight 511"},
		{"a weight that is not a number", Q4_K, x, 512, append(ones(511), nan), 288,
			"importance weight 511"},
		{"a value that is not a number", IQ4_NL, with(nan), 512, nil, 288, "value 77"},
		{"an infinite value", Q4_0, with(inf), 512, nil, 288, "value 77"},
		{"a value too large for a float16 scale", Q4_0, with(1.1e5), 512, nil, 288, "value 77"},
		{"a weight so large that sums overflow", Q4_K, x, 512, append(ones(511), 1e16), 288,
			"importance weight 511"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			err := Quantize(test.t, test.src, test.rowLen, test.imatrix, make([]byte, test.size))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want an error with %q", err, test.want)
			}
		})
	}
}

func TestDequantizeRefusesMisuse(t *testing.T) {
	tests := []struct {
		name string
		t    Type
		size int
		n    int
		want string
	}{
		{"an unknown type", Type(4), 288, 512, "not a type"},
		{"an integer type", I32, 2048, 512, "cannot convert"},
		{"a part of a block", Q4_0, 18, 31, "whole number"},
		{"a short source", Q4_0, 17, 32, "18 bytes, not 17"},
		{"a long source", Q4_0, 19, 32, "18 bytes, not 19"},
		{"bytes for no value", Q4_0, 18, 0, "0 bytes, not 18"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			err := Dequantize(test.t, make([]byte, test.size), make([]float32, test.n))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want an error with %q", err, test.want)
			}
		})
	}
	for _, typ := range []Type{F32, Q4_K} {
		if err := Dequantize(typ, nil, nil); err != nil {
			t.Errorf("no values of %v: %v", typ, err)
		}
		if err := Quantize(typ, nil, 256, nil, nil); err != nil {
			t.Errorf("no rows to %v: %v", typ, err)
		}
	}
}

func TestQuantizingFromSeveralGoroutines(t *testing.T) {
	src, imatrix := normal(512, 4), ones(256)
	size, _ := IQ3_XXS.RowSize(len(src))
	want := make([]byte, size)
	if err := Quantize(IQ3_XXS, src, 256, imatrix, want); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for range 3 {
				got := make([]byte, size)
				if err := Quantize(IQ3_XXS, src, 256, imatrix, got); err != nil ||
					!bytes.Equal(got, want) {
					t.Errorf("another result (%v)", err)
				}
			}
		})
	}
	wg.Wait()
}

// FuzzDequantize feeds any bytes of any type: none may crash, whatever a model file holds.
func FuzzDequantize(f *testing.F) {
	for _, typ := range Types() {
		f.Add(int32(typ), bytes.Repeat([]byte{0xff, 0x7c, 0x00, 0x31}, 100))
	}
	f.Fuzz(func(t *testing.T, number int32, data []byte) {
		typ := Type(number)
		if size := typ.TypeSize(); size > 0 {
			blocks := len(data) / size
			dst := make([]float32, blocks*typ.BlockSize())
			if err := Dequantize(typ, data[:blocks*size], dst); (err == nil) !=
				typ.CanDequantize() {
				t.Errorf("%v: %v", typ, err)
			}
		} else if err := Dequantize(typ, data, make([]float32, 32)); err == nil {
			t.Errorf("type %d was converted", number)
		}
	})
}

// FuzzQuantize feeds any values and weights: those that ggml's searches cannot take are errors. The
// slow types take part with EYELET_SLOW=1, their tables being made first: the fuzzer takes a run of
// ten seconds for a hang.
func FuzzQuantize(f *testing.F) {
	if slowTests {
		for _, typ := range []Type{IQ1_S, IQ2_S} {
			size, _ := typ.RowSize(256)
			if err := Quantize(typ, normal(256, 6), 256, ones(256), make([]byte, size)); err !=
				nil {
				f.Fatal(err)
			}
			f.Add(int32(typ), bytes.Repeat([]byte{0, 0, 0x80, 0x3f, 1, 0, 0, 0}, 256),
				[]byte{0, 0, 0x80, 0x3f})
		}
	}
	for _, typ := range []Type{F32, F16, Q4_0, Q8_0, Q8_1, Q2_K, Q3_K, Q6_K, IQ3_XXS, IQ4_XS, I8,
		TQ1_0, MXFP4, NVFP4, Q1_0, Q2_0, 4} {
		f.Add(int32(typ), bytes.Repeat([]byte{0, 0, 0x80, 0x3f, 1, 0, 0, 0}, 256),
			[]byte{0, 0, 0x80, 0x3f})
		f.Add(int32(typ), bytes.Repeat([]byte{0, 0, 0, 0}, 256), []byte{0, 0, 0, 0})
	}
	f.Fuzz(func(t *testing.T, number int32, values, weights []byte) {
		typ := Type(number)
		if isSlow(typ) && !slowTests {
			t.Skip("a slow type; set EYELET_SLOW=1")
		}
		const rowLen = 256
		src, imatrix := make([]float32, rowLen), []float32(nil)
		fill(src, values)
		if len(weights) >= 4 {
			imatrix = make([]float32, rowLen)
			fill(imatrix, weights)
		}
		size, err := typ.RowSize(rowLen)
		if err != nil {
			size = rowLen
		}
		_ = Quantize(typ, src, rowLen, imatrix, make([]byte, size))
	})
}

// fill repeats the float32 values in data over x.
func fill(x []float32, data []byte) {
	if n := len(data) / 4; n > 0 {
		bits := make([]float32, n)
		copy(unsafe.Slice((*byte)(unsafe.Pointer(&bits[0])), 4*n), data)
		for i := range x {
			x[i] = bits[i%n]
		}
	}
}

func BenchmarkDequantize(b *testing.B) {
	const n = 1 << 16
	src, dst := normal(n, 5), make([]float32, n)
	for _, typ := range []Type{F16, BF16, Q8_0, Q4_K, Q6_K} {
		b.Run(typ.String(), func(b *testing.B) {
			size, _ := typ.RowSize(n)
			blob := make([]byte, size)
			if err := Quantize(typ, src, n, nil, blob); err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(4 * n))
			for b.Loop() {
				if err := Dequantize(typ, blob, dst); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func ExampleDequantize() {
	blob := make([]byte, 34) // one Q8_0 block: a float16 scale and 32 codes
	blob[0], blob[1] = 0x00, 0x38
	blob[2] = 6
	values := make([]float32, 32)
	if err := Dequantize(Q8_0, blob, values); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(values[:2])
	// Output: [3 0]
}
