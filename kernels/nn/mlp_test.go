package nn

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/eyelet-engine/eyelet/cgo/onednn"
	"github.com/eyelet-engine/eyelet/kernels/ref"
)

func TestAProjectorReadsThePatchesOfEachTile(t *testing.T) {
	const tiles, tokens, patches, hidden = 3, 26, 25, 48
	for p := range bounds {
		for _, widths := range [][]int{{96}, {72, 30}, {1000, 513, 40}} {
			for _, activation := range []onednn.Activation{onednn.GELU, onednn.GELUTanh,
				onednn.QuickGELU, onednn.SiLU} {
				for _, normed := range []bool{false, true} {
					t.Run(fmt.Sprintf("%v/%v/activation %d/norm %v", p, widths, activation, normed),
						func(t *testing.T) {
							rng := rand.New(rand.NewPCG(3, 4))
							plan := open(t, Config{Precision: p, Threads: 2, Rows: tokens,
								Hidden: hidden, Heads: 2, FF: 64, Eps: 1e-5})
							var layers []Layer
							in := hidden
							for _, w := range widths {
								layers = append(layers, Layer{LinearWeights: randomLinear(rng, in,
									w), Activation: activation})
								in = w
							}
							layers[len(layers)-1].Activation = onednn.None
							nw := randomNorm(rng, hidden)
							var norm *Norm
							if normed {
								var err error
								if norm, err = plan.NewNorm(nw); err != nil {
									t.Fatal(err)
								}
							}
							m, err := plan.NewMLP(norm, layers)
							if err != nil {
								t.Fatal(err)
							}
							defer m.Close()
							x := random(rng, tiles*tokens*hidden, 1, 0)
							buffer, err := onednn.Alloc(4 * len(x))
							if err != nil {
								t.Fatal(err)
							}
							defer buffer.Close()
							copy(buffer.Float32(), x)
							got, err := plan.RunMLP(m, buffer, tiles,
								Rows{Stride: tokens, Skip: tokens - patches, Count: patches})
							if err != nil {
								t.Fatal(err)
							}
							defer got.Close()
							want := ref.NewMatrix[float64](tiles*patches, hidden)
							for r := range want.Rows {
								copy(want.Row(r), double(
									x[(r/patches*tokens+1+r%patches)*hidden:][:hidden]))
							}
							if normed {
								want = refNorm(want, nw, 1e-5)
							}
							for i, l := range layers {
								if i > 0 {
									refActivations[activation](want)
								}
								want = refLinear(want, l.LinearWeights)
							}
							compare(t, got.Float32()[:len(want.Data)], want, p, len(widths))
						})
				}
			}
		}
	}
}

// The projectors of Qwen, InternVL and Gemma 3 merge several rows.
func TestAProjectorMergesRows(t *testing.T) {
	const tiles, tokens, hidden = 2, 65, 48
	for p := range bounds {
		for name, c := range map[string]struct{ merged, norm, pool int }{
			"a norm of each row": {4, 1, 1}, "a norm of merged rows": {4, 4, 1},
			"the mean of rows": {1, 1, 16},
		} {
			t.Run(fmt.Sprintf("%v/%s", p, name), func(t *testing.T) {
				rng := rand.New(rand.NewPCG(3, 5))
				plan := open(t, Config{Precision: p, Threads: 2, Hidden: hidden, Heads: 2, FF: 64,
					Eps: 1e-5})
				nw := randomNorm(rng, hidden*c.norm)
				if c.pool > 1 {
					nw.RMS, nw.Bias = true, nil
				}
				norm, err := plan.NewNorm(nw)
				if err != nil {
					t.Fatal(err)
				}
				l := Layer{LinearWeights: randomLinear(rng, hidden*c.merged, 40)}
				m, err := plan.NewMLP(norm, []Layer{l})
				if err != nil {
					t.Fatal(err)
				}
				defer m.Close()
				x := random(rng, tiles*tokens*hidden, 1, 0)
				buffer, err := onednn.Alloc(4 * len(x))
				if err != nil {
					t.Fatal(err)
				}
				defer buffer.Close()
				copy(buffer.Float32(), x)
				count := 64 / c.merged / c.pool
				got, err := plan.RunMLP(m, buffer, tiles, Rows{Stride: tokens, Skip: 1,
					Count: count, Width: hidden, Pool: c.pool})
				if err != nil {
					t.Fatal(err)
				}
				defer got.Close()
				in := ref.NewMatrix[float64](tiles*count, hidden*c.merged)
				for r := range in.Rows {
					first := (r/count*tokens + 1) * hidden
					for k := range c.pool {
						for i, v := range x[first+(r%count*c.pool+k)*in.Cols:][:in.Cols] {
							in.Row(r)[i] += float64(v) / float64(c.pool)
						}
					}
				}
				parts := ref.MatrixOf(in.Rows*c.merged/c.norm, hidden*c.norm, in.Data)
				in = ref.MatrixOf(in.Rows, in.Cols, refNorm(parts, nw, 1e-5).Data)
				want := refLinear(in, l.LinearWeights)
				compare(t, got.Float32()[:len(want.Data)], want, p, 1)
			})
		}
	}
}

// GLM-4V's merger has a norm between two layers, and a gated network.
func TestAProjectorHasNormsAndGatesBetweenLayers(t *testing.T) {
	const rows, hidden = 70, 48
	for p := range bounds {
		for _, which := range waysOf() {
			t.Run(fmt.Sprintf("%v/%+v", p, which), func(t *testing.T) {
				rng := rand.New(rand.NewPCG(3, 6))
				plan := openWith(t, Config{Precision: p, Threads: 2, Hidden: hidden, Heads: 2,
					FF: 64, Eps: 1e-6}, which)
				first, up, gate, down := randomLinear(rng, hidden, 40), randomLinear(rng, 40, 51),
					randomLinear(rng, 40, 51), randomLinear(rng, 51, 32)
				norm := randomNorm(rng, 40)
				norm.Eps = 1e-5
				m, err := plan.NewMLP(nil, []Layer{
					{LinearWeights: first, Norm: norm, Activation: onednn.GELU},
					{LinearWeights: up, Gate: gate, Activation: onednn.SiLU},
					{LinearWeights: down}})
				if err != nil {
					t.Fatal(err)
				}
				defer m.Close()
				x := random(rng, rows*hidden, 1, 0)
				buffer, err := onednn.Alloc(4 * len(x))
				if err != nil {
					t.Fatal(err)
				}
				defer buffer.Close()
				copy(buffer.Float32(), x)
				got, err := plan.RunMLP(m, buffer, 1, Rows{Stride: rows, Count: rows})
				if err != nil {
					t.Fatal(err)
				}
				defer got.Close()
				in := refNorm(refLinear(ref.MatrixOf(rows, hidden, double(x)), first), norm, 1e-5)
				refActivations[onednn.GELU](in)
				gates, inner := refLinear(in, gate), refLinear(in, up)
				refActivations[onednn.SiLU](gates)
				for i, g := range gates.Data {
					inner.Data[i] *= g
				}
				want := refLinear(inner, down)
				compare(t, got.Float32()[:len(want.Data)], want, p, 3)
			})
		}
	}
}

func TestMisuseIsAnError(t *testing.T) {
	good := Config{Rows: 5, Hidden: 8, Heads: 2, FF: 16, Eps: 1e-5}
	for name, change := range map[string]func(*Config){
		"a negative state":     func(c *Config) { c.Rows = -1 },
		"heads do not divide":  func(c *Config) { c.Heads = 3 },
		"a negative width":     func(c *Config) { c.Hidden = -8 },
		"too many rows":        func(c *Config) { c.Rows = 1 << 30 },
		"an unknown precision": func(c *Config) { c.Precision = 9 },
	} {
		c := good
		change(&c)
		if p, err := NewPlan(c); err == nil {
			p.Close()
			t.Errorf("%s: no error", name)
		}
	}
	wide := good
	wide.Precision = Int8
	layer := []Layer{{LinearWeights: LinearWeights{Weight: make([]float32, maxIn8+1),
		In: maxIn8 + 1, Out: 1}}}
	if m, err := openWith(t, wide, panels{}).NewMLP(nil, layer); err == nil {
		m.Close()
		t.Error("an 8-bit layer was made whose sums overflow")
	}
	wide.Precision = Int16
	if m, err := open(t, wide).NewMLP(nil, layer); err != nil {
		t.Errorf("a wide layer of 16 bits: %v", err)
	} else {
		m.Close()
	}
	plan, other := open(t, good), open(t, good)
	rng := rand.New(rand.NewPCG(5, 6))
	w := randomBlock(rng, good)
	block, state, attention := newBlock(t, plan, w), newState(t, plan, 5), newAttention(t, plan, 5)
	if err := other.RunBlockPart(block, state, attention, nil, 0, 1); err == nil {
		t.Error("a block of another plan ran")
	}
	if err := plan.RunBlockPart(block, state, newAttention(t, plan, 2, 2), nil, 0, 1); err == nil {
		t.Error("a block ran over rows that attend to nothing")
	}
	if err := plan.RunBlockPart(block, state, attention, nil, 2, 2); err == nil {
		t.Error("a part ran that is none")
	}
	if r, err := plan.NewRotary([]float32{1, 1, 1, 1}, []float32{0, 0, 0, 0}); err != nil {
		t.Fatal(err)
	} else if err := plan.RunBlockPart(block, state, attention, r, 0, 1); err == nil {
		t.Error("a block ran with rotary positions for two of five rows")
	}
	for _, lengths := range [][]int{nil, {0}, {-1}, {maxTokens + 1}} {
		if a, err := plan.NewAttention(lengths); err == nil {
			a.Close()
			t.Errorf("attention in stretches of %v", lengths)
		}
	}
	w.Up.Weight = w.Up.Weight[1:]
	if _, err := plan.NewBlock(w); err == nil {
		t.Error("a block with a weight too few was made")
	}
	if _, err := plan.NewState(0); err == nil {
		t.Error("a state of no rows was made")
	}
	state.Close()
	state.Close()
	if err := plan.RunBlockPart(block, state, attention, nil, 0, 1); !errors.Is(err, errClosed) {
		t.Errorf("a closed state: %v", err)
	}
	block.Close()
	if err := plan.RunBlockPart(block, newState(t, plan, 5), attention, nil, 0, 1); !errors.Is(err,
		errClosed) {
		t.Errorf("a closed block: %v", err)
	}
	plan.Close()
	if _, err := plan.NewBlock(randomBlock(rng, good)); err == nil {
		t.Error("a closed plan made a block")
	}
}
