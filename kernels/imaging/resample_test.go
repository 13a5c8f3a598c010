package imaging

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// goldens reads a file that scripts/golden/imaging.py wrote.
func goldens[T any](t testing.TB, path string) []T {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Cases []T }
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Cases) == 0 {
		t.Fatalf("%s holds no cases", path)
	}
	return file.Cases
}

func decodeBase64(t testing.TB, s string) []byte {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// noise is the test picture of a seed, as in scripts/golden/imaging.py.
func noise(w, h int, seed uint32) *RGB {
	m := NewRGB(w, h)
	for i := range m.Pix {
		x := uint32(i)*2654435761 + seed*40503
		x ^= x >> 15
		x *= 2246822519
		x ^= x >> 13
		x *= 3266489917
		m.Pix[i] = uint8(x >> 24)
	}
	return m
}

func TestResizeEqualsPillowInEveryByte(t *testing.T) {
	type resizeCase struct {
		W, H, To_W, To_H int
		CRC32            map[string]uint32
	}
	for i, c := range goldens[resizeCase](t, "testdata/resize.json") {
		src := noise(c.W, c.H, uint32(i))
		for _, f := range allFilters {
			want, ok := c.CRC32[f.String()]
			if !ok {
				t.Fatalf("case %d has no checksum for %v", i, f)
			}
			for _, p := range allPasses {
				got, err := resizeWith(src, c.To_W, c.To_H, f, p, 1)
				if err != nil {
					t.Fatal(err)
				}
				if got.W != c.To_W || got.H != c.To_H || got.Check() != nil {
					t.Fatalf("got %d x %d pixels, want %d x %d", got.W, got.H, c.To_W, c.To_H)
				}
				if crc := crc32.ChecksumIEEE(got.Pix); crc != want {
					t.Errorf("%d x %d to %d x %d, %v, %s: checksum %08x, want %08x", c.W, c.H,
						c.To_W, c.To_H, f, p.name, crc, want)
				}
			}
		}
	}
}

var allFilters = []Filter{Bilinear, Bicubic, Lanczos}

// resizeWith is Resize by one implementation of the passes.
func resizeWith(src *RGB, w, h int, f Filter, p *passes, threads int) (*RGB, error) {
	return resample(context.Background(), plane{src: src, w: src.W, h: src.H}, w, h, f,
		[]*passes{p}, threads)
}

// drawSide draws the side of a picture: often tiny, sometimes a few hundred pixels.
func drawSide(t *rapid.T, label string) int {
	return rapid.OneOf(rapid.IntRange(1, 3), rapid.IntRange(1, 40), rapid.IntRange(1, 500)).Draw(t,
		label)
}

func TestEveryPassEqualsThePlainResampler(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		src := noise(drawSide(t, "w"), drawSide(t, "h"), rapid.Uint32().Draw(t, "seed"))
		w, h := drawSide(t, "to w"), drawSide(t, "to h")
		f := rapid.SampledFrom(allFilters).Draw(t, "filter")
		want, err := resizePlain(src, w, h, f)
		if err != nil {
			t.Fatal(err)
		}
		threads := rapid.IntRange(1, 5).Draw(t, "threads")
		for _, p := range allPasses {
			got, err := resizeWith(src, w, h, f, p, threads)
			if err != nil {
				t.Fatal(err)
			}
			if got.W != w || got.H != h || !bytes.Equal(got.Pix, want.Pix) {
				t.Fatalf("%s: the pictures differ", p.name)
			}
		}
	})
}

func TestEveryPassEqualsThePlainResamplerOnLargerPictures(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 2))
	for i := range 20 {
		src := noise(100+rng.IntN(500), 100+rng.IntN(500), uint32(i))
		w, h, f := 1+rng.IntN(500), 1+rng.IntN(500), allFilters[i%3]
		want, err := resizePlain(src, w, h, f)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range allPasses {
			got, err := resizeWith(src, w, h, f, p, 1+i%4)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got.Pix, want.Pix) {
				t.Errorf("%d x %d to %d x %d, %v, %s: the pictures differ", src.W, src.H, w, h, f,
					p.name)
			}
		}
	}
}

// TestPassesAgreeOnAnyWeights takes them beyond the weights that the filters have.
func TestPassesAgreeOnAnyWeights(t *testing.T) {
	for _, p := range allPasses {
		t.Run(p.name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				weight := rapid.OneOf(rapid.Int32Range(-p.maxWeight, p.maxWeight),
					rapid.Just(p.maxWeight), rapid.Just(-p.maxWeight))
				a := &axis{in: rapid.IntRange(1, 60).Draw(t, "in"), taps: 4 * rapid.IntRange(1,
					6).Draw(t, "blocks")}
				first := 0
				for range rapid.IntRange(1, 20).Draw(t, "out") {
					first = rapid.IntRange(first, a.in-1).Draw(t, "first")
					a.first = append(a.first, int32(first))
					a.outside = append(a.outside, weight.Draw(t, "outside"))
					for j := range a.taps {
						w := weight.Draw(t, "weight")
						if first+j >= a.in {
							w = 0
						}
						a.weights = append(a.weights, w)
					}
				}
				out := len(a.first)
				bias := rapid.SliceOfN(rapid.Int32(), 4*out, 4*out).Draw(t, "bias")
				n := rapid.IntRange(1, 20).Draw(t, "rows")
				// Rows lie end to end, so that what a pass writes past the end of one shows in the
				// next.
				side := noise(a.in+a.taps+overrun, n, 1)
				upright := noise(rapid.IntRange(1, 60).Draw(t, "width"), a.in, 2)
				beyond := noise(60, 1, 3).Pix
				packed := *a
				packed.weights = slices.Clone(a.weights)
				p.packAll(&packed)
				want, got := NewRGB(out, n), NewRGB(out, n)
				src := grid{append(side.Pix, 0, 0, 0, 0), 3 * side.W}
				goPasses.rows(grid{want.Pix, 3 * out}, src, n, a, 0, out, bias)
				p.rows(grid{got.Pix, 3 * out}, src, n, &packed, 0, out, bias)
				if !bytes.Equal(got.Pix, want.Pix) {
					t.Fatal("the horizontal passes differ")
				}
				want, got = NewRGB(upright.W, out), NewRGB(upright.W, out)
				src = grid{upright.Pix, 3 * upright.W}
				goPasses.columns(grid{want.Pix, 3 * want.W}, src, 0, a.in, a, 0, out, beyond,
					3*want.W)
				p.columns(grid{got.Pix, 3 * got.W}, src, 0, a.in, &packed, 0, out, beyond, 3*got.W)
				if !bytes.Equal(got.Pix, want.Pix) {
					t.Fatal("the vertical passes differ")
				}
			})
		})
	}
}

// checkPadded compares every way to resize a padded picture with the plain one.
func checkPadded(t rapid.TB, src *RGB, bg [3]uint8, w, h int, f Filter) {
	t.Helper()
	want, err := resizePlain(PadSquare(src, bg), w, h, f)
	if err != nil {
		t.Fatal(err)
	}
	side := max(src.W, src.H)
	left, top := squareMargins(src)
	for _, p := range allPasses {
		got, err := resample(context.Background(), plane{src, side, side, left, top, bg}, w, h, f,
			[]*passes{p}, 0)
		if err != nil {
			t.Fatal(err)
		}
		if got.W != w || got.H != h || !bytes.Equal(got.Pix, want.Pix) {
			t.Fatalf("%d x %d to %d x %d, %v, %s: the pictures differ", src.W, src.H, w, h, f,
				p.name)
		}
	}
}

func TestResizePaddedEqualsPaddingThenResizing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		src := noise(drawSide(t, "w"), drawSide(t, "h"), rapid.Uint32().Draw(t, "seed"))
		side := max(src.W, src.H)
		target := rapid.OneOf(rapid.IntRange(1, 40), rapid.IntRange(1, 500), rapid.Just(side))
		bg := [3]uint8{rapid.Byte().Draw(t, "red"), rapid.Byte().Draw(t, "green"),
			rapid.Byte().Draw(t, "blue")}
		checkPadded(t, src, bg, target.Draw(t, "to w"), target.Draw(t, "to h"),
			rapid.SampledFrom(allFilters).Draw(t, "filter"))
	})
	for _, c := range []struct{ w, h, toW, toH int }{
		{1200, 900, 336, 336}, {900, 1200, 336, 336}, {2500, 1, 100, 100}, {1, 2500, 100, 100},
		{1, 2500, 2500, 100},
		{600, 200, 600, 336}, {200, 600, 336, 600}, {200, 600, 600, 600}, {333, 500, 1000, 700},
	} {
		for _, f := range allFilters {
			checkPadded(t, noise(c.w, c.h, 5), [3]uint8{122, 116, 104}, c.toW, c.toH, f)
		}
	}
	got, err := ResizePadded(context.Background(), noise(30, 20, 3), [3]uint8{9, 8, 7}, 12, 12,
		Lanczos)
	if err != nil {
		t.Fatal(err)
	}
	want, err := Resize(PadSquare(noise(30, 20, 3), [3]uint8{9, 8, 7}), 12, 12, Lanczos)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Pix, want.Pix) {
		t.Error("ResizePadded differs from Resize of PadSquare")
	}
}

func TestResizeBoundsItsMemoryForLongThinPictures(t *testing.T) {
	for _, c := range []struct{ w, h, toW, toH int }{
		{1, 100000, 1000, 1}, {1, 100000, 336, 336}, {100000, 1, 336, 336}, {100000, 1, 1, 1000},
		{100000, 1, 99999, 2},
		{1, 100000, 2, 99999}, {1, 1, 100000, 1}, {1, 1, 1, 100000}, {3, 3, 1, maxTargetSide},
	} {
		src := noise(c.w, c.h, 7)
		for _, f := range []Filter{Bilinear, Lanczos} {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			got, err := Resize(src, c.toW, c.toH, f)
			runtime.ReadMemStats(&after)
			if err != nil {
				t.Fatal(err)
			}
			if got.W != c.toW || got.H != c.toH || got.Check() != nil {
				t.Fatalf("%d x %d to %d x %d: got %d x %d", c.w, c.h, c.toW, c.toH, got.W, got.H)
			}
			// All that it ever allocated. The first case through a whole intermediate picture would
			// take 300 MB.
			if used := after.TotalAlloc - before.TotalAlloc; used > 100<<20 {
				t.Errorf("%d x %d to %d x %d, %v: %d MiB", c.w, c.h, c.toW, c.toH, f, used>>20)
			}
		}
	}
	// The square of this picture would take 30 GB.
	for _, src := range []*RGB{noise(1, 100000, 7), noise(100000, 1, 7)} {
		got, err := ResizePadded(context.Background(), src, [3]uint8{1, 2, 3}, 336, 336, Bicubic)
		if err != nil {
			t.Fatal(err)
		}
		if p := [3]uint8(got.Pix); p != [3]uint8{1, 2, 3} {
			t.Errorf("the corner is %v", p)
		}
	}
}

func TestResizeGivesUpWhenItsContextIsDone(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	src := noise(300, 200, 1)
	for _, to := range [][2]int{{100, 100}, {300, 100}, {100, 200}} {
		if got, err := ResizeContext(ctx, src, to[0], to[1], Bicubic); got != nil ||
			!errors.Is(err, context.Canceled) {
			t.Errorf("ResizeContext returned %v, %v", got, err)
		}
		if got, err := ResizePadded(ctx, src, [3]uint8{}, to[0], to[1], Bicubic); got != nil ||
			!errors.Is(err, context.Canceled) {
			t.Errorf("ResizePadded returned %v, %v", got, err)
		}
	}
}

func TestTilesGiveUpInTheMiddle(t *testing.T) {
	src := noise(1000, 900, 1)
	for _, to := range [][2]int{{500, 450}, {1000, 450}, {500, 900}} {
		ctx, cancel := context.WithCancel(context.Background())
		calls := 0
		p := goPasses
		p.rows = func(dst, src grid, n int, a *axis, x0, x1 int, bias []int32) {
			calls++
			cancel()
		}
		p.columns = func(dst, src grid, lo, n int, a *axis, y0, y1 int, beyond []uint8, bytes int) {
			calls++
			cancel()
		}
		_, err := resample(ctx, plane{src: src, w: src.W, h: src.H}, to[0], to[1], Bicubic,
			[]*passes{&p}, 1)
		if !errors.Is(err, context.Canceled) || calls > 2 {
			t.Errorf("%v: error %v after %d passes", to, err, calls)
		}
	}
}

func TestPassesLeaveWeightsTheyCannotTakeToOthers(t *testing.T) {
	weak := goPasses
	weak.maxWeight = 1000
	weak.rows = func(dst, src grid, n int, a *axis, x0, x1 int, bias []int32) {
		t.Error("took a weight that is too large")
	}
	src := noise(9, 9, 1)
	got, err := resample(context.Background(), plane{src: src, w: 9, h: 9}, 5, 5, Bicubic,
		[]*passes{&weak, &goPasses}, 1)
	if err != nil {
		t.Fatal(err)
	}
	want, err := resizePlain(src, 5, 5, Bicubic)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Pix, want.Pix) {
		t.Error("the pictures differ")
	}
}

func TestWeightsStayFarFromTheLimitsOfThePasses(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, err := newAxis(rapid.IntRange(1, 3000).Draw(t, "in"), 0, 1,
			rapid.IntRange(1, 3000).Draw(t, "out"), Lanczos)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range allPasses {
			if !p.fits(a) {
				t.Errorf("%s cannot take the weights", p.name)
			}
		}
	})
}

// FuzzResize looks for sizes that panic, hang or differ from the plain resampler.
func FuzzResize(f *testing.F) {
	f.Add(uint32(640), uint32(48), uint32(33), uint32(36), uint8(1), uint8(2))
	f.Add(uint32(1), uint32(1), uint32(1), uint32(1), uint8(0), uint8(0))
	f.Add(uint32(1), uint32(9000), uint32(50), uint32(1), uint8(2), uint8(255))
	f.Fuzz(func(t *testing.T, w, h, toW, toH uint32, choice, grey uint8) {
		if w == 0 || h == 0 || w > 1<<14 || h > 1<<14 || w*h > 1<<17 {
			t.Skip()
		}
		src := noise(int(w), int(h), uint32(grey))
		filter := allFilters[choice%3]
		refused := toW == 0 || toH == 0 || toW > maxTargetSide || toH > maxTargetSide ||
			uint64(toW)*uint64(toH) > maxTargetPixels
		if !refused && (uint64(toW)*uint64(toH) > 1<<17 || uint64(toW)*uint64(h) > 1<<19) {
			t.Skip() // would take long, in the plain resampler above all
		}
		got, err := Resize(src, int(toW), int(toH), filter)
		if refused {
			if err == nil {
				t.Fatal("accepted")
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		want, err := resizePlain(src, int(toW), int(toH), filter)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.Pix, want.Pix) {
			t.Error("the pictures differ")
		}
		if side := max(w, h); side <= 512 {
			checkPadded(t, src, [3]uint8{grey, 3, 200}, int(toW), int(toH), filter)
		}
	})
}

func TestResizeRefusesWhatItCannotDo(t *testing.T) {
	ok := NewRGB(4, 4)
	for _, c := range []struct {
		name string
		src  *RGB
		w, h int
		f    Filter
	}{
		{"no picture", nil, 2, 2, Bicubic},
		{"a picture without pixels", &RGB{}, 2, 2, Bicubic},
		{"a picture whose bytes do not fit its sides", &RGB{W: 4, H: 4, Pix: make([]uint8, 47)}, 2,
			2, Bicubic},
		{"a width of zero", ok, 0, 2, Bicubic},
		{"a negative height", ok, 2, -1, Bicubic},
		{"a picture that no memory holds", ok, 1 << 30, 1 << 30, Bicubic},
		{"a side that no picture has", ok, math.MaxInt, 1, Bicubic},
		{"a side just too long", ok, 1, maxTargetSide + 1, Bicubic},
		{"sides that multiply to zero in 64 bits", ok, 1 << 32, 1 << 32, Bicubic},
		{"an unknown filter", ok, 2, 2, Filter(9)},
	} {
		if _, err := Resize(c.src, c.w, c.h, c.f); err == nil {
			t.Errorf("Resize accepts %s", c.name)
		}
		if _, err := ResizePadded(context.Background(), c.src, [3]uint8{}, c.w, c.h,
			c.f); err == nil {
			t.Errorf("ResizePadded accepts %s", c.name)
		}
	}
}

func TestResizeToTheSameSizeReturnsThePicture(t *testing.T) {
	src := noise(5, 5, 1)
	if got, err := Resize(src, 5, 5, Bicubic); err != nil || got != src {
		t.Errorf("Resize returned %p, %v", got, err)
	}
	if got, err := ResizePadded(context.Background(), src, [3]uint8{}, 5, 5, Bicubic); err != nil ||
		got != src {
		t.Errorf("ResizePadded returned %p, %v", got, err)
	}
}

func BenchmarkResizePhotoTo336(b *testing.B) {
	src := noise(4000, 3000, 1)
	for _, p := range allPasses {
		for _, threads := range []int{1, runtime.GOMAXPROCS(0)} {
			b.Run(fmt.Sprintf("%s/%d", p.name, threads), func(b *testing.B) {
				b.SetBytes(int64(len(src.Pix)))
				for b.Loop() {
					if _, err := resizeWith(src, 336, 336, Bicubic, p, threads); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
