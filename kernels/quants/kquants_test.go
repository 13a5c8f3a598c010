package quants

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
)

var types = []ggml.Type{ggml.Q4_K, ggml.Q5_K, ggml.Q6_K}

func require(t testing.TB) {
	if err := ggml.Load(); err != nil {
		t.Fatal(err)
	}
	if !Supported(ggml.F32, ggml.Q4_K) {
		t.Skip("these kernels want AVX2")
	}
}

// same quantizes values with both and compares the bytes.
func same(t *testing.T, name string, values []float32) {
	t.Helper()
	src := unsafe.Slice((*byte)(unsafe.Pointer(&values[0])), 4*len(values))
	for _, typ := range types {
		ours, theirs := make([]byte, len(values)/256*sizes[typ]),
			make([]byte, len(values)/256*sizes[typ])
		if !Convert(ggml.F32, src, typ, ours, make([]float32, len(values))) {
			t.Fatalf("%s: values do not fit", name)
		}
		if err := ggml.Quantize(typ, values, 256, nil, theirs); err != nil {
			t.Fatal(err)
		}
		for i := range ours {
			if ours[i] != theirs[i] {
				b := i / sizes[typ]
				t.Fatalf("%s, %v: super-block %d differs at byte %d of %d: %v", name, typ, b,
					i%sizes[typ], sizes[typ], values[256*b:256*b+8])
			}
		}
	}
}

func TestBytesAreGGMLs(t *testing.T) {
	require(t)
	r := rand.New(rand.NewPCG(6, 4))
	const n = 256 * 400
	fill := func(f func(i int) float64) []float32 {
		x := make([]float32, n)
		for i := range x {
			x[i] = float32(f(i))
		}
		return x
	}
	for name, f := range map[string]func(i int) float64{
		"normal": func(int) float64 { return 0.02 * r.NormFloat64() },
		"of all sizes": func(int) float64 {
			return r.NormFloat64() * math.Pow(10, 12*r.Float64()-9)
		},
		"sizes by super-block": func(i int) float64 {
			return r.NormFloat64() * math.Pow(10, float64(i/256%40)-37)
		},
		"sizes by sub-block": func(i int) float64 {
			return r.NormFloat64() * math.Pow(10, float64(i/16%28)-25)
		},
		"zeros":               func(int) float64 { return 0 },
		"zeros of both signs": func(i int) float64 { return math.Copysign(0, float64(i%3)-1) },
		"equal":               func(i int) float64 { return float64(i/32%7) - 3 },
		"positive":            func(int) float64 { return r.Float64() },
		"negative":            func(int) float64 { return -r.Float64() },
		"one in a super-block": func(i int) float64 {
			if i%256 == i/256%256 {
				return -3
			}
			return 0
		},
		"few levels": func(int) float64 { return float64(r.IntN(5)) / 4 },
		"outliers": func(i int) float64 {
			return max(-6e4, min(6e4, math.Pow(r.NormFloat64(), 7)))
		},
		"subnormal":   func(int) float64 { return r.NormFloat64() * 1e-41 },
		"nearly tiny": func(int) float64 { return r.NormFloat64() * 1e-15 },
		"as F16": func(int) float64 {
			return float64(math.Float32frombits(
				math.Float32bits(float32(r.NormFloat64())) &^ 0x1fff))
		},
		"sparse": func(int) float64 { return max(0, r.NormFloat64()-1.5) },
		"a wide range": func(i int) float64 {
			return max(-6e4, min(6e4, math.Sinh(3*r.NormFloat64())))
		},
	} {
		same(t, name, fill(f))
	}
}

func TestHalvesAreConverted(t *testing.T) {
	require(t)
	halves := make([]byte, 0, 2<<16)
	for i := range 1 << 16 {
		if i>>10&31 != 31 { // neither infinite nor NaN
			halves = binary.LittleEndian.AppendUint16(halves, uint16(i))
		}
	}
	halves = halves[:len(halves)/512*512]
	for _, from := range []ggml.Type{ggml.F16, ggml.BF16} {
		src := bytes.Clone(halves)
		if from == ggml.BF16 { // finite, and of a size that squares well
			for i := 1; i < len(src); i += 2 {
				src[i] = src[i]&0x83 | 0x3c
			}
		}
		values := make([]float32, len(src)/2)
		if err := ggml.Dequantize(from, src, values); err != nil {
			t.Fatal(err)
		}
		for _, typ := range types {
			ours, theirs := make([]byte, len(values)/256*sizes[typ]),
				make([]byte, len(values)/256*sizes[typ])
			if !Convert(from, src, typ, ours, make([]float32, len(values))) {
				t.Fatalf("%v: does not fit", from)
			}
			if err := ggml.Quantize(typ, values, 256, nil, theirs); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(ours, theirs) {
				t.Errorf("%v to %v differs", from, typ)
			}
		}
	}
}

func TestWhatDoesNotFitIsToldOf(t *testing.T) {
	require(t)
	for _, bad := range []float64{math.NaN(), math.Inf(1), math.Inf(-1), 100001} {
		values := make([]float32, 512)
		values[300] = float32(bad)
		src := unsafe.Slice((*byte)(unsafe.Pointer(&values[0])), 4*len(values))
		if Convert(ggml.F32, src, ggml.Q4_K, make([]byte, 2*144), make([]float32, 512)) {
			t.Errorf("%v is taken", bad)
		}
	}
}

func FuzzBytesAreGGMLs(f *testing.F) {
	require(f)
	f.Add([]byte{1, 2, 3, 4}, uint8(100))
	f.Fuzz(func(t *testing.T, data []byte, spread uint8) {
		values := make([]float32, 256)
		for i := range values {
			bits := uint32(0)
			for k := range 4 {
				if len(data) > 0 {
					bits |= uint32(data[(4*i+k)%len(data)]+uint8(i)*(spread&7)) << (8 * k)
				}
			}
			if v := math.Float32frombits(bits); math.Abs(float64(v)) <= ggml.MaxValue {
				values[i] = v
			}
		}
		same(t, "fuzz", values)
	})
}

func BenchmarkConvert(b *testing.B) {
	require(b)
	values := make([]float32, 256*1024)
	for i := range values {
		values[i] = float32(rand.NormFloat64())
	}
	src := unsafe.Slice((*byte)(unsafe.Pointer(&values[0])), 4*len(values))
	scratch := make([]float32, len(values))
	for _, typ := range types {
		out := make([]byte, len(values)/256*sizes[typ])
		b.Run(fmt.Sprintf("%v/eyelet", typ), func(b *testing.B) {
			b.SetBytes(int64(len(src)))
			for b.Loop() {
				Convert(ggml.F32, src, typ, out, scratch)
			}
		})
		b.Run(fmt.Sprintf("%v/ggml", typ), func(b *testing.B) {
			b.SetBytes(int64(len(src)))
			for b.Loop() {
				if err := ggml.Quantize(typ, values, 256, nil, out); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
