package accel

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
	"github.com/eyelet-engine/eyelet/kernels/ref"
)

// maskKind says which keys a mask hides.
type maskKind int

const (
	noMask   maskKind = iota
	allClear          // none
	causal            // those behind the query's own position; the last query sees all
	// a third of them, all of a block, all of some queries', and the rest are weighted
	scattered
	distances // none: minus the distance, which a bias multiplies
	allHidden // all
)

// fill makes random operands and returns k and v as the types keep them, keys x heads interleaved
// or not as the operation has them.
func (a *attention) fill(t testing.TB, kind maskKind, seed uint64) (k, v []float32) {
	t.Helper()
	s := a.shape
	copy(a.q(), normals(len(a.q()), seed))
	data, k := encode(t, s.keyType, normals(s.batch*s.keyHeads*s.keys*s.width, seed+1), s.width)
	copy(a.k(), data)
	data, v = encode(t, s.valueType, normals(s.batch*s.keyHeads*s.keys*s.valueWidth, seed+2),
		s.valueWidth)
	copy(a.v(), data)
	copy(a.sinks(), normals(len(a.sinks()), seed+3))
	rng := rand.New(rand.NewPCG(seed, 2))
	mask := make([]float32, len(a.mask()))
	for i := range mask {
		query, key := i/s.keys%s.queries, i%s.keys
		hide := kind == allHidden
		switch kind {
		case causal:
			hide = key > query+s.keys-s.queries
		case scattered:
			hide = rng.IntN(3) == 0 || key >= 240 && key < 480 || query%7 == 3
			mask[i] = float32(rng.NormFloat64())
		case distances:
			mask[i] = -float32(math.Abs(float64(key - query)))
		}
		if hide {
			mask[i] = float32(math.Inf(-1))
		}
	}
	if len(mask) > 0 {
		data, _ := encode(t, ggml.F16, mask, s.keys)
		for i := range a.mask() {
			a.mask()[i] = uint16(data[2*i]) | uint16(data[2*i+1])<<8
		}
	}
	for i := range a.out() {
		a.out()[i] = float32(math.NaN())
	}
	return k, v
}

// slope is ALiBi's for a head: 2^(-bias * i / n) for the first n heads, n a power of two, and the
// steps between them for the rest.
func (s *attentionShape) slope(head int) float64 {
	n := 1
	for 2*n <= s.heads {
		n *= 2
	}
	bias := float64(s.maxBias)
	switch {
	case bias <= 0:
		return 1
	case head < n:
		return math.Exp2(-bias / float64(n) * float64(head+1))
	}
	return math.Exp2(-bias / 2 / float64(n) * float64(2*(head-n)+1))
}

// row returns row i of a head of k or v.
func (s *attentionShape) row(x []float32, width, batch, head, i int) []float32 {
	at := (batch*s.keyHeads+head)*s.keys + i
	if s.interleaved {
		at = (batch*s.keys+i)*s.keyHeads + head
	}
	return x[at*width:][:width]
}

// query computes the attention of one query in float64, by the definition. largest is that of the
// values it mixes.
func (a *attention) query(k, v []float32, mask []float32, batch, head,
	query int) (out []float64, largest float64) {
	s := a.shape
	keyHead := head / (s.heads / s.keyHeads)
	q := a.q()[((batch*s.queries+query)*s.heads+head)*s.width:][:s.width]
	scores, top := make([]float64, s.keys), math.Inf(-1)
	for i := range scores {
		scores[i], _ = dot(q, s.row(k, s.width, batch, keyHead, i))
		scores[i] *= float64(s.scale)
		if c := float64(s.softcap); c != 0 {
			scores[i] = c * math.Tanh(scores[i]/c)
		}
		if s.maskHeads > 0 {
			at := ((batch%s.maskBatch*s.maskHeads+head%s.maskHeads)*s.queries+query)*s.keys + i
			scores[i] += s.slope(head) * float64(mask[at])
		}
		top = max(top, scores[i])
	}
	var sum float64
	if s.sinks {
		sink := float64(a.sinks()[head])
		top = max(top, sink)
		sum = math.Exp(sink - top)
	}
	out = make([]float64, s.valueWidth)
	for i, score := range scores {
		if math.IsInf(score, -1) {
			continue
		}
		weight := math.Exp(score - top)
		sum += weight
		for j, vj := range s.row(v, s.valueWidth, batch, keyHead, i) {
			out[j] += weight * float64(vj)
			largest = max(largest, math.Abs(float64(vj)))
		}
	}
	for j := range out {
		if sum > 0 {
			out[j] /= sum
		}
	}
	return out, largest
}

// exactAttention is attention in float64: for each query and head, what it gives, and the largest
// of the values that it mixes.
type exactAttention struct {
	out     [][]float64
	largest []float64
}

// exact computes the attention of all queries.
func (a *attention) exact(t *testing.T, k, v []float32) (e exactAttention) {
	t.Helper()
	s := a.shape
	mask := make([]float32, len(a.mask()))
	if len(mask) > 0 {
		data := make([]byte, 2*len(mask))
		for i, m := range a.mask() {
			data[2*i], data[2*i+1] = byte(m), byte(m>>8)
		}
		if err := ggml.Dequantize(ggml.F16, data, mask); err != nil {
			t.Fatal(err)
		}
	}
	for batch := range s.batch {
		for query := range s.queries {
			for head := range s.heads {
				out, largest := a.query(k, v, mask, batch, head, query)
				e.out, e.largest = append(e.out, out), append(e.largest, largest)
			}
		}
	}
	return e
}

// errorOf returns the largest error of the result, relative to the largest of the values that the
// query mixes.
func (a *attention) errorOf(exact exactAttention) (worst float64) {
	for i, want := range exact.out {
		got := a.out()[i*a.shape.valueWidth:]
		for j := range want {
			e := math.Abs(float64(got[j]) - want[j])
			if exact.largest[i] > 0 {
				e /= exact.largest[i]
			}
			if !(e <= worst) {
				worst = e
			}
		}
	}
	return worst
}

func mustAttention(t testing.TB, s attentionShape) *attention {
	t.Helper()
	if s.valueWidth == 0 {
		s.valueWidth = s.width
	}
	if s.batch == 0 {
		s.batch = 1
	}
	if s.scale == 0 {
		s.scale = float32(1 / math.Sqrt(float64(s.width)))
	}
	a, err := newAttention(s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.close)
	return a
}

// Errors are relative to the largest value that a query mixes.
const (
	attentionError = 1e-6 // of ours
	// ggml's CPU backend rounds queries to the type that goes with the keys', and adds up values of
	// 16 bits in 16 bits.
	ggmlError = 2e-2
)

var attentionCases = []struct {
	name  string
	shape attentionShape
	mask  maskKind
}{
	{"one query, one key", attentionShape{width: 40, queries: 1, keys: 1, heads: 1, keyHeads: 1,
		keyType: ggml.F16, valueType: ggml.F16}, noMask},
	{"a tower", attentionShape{width: 64, queries: 145, keys: 145, heads: 3, keyHeads: 3,
		keyType: ggml.F32, valueType: ggml.F32, interleaved: true}, noMask},
	{"a tower with heads of 72, two pictures", attentionShape{width: 72, queries: 50, keys: 301,
		heads: 2, keyHeads: 2, batch: 2, keyType: ggml.F16, valueType: ggml.F16}, noMask},
	{"a prompt", attentionShape{width: 64, queries: 70, keys: 70, heads: 8, keyHeads: 2,
		keyType: ggml.F16, valueType: ggml.F16, maskHeads: 1, maskBatch: 1, interleaved: true},
		causal},
	{"a chunk of a prompt", attentionShape{width: 80, queries: 33, keys: 511, heads: 6, keyHeads: 2,
		keyType: ggml.F16, valueType: ggml.F16, maskHeads: 1, maskBatch: 1, interleaved: true},
		causal},
	{"a mask that hides nothing", attentionShape{width: 32, queries: 20, keys: 250, heads: 2,
		keyHeads: 1, keyType: ggml.BF16, valueType: ggml.F32, maskHeads: 1, maskBatch: 1},
		allClear},
	{"a scattered mask", attentionShape{width: 64, queries: 40, keys: 700, heads: 4, keyHeads: 4,
		keyType: ggml.F16, valueType: ggml.F16, maskHeads: 1, maskBatch: 1}, scattered},
	{"a mask for each head and batch", attentionShape{width: 32, queries: 18, keys: 260, heads: 4,
		keyHeads: 2, batch: 2, keyType: ggml.F32, valueType: ggml.F32, maskHeads: 4, maskBatch: 2},
		scattered},
	{"a mask for every second head", attentionShape{width: 32, queries: 18, keys: 260, heads: 4,
		keyHeads: 1, keyType: ggml.F32, valueType: ggml.F32, maskHeads: 2, maskBatch: 1},
		scattered},
	{"all hidden", attentionShape{width: 32, queries: 5, keys: 300, heads: 2, keyHeads: 2,
		keyType: ggml.F32, valueType: ggml.F32, maskHeads: 1, maskBatch: 1}, allHidden},
	{"all hidden but the sinks", attentionShape{width: 32, queries: 5, keys: 300, heads: 2,
		keyHeads: 2, keyType: ggml.F32, valueType: ggml.F32, maskHeads: 1, maskBatch: 1,
		sinks: true}, allHidden},
	{"sinks", attentionShape{width: 64, queries: 30, keys: 300, heads: 6, keyHeads: 3,
		keyType: ggml.BF16, valueType: ggml.BF16, maskHeads: 1, maskBatch: 1, sinks: true}, causal},
	{"ALiBi over heads that are no power of two", attentionShape{width: 32, queries: 30, keys: 270,
		heads: 12, keyHeads: 4, keyType: ggml.F16, valueType: ggml.F16, maskHeads: 1, maskBatch: 1,
		maxBias: 8}, distances},
	{"capped scores", attentionShape{width: 64, queries: 30, keys: 300, heads: 4, keyHeads: 2,
		keyType: ggml.F16, valueType: ggml.F16, maskHeads: 1, maskBatch: 1, softcap: 5, scale: 1},
		causal},
	{"quantized keys and values", attentionShape{width: 64, valueWidth: 128, queries: 20, keys: 250,
		heads: 4, keyHeads: 1, keyType: ggml.Q8_0, valueType: ggml.Q4_0, maskHeads: 1, maskBatch: 1,
		interleaved: true}, causal},
	{"wide heads, one of keys for all", attentionShape{width: 576, valueWidth: 512, queries: 20,
		keys: 250, heads: 16, keyHeads: 1, keyType: ggml.F16, valueType: ggml.F16, maskHeads: 1,
		maskBatch: 1}, causal},
	{"widths that no vector divides", attentionShape{width: 13, valueWidth: 7, queries: 19,
		keys: 243, heads: 2, keyHeads: 1, keyType: ggml.F32, valueType: ggml.F32}, noMask},
	{"one query of an answer, whose heads share keys", attentionShape{width: 64, queries: 1,
		keys: 1030, heads: 24, keyHeads: 3, keyType: ggml.F16, valueType: ggml.F16, maskHeads: 1,
		maskBatch: 1, interleaved: true}, causal},
	{"one query and no mask", attentionShape{width: 32, queries: 1, keys: 2000, heads: 5,
		keyHeads: 1, keyType: ggml.Q8_0, valueType: ggml.Q8_0, interleaved: true}, noMask},
	{"three answers", attentionShape{width: 64, valueWidth: 32, queries: 3, keys: 1500, heads: 14,
		keyHeads: 2, batch: 2, keyType: ggml.F16, valueType: ggml.BF16, maskHeads: 1, maskBatch: 2,
		sinks: true}, scattered},
	{"more heads on a key than a panel has columns", attentionShape{width: 32, queries: 5,
		keys: 1111, heads: 46, keyHeads: 2, keyType: ggml.F16, valueType: ggml.F16, maskHeads: 1,
		maskBatch: 1, softcap: 5, interleaved: true}, scattered},
	{"one query of many keys, each with heads of its own", attentionShape{width: 32, queries: 2,
		keys: 20000, heads: 2, keyHeads: 2, keyType: ggml.F16, valueType: ggml.F16, maskHeads: 1,
		maskBatch: 1}, causal},
	{"few queries, all hidden but the sinks", attentionShape{width: 32, queries: 2, keys: 1300,
		heads: 8, keyHeads: 2, keyType: ggml.F32, valueType: ggml.F32, maskHeads: 1, maskBatch: 1,
		sinks: true}, allHidden},
	{"large scores", attentionShape{width: 64, queries: 20, keys: 500, heads: 2, keyHeads: 2,
		keyType: ggml.F32, valueType: ggml.F32, scale: 0.5}, noMask},
}

func TestAttentionEqualsFloat64(t *testing.T) {
	onEachISA(t, func(t *testing.T) {
		for _, c := range attentionCases {
			t.Run(c.name, func(t *testing.T) {
				a := mustAttention(t, c.shape)
				k, v := a.fill(t, c.mask, 1)
				exact := a.exact(t, k, v)
				var first []float32
				for _, threads := range []int{1, 2, 7} {
					a.fill(t, c.mask, 1)
					if err := a.run(threads); err != nil {
						t.Fatal(err)
					}
					if first == nil {
						first = slices.Clone(a.out())
					} else if !slices.Equal(first, a.out()) {
						t.Errorf("%d threads: another result than with one", threads)
					}
					e := a.errorOf(exact)
					if !(e <= attentionError) {
						t.Errorf("%d threads: an error of %.2g", threads, e)
					}
					t.Logf("%d threads: an error of %.2g", threads, e)
				}
				k, v = a.fill(t, c.mask, 2)
				exact = a.exact(t, k, v)
				if err := a.runStarved(2); err != nil {
					t.Fatal(err)
				}
				if e := a.errorOf(exact); !(e <= 4*attentionError) {
					t.Errorf("when memory is short: an error of %.2g", e)
				}
			})
		}
	})
}

func TestAttentionEqualsGGML(t *testing.T) {
	if err := ggml.Load(); err != nil {
		t.Fatal(err)
	}
	for _, c := range attentionCases {
		t.Run(c.name, func(t *testing.T) {
			a := mustAttention(t, c.shape)
			_, v := a.fill(t, c.mask, 1)
			if err := a.run(2); err != nil {
				t.Fatal(err)
			}
			ours := append([]float32(nil), a.out()...)
			if err := a.runGGML(2); err != nil {
				t.Fatal(err)
			}
			var largest, worst float64
			for _, x := range v {
				largest = max(largest, math.Abs(float64(x)))
			}
			for i, theirs := range a.out() {
				if e := math.Abs(float64(theirs)-float64(ours[i])) / largest; !(e <= worst) {
					worst = e
				}
			}
			if !(worst <= ggmlError) {
				t.Errorf("a difference of %.2g", worst)
			}
			t.Logf("a difference of %.2g", worst)
		})
	}
}

// The plain formula of package ref, over the layout of a tower.
func TestAttentionEqualsTheReference(t *testing.T) {
	const n, heads, width = 37, 4, 24
	a := mustAttention(t, attentionShape{width: width, queries: n, keys: n, heads: heads,
		keyHeads: heads, keyType: ggml.F32, valueType: ggml.F32, interleaved: true})
	k, v := a.fill(t, noMask, 5)
	if err := a.run(2); err != nil {
		t.Fatal(err)
	}
	matrix := func(x []float32) ref.Matrix[float64] {
		m := ref.NewMatrix[float64](n, heads*width)
		for i := range m.Data {
			m.Data[i] = float64(x[i])
		}
		return m
	}
	want := ref.NewMatrix[float64](n, heads*width)
	ref.Attention(want, matrix(a.q()), matrix(k), matrix(v), heads, ref.NewMatrix[float64](n, n))
	for i, got := range a.out() {
		if e := math.Abs(float64(got) - want.Data[i]); !(e <= 4*attentionError) {
			t.Fatalf("number %d is %g, want %g", i, got, want.Data[i])
		}
	}
}

func TestAttentionPassesNotANumberOn(t *testing.T) {
	onEachISA(t, func(t *testing.T) {
		a := mustAttention(t, attentionShape{width: 16, queries: 40, keys: 300, heads: 1,
			keyHeads: 1, keyType: ggml.F32, valueType: ggml.F32})
		a.fill(t, noMask, 1)
		a.q()[17*16+5] = float32(math.NaN())
		if err := a.run(2); err != nil {
			t.Fatal(err)
		}
		for i, y := range a.out() {
			if (y != y) != (i/16 == 17) {
				t.Fatalf("query %d gets %g", i/16, y)
			}
		}
	})
}

func TestAttentionThatIsDeclined(t *testing.T) {
	a := mustAttention(t, attentionShape{width: 16, queries: 4, keys: 4, heads: 1, keyHeads: 1,
		keyType: ggml.I32, valueType: ggml.F32})
	if err := a.run(1); !errors.Is(err, errDeclined) {
		t.Errorf("keys that are integers: %v", err)
	}
	freeAttention()
}

// All numbers of three octaves, and the edges.
func TestPowersOfTwo(t *testing.T) {
	for _, plain := range []bool{true, false} {
		var worst float64
		var some [8]float32 // that wait to be checked
		n := 0
		checkAll := func() {
			s := some
			sum := powers(plain, s[:], [8]float32{})
			for i, x := range some {
				want := math.Exp2(float64(x))
				if x < -126 {
					want = 0
				}
				if s[i] != sum[i] {
					t.Fatalf("the sum of %g alone is %g", s[i], sum[i])
				}
				e := math.Abs(float64(s[i]) - want)
				if want > 0 {
					e /= want
				}
				if !(e <= worst) {
					worst = e
				}
			}
			n = 0
		}
		check := func(x float32) {
			some[n] = x
			if n++; n == len(some) {
				checkAll()
			}
		}
		for bits := math.Float32bits(0.5); bits < math.Float32bits(4); bits += 7 {
			check(-math.Float32frombits(bits))
		}
		for x := float32(-140); x <= 0; x += 1.0 / 64 {
			check(x)
		}
		check(float32(math.Inf(-1)))
		for i := n; i < len(some); i++ { // which were checked before
			some[i] = 0
		}
		checkAll()
		if !(worst < 3e-7) {
			t.Errorf("plain %v: a relative error of %.3g", plain, worst)
		}
		t.Logf("plain %v: a relative error of %.3g", plain, worst)
	}
}

func BenchmarkAttention(b *testing.B) {
	const threads = 2
	if err := ggml.Load(); err != nil {
		b.Fatal(err)
	}
	for _, c := range []struct {
		queries, keys, heads, keyHeads, width int
		typ                                   ggml.Type
		mask                                  maskKind
	}{
		{512, 512, 32, 4, 64, ggml.F16, causal},
		{64, 1024, 32, 4, 64, ggml.F16, causal},
		{64, 4096, 32, 4, 64, ggml.F16, causal},
		{512, 4096, 32, 4, 64, ggml.F16, causal},
		{512, 2048, 32, 8, 128, ggml.F16, causal},
		{512, 2048, 32, 8, 128, ggml.Q8_0, causal},
		{1, 1024, 32, 4, 64, ggml.F16, causal},
		{1, 1024, 9, 3, 64, ggml.F16, causal},
		{1, 1024, 8, 4, 256, ggml.F16, causal},
		{1, 1024, 32, 32, 128, ggml.F16, causal},
		{1, 8192, 32, 4, 64, ggml.F16, causal},
		{1, 8192, 32, 8, 128, ggml.F16, causal},
		{1, 8192, 32, 8, 128, ggml.Q8_0, causal},
		{4, 8192, 32, 8, 128, ggml.F16, causal},
		{8, 8192, 32, 8, 128, ggml.F16, causal},
		{577, 577, 16, 16, 64, ggml.F32, noMask},
		{577, 577, 16, 16, 64, ggml.F16, noMask},
		{729, 729, 16, 16, 72, ggml.F16, noMask},
	} {
		s := attentionShape{width: c.width, queries: c.queries, keys: c.keys, heads: c.heads,
			keyHeads: c.keyHeads, keyType: c.typ, valueType: c.typ, interleaved: true}
		seen := float64(c.queries) * float64(c.keys)
		if c.mask == causal {
			s.maskHeads, s.maskBatch = 1, 1
			seen -= float64(c.queries) * float64(c.queries-1) / 2
		}
		a := mustAttention(b, s)
		a.fill(b, c.mask, 1)
		for name, run := range map[string]func(int) error{"eyelet": a.run, "ggml": a.runGGML} {
			b.Run(fmt.Sprintf("%dx%d/%d-%dx%d/%v/%s", c.queries, c.keys, c.heads, c.keyHeads,
				c.width, c.typ, name), func(b *testing.B) {
				for range b.N {
					if err := run(threads); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(4e-9*seen*float64(c.width*c.heads)*float64(b.N)/b.Elapsed().
					Seconds(), "GFLOP/s")
			})
		}
	}
}
