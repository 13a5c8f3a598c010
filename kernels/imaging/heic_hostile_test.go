package imaging

import (
	"bytes"
	"errors"
	"runtime"
	"slices"
	"testing"

	"github.com/eyelet-engine/eyelet/kernels/imaging/internal/wasm"
)

// Whatever a file states, decoding it takes no more memory and time than its header pays for, and
// an error has a kind.
func TestAHEICThatLiesCostsNoMoreThanItsHeaderSays(t *testing.T) {
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
		kind error // nil where the decoder passes over what is wrong
	}{
		{"a crop larger than the picture", makeHEIC(with(func(it *testItem) {
			it.props = append(it.props, testClap(0xb00064, 40, 0, 0))
		})), ErrTooLarge},
		{"a crop of no number", makeHEIC(with(func(it *testItem) {
			it.props = append(it.props, box("clap", make([]byte, 32)))
		})), ErrDamaged},
		{"a crop beside the picture", makeHEIC(with(func(it *testItem) {
			it.props = append(it.props, testClap(98, 40, 0, 90))
		})), nil},
		{"a crop of a tile", makeHEIC(testGrid(1, 1, 100, 64), with(func(it *testItem) {
			it.props = append(it.props, testClap(1<<30, 40, 0, 0))
		})), ErrDamaged},
		{"a coded picture over the limit", makeHEIC(with(func(it *testItem) {
			it.props = [][]byte{config(testSPS(16384, 16384))}
		})), ErrDamaged},
		{"a coded picture larger than stated", makeHEIC(with(func(it *testItem) {
			it.props = [][]byte{config(testSPS(200, 128))}
		})), ErrDamaged},
		{"a coded picture smaller than stated", makeHEIC(with(func(it *testItem) {
			it.props = [][]byte{config(testSPS(96, 64))}
		})), ErrDamaged},
		{"a second size among the coded data", makeHEIC(inBand(testSPS(16384, 16384))), ErrDamaged},
		{"parameter sets over and over",
			makeHEIC(inBand(slices.Repeat([][]byte{{nalPPS << 1, 1, 0xc0}}, 100)...)), ErrDamaged},
		{"a thumbnail over the limit", makeHEIC(tile, with(func(it *testItem) {
			it.w, it.h = 30000, 30000
		})), nil},
		{"an alpha plane larger than stated", makeHEIC(tile, with(func(it *testItem) {
			it.alpha, it.props = 1, [][]byte{config(testSPS(256, 256))}
		})), ErrDamaged},
		{"two coded pictures", makeHEIC(with(func(it *testItem) {
			it.data = slices.Concat(firstSlice, tile.data)
		})), nil},
		{"a slice over and over", makeHEIC(with(func(it *testItem) {
			it.data = slices.Concat(tile.data, bytes.Repeat(laterSlice, 1000))
		})), nil},
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
			ErrDamaged},
		{"a grid of itself", makeHEIC(with(func(it *testItem) {
			*it = testGrid(1, 1, 100, 64)
			it.parts = []uint16{1}
		}), tile), ErrDamaged},
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
			tile), ErrDamaged},
		{"a part that is not there", makeHEIC(testGrid(1, 1, 100, 64)), ErrDamaged},
		{"a picture of another codec", makeHEIC(testItem{kind: "av01", w: 100, h: 64}), ErrDamaged},
	}
	opt := Options{MaxPixels: 1 << 16}
	if _, err := Decode(makeHEIC(tile), opt); err != nil { // also compiles the decoder
		t.Fatal(err)
	}
	for _, c := range files {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := Decode(c.data, opt)
		runtime.ReadMemStats(&after)
		if err == nil && c.kind != nil || !errors.Is(err, c.kind) {
			t.Errorf("%s: got error %v", c.name, err)
		}
		// the header, and the whole, in memory that grows to twice its size at a time
		if n := after.TotalAlloc - before.TotalAlloc; int64(n) > 4*wasm.HEIC.Bytes(len(c.data),
			opt.MaxPixels) {
			t.Errorf("%s: it took %d bytes", c.name, n)
		}
	}
}

func FuzzBoxes(f *testing.F) {
	for _, name := range []string{"photo.heic", "photo.avif", "orientation-5.avif"} {
		f.Add(readFile(f, name))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if turn := avifTurn(data); turn < 1 || turn > 8 {
			t.Fatalf("orientation %d", turn)
		}
	})
}
