package accel

import (
	"testing"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
)

// Results are written while sources are still read.
func TestWhatOverlapsItsSourcesIsDeclined(t *testing.T) {
	for _, attention := range []bool{false, true} {
		if !takesOver(attention, 0, false, 0) {
			t.Fatalf("attention %v: not taken with memory of its own", attention)
		}
		sources := 2
		if attention {
			sources = 3
		}
		for source := range sources {
			for _, test := range []struct {
				name   string
				view   bool
				behind int
			}{
				{"a view", true, 0},
				{"its last number", false, sideBySide - 4},
				{"its first number", false, 4 - sideBySide},
			} {
				if takesOver(attention, source, test.view, test.behind) {
					t.Errorf("attention %v: taken though the result is %s of source %d", attention,
						test.name, source)
				}
			}
		}
		// Sources lie one after the other, so that behind the last of them is next to one and apart
		// from all.
		if !takesOver(attention, sources-1, false, 4*sideBySide) {
			t.Errorf("attention %v: declined though the result lies apart", attention)
		}
	}
}

// A token of an answer goes to kernels of few rows where they were measured to be the faster, and
// the matrix is large enough to be worth a split of the graph.
func TestASingleRowIsTakenWhereThatIsFaster(t *testing.T) {
	onEachIntegerISA(t, func(t *testing.T, isa string) {
		few := isa != "plain"
		for _, test := range []struct {
			typ  ggml.Type
			n, k int
			path path
			want bool
		}{
			{ggml.Q8_0, 2048, 2048, integers, few},
			{ggml.Q4_K, 2048, 2048, integers, few},
			{ggml.Q4_K, 2048, 2048, 0, false},
			{ggml.Q4_K, 256, 2048, integers, false},
			{ggml.Q5_K, 2048, 2048, integers, false}, // which has no such kernels
			{ggml.F16, 2048, 2048, floats, false},
		} {
			if got := takesSingle(test.typ, test.n, test.k, test.path); got != test.want {
				t.Errorf("%v, %d x %d, path %d: %v", test.typ, test.n, test.k, test.path, got)
			}
		}
	})
}

func TestPlansAreKeptUntilOthersWereUsedSince(t *testing.T) {
	defer holdScratch()()
	made := func(rows int) int {
		t.Helper()
		w, weights := newMatrices(t, ggml.F32, [4]int{16, 16, 1, 1}, plain, 0, 1)
		x, numbers := newMatrices(t, ggml.F32, [4]int{16, rows, 1, 1}, plain, 0, 2)
		before := plansMade()
		if !checkGraph(t, onednnF32, 8*unit, w, x, weights, numbers, 1) {
			t.Fatal("not taken")
		}
		return plansMade() - before
	}
	if n := made(1); n != 1 {
		t.Fatalf("%d plans are made for a new shape", n)
	}
	for rows := 2; rows <= maxPlans+10; rows++ {
		if n := made(rows); n != 1 {
			t.Fatalf("%d plans are made for %d rows", n, rows)
		}
		if n := made(1); n != 0 {
			t.Fatalf("after %d others the plan that is always used is made anew", rows-1)
		}
	}
	// Ours and maxPlans-1 of the last are kept. Asking from the last on keeps them so.
	for rows := maxPlans + 10; rows > 11; rows-- {
		if n := made(rows); n != 0 {
			t.Fatalf("the plan for %d rows, one of the last %d, is not kept", rows, maxPlans)
		}
	}
	if n := made(11); n != 1 {
		t.Error("more plans are kept than should be")
	}
}
