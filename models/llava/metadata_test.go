package llava

import (
	"encoding/binary"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// llava16 is what a file of LLaVA 1.6 tells.
func llava16() Metadata {
	return Metadata{
		Size: 336, Patch: 14, Mean: clipMean, AspectRatio: "anyres", MergeType: "spatial_unpad",
		GridPinpoints: []int64{336, 672, 672, 336, 672, 672, 1008, 336, 336, 1008},
	}
}

func TestMetadataDecideTheLayout(t *testing.T) {
	square := Layout{Size: 336, Patch: 14, Background: [3]uint8{122, 116, 104}}
	crop := square
	crop.Aspect = Crop
	next := square
	next.Aspect, next.Merge = AnyRes, SpatialUnpad
	next.Pinpoints = []Resolution{{336, 672}, {672, 336}, {672, 672}, {1008, 336}, {336, 1008}}
	flat := next
	flat.Merge = Flat
	spatial := next
	spatial.Merge = Spatial
	turned := next
	turned.Pinpoints = []Resolution{{672, 336}, {336, 672}, {672, 672}, {336, 1008}, {1008, 336}}
	for _, c := range []struct {
		name   string
		change func(m *Metadata)
		want   Layout
	}{
		{"LLaVA 1.6", func(m *Metadata) {}, next},
		{"no aspect ratio", func(m *Metadata) { m.AspectRatio = "" }, next},
		{"no pinpoints", func(m *Metadata) { m.GridPinpoints = nil }, next},
		{"no merge type", func(m *Metadata) { m.MergeType = "" }, flat},
		{"flat", func(m *Metadata) { m.MergeType = "flat" }, flat},
		{"spatial", func(m *Metadata) { m.MergeType = "spatial" }, spatial},
		{"width first", func(m *Metadata) { m.WidthFirst = true }, turned},
		{"width first, no pinpoints", func(m *Metadata) {
			m.WidthFirst = true
			m.GridPinpoints = nil
		}, turned},
		{"pad in spite of pinpoints", func(m *Metadata) { m.AspectRatio = "pad" }, square},
		{"square", func(m *Metadata) { m.AspectRatio = "square" }, crop},
		{"crop", func(m *Metadata) { m.AspectRatio = "crop" }, crop},
		{"nothing", func(m *Metadata) {
			m.AspectRatio, m.MergeType, m.GridPinpoints = "", "", nil
		}, square},
	} {
		m := llava16()
		c.change(&m)
		got, err := FromMetadata(m)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		} else if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}

func TestHostileMetadataAreRefused(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(m *Metadata)
		text   string
	}{
		{"a size of 0", func(m *Metadata) { m.Size = 0 }, "patches of 14 pixels in tiles of 0"},
		{"a patch larger than a tile", func(m *Metadata) {
			m.Patch = 337
		}, "patches of 337 pixels in tiles of 336"},
		{"a huge tower", func(m *Metadata) {
			m.Size, m.Patch = 1<<30, 1
		}, "at most 16384 are supported"},
		{"OneVision's aspect", func(m *Metadata) {
			m.AspectRatio = "anyres_max_9"
		},
			`picture layout not supported: image_aspect_ratio "anyres_max_9"`},
		{"a long name", func(m *Metadata) {
			m.AspectRatio = strings.Repeat("x", 1e6)
		}, "not supported"},
		{"an unknown merge", func(m *Metadata) {
			m.MergeType = "spatial_maxpool"
		},
			`picture layout not supported: mm_patch_merge_type "spatial_maxpool"`},
		{"an odd list", func(m *Metadata) {
			m.GridPinpoints = m.GridPinpoints[:3]
		}, "holds 3 numbers, want pairs"},
		{"a long list", func(m *Metadata) {
			m.GridPinpoints = slices.Repeat([]int64{336, 336}, 65)
		}, "holds 130 numbers"},
		{"a zero", func(m *Metadata) { m.GridPinpoints[2] = 0 }, "holds 0 x 336"},
		{"a negative number", func(m *Metadata) { m.GridPinpoints[3] = -336 }, "holds 672 x -336"},
		{"no multiple", func(m *Metadata) {
			m.GridPinpoints[2] = 671
		},
			"tiles of 336 pixels do not tile the grid pinpoint 671 x 336"},
		{"many tiles", func(m *Metadata) {
			m.GridPinpoints[2] = 37 * 336
		}, "12432 x 336 is too large; 36 tiles"},
		{"very many tiles", func(m *Metadata) {
			m.Size, m.Patch, m.GridPinpoints = 1, 1, []int64{1 << 30, 1 << 30}
		}, "too large"},
		{"large tiles", func(m *Metadata) {
			m.Size, m.Patch, m.GridPinpoints = 1<<14, 1<<14, []int64{1 << 14, 1 << 14}
		},
			"67108864 pixels are the most"},
		{"a huge side", func(m *Metadata) {
			m.GridPinpoints[0] = math.MaxInt64
		}, "holds 9223372036854775807 x 672"},
	} {
		m := llava16()
		c.change(&m)
		if _, err := FromMetadata(m); err == nil || !strings.Contains(err.Error(), c.text) ||
			len(err.Error()) > 200 {
			t.Errorf("%s: error %.300v, want %q", c.name, err, c.text)
		}
	}
}

// FuzzFromMetadata looks for metadata that are accepted and then fail, and for plans
// that do not hold together.
func FuzzFromMetadata(f *testing.F) {
	pack := func(list []int64) (b []byte) {
		for _, v := range list {
			b = binary.LittleEndian.AppendUint64(b, uint64(v))
		}
		return b
	}
	f.Add(336, 14, "anyres", "spatial_unpad", pack(llava16().GridPinpoints), false, 640, 480)
	f.Add(35, 5, "", "spatial", pack([]int64{35, 70, 105, 35}), true, 1, 10000)
	f.Add(7, 7, "anyres", "flat", []byte(nil), false, 10000, 1)
	f.Add(336, 14, "pad", "", []byte(nil), false, 0, 5)
	f.Add(1, 1, "square", "", []byte{1}, false, math.MaxInt32, 1)
	f.Fuzz(func(t *testing.T, size, patch int, aspect, merge string, list []byte, widthFirst bool,
		w, h int) {
		m := Metadata{Size: size, Patch: patch, AspectRatio: aspect, MergeType: merge,
			WidthFirst: widthFirst}
		for ; len(list) >= 8; list = list[8:] {
			m.GridPinpoints = append(m.GridPinpoints, int64(binary.LittleEndian.Uint64(list)))
		}
		l, err := FromMetadata(m)
		if err != nil {
			return
		}
		if err := l.check(); err != nil {
			t.Fatalf("accepted, but %v", err)
		}
		if l.Size/l.Patch > 64 {
			return // plans of many millions of rows
		}
		if w > 0 && h > 0 && w <= maxSide && h <= maxSide {
			checkPlan(t, l, w, h)
		} else if _, err := l.Plan(w, h); err == nil || l.Tokens(w, h) != 0 {
			t.Fatalf("a picture of %d x %d pixels has %d tokens: %v", w, h, l.Tokens(w, h), err)
		}
		if w > 0 && h > 0 && w <= 64 && h <= 64 && l.Size <= 64 {
			tiles, err := l.Tiles(noise(w, h, 1))
			p, _ := l.Plan(w, h)
			if err != nil || len(tiles) != p.Tiles {
				t.Fatalf("%d tiles, want %d: %v", len(tiles), p.Tiles, err)
			}
		}
	})
}
