package vision

import (
	"fmt"
	"math"
	"path/filepath"
	"testing"

	"github.com/eyelet-engine/eyelet/kernels/imaging"
	"github.com/eyelet-engine/eyelet/kernels/nn"
)

// lowestCosine is the lowest cosine of a row of two matrices.
func lowestCosine(a, b []float32, width int) float64 {
	lowest := 1.0
	for r := 0; r < len(b); r += width {
		var dot, aa, bb float64
		for i := r; i < r+width; i++ {
			x, y := float64(a[i]), float64(b[i])
			dot, aa, bb = dot+x*y, aa+x*x, bb+y*y
		}
		lowest = min(lowest, dot/math.Sqrt(aa*bb))
	}
	return lowest
}

func openNative(t testing.TB, path string, opt NativeOptions) *Native {
	t.Helper()
	n, err := OpenNative(path, opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	return n
}

// testTowers are the towers of the goldens: the built-in one and small random ones of both
// families.
func testTowers(t testing.TB) []string {
	t.Helper()
	paths, err := filepath.Glob("testdata/*.gguf")
	if err != nil || len(paths) < 3 {
		t.Fatalf("%d towers: %v", len(paths), err)
	}
	return append(paths, seedTower)
}

func TestNativeTowersEqualPlainOnes(t *testing.T) {
	bounds := map[nn.Precision]struct{ relative, cosine float64 }{nn.F32: {1e-5, 1 - 1e-9},
		nn.BF16: {3e-2, 0.999}, nn.Int8: {5e-2, 0.997}, nn.Int16: {1e-2, 0.9999}}
	for _, path := range testTowers(t) {
		for _, layout := range []Layout{AsTrained, LibmtmdFault} {
			plain, err := OpenPlain(path, Options{Layout: layout})
			if err != nil {
				t.Fatal(err)
			}
			img := readPicture(t, "seed-shapes.png")
			want := encode(t, plain, img)
			plain.Close()
			for precision, b := range bounds {
				for _, threads := range []int{1, 3} {
					t.Run(fmt.Sprintf("%s/layout %d/%v/%d threads", filepath.Base(path), layout,
						precision, threads), func(t *testing.T) {
						n := openNative(t, path, NativeOptions{Options: Options{Layout: layout},
							Precision: precision, Threads: threads})
						got := encode(t, n, img)
						e, c := relativeError(got, want), lowestCosine(got, want, n.Info().Width)
						t.Logf("relative error %.1e, lowest cosine %.6f", e, c)
						if !(e <= b.relative) || !(c >= b.cosine) {
							t.Errorf("relative error %g, lowest cosine %g", e, c)
						}
					})
				}
			}
		}
	}
}

func TestSeveralTilesAreEncodedAsEachAlone(t *testing.T) {
	n := openNative(t, seedTower, NativeOptions{Precision: nn.F32, Threads: 2})
	in := &Input{}
	var want []float32
	for _, name := range []string{"seed-shapes.png", "seed-chart.png", "seed-text.png",
		"seed-shapes.png", "seed-text.png", "seed-chart.png", "seed-chart.png"} {
		one, err := Preprocess(t.Context(), n, readPicture(t, name))
		if err != nil {
			t.Fatal(err)
		}
		rows, err := Encode(t.Context(), n, one)
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, rows...)
		in.Tiles = append(in.Tiles, one.Tiles...)
		in.Tokens += one.Tokens
	}
	for _, batch := range []int{1, 2, 3, 7} {
		n.batchLimit = batch
		job, err := n.Begin(in, 0)
		if err != nil {
			t.Fatal(err)
		}
		_, total := job.Progress()
		for done := 0; done < total; done += 3 {
			if err := job.Advance(t.Context(), 3); err != nil {
				t.Fatal(err)
			}
		}
		got, err := job.Rows()
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != len(want) {
			t.Fatalf("batches of %d: %d numbers, want %d", batch, len(got), len(want))
		}
		if e := relativeError(got, want); !(e <= 1e-6) {
			t.Errorf("batches of %d: relative error %g", batch, e)
		}
		job.Close()
	}
}

func TestANativeTowerCanBeClosedWhileJobsAreOpen(t *testing.T) {
	n := openNative(t, seedTower, NativeOptions{})
	in, err := Preprocess(t.Context(), n, imaging.NewRGB(30, 20))
	if err != nil {
		t.Fatal(err)
	}
	job, err := n.Begin(in, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := job.Advance(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	n.Close()
	n.Close()
	if err := job.Advance(t.Context(), 1); err == nil {
		t.Error("a job of a closed tower advanced")
	}
	if _, err := n.Begin(in, 0); err == nil {
		t.Error("a closed tower began a job")
	}
	job.Close()
	job.Close()
	if _, err := job.Rows(); err == nil {
		t.Error("a closed job has rows")
	}
}

func TestTilesAreAssembledWithNewlines(t *testing.T) {
	const path = "testdata/siglip-features.gguf" // LLaVA 1.6's layout, tiles of 28 pixels
	n := openNative(t, path, NativeOptions{Precision: nn.F32})
	img := imaging.NewRGB(56, 20)
	for i := range img.Pix {
		img.Pix[i] = uint8(i * 7)
	}
	in := preprocess(t, n, img)
	if len(in.Tiles) != 3 || in.Tokens != 16+2*(8+1) {
		t.Fatalf("%d tiles and %d tokens; want an overview and two tiles, 16 tokens and 2 rows of 8 and a newline", len(in.Tiles), in.Tokens)
	}
	got, err := Encode(t.Context(), n, in)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := Encode(t.Context(), n, &Input{Tokens: 3 * 16, Tiles: in.Tiles})
	if err != nil {
		t.Fatal(err)
	}
	width := n.Info().Width
	row := func(tile, y, x int) []float32 { return rows[((tile*4+y)*4+x)*width:][:width] }
	var want []float32
	want = append(want, rows[:16*width]...)
	// of 4 rows of patches, the picture fills the middle: 28 pixels, 20 of them picture
	for _, y := range []int{1, 2} {
		for x := range 8 {
			want = append(want, row(1+x/4, y, x%4)...)
		}
		want = append(want, n.newline...)
	}
	if len(got) != len(want) {
		t.Fatalf("%d numbers, want %d", len(got), len(want))
	}
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("token %d differs", i/width)
		}
	}
}
