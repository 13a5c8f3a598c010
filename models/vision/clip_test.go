package vision

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/eyelet-engine/eyelet/kernels/imaging"
)

const seedTower = "../builtin/mmproj-eyelet-seed-q8_0.gguf"

func openTower(t testing.TB, path string, opt Options) *CLIP {
	t.Helper()
	c, err := OpenCLIP(path, opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func readPicture(t testing.TB, name string) *imaging.RGB {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	img, err := imaging.Decode(data, imaging.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func encode(t testing.TB, e Encoder, img *imaging.RGB) []float32 {
	t.Helper()
	in, err := e.Preprocess(t.Context(), img)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := e.Encode(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != in.Tokens*e.Info().Width {
		t.Fatalf("%d numbers for %d tokens of width %d", len(rows), in.Tokens, e.Info().Width)
	}
	return rows
}

// relativeError is ‖got-want‖ / ‖want‖.
func relativeError(got, want []float32) float64 {
	var diff, norm float64
	for i := range want {
		d := float64(got[i]) - float64(want[i])
		diff += d * d
		norm += float64(want[i]) * float64(want[i])
	}
	return math.Sqrt(diff / norm)
}

func readFloats(t testing.TB, name string) []float32 {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	v := make([]float32, len(data)/4)
	if _, err := binary.Decode(data, binary.LittleEndian, v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestImageTokensEqualTransformers(t *testing.T) {
	data, err := os.ReadFile("testdata/goldens.json")
	if err != nil {
		t.Fatal(err)
	}
	var goldens struct {
		Cases []struct {
			Tower, Picture, Tokens string
			Shape                  [2]int
		}
	}
	if err := json.Unmarshal(data, &goldens); err != nil {
		t.Fatal(err)
	}
	if len(goldens.Cases) < 6 {
		t.Fatalf("only %d cases", len(goldens.Cases))
	}
	for _, g := range goldens.Cases {
		t.Run(g.Tokens, func(t *testing.T) {
			path := seedTower
			if g.Tower != "" {
				path = filepath.Join("testdata", g.Tower)
			}
			c := openTower(t, path, Options{})
			if info := c.Info(); info.TileTokens != g.Shape[0] || info.Width != g.Shape[1] {
				t.Fatalf("%d tokens of width %d, want %v", info.TileTokens, info.Width, g.Shape)
			}
			e := relativeError(encode(t, c, readPicture(t, g.Picture)), readFloats(t, g.Tokens))
			t.Logf("relative error %.1e", e)
			if !(e <= 1e-4) {
				t.Errorf("relative error %g, want at most 1e-4", e)
			}
		})
	}
}

func TestTheFaultyLayoutShiftsPatchesAndRunsOneBlockLess(t *testing.T) {
	img := readPicture(t, "seed-shapes.png")
	right, wrong := openTower(t, seedTower, Options{}), openTower(t, seedTower, Options{Layout: LibmtmdFault})
	if r, w := right.Info(), wrong.Info(); w.Blocks != r.Blocks-1 || w.Identity == r.Identity {
		t.Errorf("%d blocks against %d; identities %.8s, %.8s", w.Blocks, r.Blocks, w.Identity, r.Identity)
	}
	a, b := encode(t, right, img), encode(t, wrong, img)
	// The project measured this mean cosine between libmtmd's embeddings and the
	// model's own on pictures of this kind.
	if c := meanCosine(a, b, right.Info().Width); c < 0.85 || c > 0.99 {
		t.Errorf("mean cosine between the layouts is %.3f", c)
	}
	// A feature layer given by the file is kept, so that only the shift remains.
	tiny := openTower(t, "testdata/gelu-linear.gguf", Options{Layout: LibmtmdFault})
	if tiny.Info().Blocks != 2 {
		t.Errorf("%d blocks, want 2", tiny.Info().Blocks)
	}
}

func meanCosine(a, b []float32, width int) float64 {
	sum, n := 0.0, 0
	for ; len(a) > 0; a, b, n = a[width:], b[width:], n+1 {
		var ab, aa, bb float64
		for i := range width {
			x, y := float64(a[i]), float64(b[i])
			ab, aa, bb = ab+x*y, aa+x*x, bb+y*y
		}
		sum += ab / math.Sqrt(aa*bb)
	}
	return sum / float64(n)
}

func TestPicturesOfAnySizeAreLaidOut(t *testing.T) {
	c := openTower(t, seedTower, Options{})
	for _, size := range [][2]int{{112, 112}, {1, 1}, {300, 20}, {5, 400}} {
		rows := encode(t, c, imaging.NewRGB(size[0], size[1]))
		if len(rows) != 64*256 {
			t.Errorf("%v: %d numbers", size, len(rows))
		}
	}
}

func TestEncodeIsDeterministicAndTakesTurns(t *testing.T) {
	c := openTower(t, seedTower, Options{})
	img := readPicture(t, "seed-text.png")
	want := encode(t, c, img)
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			in, err := c.Preprocess(t.Context(), img)
			if err != nil {
				t.Error(err)
				return
			}
			got, err := c.Encode(t.Context(), in)
			if err != nil {
				t.Error(err)
				return
			}
			for i := range want {
				if got[i] != want[i] {
					t.Errorf("number %d is %v, then %v", i, want[i], got[i])
					return
				}
			}
		})
	}
	wg.Wait()
}

func TestEncodeStopsWhenItsContextIsDone(t *testing.T) {
	c := openTower(t, seedTower, Options{})
	img := readPicture(t, "seed-text.png")
	in, err := c.Preprocess(t.Context(), img)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Encode(ctx, in); !errors.Is(err, context.Canceled) {
		t.Errorf("Encode: %v", err)
	}
	if _, err := c.Preprocess(ctx, img); !errors.Is(err, context.Canceled) {
		t.Errorf("Preprocess: %v", err)
	}
}

func TestEncodeRefusesWhatItCannotTake(t *testing.T) {
	c := openTower(t, seedTower, Options{})
	for name, tile := range map[string]*imaging.RGB{
		"no tile": nil, "a tile of another size": imaging.NewRGB(111, 112), "a misshapen tile": {W: 112, H: 112},
	} {
		if _, err := c.Encode(t.Context(), &Input{Tokens: 64, Tiles: []*imaging.RGB{tile}}); err == nil {
			t.Errorf("Encode takes %s", name)
		}
	}
	if err := errors.Join(c.Close(), c.Close()); err != nil {
		t.Error(err)
	}
	if _, err := c.Encode(t.Context(), &Input{Tokens: 64, Tiles: []*imaging.RGB{imaging.NewRGB(112, 112)}}); err == nil {
		t.Error("Encode works after Close")
	}
}

func BenchmarkEncodeSeed(b *testing.B) {
	c := openTower(b, seedTower, Options{})
	in, err := c.Preprocess(b.Context(), readPicture(b, "seed-shapes.png"))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Encode(b.Context(), in); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpenSeed(b *testing.B) {
	for b.Loop() {
		c, err := OpenCLIP(seedTower, Options{})
		if err != nil {
			b.Fatal(err)
		}
		c.Close()
	}
}
