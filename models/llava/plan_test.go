package llava

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func anyRes(t testing.TB, size, patch int, merge string) Layout {
	t.Helper()
	l, err := FromMetadata(Metadata{Size: size, Patch: patch, Mean: clipMean, AspectRatio: "anyres",
		MergeType: merge})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// checkPlan checks what holds of every plan.
func checkPlan(t testing.TB, l Layout, w, h int) {
	t.Helper()
	p, err := l.Plan(w, h)
	if err != nil {
		t.Fatalf("%d x %d: %v", w, h, err)
	}
	if n := l.Tokens(w, h); n != len(p.Rows) {
		t.Fatalf("%d x %d: Tokens says %d, the plan has %d rows", w, h, n, len(p.Rows))
	}
	seen := make([]bool, p.Tiles*p.TileTokens)
	for i, r := range p.Rows {
		switch {
		case r == Newline && l.HasNewline() && i >= p.TileTokens:
		case r < 0 || int(r) >= len(seen) || seen[r]:
			t.Fatalf("%d x %d: row %d is %d, the second time or out of range", w, h, i, r)
		case i < p.TileTokens && int(r) != i:
			t.Fatalf("%d x %d: row %d is %d, not the overview's", w, h, i, r)
		default:
			seen[r] = true
		}
	}
	if l.Merge != SpatialUnpad && len(p.Rows) != len(seen) {
		t.Fatalf("%d x %d: %d rows of %d", w, h, len(p.Rows), len(seen))
	}
}

func TestTokensAreThePlansRows(t *testing.T) {
	layouts := []Layout{{Size: 336, Patch: 14}, {Size: 336, Patch: 14, Aspect: Crop}}
	for _, merge := range []string{"flat", "spatial", "spatial_unpad"} {
		layouts = append(layouts, anyRes(t, 336, 14, merge), anyRes(t, 35, 5, merge),
			anyRes(t, 7, 7, merge))
	}
	sizes := [][2]int{{1, 1}, {1, 10000}, {10000, 1}, {1, math.MaxInt32}, {math.MaxInt32, 1},
		{math.MaxInt32, math.MaxInt32}}
	rng := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		scale := 1 << rng.IntN(16)
		sizes = append(sizes, [2]int{1 + rng.IntN(scale), 1 + rng.IntN(scale)},
			[2]int{1 + rng.IntN(scale), 1 + rng.IntN(3000)})
	}
	for _, l := range layouts {
		for _, s := range sizes {
			checkPlan(t, l, s[0], s[1])
		}
	}
}

func TestMergeTypesReadTheGridDifferently(t *testing.T) {
	// Tiles of 2 x 2 patches; a wide picture gets an overview and two tiles.
	for _, c := range []struct {
		merge string
		want  []Row
	}{
		{"flat", []Row{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}},
		{"spatial", []Row{0, 1, 2, 3, 4, 5, 8, 9, 6, 7, 10, 11}},
		{"spatial_unpad", []Row{0, 1, 2, 3, 4, 5, 8, 9, Newline, 6, 7, 10, 11, Newline}},
	} {
		p, err := anyRes(t, 4, 2, c.merge).Plan(8, 4)
		if err != nil {
			t.Fatal(err)
		}
		if p.Tiles != 3 || !slices.Equal(p.Rows, c.want) {
			t.Errorf("%s: %d tiles, rows %v, want %v", c.merge, p.Tiles, p.Rows, c.want)
		}
	}
}

func TestAssembleCopiesTheRowsOfThePlan(t *testing.T) {
	l := anyRes(t, 4, 2, "spatial_unpad")
	p, err := l.Plan(8, 4)
	if err != nil {
		t.Fatal(err)
	}
	const width = 3
	tiles := make([]float32, p.Tiles*p.TileTokens*width)
	for i := range tiles {
		tiles[i] = float32(i)
	}
	newline := []float32{-1, -2, -3}
	dst := make([]float32, len(p.Rows)*width)
	if err := p.Assemble(dst, tiles, newline, width); err != nil {
		t.Fatal(err)
	}
	for i, r := range p.Rows {
		want := newline
		if r != Newline {
			want = []float32{float32(3 * r), float32(3*r + 1), float32(3*r + 2)}
		}
		if got := dst[i*width:][:width]; !slices.Equal(got, want) {
			t.Errorf("row %d is %v, want %v", i, got, want)
		}
	}

	clear(dst)
	for name, err := range map[string]error{
		"too little room":         p.Assemble(dst[1:], tiles, newline, width),
		"too many rows":           p.Assemble(dst, append(tiles, 0, 0, 0), newline, width),
		"part of a row":           p.Assemble(dst, tiles[1:], newline, width),
		"no newline":              p.Assemble(dst, tiles, nil, width),
		"a newline of two widths": p.Assemble(dst, tiles, make([]float32, 6), width),
		"no width":                p.Assemble(dst, tiles, newline, 0),
	} {
		if err == nil {
			t.Errorf("Assemble takes %s", name)
		}
	}
	if slices.ContainsFunc(dst, func(x float32) bool { return x != 0 }) {
		t.Error("a failing Assemble has written")
	}

	one, err := (Layout{Size: 4, Patch: 2}).Plan(9, 5)
	if err != nil {
		t.Fatal(err)
	}
	same := make([]float32, 4*width)
	if err := one.Assemble(same, tiles[:4*width], nil, width); err != nil ||
		!slices.Equal(same, tiles[:4*width]) {
		t.Errorf("one tile became %v: %v", same, err)
	}
}

func TestImpossibleSizesHaveNoPlan(t *testing.T) {
	l := anyRes(t, 336, 14, "spatial_unpad")
	for _, s := range [][2]int{{0, 5}, {5, 0}, {-3, 5}, {5, math.MinInt}, {1 << 31, 5},
		{5, math.MaxInt}} {
		if _, err := l.Plan(s[0], s[1]); err == nil {
			t.Errorf("a plan for %d x %d pixels", s[0], s[1])
		}
		if n := l.Tokens(s[0], s[1]); n != 0 {
			t.Errorf("%d tokens for %d x %d pixels", n, s[0], s[1])
		}
	}
	if n := (Layout{Size: 336, Patch: 14, Aspect: AnyRes}).Tokens(5, 5); n != 0 {
		t.Errorf("%d tokens without pinpoints", n)
	}
}
