package kv

import (
	"slices"
	"testing"
)

func TestShiftDropsTheMiddleAndMovesTheRest(t *testing.T) {
	b := newBench(t, plain, 10, 2)
	s := b.run(text(count(0, 8)...), 0)
	if ok, err := b.Shift(s, 2, 3); !ok || err != nil {
		t.Fatal(ok, err)
	}
	b.check()
	if !slices.Equal(s.Items, text(0, 1, 5, 6, 7).Items) ||
		!slices.Equal(s.Pos, text(count(0, 5)...).Pos) || s.Next != 5 || b.Free() != 5 {
		t.Errorf("%v at %v, next %d, %d cells free", s.Items, s.Pos, s.Next, b.Free())
	}
	b.compute(s, text(0, 1, 5, 6, 7, 8), 6)
}

func TestWhatWasShiftedIsNoPrefixOfAnything(t *testing.T) {
	b := newBench(t, plain, 30, 4)
	s := b.run(text(count(0, 8)...), 0)
	if ok, err := b.Shift(s, 2, 3); !ok || err != nil {
		t.Fatal(ok, err)
	}
	b.wantStanding("while it runs", text(0, 1, 5, 6, 7), 2)
	other := b.run(text(0, 1, 5, 6, 7, 8, 9), 2)
	if n, err := b.ShareLate(s, text(0, 1, 5, 6, 7, 8, 9)); n != 0 || err != nil {
		t.Errorf("it caught %d items: %v", n, err)
	}
	if err := b.Drop(other); err != nil {
		t.Fatal(err)
	}
	if ok, err := b.Shift(s, 3, 1); !ok || err != nil {
		t.Fatal(ok, err)
	}
	b.wantStanding("shifted again further on", text(0, 1, 5, 7), 2)
	b.Finish(s)
	b.check()
	b.wantStanding("finished", text(0, 1, 5, 7), 2)
	if b.Free() != 28 {
		t.Errorf("%d cells are free", b.Free())
	}
}

func TestAnIsolatedSequenceNeitherGivesNorTakes(t *testing.T) {
	b := newBench(t, plain, 30, 4)
	p := text(count(0, 8)...)
	s := b.open(p, 0)
	b.compute(s, p, 6)
	b.Isolate(s)
	b.wantStanding("while it runs", p, 0)
	b.run(p, 0)
	if n, err := b.ShareLate(s, p); n != 0 || err != nil {
		t.Errorf("it caught %d items: %v", n, err)
	}
}

func TestASequenceTrimmedToWhatWasNotShiftedIsLikeAnyOther(t *testing.T) {
	b := newBench(t, plain, 30, 4)
	s := b.run(text(count(0, 8)...), 0)
	if ok, err := b.Shift(s, 4, 1); !ok || err != nil {
		t.Fatal(ok, err)
	}
	if err := b.Trim(s, 4); err != nil {
		t.Fatal(err)
	}
	b.compute(s, text(0, 1, 2, 3, 9), 5)
	b.wantStanding("computed anew", text(0, 1, 2, 3, 9), 5)
}

func TestShiftIsRefusedOnSharedCells(t *testing.T) {
	b := newBench(t, plain, 30, 3)
	s := b.run(text(count(0, 8)...), 0)
	other := b.run(text(0, 1, 2, 3, 4, 9), 5)
	if ok, err := b.Shift(s, 1, 2); ok || err != nil {
		t.Errorf("moved items 3 and 4, which another has: %v", err)
	}
	b.check()
	if ok, err := b.Shift(s, 1, 4); !ok || err != nil {
		t.Errorf("what another has was dropped, not moved: %v %v", ok, err)
	}
	b.check()
	if !slices.Equal(other.Items, text(0, 1, 2, 3, 4, 9).Items) {
		t.Errorf("the other holds %v", other.Items)
	}
}

func TestShiftIsRefusedByMemoryThatCannotMove(t *testing.T) {
	for _, k := range []kind{mrope, window, rigid} {
		b := newBench(t, k, 30, 3)
		s := b.run(text(0, 1, 2, 3), 0)
		if ok, err := b.Shift(s, 1, 1); ok || err != nil || s.Len() != 4 {
			t.Errorf("%v: %v, %v, %d items", k, ok, err, s.Len())
		}
		b.check()
	}
}

func TestShiftIsRefusedWhereItWouldCutAPictureOrLeaveNothing(t *testing.T) {
	b := newBench(t, plain, 30, 3)
	p := text(0, 1).picture(1, 3, true, 1).add(5, 6).picture(2, 3, true, 1).add(7)
	s := b.run(p, 0)
	for _, r := range [][2]int{{3, 3}, {1, 2}, {1, 0}, {1, -1}, {-1, 2}, {0, 11}, {0, 12}} {
		if ok, err := b.Shift(s, r[0], r[1]); ok || err != nil {
			t.Errorf("%d items at %d: %v, %v", r[1], r[0], ok, err)
		}
	}
	if ok, err := b.Shift(s, 1, 4); !ok || err != nil {
		t.Errorf("a whole picture: %v %v", ok, err)
	}
	b.check()
	if !slices.Equal(s.Whole, [][2]int{{3, 6}}) {
		t.Errorf("whole are %v", s.Whole)
	}
}
