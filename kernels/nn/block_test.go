package nn

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/eyelet-engine/eyelet/cgo/onednn"
	"github.com/eyelet-engine/eyelet/kernels/ref"
)

type matrix = ref.Matrix[float64]

// bounds are the largest relative errors against float64 that the precisions may have after one
// block or layer, and the lowest cosine of a row.
var bounds = map[Precision]struct{ relative, cosine float64 }{F32: {2e-6, 1 - 1e-10},
	BF16: {6e-3, 0.9999}, Int8: {3e-2, 0.999}, Int16: {4e-3, 0.99998}}

func random(rng *rand.Rand, n int, scale, mean float64) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = float32(rng.NormFloat64()*scale + mean)
	}
	return v
}

func randomLinear(rng *rand.Rand, in, out int) LinearWeights {
	return LinearWeights{Weight: random(rng, in*out, 1/math.Sqrt(float64(in)), 0),
		Bias: random(rng, out, 0.1, 0), In: in, Out: out}
}

func randomNorm(rng *rand.Rand, n int) NormWeights {
	return NormWeights{Gain: random(rng, n, 0.2, 1), Bias: random(rng, n, 0.2, 0)}
}

func randomBlock(rng *rand.Rand, c Config) BlockWeights {
	d := c.Hidden
	w := BlockWeights{
		LN1: randomNorm(rng, d), LN2: randomNorm(rng, d),
		Q: randomLinear(rng, d, d), K: randomLinear(rng, d, d), V: randomLinear(rng, d, d),
		O:  randomLinear(rng, d, d),
		Up: randomLinear(rng, d, c.FF), Down: randomLinear(rng, c.FF, d),
	}
	if c.Gated {
		w.Gate = randomLinear(rng, d, c.FF)
	}
	return w
}

func double(v []float32) []float64 {
	d := make([]float64, len(v))
	for i, x := range v {
		d[i] = float64(x)
	}
	return d
}

func refLinear(x matrix, w LinearWeights) matrix {
	y := ref.NewMatrix[float64](x.Rows, w.Out)
	ref.Linear(y, x, ref.MatrixOf(w.Out, w.In, double(w.Weight)), double(w.Bias))
	return y
}

func refNorm(x matrix, w NormWeights, eps float64) matrix {
	y := ref.NewMatrix[float64](x.Rows, x.Cols)
	if w.RMS {
		for r := range x.Rows {
			refRMSNorm(y.Row(r), x.Row(r), w.Gain, eps)
		}
		return y
	}
	ref.LayerNorm(y, x, double(w.Gain), double(w.Bias), eps)
	return y
}

// refRMSNorm computes dst = x / sqrt(mean(x²) + eps) · gain (Zhang and Sennrich 2019).
func refRMSNorm(dst, x []float64, gain []float32, eps float64) {
	var square float64
	for _, v := range x {
		square += v * v
	}
	for i, v := range x {
		dst[i] = v / math.Sqrt(square/float64(len(x))+eps) * float64(gain[i])
	}
}

// refRotate turns the queries or keys of all heads by their rotary positions (Su et al. 2021): in
// each head of width 2n the pair (x[i], x[n + i]) of row r by angle r·n + i.
func refRotate(x matrix, heads int, angles []float64) {
	half := x.Cols / heads / 2
	for r := range x.Rows {
		for h := range heads {
			head := x.Row(r)[h*2*half:][:2*half]
			for i := range half {
				sin, cos := math.Sincos(angles[r*half+i])
				a, b := head[i], head[half+i]
				head[i], head[half+i] = a*cos-b*sin, b*cos+a*sin
			}
		}
	}
}

var refActivations = map[onednn.Activation]ref.Activation[float64]{
	onednn.QuickGELU: ref.QuickGELU[float64], onednn.GELU: ref.GELU[float64],
	onednn.GELUTanh: ref.GELUTanh[float64], onednn.SiLU: ref.SiLU[float64],
}

// refBlock is the block in float64, written out plainly; it changes x. Rows attend within stretches
// of the given lengths; angles has those of rotary positions, half as many a row as a head is wide,
// or is nil.
func refBlock(x matrix, w BlockWeights, c Config, lengths []int, angles []float64) {
	half := c.Hidden / c.Heads / 2
	first := 0
	for _, length := range lengths {
		x := x.RowRange(first, first+length)
		n := refNorm(x, w.LN1, c.Eps)
		q, k, v := refLinear(n, w.Q), refLinear(n, w.K), refLinear(n, w.V)
		if w.Heads[0].Gain != nil {
			for i, m := range []matrix{q, k, v} {
				parts := ref.MatrixOf(m.Rows*c.Heads, m.Cols/c.Heads, m.Data)
				copy(m.Data, refNorm(parts, w.Heads[i], c.Eps).Data)
			}
		}
		if angles != nil {
			refRotate(q, c.Heads, angles[first*half:])
			refRotate(k, c.Heads, angles[first*half:])
		}
		mixed := ref.NewMatrix[float64](x.Rows, x.Cols)
		ref.Attention(mixed, q, k, v, c.Heads, ref.NewMatrix[float64](x.Rows, x.Rows))
		add := func(y matrix, norm NormWeights) {
			if norm.Gain != nil {
				y = refNorm(y, norm, c.Eps)
			}
			ref.Add(x, y)
		}
		add(refLinear(mixed, w.O), w.Added[0])
		n = refNorm(x, w.LN2, c.Eps)
		ff := refLinear(n, w.Up)
		if c.Gated {
			gate := refLinear(n, w.Gate)
			refActivations[c.Activation](gate)
			for i := range ff.Data {
				ff.Data[i] *= gate.Data[i]
			}
		} else {
			refActivations[c.Activation](ff)
		}
		add(refLinear(ff, w.Down), w.Added[1])
		first += length
	}
}

// compare checks rows of numbers against float64. depth is the number of products one after the
// other whose errors add up.
func compare(t *testing.T, got []float32, want matrix, p Precision, depth int) {
	t.Helper()
	var diff, norm float64
	lowest := 1.0
	for r := range want.Rows {
		var dot, gg, ww float64
		for i, w := range want.Row(r) {
			g := float64(got[r*want.Cols+i])
			if math.IsNaN(g) {
				t.Fatalf("row %d holds NaN", r)
			}
			diff, norm = diff+(g-w)*(g-w), norm+w*w
			dot, gg, ww = dot+g*w, gg+g*g, ww+w*w
		}
		lowest = min(lowest, dot/math.Sqrt(gg*ww))
	}
	e, b := math.Sqrt(diff/norm), bounds[p]
	t.Logf("relative error %.1e, lowest cosine of a row %.7f", e, lowest)
	b.relative *= math.Sqrt(float64(depth))
	b.cosine = 1 - (1-b.cosine)*float64(depth)
	if !(e <= b.relative) || !(lowest >= b.cosine) {
		t.Errorf("relative error %g, lowest cosine %g; want at most %g, at least %g", e, lowest,
			b.relative, b.cosine)
	}
}

func open(t testing.TB, c Config) *Plan {
	t.Helper()
	return openWith(t, c, choosePanels(onednn.CPU()))
}

func openWith(t testing.TB, c Config, which panels) *Plan {
	t.Helper()
	p, err := newPlan(c, which)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

func newState(t testing.TB, p *Plan, rows int) *State {
	t.Helper()
	s, err := p.NewState(rows)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func newAttention(t testing.TB, p *Plan, lengths ...int) *Attention {
	t.Helper()
	a, err := p.NewAttention(lengths)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Close)
	return a
}

func newBlock(t testing.TB, p *Plan, w BlockWeights) *Block {
	t.Helper()
	b, err := p.NewBlock(w)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

// waysOf returns the ways to compute products that this processor has.
func waysOf() []panels {
	ways := []panels{{}}
	if best := choosePanels(onednn.CPU()); best.float {
		ways = append(ways, best)
	}
	return ways
}

func TestABlockEqualsItsDefinition(t *testing.T) {
	shapes := []struct {
		name  string
		c     Config
		tiles int
	}{
		{"one row", Config{Rows: 1, Hidden: 32, Heads: 2, FF: 64, Eps: 1e-5,
			Activation: onednn.QuickGELU}, 1},
		{"odd sizes", Config{Rows: 37, Hidden: 60, Heads: 3, FF: 101, Eps: 1e-6,
			Activation: onednn.GELU}, 2},
		{"several row blocks", Config{Rows: 300, Hidden: 64, Heads: 4, FF: 1100, Eps: 1e-5,
			Activation: onednn.GELUTanh}, 3},
		{"heads of 72", Config{Rows: 100, Hidden: 144, Heads: 2, FF: 200, Eps: 1e-6,
			Activation: onednn.SiLU}, 1},
		{"ViT-L's width", Config{Rows: 150, Hidden: 1024, Heads: 16, FF: 4096, Eps: 1e-5,
			Activation: onednn.QuickGELU}, 1},
	}
	for _, s := range shapes {
		for p := range bounds {
			for _, threads := range []int{1, 2, 5} {
				if threads != 2 && s.c.Hidden > 200 {
					continue
				}
				c := s.c
				c.Precision, c.Threads = p, threads
				rng := rand.New(rand.NewPCG(1, 2))
				w := randomBlock(rng, c)
				x := random(rng, s.tiles*c.Rows*c.Hidden, 1, 0)
				want := ref.MatrixOf(s.tiles*c.Rows, c.Hidden, double(x))
				lengths := slices.Repeat([]int{c.Rows}, s.tiles)
				refBlock(want, w, c, lengths, nil)
				for _, which := range waysOf() {
					t.Run(fmt.Sprintf("%s/%v/%d threads/%+v", s.name, p, threads, which),
						func(t *testing.T) {
							plan := openWith(t, c, which)
							block, state := newBlock(t, plan, w), newState(t, plan, want.Rows)
							copy(state.X(), x)
							attention := newAttention(t, plan, lengths...)
							if err := plan.RunBlockPart(block, state, attention,
								nil, 0, 1); err != nil {
								t.Fatal(err)
							}
							compare(t, state.X(), want, p, 1)
						})
				}
			}
		}
	}
}

// Qwen2.5-VL's blocks have gates, RMS norms, rotary positions and windows; Gemma 4's have norms of
// heads and of what is added besides.
func TestAGatedBlockInWindowsEqualsItsDefinition(t *testing.T) {
	for p := range bounds {
		for _, which := range waysOf() {
			for _, parts := range []int{1, 2, 7} {
				sandwich := parts == 7
				t.Run(fmt.Sprintf("%v/%+v/%d parts", p, which, parts), func(t *testing.T) {
					c := Config{Precision: p, Threads: 2, Hidden: 160, Heads: 2, FF: 213,
						Gated: true, Eps: 1e-6, Activation: onednn.SiLU}
					rng := rand.New(rand.NewPCG(8, 9))
					w := randomBlock(rng, c)
					w.LN1.RMS, w.LN1.Bias, w.LN2.RMS, w.LN2.Bias = true, nil, true, nil
					if sandwich {
						rms := func(n int) NormWeights {
							return NormWeights{Gain: random(rng, n, 0.2, 1), RMS: true}
						}
						w.Heads = [3]NormWeights{rms(80), rms(80), rms(80)}
						w.Added = [2]NormWeights{rms(c.Hidden), rms(c.Hidden)}
					}
					lengths := []int{64, 64, 32, 4, 200}
					const rows, half = 364, 40
					angles := make([]float64, rows*half)
					var cosines, sines []float32
					for i := range angles {
						angles[i] = rng.Float64() * 50
						cosines, sines = append(cosines, float32(math.Cos(angles[i]))),
							append(sines, float32(math.Sin(angles[i])))
					}
					x := random(rng, rows*c.Hidden, 1, 0)
					want := ref.MatrixOf(rows, c.Hidden, double(x))
					refBlock(want, w, c, lengths, angles)
					plan := openWith(t, c, which)
					block, state, attention := newBlock(t, plan, w), newState(t, plan, rows),
						newAttention(t, plan, lengths...)
					rotary, err := plan.NewRotary(cosines, sines)
					if err != nil {
						t.Fatal(err)
					}
					defer rotary.Close()
					copy(state.X(), x)
					for part := range parts {
						if err := plan.RunBlockPart(block, state, attention, rotary, part,
							parts); err != nil {
							t.Fatal(err)
						}
					}
					compare(t, state.X(), want, p, 1)
				})
			}
		}
	}
}

// vitL is a block of CLIP ViT-L/14 at 336 pixels.
var vitL = Config{Rows: 577, Hidden: 1024, Heads: 16, FF: 4096, Eps: 1e-5,
	Activation: onednn.QuickGELU}

// blockFlops is the work of a block in floating-point operations: a product of m x k by k x n
// counts 2mnk.
func blockFlops(c Config, tiles int) float64 {
	n, d := float64(c.Rows), float64(c.Hidden)
	return float64(tiles) * (2*n*d*(4*d+2*float64(c.FF)) + 4*n*n*d)
}

func BenchmarkBlock(b *testing.B) {
	for p := range bounds {
		for _, tiles := range []int{1, 5} {
			for _, which := range waysOf() {
				b.Run(fmt.Sprintf("%v/%d tiles/%+v", p, tiles, which), func(b *testing.B) {
					c := vitL
					c.Precision = p
					rng := rand.New(rand.NewPCG(1, 2))
					plan := openWith(b, c, which)
					block, state := newBlock(b, plan, randomBlock(rng, c)),
						newState(b, plan, tiles*c.Rows)
					attention := newAttention(b, plan, slices.Repeat([]int{c.Rows}, tiles)...)
					x := random(rng, len(state.X()), 1, 0)
					for b.Loop() {
						copy(state.X(), x)
						err := plan.RunBlockPart(block, state, attention, nil, 0, 1)
						if err != nil {
							b.Fatal(err)
						}
					}
					b.ReportMetric(blockFlops(c, tiles)*float64(b.N)/b.Elapsed().Seconds()*1e-9,
						"GFLOP/s")
				})
			}
		}
	}
}

func TestRMSNormGivesRowsMeanSquareOne(t *testing.T) {
	x, y := double(random(rand.New(rand.NewPCG(5, 0)), 8, 1, 0)), make([]float64, 8)
	gain := []float32{1, 1, 1, 1, 1, 1, 1, 2}
	refRMSNorm(y, x, gain, 0)
	square := 0.0
	for i, v := range y {
		v /= float64(gain[i])
		if ratio := v / x[i]; math.Abs(ratio-y[0]/x[0]) > 1e-12 {
			t.Errorf("number %d is scaled by %v", i, ratio)
		}
		square += v * v
	}
	if math.Abs(square/8-1) > 1e-12 {
		t.Errorf("a mean square of %v", square/8)
	}
}

func TestRotateTurnsPairsHalfAHeadApart(t *testing.T) {
	x := ref.MatrixOf(1, 8, []float64{1, 2, 3, 4, 5, 6, 7, 8}) // two heads of two pairs
	refRotate(x, 2, []float64{math.Pi / 2, math.Pi})
	for i, want := range []float64{-3, -2, 1, -4, -7, -6, 5, -8} {
		if math.Abs(x.Data[i]-want) > 1e-12 {
			t.Errorf("%v at %d, want %v", x.Data[i], i, want)
		}
	}
}
