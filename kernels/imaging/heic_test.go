package imaging

import (
	"encoding/binary"
	"slices"
	"strings"
	"testing"
)

// testItem is an item of a HEIC file that a test makes up.
type testItem struct {
	kind  string
	w, h  int // of the ispe property
	props [][]byte
	parts []uint16
	alpha uint16 // the item that this one is the alpha plane of
	data  []byte
	all   bool // its data is that of all items together
}

func box(kind string, parts ...[]byte) []byte {
	body := slices.Concat(parts...)
	return slices.Concat(be(4, 8+len(body)), []byte(kind), body)
}

// be is a number in n bytes.
func be(n, v int) []byte {
	return binary.BigEndian.AppendUint64(nil, uint64(v))[8-n:]
}

// makeHEIC returns a file of the items, numbered from 1, the first of which is the picture.
func makeHEIC(items ...testItem) []byte {
	var infe, iref, props, ipma, iloc, data []byte
	count := 0
	prop := func(p []byte) byte {
		props = append(props, p...)
		count++
		return byte(count)
	}
	for i, it := range items {
		id := be(2, i+1)
		infe = append(infe, box("infe", be(4, 2<<24), id, be(2, 0), []byte(it.kind), be(1, 0))...)
		if it.parts != nil {
			refs := slices.Concat(id, be(2, len(it.parts)))
			for _, p := range it.parts {
				refs = append(refs, be(2, int(p))...)
			}
			iref = append(iref, box("dimg", refs)...)
		}
		if it.alpha != 0 {
			iref = append(iref, box("auxl", id, be(2, 1), be(2, int(it.alpha)))...)
			it.props = append(it.props,
				box("auxC", be(4, 0), []byte("urn:mpeg:hevc:2015:auxid:1\x00")))
		}
		own := []byte{prop(box("ispe", be(4, 0), be(4, it.w), be(4, it.h)))}
		for _, p := range it.props {
			own = append(own, prop(p))
		}
		ipma = append(ipma, slices.Concat(id, be(1, len(own)), own)...)
		at, n := len(data), len(it.data)
		if it.all {
			at, n = 0, 0 // to the end
		}
		iloc = append(iloc, slices.Concat(id, be(2, 1), be(2, 0), be(2, 1), be(4, at), be(4, n))...)
		data = append(data, it.data...)
	}
	return slices.Concat(
		box("ftyp", []byte("heic\x00\x00\x00\x00mif1heic")),
		box("meta", be(4, 0),
			box("hdlr", be(8, 0), []byte("pict"), make([]byte, 13)),
			box("pitm", be(4, 0), be(2, 1)),
			box("iinf", be(4, 0), be(2, len(items)), infe),
			box("iref", be(4, 0), iref),
			box("iprp", box("ipco", props), box("ipma", be(4, 0), be(4, len(items)), ipma)),
			box("iloc", be(4, 1<<24), be(2, 0x4400), be(2, len(items)), iloc),
			box("idat", data)))
}

// inside returns what the first box of a kind holds, looked for inside those of the kinds before.
func inside(t testing.TB, data []byte, kinds ...string) []byte {
	t.Helper()
	for _, kind := range kinds {
		found := false
		for b := range isoBoxes(data) {
			if found = b.kind == kind; found {
				data = b.body
				break
			}
		}
		if !found {
			t.Fatalf("no box %s", kind)
		}
		if kind == "meta" {
			data = data[4:]
		}
	}
	return data
}

// testTile is the coded picture of photo.heic, of 100 x 64 pixels, and its hvcC property.
func testTile(t testing.TB) testItem {
	t.Helper()
	file := readFile(t, "photo.heic")
	return testItem{kind: "hvc1", w: 100, h: 64, data: inside(t, file, "mdat"),
		props: [][]byte{box("hvcC", inside(t, file, "meta", "iprp", "ipco", "hvcC"))}}
}

// gridFile is a file of a grid and its tiles, which are all the same. The decoder
// does not take one item for several tiles.
func gridFile(grid, tile testItem) []byte {
	items := []testItem{grid}
	for i := range grid.parts {
		grid.parts[i] = uint16(i + 2)
		items = append(items, tile)
	}
	return makeHEIC(items...)
}

// testGrid is a grid of rows by columns of item 2.
func testGrid(rows, columns, w, h int) testItem {
	parts := slices.Repeat([]uint16{2}, rows*columns)
	return testItem{kind: "grid", w: w, h: h, parts: parts,
		data: slices.Concat([]byte{0, 1, byte(rows - 1), byte(columns - 1)}, be(4, w), be(4, h))}
}

func testClap(w, h, x, y int) []byte {
	return box("clap", be(4, w), be(4, 1), be(4, h), be(4, 1), be(4, x), be(4, 2), be(4, y),
		be(4, 2))
}

// Types of NAL units (Rec. ITU-T H.265, table 7-1).
const nalSPS, nalPPS = 33, 34

// testSPS is a sequence parameter set NAL unit of 8-bit 4:2:0 pictures.
func testSPS(w, h int) []byte {
	bits := strings.Repeat("0", 8) + strings.Repeat("0", 96)
	ue := func(v int) {
		s := ""
		for n := v + 1; n > 0; n >>= 1 {
			s = string(rune('0'+n&1)) + s
		}
		bits += strings.Repeat("0", len(s)-1) + s
	}
	ue(0)
	ue(1)
	ue(w)
	ue(h)
	bits += "0"
	for _, v := range []int{0, 0, 4} {
		ue(v)
	}
	bits += "1"
	for _, v := range []int{0, 0, 0, 0, 3, 0, 3} {
		ue(v)
	}
	nal := []byte{nalSPS << 1, 1}
	zeros := 0
	for bits += "1"; len(bits)%8 != 0; {
		bits += "0"
	}
	for ; bits != ""; bits = bits[8:] {
		b := byte(0)
		for _, c := range bits[:8] {
			b = b<<1 | byte(c-'0')
		}
		if zeros == 2 && b <= 3 {
			nal, zeros = append(nal, 3), 0
		}
		nal = append(nal, b)
		if zeros++; b != 0 {
			zeros = 0
		}
	}
	return nal
}

func withLength(nal []byte) []byte { return slices.Concat(be(4, len(nal)), nal) }

func TestHEICGridsCropsAndTurnsAreDecoded(t *testing.T) {
	tile := testTile(t)
	crop, turned, plane := tile, tile, tile
	crop.props = append(slices.Clone(tile.props), testClap(98, 40, 0, -24))
	turned.props = append(slices.Clone(tile.props), box("irot", []byte{2}))
	plane.alpha = 1
	turnedGrid := testGrid(2, 2, 190, 120)
	turnedGrid.props = [][]byte{box("irot", []byte{1})}
	for _, c := range []struct {
		name string
		file []byte
		w, h int
	}{
		{"one picture", makeHEIC(tile), 100, 64},
		{"cropped", makeHEIC(crop), 98, 40},
		{"turned", makeHEIC(turned), 100, 64},
		{"a grid", gridFile(testGrid(2, 3, 290, 120), tile), 290, 120},
		{"a turned grid", gridFile(turnedGrid, tile), 120, 190},
		{"with alpha", makeHEIC(tile, plane), 100, 64},
		{"beside a picture that cannot be decoded",
			makeHEIC(tile, testItem{kind: "jpeg", w: 10, h: 10}), 100, 64},
	} {
		m, err := Decode(c.file, Options{})
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		} else if m.W != c.w || m.H != c.h {
			t.Errorf("%s: got %d x %d pixels, want %d x %d", c.name, m.W, m.H, c.w, c.h)
		}
		if h, err := ReadHeader(t.Context(), c.file, Options{}); err != nil || h.W != c.w ||
			h.H != c.h {
			t.Errorf("%s: the header says %d x %d pixels (%v), want %d x %d", c.name, h.W, h.H, err,
				c.w, c.h)
		}
	}
}
