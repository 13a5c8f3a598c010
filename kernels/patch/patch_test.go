package patch

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/eyelet-engine/eyelet/cgo/onednn"
	"github.com/eyelet-engine/eyelet/kernels/imaging"
	"github.com/eyelet-engine/eyelet/kernels/nn"
	"github.com/eyelet-engine/eyelet/kernels/ref"
)

func random(rng *rand.Rand, n int, scale float64) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = float32(rng.NormFloat64() * scale)
	}
	return v
}

func double(v []float32) []float64 {
	d := make([]float64, len(v))
	for i, x := range v {
		d[i] = float64(x)
	}
	return d
}

func picture(rng *rand.Rand, side int) *imaging.RGB { return oblong(rng, side, side) }

func oblong(rng *rand.Rand, w, h int) *imaging.RGB {
	m := imaging.NewRGB(w, h)
	for i := range m.Pix {
		m.Pix[i] = uint8(rng.Uint32())
	}
	return m
}

// definition is the embedding of one tile in float64, by kernels/ref.
func definition(c Config, w Weights, positions []float32, tile *imaging.RGB) ref.Matrix[float64] {
	var mean, std [3]float64
	for i := range 3 {
		mean[i], std[i] = float64(c.Mean[i]), float64(c.Std[i])
	}
	patches := (tile.W / c.PatchSize) * (tile.H / c.PatchSize)
	pixels := ref.NewMatrix[float64](patches, 3*c.PatchSize*c.PatchSize)
	ref.Patchify(pixels, tile, c.PatchSize, mean, std)
	x := ref.NewMatrix[float64](len(positions)/c.Hidden, c.Hidden)
	class, first := -1, 0
	if w.Class != nil && w.ClassLast {
		class = patches
	} else if w.Class != nil {
		class, first = 0, 1
	}
	bias := make([]float64, c.Hidden)
	copy(bias, double(w.Bias))
	ref.Linear(x.RowRange(first, first+patches), pixels, ref.MatrixOf(c.Hidden, pixels.Cols,
		double(w.Patch)), bias)
	if class >= 0 {
		copy(x.Row(class), double(w.Class))
	}
	ref.Add(x, ref.MatrixOf(x.Rows, x.Cols, double(positions)))
	return x
}

func TestTheEmbeddingEqualsItsDefinition(t *testing.T) {
	limits := map[nn.Precision]float64{nn.F32: 2e-6, nn.BF16: 5e-3, nn.Int8: 5e-3}
	for _, shape := range []struct{ image, patch, hidden int }{{14, 14, 8}, {31, 7, 33},
		{112, 8, 64}, {336, 14, 40}, {10, 1, 5}} {
		for _, class := range []string{"none", "first", "last"} {
			for p, limit := range limits {
				t.Run(fmt.Sprintf("%v/class token %s/%v", shape, class, p), func(t *testing.T) {
					rng := rand.New(rand.NewPCG(1, uint64(shape.image)))
					c := Config{Patches: (shape.image / shape.patch) * (shape.image / shape.patch),
						PatchSize: shape.patch, Hidden: shape.hidden, Precision: p, Threads: 2,
						Mean: [3]float32{0.48, 0.46, 0.41}, Std: [3]float32{0.27, 0.26, 0.28}}
					patches := (shape.image / shape.patch) * (shape.image / shape.patch)
					rows := patches
					pixels := 3 * shape.patch * shape.patch
					w := Weights{Patch: random(rng, shape.hidden*pixels,
						1/math.Sqrt(float64(pixels)))}
					if class == "none" {
						w.Bias = random(rng, shape.hidden, 1)
					} else {
						w.Class, w.ClassLast = random(rng, shape.hidden, 1), class == "last"
						rows++
					}
					positions := random(rng, rows*shape.hidden, 0.1)
					e, err := New(c, w)
					if err != nil {
						t.Fatal(err)
					}
					defer e.Close()
					g, err := e.NewGrid(shape.image, shape.image, nil, positions)
					if err != nil {
						t.Fatal(err)
					}
					defer g.Close()
					if g.Rows() != rows {
						t.Fatalf("%d rows, want %d", g.Rows(), rows)
					}
					tiles := []*imaging.RGB{picture(rng, shape.image), picture(rng, shape.image)}
					x, err := onednn.Alloc(4 * len(tiles) * rows * shape.hidden)
					if err != nil {
						t.Fatal(err)
					}
					defer x.Close()
					if err := e.Run(g, tiles, x); err != nil {
						t.Fatal(err)
					}
					var diff, norm float64
					for i, tile := range tiles {
						for j, want := range definition(c, w, positions, tile).Data {
							got := float64(x.Float32()[i*rows*shape.hidden+j])
							diff, norm = diff+(got-want)*(got-want), norm+want*want
						}
					}
					if e := math.Sqrt(diff / norm); !(e <= limit) {
						t.Errorf("relative error %g, want at most %g", e, limit)
					} else {
						t.Logf("relative error %.1e", e)
					}
				})
			}
		}
	}
}

func TestPatchesStandInTheOrderAskedFor(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	c := Config{PatchSize: 4, Hidden: 6, Precision: nn.F32, Threads: 2, Std: [3]float32{1, 1, 1}}
	w := Weights{Patch: random(rng, 6*48, 0.1), Class: random(rng, 6, 1)}
	e, err := New(c, w)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	tile := oblong(rng, 200, 49) // 50 x 12 patches and some pixels more
	order := make([]int32, 600)
	for i, at := range rng.Perm(600) {
		order[i] = int32(at)
	}
	for name, positions := range map[string][]float32{"positions": random(rng, 601*6, 1),
		"no positions": nil} {
		g, err := e.NewGrid(200, 49, order, positions)
		if err != nil {
			t.Fatal(err)
		}
		defer g.Close()
		x, err := onednn.Alloc(4 * 601 * 6)
		if err != nil {
			t.Fatal(err)
		}
		defer x.Close()
		if err := e.Run(g, []*imaging.RGB{tile}, x); err != nil {
			t.Fatal(err)
		}
		want := definition(c, w, make([]float32, 601*6), tile)
		for r := range 601 {
			from := 0
			if r > 0 {
				from = 1 + int(order[r-1])
			}
			for i, v := range want.Row(from) {
				if positions != nil {
					v += float64(positions[r*6+i])
				}
				if got := float64(x.Float32()[r*6+i]); math.Abs(got-v) > 1e-5 {
					t.Fatalf("%s: row %d holds %v at %d, want %v", name, r, got, i, v)
				}
			}
		}
	}
}

func TestMisshapenWeightsAndTilesAreErrors(t *testing.T) {
	c := Config{PatchSize: 4, Hidden: 3, Std: [3]float32{1, 1, 1}}
	w := Weights{Patch: make([]float32, 3*48)}
	for name, change := range map[string]func(*Config, *Weights){
		"a weight too few": func(_ *Config, w *Weights) { w.Patch = w.Patch[1:] },
		"a short class":    func(_ *Config, w *Weights) { w.Class = make([]float32, 2) },
		"a short bias":     func(_ *Config, w *Weights) { w.Bias = make([]float32, 2) },
		"huge patches":     func(c *Config, _ *Weights) { c.PatchSize = 1 << 20 },
	} {
		c, w := c, w
		change(&c, &w)
		if e, err := New(c, w); err == nil {
			e.Close()
			t.Errorf("%s: no error", name)
		}
	}
	e, err := New(c, w)
	if err != nil {
		t.Fatal(err)
	}
	for name, make := range map[string]func() (*Grid, error){
		"patches larger than a tile": func() (*Grid, error) { return e.NewGrid(3, 8, nil, nil) },
		"a huge tile": func() (*Grid, error) {
			return e.NewGrid(8, 1<<20, nil, nil)
		},
		"a short order": func() (*Grid, error) {
			return e.NewGrid(8, 8, []int32{0, 1}, nil)
		},
		"a patch that is not there": func() (*Grid, error) {
			return e.NewGrid(8, 8, []int32{0, 1, 2, 4}, nil)
		},
		"positions too few": func() (*Grid, error) {
			return e.NewGrid(8, 8, nil, []float32{1})
		},
	} {
		if g, err := make(); err == nil {
			g.Close()
			t.Errorf("%s: no error", name)
		}
	}
	g, err := e.NewGrid(8, 8, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	x, err := onednn.Alloc(4 * 4 * 3)
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	tile := imaging.NewRGB(8, 8)
	for name, tiles := range map[string][]*imaging.RGB{
		"no tiles": nil, "a tile too many for the buffer": {tile, tile},
		"a tile of another size": {imaging.NewRGB(8, 9)}, "no picture": {nil},
	} {
		if err := e.Run(g, tiles, x); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	e.Close()
	e.Close()
	if err := e.Run(g, []*imaging.RGB{tile}, x); err == nil {
		t.Error("a closed embedding ran")
	}
}

func BenchmarkEmbedding(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 2))
	c := Config{Patches: 576, PatchSize: 14, Hidden: 1024, Mean: [3]float32{0.48, 0.46, 0.41},
		Std: [3]float32{0.27, 0.26, 0.28}}
	e, err := New(c, Weights{Patch: random(rng, 1024*588, 0.04), Class: random(rng, 1024, 1)})
	if err != nil {
		b.Fatal(err)
	}
	defer e.Close()
	g, err := e.NewGrid(336, 336, nil, random(rng, 577*1024, 0.1))
	if err != nil {
		b.Fatal(err)
	}
	defer g.Close()
	x, err := onednn.Alloc(4 * 577 * 1024)
	if err != nil {
		b.Fatal(err)
	}
	defer x.Close()
	tiles := []*imaging.RGB{picture(rng, 336)}
	for b.Loop() {
		if err := e.Run(g, tiles, x); err != nil {
			b.Fatal(err)
		}
	}
}
