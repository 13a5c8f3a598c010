package imaging

import (
	"bytes"
	"errors"
	"runtime"
	"slices"
	"testing"
)

// TestAHEICThatWouldCostTooMuchIsRefusedBeforeItsDecoderRuns: at the limit of a small
// picture. Starting the decoder takes far more memory than is allowed here.
func TestAHEICThatWouldCostTooMuchIsRefusedBeforeItsDecoderRuns(t *testing.T) {
	tile := testTile(t)
	with := func(change func(it *testItem)) testItem {
		it := tile
		it.props = slices.Clone(tile.props)
		change(&it)
		return it
	}
	inBand := func(nals ...[]byte) testItem {
		return with(func(it *testItem) {
			it.data = nil
			for _, nal := range nals {
				it.data = append(it.data, withLength(nal)...)
			}
			it.data = append(it.data, tile.data...)
		})
	}
	config := func(sps []byte) []byte {
		return box("hvcC", make([]byte, 21), []byte{3, 1, nalSPS}, be(2, 1), be(2, len(sps)), sps)
	}
	firstSlice, laterSlice := slices.Clone(tile.data[:40]), slices.Clone(tile.data[:40])
	copy(firstSlice, be(4, 36))
	copy(laterSlice, be(4, 36))
	laterSlice[6] &= 0x7f
	files := []struct {
		name string
		data []byte
		kind error
	}{
		{"a crop larger than the picture", makeHEIC(with(func(it *testItem) {
			it.props = append(it.props, testClap(0xb00064, 40, 0, 0))
		})), ErrDamaged},
		{"a crop of no number", makeHEIC(with(func(it *testItem) {
			it.props = append(it.props, box("clap", make([]byte, 32)))
		})), ErrDamaged},
		{"a crop beside the picture", makeHEIC(with(func(it *testItem) {
			it.props = append(it.props, testClap(98, 40, 0, 90))
		})), ErrDamaged},
		{"a crop of a tile", makeHEIC(testGrid(1, 1, 100, 64), with(func(it *testItem) {
			it.props = append(it.props, testClap(1<<30, 40, 0, 0))
		})), ErrDamaged},
		{"a coded picture over the limit", makeHEIC(with(func(it *testItem) {
			it.props = [][]byte{config(testSPS(16384, 16384))}
		})), ErrTooLarge},
		{"a coded picture larger than stated", makeHEIC(with(func(it *testItem) {
			it.props = [][]byte{config(testSPS(200, 128))}
		})), ErrDamaged},
		{"a coded picture smaller than stated", makeHEIC(with(func(it *testItem) {
			it.props = [][]byte{config(testSPS(96, 64))}
		})), ErrDamaged},
		{"a second size among the coded data", makeHEIC(inBand(testSPS(16384, 16384))), ErrDamaged},
		{"parameter sets over and over",
			makeHEIC(inBand(slices.Repeat([][]byte{{nalPPS << 1, 1, 0xc0}}, 100)...)), ErrTooLarge},
		{"a thumbnail over the limit", makeHEIC(tile, with(func(it *testItem) {
			it.w, it.h = 30000, 30000
		})), ErrTooLarge},
		{"an alpha plane larger than stated", makeHEIC(tile, with(func(it *testItem) {
			it.alpha, it.props = 1, [][]byte{config(testSPS(256, 256))}
		})), ErrDamaged},
		{"two coded pictures", makeHEIC(with(func(it *testItem) {
			it.data = slices.Concat(firstSlice, tile.data)
		})), ErrDamaged},
		{"a slice over and over", makeHEIC(with(func(it *testItem) {
			it.data = slices.Concat(tile.data, bytes.Repeat(laterSlice, 1000))
		})), ErrTooLarge},
		{"a picture that needs others", makeHEIC(with(func(it *testItem) {
			it.data = slices.Clone(it.data)
			it.data[4] = 1 << 1
		})), ErrDamaged},
		{"a grid that states two sizes", makeHEIC(with(func(it *testItem) {
			*it = testGrid(2, 2, 20000, 20000)
			it.w, it.h = 200, 128
		}), tile), ErrDamaged},
		{"a grid of more tiles than it says", makeHEIC(with(func(it *testItem) {
			*it = testGrid(2, 2, 200, 128)
			it.parts = it.parts[:3]
		}), tile), ErrDamaged},
		{"a grid of far more tiles than fit in it", makeHEIC(testGrid(128, 256, 100, 64), tile),
			ErrTooLarge},
		{"a grid of itself", makeHEIC(with(func(it *testItem) {
			*it = testGrid(1, 1, 100, 64)
			it.parts = []uint16{1}
		}), tile), ErrTooLarge},
		{"grids of grids", makeHEIC(
			testGrid(16, 16, 200, 128),
			with(func(it *testItem) {
				*it = testGrid(16, 16, 200, 128)
				it.parts = slices.Repeat([]uint16{3}, 256)
			}),
			with(func(it *testItem) {
				*it = testGrid(16, 16, 200, 128)
				it.parts = slices.Repeat([]uint16{4}, 256)
			}),
			tile), ErrTooLarge},
		{"a part that is not there", makeHEIC(testGrid(1, 1, 100, 64)), ErrDamaged},
		{"a picture of another codec", makeHEIC(testItem{kind: "av01", w: 100, h: 64}), ErrDamaged},
	}
	opt := Options{MaxPixels: 1 << 16}
	for _, c := range files {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := Decode(c.data, opt)
		runtime.ReadMemStats(&after)
		if !errors.Is(err, c.kind) {
			t.Errorf("%s: got error %v", c.name, err)
		}
		if n := after.TotalAlloc - before.TotalAlloc; n > 1<<20 {
			t.Errorf("%s: refusing it took %d bytes", c.name, n)
		}
	}
}

func TestItemsThatOverlapAreRefused(t *testing.T) {
	items := slices.Repeat([]testItem{{kind: "Exif", w: 1, h: 1, all: true}}, 200)
	data := makeHEIC(append([]testItem{testTile(t)}, items...)...)
	if _, err := Decode(data, Options{}); !errors.Is(err, ErrTooLarge) {
		t.Errorf("200 items of all the data: %v", err)
	}
}

func FuzzHEICBoxes(f *testing.F) {
	for _, name := range []string{"photo.heic", "grey.heic", "narrow.heic"} {
		f.Add(readFile(f, name))
	}
	tile := testTile(f)
	plane := tile
	plane.alpha = 2
	f.Add(makeHEIC(testGrid(2, 2, 190, 120), tile, plane))
	f.Add(makeHEIC(testItem{kind: "iden", w: 100, h: 64, parts: []uint16{2}}, tile))
	opt := Options{MaxPixels: 1 << 16, MaxBytes: 1 << 16}.WithDefaults()
	f.Fuzz(func(t *testing.T, data []byte) {
		if int64(len(data)) > opt.MaxBytes {
			return
		}
		_, _, err := checkHEIC(heicOf(t), data, opt)
		if err != nil {
			if !errors.Is(err, ErrTooLarge) && !errors.Is(err, ErrDamaged) {
				t.Fatalf("an error of no kind: %v", err)
			}
			return
		}
		if w, h, err := heicSize(data); err != nil || int64(w)*int64(h) > opt.MaxPixels {
			t.Fatalf("passed with %d x %d pixels: %v", w, h, err)
		}
	})
}

func heicOf(t testing.TB) *format {
	t.Helper()
	f, err := formatOf([]byte("\x00\x00\x00\x10ftypheic"))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func FuzzHEIC(f *testing.F) {
	for _, name := range []string{"photo.heic", "grey.heic", "narrow.heic"} {
		f.Add(readFile(f, name))
	}
	tile := testTile(f)
	plane := tile
	plane.alpha = 1
	f.Add(gridFile(testGrid(1, 2, 190, 64), tile))
	f.Add(makeHEIC(tile, plane))
	opt := Options{MaxPixels: 1 << 16, MaxBytes: 1 << 16}
	f.Fuzz(func(t *testing.T, data []byte) {
		if !isHEIC(data) {
			return
		}
		m, err := Decode(data, opt)
		if err != nil {
			if !errors.Is(err, ErrTooLarge) && !errors.Is(err, ErrDamaged) {
				t.Fatalf("an error of no kind: %v", err)
			}
			return
		}
		if err := m.Check(); err != nil || int64(m.W)*int64(m.H) > opt.MaxPixels {
			t.Fatalf("%d x %d pixels: %v", m.W, m.H, err)
		}
	})
}

func BenchmarkDecodeHEIC(b *testing.B) {
	data := readFile(b, "photo.heic")
	for b.Loop() {
		if _, err := Decode(data, Options{}); err != nil {
			b.Fatal(err)
		}
	}
}
