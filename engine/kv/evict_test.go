package kv

import (
	"testing"
)

// dearPictures makes a row of a picture cost ten tokens.
func dearPictures(c *Config) {
	c.Cost = func(it Item) float64 {
		if it.IsToken() {
			return 0.01
		}
		return 0.1
	}
}

// mustReserve makes room for n cells.
func (b *bench) mustReserve(n int) {
	b.t.Helper()
	if !b.Reserve(n) || b.Free() < n {
		b.t.Fatalf("no room for %d, %d are free and %d available", n, b.Free(), b.Available())
	}
	b.check()
}

func TestOfEqualSequencesTheLongestUnusedIsGivenUp(t *testing.T) {
	b := newBench(t, plain, 40, 4, dearPictures)
	long, short, middle := text(count(10, 23)...), text(count(30, 33)...), text(count(50, 57)...)
	b.keep(long)
	b.keep(short)
	b.keep(middle)
	b.Finish(b.run(long.add(23), 13)) // used again
	b.mustReserve(40 - 14 - 7)
	b.wantStanding("unused for long", short, 0)
	b.wantStanding("used before", middle, 7)
	b.mustReserve(40 - 14)
	b.wantStanding("used before", middle, 0)
	b.wantStanding("used last", long, 14)
}

func TestSharingIsUse(t *testing.T) {
	b := newBench(t, plain, 20, 4)
	served, other := text(1, 2, 3, 4), text(11, 12, 13, 14)
	b.keep(served)
	b.keep(other)
	if err := b.Drop(b.run(text(1, 2, 9), 2)); err != nil {
		t.Fatal(err)
	}
	b.mustReserve(13)
	b.wantStanding("what served somebody", served, 4)
	b.wantStanding("what did not", other, 3)
	p := text(11, 12, 13, 7)
	s := b.open(p.clone(), 3)
	b.mustReserve(14) // the other's last item is gone, its rest runs
	b.wantStanding("what did not serve since", served, 3)
	if err := b.Drop(s); err != nil {
		t.Fatal(err)
	}
}

func TestPicturesOutliveText(t *testing.T) {
	b := newBench(t, plain, 40, 4, dearPictures)
	seen := text(1).picture(1, 8, false, 1).add(2, 3)
	b.keep(seen)
	b.keep(text(count(20, 30)...))
	b.keep(text(count(30, 40)...))
	b.mustReserve(29)
	b.wantStanding("text", text(count(30, 40)...), 0)
	b.wantStanding("the picture", seen, 11)
	b.mustReserve(31)
	b.wantStanding("the picture without the text behind it", seen, 9)
}

// A picture that nobody asks about grows old: the floor rises with every sequence that is given up,
// until new text is worth more.
func TestWhatIsNeverUsedAgainAges(t *testing.T) {
	b := newBench(t, plain, 20, 4, dearPictures)
	seen := text().picture(1, 8, false, 1).add(2)
	b.keep(seen)
	for i := range 30 {
		from := 100 + 20*i
		b.keep(text(count(from, from+11)...)) // with the picture it fills all cells
		if b.standing(seen) < 8 {
			if i < 3 {
				t.Errorf("lost after %d prompts of text", i)
			}
			return
		}
	}
	t.Error("kept for ever")
}

func TestTheEndIsGivenUpBeforeTheBeginning(t *testing.T) {
	b := newBench(t, plain, 10, 2)
	p := text(count(0, 8)...)
	kept := b.keep(p)
	b.mustReserve(5)
	if kept.Len() != 5 || kept.Next != 5 {
		t.Errorf("%d items are left, the next is at %d", kept.Len(), kept.Next)
	}
	b.wantStanding("the beginning", p, 5)
}

func TestAWholePictureIsGivenUpWhole(t *testing.T) {
	b := newBench(t, mrope, 12, 2)
	p := text(1, 2).picture(1, 6, true, 0).add(3)
	b.keep(p)
	b.mustReserve(5)
	b.wantStanding("cut into the picture", p, 2)
	if b.Free() != 10 {
		t.Errorf("%d cells are free", b.Free())
	}
}

func TestAPrefixThatServesManyIsNotLostWithOne(t *testing.T) {
	b := newBench(t, plain, 30, 4)
	prefix := text(count(0, 10)...)
	var runs []*Sequence
	for i := range 3 {
		runs = append(runs, b.run(text(append(count(0, 10), 100+i, 110+i)...), min(10*i, 10)))
	}
	for _, s := range runs {
		b.Finish(s)
	}
	b.check()
	b.mustReserve(30 - 10 - 2)
	b.wantStanding("the prefix of all", prefix, 10)
	if n := len(b.Finished()); n != 1 {
		t.Errorf("%d sequences hold it, one is enough", n)
	}
}

// When the ends that differ are gone, none of the sequences has a cell for itself.
func TestCellsThatFinishedSequencesShareAreGivenUpToo(t *testing.T) {
	b := newBench(t, plain, 12, 4)
	first, second := b.run(text(1, 2, 3, 4), 0), b.run(text(1, 2, 3, 5), 3)
	third := b.run(text(1, 2, 6), 2)
	b.Finish(first)
	b.Finish(second)
	b.Finish(third)
	b.mustReserve(12)
}

func TestCellsOfRunningSequencesAreNeverGivenUp(t *testing.T) {
	b := newBench(t, plain, 12, 3)
	s := b.run(text(1, 2, 3), 0)
	b.Finish(b.run(text(1, 2, 3, 4, 5), 3))
	if b.Available() != 9 {
		t.Errorf("%d cells are available", b.Available())
	}
	if b.Reserve(10) || b.Free() != 7 {
		t.Errorf("10 cells of 9, %d are free", b.Free())
	}
	b.mustReserve(9)
	if s.Len() != 3 {
		t.Errorf("%d items run", s.Len())
	}
}

func TestASequenceThatIsPartOfAnotherIsDroppedAtTheEnd(t *testing.T) {
	b := newBench(t, plain, 20, 3)
	p, q := text(1, 2, 3), text(1, 2, 3, 4)
	first := b.run(p, 0)
	second := b.run(q, 3)
	b.Finish(first) // second goes on from all of it
	if n := len(b.Finished()); n != 0 {
		t.Errorf("%d sequences are kept", n)
	}
	b.check()
	b.Finish(second)
	b.wantStanding("the longer", q, 4)

	b = newBench(t, plain, 20, 3)
	first = b.run(p, 0)
	second = b.run(q, 3)
	b.Finish(second)
	b.Finish(first)
	if list := b.Finished(); len(list) != 1 || list[0] != second {
		t.Errorf("%d sequences are kept", len(list))
	}
	b.check()
}

func TestASequenceWithoutItemsIsNotKept(t *testing.T) {
	b := newBench(t, plain, 20, 3)
	b.Finish(b.open(text(1, 2), 0))
	if st := b.Stats(); st.Kept != 0 || st.Active != 0 {
		t.Errorf("%+v", st)
	}
}

// A sequence is announced once, when it has still all its items, however often it loses some; and
// again when it has served since.
func TestEvictIsToldOnceOfWhatIsAboutToGo(t *testing.T) {
	var announced []int
	b := newBench(t, plain, 10, 1, func(c *Config) {
		c.Evict = func(s *Sequence) { announced = append(announced, s.Len()) }
	})
	b.keep(text(count(0, 8)...))
	for n := 3; n < 6; n++ {
		b.mustReserve(n)
	}
	b.Finish(b.run(text(0, 1, 2, 3, 4, 7, 8), 5))
	b.mustReserve(5)
	b.open(text(0, 1, 9), 2) // of the only sequence the rest is lost
	want := []int{8, 7}
	if len(announced) != 2 || announced[0] != want[0] || announced[1] != want[1] {
		t.Errorf("announced at %d items, want %d", announced, want)
	}
}

func TestTheOneOfLowestRankIsCutEvenIfItHoldsTheBeginning(t *testing.T) {
	b := newBench(t, plain, 40, 2, dearPictures)
	seen := text(9).picture(1, 8, false, 1).add(2)
	old := b.keep(text(1, 2, 3, 4, 5))
	b.keep(seen)
	if s := b.run(text(1, 2, 8), 2); s != old {
		t.Error("another sequence was given up")
	}
	b.wantStanding("the picture", seen, 10)
}

func TestEvictIsToldWhenTheOnlySequenceIsCut(t *testing.T) {
	announced := 0
	b := newBench(t, plain, 10, 1, func(c *Config) {
		c.Evict = func(s *Sequence) { announced += s.Len() }
	})
	b.keep(text(1, 2, 3))
	b.open(text(1, 2, 9), 2)
	if announced != 3 {
		t.Errorf("announced at %d items", announced)
	}
}

func TestWorthIsCountedByTheCell(t *testing.T) {
	b := newBench(t, plain, 50, 3, dearPictures)
	seen := text().picture(1, 2, false, 1)
	b.keep(seen)
	b.keep(text(count(0, 40)...)) // dearer as a whole
	b.mustReserve(9)
	b.wantStanding("the picture", seen, 2)
}

// What others hold too would not be lost, and so does not make an end dear.
func TestWorthIsOfWhatWouldBeLost(t *testing.T) {
	b := newBench(t, plain, 40, 3, dearPictures)
	first := b.run(text().picture(1, 8, false, 1).add(2, 3), 0)
	second := b.run(text().picture(1, 8, false, 1).add(4, 5), 8)
	b.Finish(first)
	b.Finish(second)
	later := text(11, 12, 13)
	b.keep(later)
	b.mustReserve(b.Free() + 1)
	b.wantStanding("used last", later, 3)
	b.wantStanding("the end behind the shared picture", text().picture(1, 8, false, 1).add(2, 3), 9)
}

// caughtUp is a cache of a text that a reader has caught all of, and one that nobody uses.
func caughtUp(t *testing.T, sequences int) (b *bench, caught, other *Prompt) {
	b = newBench(t, plain, 20, sequences)
	caught, other = text(1, 2, 3), text(11, 12, 13, 14)
	p := caught.clone().add(4)
	b.catchUp(t, p, caught, other, 2)
	b.check()
	return b, caught, other
}

// catchUp has a reader of p find caught when it has read one item: n more of p stand then.
func (b *bench) catchUp(t *testing.T, p, caught, other *Prompt, n int) {
	t.Helper()
	s := b.open(p, 0)
	b.compute(s, p, 1)
	b.keep(caught)
	b.keep(other)
	if got, err := b.ShareLate(s, p); got != n || err != nil {
		t.Fatal(got, err)
	}
}

func TestWhatSomebodyElseHasIsGivenUpFirst(t *testing.T) {
	b, caught, other := caughtUp(t, 3)
	b.open(text(21), 0)
	b.wantStanding("what nobody else has", other, 4)
	b.wantStanding("what the reader has", caught, 3)
}

func TestCatchingIsUse(t *testing.T) {
	b := newBench(t, plain, 20, 4)
	caught, other, p := text(1, 2, 3, 4), text(11, 12, 13, 14), text(1, 2, 9)
	b.catchUp(t, p, caught, other, 1)
	b.mustReserve(b.Free() + 1)
	b.wantStanding("what was caught", caught, 4)
	b.wantStanding("what was not", other, 3)
}

func TestPicturesHaveNumbersForLife(t *testing.T) {
	var p Pictures
	a, c := Key{1}, Key{2}
	if p.Number(a) != 1 || p.Number(c) != 2 || p.Number(a) != 1 {
		t.Error("numbers are not counted from 1, or given again")
	}
	for n, want := range map[uint32]Key{1: a, 2: c} {
		if k, ok := p.Key(n); !ok || k != want {
			t.Errorf("number %d is %x, %v", n, k[:1], ok)
		}
	}
	for _, n := range []uint32{0, 3} {
		if _, ok := p.Key(n); ok {
			t.Errorf("number %d is a picture", n)
		}
	}
}
