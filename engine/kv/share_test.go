package kv

import (
	"errors"
	"testing"

	"github.com/eyelet-engine/eyelet/cgo/llama"
)

func TestAFinishedSequenceIsTakenOverWhereItEnds(t *testing.T) {
	for _, k := range []kind{plain, mrope, window, rigid} {
		b := newBench(t, k, 40, 2)
		kept := b.keep(text(1, 2, 3))
		s := b.run(text(1, 2, 3, 4, 5), 3)
		if s != kept || b.Free() != 35 {
			t.Errorf("%v: sequence %d with %d cells free", k, s.ID, b.Free())
		}
	}
}

func TestAFinishedSequenceThatGoesOnOtherwiseIsSharedAndStays(t *testing.T) {
	b := newBench(t, plain, 40, 2)
	kept := b.keep(text(1, 2, 3, 4))
	s := b.run(text(1, 2, 7, 8, 9), 2)
	if s == kept || b.Free() != 40-4-3 {
		t.Errorf("sequence %d with %d cells free", s.ID, b.Free())
	}
	b.wantStanding("what was there", text(1, 2, 3, 4), 4)
}

func TestARunningSequenceIsShared(t *testing.T) {
	b := newBench(t, plain, 40, 2)
	first := b.run(text(1, 2, 3), 0)
	second := b.run(text(1, 2, 3, 4), 3)
	if first == second || b.Free() != 36 {
		t.Errorf("sequence %d with %d cells free", second.ID, b.Free())
	}
	b.compute(first, text(1, 2, 3, 5), 4)
	if err := b.Drop(first); err != nil {
		t.Fatal(err)
	}
	b.check()
	if b.Free() != 36 {
		t.Errorf("%d cells are free", b.Free())
	}
}

func TestTakingOverIsPreferredToSharing(t *testing.T) {
	b := newBench(t, plain, 40, 4)
	b.keep(text(1, 2, 3, 9))
	kept := b.keep(text(1, 2, 3))
	b.keep(text(1, 2, 3, 8))
	if s := b.open(text(1, 2, 3, 4), 3); s != kept {
		t.Errorf("sequence %d was opened, %d ends there", s.ID, kept.ID)
	}
}

func TestTheLastItemIsNeverShared(t *testing.T) {
	b := newBench(t, plain, 40, 3)
	b.keep(text(1, 2, 3))
	b.open(text(1, 2, 3), 2)
	b.open(text(1), 0)
	b.open(text(), 0)
}

func TestTheLongestPrefixIsShared(t *testing.T) {
	b := newBench(t, plain, 60, 8)
	b.keep(text(1, 2, 9))
	b.keep(text(1, 2, 3, 4, 9))
	b.keep(text(1, 2, 3, 9))
	b.keep(text(7, 2, 3, 4, 5))
	b.open(text(1, 2, 3, 4, 5), 4)
}

func TestPicturesAreToldApartByTheirNumber(t *testing.T) {
	b := newBench(t, plain, 60, 4)
	b.keep(text(1).picture(1, 4, false, 1).add(5))
	b.open(text(1).picture(2, 4, false, 1).add(5), 1)
	b.open(text(1).picture(1, 4, false, 1).add(6), 5)
}

func TestAPictureThatCannotBeCutIsSharedWholeOrNotAtAll(t *testing.T) {
	for _, k := range []kind{plain, mrope} {
		stride := llama.Pos(1)
		if k == mrope {
			stride = 0
		}
		b := newBench(t, k, 60, 4)
		b.keep(text(1).picture(1, 4, true, stride).add(5))
		b.open(text(1).picture(1, 4, true, stride).add(6), 5)
		s := b.run(text(1, 2, 3).picture(1, 4, true, stride).add(5), 1)
		if err := b.Trim(s, 5); err != nil || s.Len() != 3 || len(s.Whole) != 0 {
			t.Errorf("%v: trimmed to %d items, %d of them pictures: %v", k, s.Len(), len(s.Whole),
				err)
		}
		b.check()
	}
	cut := text(1).picture(1, 4, false, 1).add(5)
	b := newBench(t, plain, 60, 4)
	if err := b.Trim(b.run(cut, 0), 3); err != nil {
		t.Fatal(err)
	}
	b.open(cut, 3)
}

func TestAPromptThatEndsInAPictureSharesNothingOfIt(t *testing.T) {
	b := newBench(t, plain, 60, 4)
	b.keep(text(1).picture(1, 4, true, 1).add(5))
	b.open(text(1).picture(1, 4, true, 1), 1)
}

func TestAFailedDecodeMayCostTheWindow(t *testing.T) {
	b := newBench(t, window, 60, 1)
	p := text(count(0, 40)...)
	s := b.open(p, 0)
	b.compute(s, p, 14)
	for from := 14; from < 38; from += fakeBatch {
		if err := b.mem.decode(s.ID, p, from, from+fakeBatch); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Resync(s); err != nil || s.Len() != 0 {
		t.Errorf("%d items are left: %v", s.Len(), err)
	}
	b.check()
}

func TestRowsOfOnePositionAreSharedTogether(t *testing.T) {
	b := newBench(t, mrope, 60, 3)
	p := text(1, 2).picture(1, 6, true, 0).add(5, 6)
	first := b.run(p, 0)
	second := b.run(text(1, 2).picture(1, 6, true, 0).add(7), 8)
	if second.Pos[8] != 6 || second.Next != 7 {
		t.Errorf("the item after the picture is at position %d, the next at %d", second.Pos[8],
			second.Next)
	}
	if err := b.Trim(first, 8); err != nil || first.Next != 6 {
		t.Errorf("trimmed to the picture the next position is %d: %v", first.Next, err)
	}
	b.check()
	if err := b.Trim(first, 7); err != nil || first.Len() != 2 || first.Next != 2 {
		t.Errorf("trimmed into the picture %d items are left, the next position is %d: %v",
			first.Len(), first.Next, err)
	}
	b.check()
}

func TestAReaderCatchesUpWithWhatAnotherHasComputed(t *testing.T) {
	b := newBench(t, plain, 40, 3)
	p, q := text(1, 2, 3, 4, 5), text(1, 2, 3, 4, 6)
	first, second := b.open(p, 0), b.open(q, 0)
	b.compute(first, p, 1)
	b.compute(second, q, 1)
	b.compute(first, p, 5)
	if n, err := b.ShareLate(second, q); n != 3 || err != nil {
		t.Errorf("%d items were gained: %v", n, err)
	}
	b.check()
	if n, err := b.ShareLate(second, q); n != 0 || err != nil {
		t.Errorf("%d items were gained from nothing: %v", n, err)
	}
	b.compute(second, q, 5)
	if n, err := b.ShareLate(second, q); n != 0 || err != nil || b.Free() != 40-5-2 {
		t.Errorf("%d items were gained at the end, %d cells are free: %v", n, b.Free(), err)
	}
}

func TestWhatIsOpenedAfreshSharesNothingWhileItRuns(t *testing.T) {
	b := newBench(t, plain, 40, 4)
	p := text(1, 2, 3, 4)
	b.keep(p)
	s, err := b.Open(p, true)
	if err != nil || s.Len() != 0 {
		t.Fatalf("%d items stand: %v", s.Len(), err)
	}
	b.compute(s, p, 1)
	if n, err := b.ShareLate(s, p); n != 0 || err != nil {
		t.Errorf("%d items were given to it: %v", n, err)
	}
	q := text(8, 9)
	s, err = b.Open(q, true)
	if err != nil {
		t.Fatal(err)
	}
	b.compute(s, q, 2)
	b.wantStanding("while it runs", q, 0)
	b.Finish(s)
	b.wantStanding("when it has finished", q, 2)
}

func TestOpenFailsOnlyWhenAllSequencesRun(t *testing.T) {
	b := newBench(t, plain, 40, 2)
	b.run(text(1, 2), 0)
	kept := b.keep(text(3, 4))
	s := b.run(text(5, 6), 0)
	if s.ID != kept.ID {
		t.Errorf("sequence %d was opened, %d had finished", s.ID, kept.ID)
	}
	b.wantStanding("what was given up", text(3, 4), 0)
	if _, err := b.Open(text(1, 2, 3), false); !errors.Is(err, ErrNoSequence) {
		t.Errorf("with all running: %v", err)
	}
	b.check()
}

// The only sequence that could be given up is the one that holds the beginning of the prompt.
func TestTheLastSequenceIsCutRatherThanEmptied(t *testing.T) {
	b := newBench(t, plain, 40, 1)
	kept := b.keep(text(1, 2, 3, 4))
	if s := b.run(text(1, 2, 5), 2); s != kept {
		t.Errorf("another sequence")
	}
}

func TestAWindowIsNotShared(t *testing.T) {
	b := newBench(t, window, 60, 3)
	first := b.run(text(1, 2, 3), 0)
	second := b.run(text(1, 2, 3, 4), 0)
	if n, err := b.ShareLate(second, text(1, 2, 3, 4, 5)); n != 0 || err != nil {
		t.Errorf("%d items were caught: %v", n, err)
	}
	b.Finish(first)
	b.Finish(second)
	b.check()
	b.wantStanding("the longer", text(1, 2, 3, 4), 4)
	b.wantStanding("the shorter", text(1, 2, 3), 3)
}

func TestASequenceWithAWindowIsCutOnlyWhereTheWindowStands(t *testing.T) {
	long := text()
	for i := range 30 {
		long.add(i)
	}
	b := newBench(t, window, 60, 1)
	kept := b.keep(long)
	first := b.mem.SeqPosMin(kept.ID)
	if first <= 0 {
		t.Fatalf("the window begins at %d", first)
	}
	// The item at position first+fakeWindow-1 attends to first and what is behind it.
	cut := int(first) + fakeWindow - 1
	b.wantStanding("before the window", text(count(0, cut-1)...), 0)
	b.wantStanding("within the window", text(count(0, cut)...), cut)
	if s := b.run(text(append(count(0, cut), 77, 78)...), cut); s != kept {
		t.Error("another sequence")
	}
	if err := b.Trim(kept, 3); err != nil || kept.Len() != 0 {
		t.Errorf("%d items are left before the window: %v", kept.Len(), err)
	}
	b.check()
}

func TestASequenceWithAWindowIsNotCutForLessThanIsLost(t *testing.T) {
	b := newBench(t, window, 60, 2)
	b.keep(text(1, 2, 3, 4, 5))
	b.open(text(1, 2, 7), 0)
	b.wantStanding("what was there", text(1, 2, 3, 4, 5), 5)
	b.open(text(1, 2, 3, 7), 3)
	b.wantStanding("what was cut", text(1, 2, 3, 4, 5), 0)
}

func TestRigidMemoryGoesOnFromItsEndAlone(t *testing.T) {
	b := newBench(t, rigid, 40, 3)
	kept := b.keep(text(1, 2, 3))
	b.open(text(1, 2, 7), 0)
	b.open(text(1, 2, 3), 0)
	if s := b.open(text(1, 2, 3, 4), 3); s != kept {
		t.Error("another sequence")
	}
	if n, err := b.ShareLate(b.seqs[1], text(1, 2, 3, 4)); n != 0 || err != nil {
		t.Errorf("%d items were caught: %v", n, err)
	}
	if err := b.Trim(kept, 2); err != nil || kept.Len() != 0 {
		t.Errorf("%d items are left: %v", kept.Len(), err)
	}
	b.check()
}

func TestWhatAFailedDecodeLeavesIsRemoved(t *testing.T) {
	for _, k := range []kind{plain, mrope, window, rigid} {
		b := newBench(t, k, 40, 2)
		p := text(1, 2, 3, 4, 5)
		s := b.run(text(1, 2, 3), 0)
		if err := b.mem.decode(s.ID, p, 3, 5); err != nil {
			t.Fatal(err)
		}
		if err := b.Resync(s); err != nil {
			t.Fatal(err)
		}
		if want := map[bool]int{false: 3, true: 0}[k == rigid]; s.Len() != want {
			t.Errorf("%v: %d items are left, want %d", k, s.Len(), want)
		}
		b.check()
		if err := b.Drop(s); err != nil {
			t.Fatal(err)
		}
		s = b.open(p, 0) // nothing of it was ever noted
		if err := b.mem.decode(s.ID, p, 0, 3); err != nil {
			t.Fatal(err)
		}
		if err := b.Drop(s); err != nil {
			t.Fatal(err)
		}
		b.check()
	}
}

func TestAppendRefusesWhatCannotBe(t *testing.T) {
	b := newBench(t, plain, 8, 2)
	p := text(1, 2).picture(1, 3, true, 1).add(4)
	s := b.run(p, 0)
	more := text(1, 2).picture(1, 3, true, 1).add(4, 5, 6, 7)
	if err := b.Append(s, more, 9); !errors.Is(err, ErrNoCells) {
		t.Errorf("with one cell too many: %v", err)
	}
	for name, err := range map[string]error{
		"fewer items than stand":    b.Append(s, p, 5),
		"more items than there are": b.Append(s, p, 7),
		"a prompt that lies elsewhere": b.Append(s, text(1, 2).picture(1, 3, true, 0).add(4, 5),
			7),
		"a part of a picture": b.Append(b.open(text(1, 2).picture(1, 3, true, 1).add(9),
			5), text(1, 2, 3, 4, 5).picture(1, 3, true, 1), 6),
		"the cells of a broken program": b.Append(s, more, 9),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	b.check()
}

func TestAPromptThatGrowsLeavesTheSequenceAlone(t *testing.T) {
	b := newBench(t, plain, 40, 2)
	p := text(1, 2, 3)
	p.Items, p.Pos = p.Items[:2], p.Pos[:2] // room to grow in place
	p.Next = 2
	s := b.run(p, 0)
	p.add(7)
	b.compute(s, p, 3)
	p.Items[0] = TokenItem(9)
	b.check()
	s2 := b.run(text(1, 2, 7, 8), 3)
	s2.Items[0] = TokenItem(9)
	if s.Items[0] != TokenItem(1) {
		t.Error("sequences share an array")
	}
}

func TestAdoptMakesRoomForWhatComesBack(t *testing.T) {
	b := newBench(t, plain, 10, 2)
	run := b.run(text(1, 2, 3, 4), 0)
	b.keep(text(5, 6, 7, 8))
	if _, err := b.Adopt(text(count(20, 27)...), 7); !errors.Is(err, ErrNoCells) {
		t.Errorf("7 items for 6 cells: %v", err)
	}
	b.wantStanding("nothing is given up for nothing", text(5, 6, 7, 8), 4)
	p := text(count(20, 27)...)
	s, err := b.Adopt(p, 6)
	if err != nil || s.Len() != 6 || !s.Running {
		t.Fatal(err)
	}
	if err := b.mem.decode(s.ID, p, 0, 6); err != nil {
		t.Fatal(err)
	}
	b.check()
	if _, err := b.Adopt(p, 0); !errors.Is(err, ErrNoSequence) {
		t.Errorf("with all running: %v", err)
	}
	for _, q := range []*Sequence{s, run} {
		if err := b.Drop(q); err != nil {
			t.Fatal(err)
		}
	}
	b.check()
	if b.Free() != 10 {
		t.Errorf("%d cells are free", b.Free())
	}
}

func TestAMemoryThatFailsIsAnErrorAndNoLoop(t *testing.T) {
	b := newBench(t, plain, 10, 2)
	b.keep(text(1, 2, 3))
	s := b.run(text(1, 2, 4), 2)
	b.mem.dead = true
	if _, err := b.Open(text(1, 2, 5), false); err == nil {
		t.Error("opened")
	}
	if err := b.Trim(s, 1); err == nil {
		t.Error("trimmed")
	}
	if err := b.Resync(s); err == nil {
		t.Error("resynced")
	}
	if n, err := b.ShareLate(s, text(1, 2, 3, 9)); n != 0 || err != nil {
		t.Errorf("caught %d: %v", n, err)
	}
	if err := b.Drop(s); err == nil {
		t.Error("dropped")
	}
	if !b.Reserve(10) {
		t.Error("what is lost takes up cells")
	}
}
