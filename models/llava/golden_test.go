package llava

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"math"
	"os"
	"testing"

	"github.com/eyelet-engine/eyelet/kernels/imaging"
	"github.com/eyelet-engine/eyelet/kernels/ref"
)

// clipStd is CLIP's normalisation standard deviation; clipMean is its mean.
var clipStd = [3]float32{0.26862954, 0.26130258, 0.27577711}

// goldens reads a file that scripts/golden/llava.py wrote, and its layouts as
// LLaVA 1.6 has them.
func goldens[T any](t testing.TB, path string) ([]T, map[string]Layout) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Layouts map[string]struct {
			Size, Patch int
			Pinpoints   [][2]int64
		}
		Cases []T
	}
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Cases) == 0 {
		t.Fatalf("%s holds no cases", path)
	}
	layouts := make(map[string]Layout)
	for name, g := range file.Layouts {
		m := Metadata{Size: g.Size, Patch: g.Patch, Mean: clipMean, AspectRatio: "anyres",
			MergeType: "spatial_unpad"}
		for _, p := range g.Pinpoints {
			m.GridPinpoints = append(m.GridPinpoints, p[0], p[1])
		}
		if layouts[name], err = FromMetadata(m); err != nil {
			t.Fatal(err)
		}
	}
	return file.Cases, layouts
}

// noise is the test picture of a seed, as in scripts/golden/llava.py.
func noise(w, h int, seed uint32) *imaging.RGB {
	m := imaging.NewRGB(w, h)
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

var aspects = map[string]Aspect{"pad": Pad, "crop": Crop, "anyres": AnyRes}

func TestTilesEqualHuggingFacesInEveryByte(t *testing.T) {
	type tileCase struct {
		Layout, Mode string
		W, H         int
		Seed         uint32
		CRC32        []uint32
		Float_CRC32  []uint32
		Floats       []float32
	}
	cases, layouts := goldens[tileCase](t, "testdata/tiles.json")
	for _, c := range cases {
		t.Run(fmt.Sprintf("%s %s %dx%d", c.Layout, c.Mode, c.W, c.H), func(t *testing.T) {
			l := layouts[c.Layout]
			l.Aspect = aspects[c.Mode]
			tiles, err := l.Tiles(noise(c.W, c.H, c.Seed))
			if err != nil {
				t.Fatal(err)
			}
			plan, err := l.Plan(c.W, c.H)
			if err != nil {
				t.Fatal(err)
			}
			if len(tiles) != len(c.CRC32) || plan.Tiles != len(c.CRC32) {
				t.Fatalf("%d tiles, planned %d, want %d", len(tiles), plan.Tiles, len(c.CRC32))
			}
			for i, tile := range tiles {
				if tile.W != l.Size || tile.H != l.Size || tile.Check() != nil {
					t.Fatalf("tile %d has %d x %d pixels", i, tile.W, tile.H)
				}
				if crc := crc32.ChecksumIEEE(tile.Pix); crc != c.CRC32[i] {
					t.Errorf("tile %d: checksum %08x, want %08x", i, crc, c.CRC32[i])
				}
			}
			if c.Floats != nil {
				checkFloats(t, tiles, c.Floats, c.Float_CRC32)
			}
		})
	}
}

// checkFloats compares the tiles after the normalisation that towers apply, planes of
// red, green and blue, with five evenly spaced values and a checksum a tile.
func checkFloats(t *testing.T, tiles []*imaging.RGB, some []float32, sums []uint32) {
	t.Helper()
	var all []float32
	for i, tile := range tiles {
		planes := ref.NewMatrix[float32](1, 3*tile.W*tile.H)
		ref.Patchify(planes, tile, tile.W, clipMean, clipStd)
		var bytes []byte
		for _, x := range planes.Data {
			bytes = binary.LittleEndian.AppendUint32(bytes, math.Float32bits(x))
		}
		if crc := crc32.ChecksumIEEE(bytes); crc != sums[i] {
			t.Errorf("tile %d, normalised: checksum %08x, want %08x", i, crc, sums[i])
		}
		all = append(all, planes.Data...)
	}
	for i, want := range some {
		if got := all[i*(len(all)/5)]; got != want {
			t.Errorf("value %d, normalised: %v, want %v", i, got, want)
		}
	}
}

type rowCase struct {
	Layout string
	W, H   int
	Best   [2]int
	Tiles  int
	Rows   int
	CRC32  uint32
	Runs   [][2]int
}

func TestRowsAreThoseThatHuggingFacePacks(t *testing.T) {
	cases, layouts := goldens[rowCase](t, "testdata/rows.json")
	for _, c := range cases {
		t.Run(fmt.Sprintf("%s %dx%d", c.Layout, c.W, c.H), func(t *testing.T) {
			l := layouts[c.Layout]
			p, err := l.Plan(c.W, c.H)
			if err != nil {
				t.Fatal(err)
			}
			if want := (Resolution{c.Best[0], c.Best[1]}); p.Resolution != want ||
				p.Tiles != c.Tiles {
				t.Fatalf("resolution %v and %d tiles, want %v and %d", p.Resolution, p.Tiles, want,
					c.Tiles)
			}
			if n := l.Tokens(c.W, c.H); len(p.Rows) != c.Rows || n != c.Rows {
				t.Errorf("%d rows, Tokens says %d, want %d", len(p.Rows), n, c.Rows)
			}
			var bytes []byte
			for _, r := range p.Rows {
				bytes = binary.LittleEndian.AppendUint32(bytes, uint32(r))
			}
			if crc := crc32.ChecksumIEEE(bytes); crc != c.CRC32 {
				t.Errorf("checksum %08x, want %08x", crc, c.CRC32)
			}
			if c.Runs != nil && fmt.Sprint(runs(p.Rows)) != fmt.Sprint(c.Runs) {
				t.Errorf("got  %v\nwant %v", runs(p.Rows), c.Runs)
			}
		})
	}
}

// runs returns consecutive rows as their first and their number.
func runs(rows []Row) (out [][2]int) {
	for _, r := range rows {
		if n := len(out) - 1; n >= 0 && r >= 0 && int(r) == out[n][0]+out[n][1] {
			out[n][1]++
		} else {
			out = append(out, [2]int{int(r), 1})
		}
	}
	return out
}
