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
			for _, activation := range []onednn.Activation{onednn.GELU, onednn.GELUTanh, onednn.QuickGELU, onednn.SiLU} {
				for _, normed := range []bool{false, true} {
					t.Run(fmt.Sprintf("%v/%v/activation %d/norm %v", p, widths, activation, normed), func(t *testing.T) {
						rng := rand.New(rand.NewPCG(3, 4))
						plan := open(t, Config{Precision: p, Threads: 2, Tokens: tokens, Hidden: hidden, Heads: 2, FF: 64, Eps: 1e-5})
						var layers []LinearWeights
						in := hidden
						for _, w := range widths {
							layers = append(layers, randomLinear(rng, in, w))
							in = w
						}
						nw := randomNorm(rng, hidden)
						var norm *Norm
						if normed {
							var err error
							if norm, err = plan.NewNorm(nw); err != nil {
								t.Fatal(err)
							}
						}
						m, err := plan.NewMLP(norm, layers, activation)
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
						got, err := plan.RunMLP(m, buffer, tiles, Rows{Stride: tokens, Skip: tokens - patches, Count: patches})
						if err != nil {
							t.Fatal(err)
						}
						defer got.Close()
						want := ref.NewMatrix[float64](tiles*patches, hidden)
						for r := range want.Rows {
							copy(want.Row(r), double(x[(r/patches*tokens+1+r%patches)*hidden:][:hidden]))
						}
						if normed {
							want = refNorm(want, nw, 1e-5)
						}
						for i, l := range layers {
							if i > 0 {
								refActivations[activation](want)
							}
							want = refLinear(want, l)
						}
						compare(t, got.Float32()[:len(want.Data)], want, p, len(widths))
					})
				}
			}
		}
	}
}

func TestMisuseIsAnError(t *testing.T) {
	good := Config{Tokens: 5, Hidden: 8, Heads: 2, FF: 16, Eps: 1e-5}
	for name, change := range map[string]func(*Config){
		"no tokens":            func(c *Config) { c.Tokens = 0 },
		"heads do not divide":  func(c *Config) { c.Heads = 3 },
		"a negative width":     func(c *Config) { c.Hidden = -8 },
		"too many tokens":      func(c *Config) { c.Tokens = 1 << 30 },
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
	if m, err := open(t, wide).NewMLP(nil, []LinearWeights{{Weight: make([]float32, maxIn8+1), In: maxIn8 + 1, Out: 1}}, onednn.None); err == nil {
		m.Close()
		t.Error("an 8-bit layer was made whose sums overflow")
	}
	plan, other := open(t, good), open(t, good)
	rng := rand.New(rand.NewPCG(5, 6))
	w := randomBlock(rng, good)
	block, state := newBlock(t, plan, w), newState(t, plan, 1)
	if err := other.RunBlock(block, state); err == nil {
		t.Error("a block of another plan ran")
	}
	w.Up.Weight = w.Up.Weight[1:]
	if _, err := plan.NewBlock(w); err == nil {
		t.Error("a block with a weight too few was made")
	}
	if _, err := plan.NewState(0); err == nil {
		t.Error("a state of no tiles was made")
	}
	state.Close()
	state.Close()
	if err := plan.RunBlock(block, state); !errors.Is(err, errClosed) {
		t.Errorf("a closed state: %v", err)
	}
	block.Close()
	if err := plan.RunBlock(block, newState(t, plan, 1)); !errors.Is(err, errClosed) {
		t.Errorf("a closed block: %v", err)
	}
	plan.Close()
	if _, err := plan.NewBlock(randomBlock(rng, good)); err == nil {
		t.Error("a closed plan made a block")
	}
}
