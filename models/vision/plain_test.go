package vision

import (
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/eyelet-engine/eyelet/cgo/peers"
	"github.com/eyelet-engine/eyelet/kernels/imaging"
)

const seedTower = "../builtin/mmproj-eyelet-builtin-q8_0.gguf"

func openTower(t testing.TB, path string, opt Options) *Plain {
	t.Helper()
	c, err := OpenPlain(path, opt)
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
	in, err := Preprocess(t.Context(), e, img)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := Encode(t.Context(), e, in)
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

func TestTheFaultyLayoutShiftsPatchesAndRunsOneBlockLess(t *testing.T) {
	peers.WithoutRaceDetector(t)
	img := readPicture(t, "seed-shapes.png")
	right, wrong := openTower(t, seedTower, Options{}),
		openTower(t, seedTower, Options{Layout: LibmtmdFault})
	if r, w := right.Info(), wrong.Info(); w.Blocks != r.Blocks-1 || w.Identity == r.Identity {
		t.Errorf("%d blocks against %d; identities %.8s, %.8s", w.Blocks, r.Blocks, w.Identity,
			r.Identity)
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
	peers.WithoutRaceDetector(t)
	c := openTower(t, seedTower, Options{})
	for _, size := range [][2]int{{112, 112}, {1, 1}, {300, 20}, {5, 400}} {
		rows := encode(t, c, imaging.NewRGB(size[0], size[1]))
		if len(rows) != 64*256 {
			t.Errorf("%v: %d numbers", size, len(rows))
		}
	}
}

func BenchmarkEncodeSeed(b *testing.B) {
	c := openTower(b, seedTower, Options{})
	in, err := Preprocess(b.Context(), c, readPicture(b, "seed-shapes.png"))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Encode(b.Context(), c, in); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpenSeed(b *testing.B) {
	for b.Loop() {
		c, err := OpenPlain(seedTower, Options{})
		if err != nil {
			b.Fatal(err)
		}
		c.Close()
	}
}
