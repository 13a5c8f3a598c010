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

func picture(rng *rand.Rand, side int) *imaging.RGB {
	m := imaging.NewRGB(side, side)
	for i := range m.Pix {
		m.Pix[i] = uint8(rng.Uint32())
	}
	return m
}

// definition is the embedding of one tile in float64, by kernels/ref.
func definition(c Config, w Weights, tile *imaging.RGB) ref.Matrix[float64] {
	var mean, std [3]float64
	for i := range 3 {
		mean[i], std[i] = float64(c.Mean[i]), float64(c.Std[i])
	}
	patches := (c.ImageSize / c.PatchSize) * (c.ImageSize / c.PatchSize)
	pixels := ref.NewMatrix[float64](patches, 3*c.PatchSize*c.PatchSize)
	ref.Patchify(pixels, tile, c.PatchSize, mean, std)
	x := ref.NewMatrix[float64](len(w.Positions)/c.Hidden, c.Hidden)
	class, first := -1, 0
	if w.Class != nil && w.ClassLast {
		class = patches
	} else if w.Class != nil {
		class, first = 0, 1
	}
	bias := make([]float64, c.Hidden)
	copy(bias, double(w.Bias))
	ref.Linear(x.RowRange(first, first+patches), pixels, ref.MatrixOf(c.Hidden, pixels.Cols, double(w.Patch)), bias)
	if class >= 0 {
		copy(x.Row(class), double(w.Class))
	}
	ref.Add(x, ref.MatrixOf(x.Rows, x.Cols, double(w.Positions)))
	return x
}

func TestTheEmbeddingEqualsItsDefinition(t *testing.T) {
	limits := map[nn.Precision]float64{nn.F32: 2e-6, nn.BF16: 5e-3, nn.Int8: 5e-3}
	for _, shape := range []struct{ image, patch, hidden int }{{14, 14, 8}, {31, 7, 33}, {112, 8, 64}, {336, 14, 40}, {10, 1, 5}} {
		for _, class := range []string{"none", "first", "last"} {
			for p, limit := range limits {
				t.Run(fmt.Sprintf("%v/class token %s/%v", shape, class, p), func(t *testing.T) {
					rng := rand.New(rand.NewPCG(1, uint64(shape.image)))
					c := Config{ImageSize: shape.image, PatchSize: shape.patch, Hidden: shape.hidden, Precision: p, Threads: 2,
						Mean: [3]float32{0.48, 0.46, 0.41}, Std: [3]float32{0.27, 0.26, 0.28}}
					patches := (shape.image / shape.patch) * (shape.image / shape.patch)
					rows := patches
					pixels := 3 * shape.patch * shape.patch
					w := Weights{Patch: random(rng, shape.hidden*pixels, 1/math.Sqrt(float64(pixels)))}
					if class == "none" {
						w.Bias = random(rng, shape.hidden, 1)
					} else {
						w.Class, w.ClassLast = random(rng, shape.hidden, 1), class == "last"
						rows++
					}
					w.Positions = random(rng, rows*shape.hidden, 0.1)
					e, err := New(c, w)
					if err != nil {
						t.Fatal(err)
					}
					defer e.Close()
					if e.Rows() != rows {
						t.Fatalf("%d rows, want %d", e.Rows(), rows)
					}
					tiles := []*imaging.RGB{picture(rng, shape.image), picture(rng, shape.image)}
					x, err := onednn.Alloc(4 * len(tiles) * rows * shape.hidden)
					if err != nil {
						t.Fatal(err)
					}
					defer x.Close()
					if err := e.Run(tiles, x); err != nil {
						t.Fatal(err)
					}
					var diff, norm float64
					for i, tile := range tiles {
						for j, want := range definition(c, w, tile).Data {
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

func TestMisshapenWeightsAndTilesAreErrors(t *testing.T) {
	c := Config{ImageSize: 8, PatchSize: 4, Hidden: 3, Std: [3]float32{1, 1, 1}}
	w := Weights{Patch: make([]float32, 3*48), Positions: make([]float32, 4*3)}
	for name, change := range map[string]func(*Config, *Weights){
		"a weight too few":           func(_ *Config, w *Weights) { w.Patch = w.Patch[1:] },
		"no room for a class":        func(_ *Config, w *Weights) { w.Class = make([]float32, 3) },
		"a short bias":               func(_ *Config, w *Weights) { w.Bias = make([]float32, 2) },
		"patches larger than a tile": func(c *Config, _ *Weights) { c.PatchSize = 9 },
		"a huge tile":                func(c *Config, _ *Weights) { c.ImageSize = 1 << 20 },
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
	x, err := onednn.Alloc(4 * 4 * 3)
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	tile := imaging.NewRGB(8, 8)
	for name, tiles := range map[string][]*imaging.RGB{
		"no tiles": nil, "a tile too many for the buffer": {tile, tile}, "a tile of another size": {imaging.NewRGB(8, 9)}, "no picture": {nil},
	} {
		if err := e.Run(tiles, x); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	e.Close()
	e.Close()
	if err := e.Run([]*imaging.RGB{tile}, x); err == nil {
		t.Error("a closed embedding ran")
	}
}

func BenchmarkEmbedding(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 2))
	c := Config{ImageSize: 336, PatchSize: 14, Hidden: 1024, Mean: [3]float32{0.48, 0.46, 0.41}, Std: [3]float32{0.27, 0.26, 0.28}}
	e, err := New(c, Weights{Patch: random(rng, 1024*588, 0.04), Class: random(rng, 1024, 1), Positions: random(rng, 577*1024, 0.1)})
	if err != nil {
		b.Fatal(err)
	}
	defer e.Close()
	x, err := onednn.Alloc(4 * 577 * 1024)
	if err != nil {
		b.Fatal(err)
	}
	defer x.Close()
	tiles := []*imaging.RGB{picture(rng, 336)}
	for b.Loop() {
		if err := e.Run(tiles, x); err != nil {
			b.Fatal(err)
		}
	}
}
