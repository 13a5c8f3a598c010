package kv

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/eyelet-engine/eyelet/cgo/llama"
	"pgregory.net/rapid"
)

// job is a request of a schedule.
type job struct {
	seq *Sequence
	p   *Prompt // grows as tokens are drawn
	has []Item  // what the sequence must hold: nothing but the job itself may change that
}

// saved is a sequence that was put aside with n items.
type saved struct {
	p *Prompt
	n int
}

// schedule is a random sequence of operations on a cache over a fake memory.
type schedule struct {
	t         *rapid.T
	kind      kind
	c         *Cache
	mem       *fakeMemory
	jobs      []*job
	announced map[*Sequence]bool
	saved     []saved // sequences that were put aside
}

// Whatever is opened, computed, shared, cut, moved, restored and given up in whatever order: the
// books say what the memory holds, every item was computed behind the items before it, running
// sequences keep what they have, and nothing leaks.
func TestBooksEqualTheMemoryOverRandomSchedules(t *testing.T) {
	for _, k := range []kind{plain, mrope, window, rigid} {
		for _, sequences := range []int{1, 2, 3, 4, 5, 6, 8, 12} {
			t.Run(fmt.Sprintf("%v/%d", k, sequences), func(t *testing.T) {
				t.Parallel()
				rapid.Check(t, func(rt *rapid.T) { runSchedule(t, rt, k, sequences) })
			})
		}
	}
}

func runSchedule(t *testing.T, rt *rapid.T, k kind, sequences int) {
	cells := rapid.IntRange(12, 60).Draw(rt, "cells")
	s := &schedule{t: rt, kind: k, mem: newFake(t, k, cells, sequences),
		announced: map[*Sequence]bool{}}
	cfg := Config{Memory: s.mem, Cells: cells, Sequences: sequences, Rigid: k == rigid,
		Evict: s.evicted}
	if k == window {
		cfg.Window = fakeWindow
	}
	cfg.Cost = func(it Item) float64 { return 0.1 + 3*float64(min(it.Picture, 1)) }
	s.c = New(cfg)
	rt.Repeat(map[string]func(*rapid.T){
		"open":    s.open,
		"compute": s.compute,
		"draw":    s.compute, // computing is what happens most
		"fail":    s.fail,
		"catch":   s.catch,
		"finish":  s.finish,
		"drop":    s.drop,
		"trim":    s.trim,
		"shift":   s.shift,
		"reserve": s.reserve,
		"adopt":   s.adopt,
		"":        func(*rapid.T) { s.check() },
	})
	s.empty()
}

// evicted is Config.Evict: it is told once about a finished sequence, while its items still stand.
func (s *schedule) evicted(q *Sequence) {
	if q.Running || q.Len() == 0 || s.announced[q] {
		s.t.Fatalf("announced of sequence %d: running %v, %d items, announced before %v", q.ID, q.Running,
			q.Len(), s.announced[q])
	}
	s.announced[q] = true
	if err := sameItems(q, s.mem.held(q.ID)); err != nil {
		s.t.Fatalf("announced too late of sequence %d: %v", q.ID, err)
	}
}

func (s *schedule) check() {
	if err := s.mem.equal(s.c); err != nil {
		s.t.Fatal(err)
	}
	active := 0
	for _, j := range s.jobs {
		if !j.seq.Running || s.c.seqs[j.seq.ID] != j.seq || !slices.Equal(j.seq.Items, j.has) {
			s.t.Fatalf("running sequence %d holds %v, want %v", j.seq.ID, j.seq.Items, j.has)
		}
		if !slices.Equal(j.seq.Items, j.p.Items[:j.seq.Len()]) ||
			!slices.Equal(j.seq.Pos, j.p.Pos[:j.seq.Len()]) {
			s.t.Fatalf("running sequence %d holds %v, which does not begin %v", j.seq.ID,
				j.seq.Items, j.p.Items)
		}
		active++
	}
	st := s.c.Stats()
	if st.Active != active || st.Kept != len(s.c.Finished()) {
		s.t.Fatalf("%+v with %d running sequences and %d finished", st, active, len(s.c.Finished()))
	}
}

// draw is a prompt that shares its beginning with others often.
func (s *schedule) draw() *Prompt {
	p := &Prompt{}
	for range rapid.IntRange(1, 7).Draw(s.t, "parts") {
		switch n := rapid.IntRange(0, 7).Draw(s.t, "part"); {
		case n == 7 && s.kind == mrope:
			p.picture(1, 4, true, 0)
		case n == 7:
			p.picture(1, 4, true, 1)
		case n == 6 && s.kind != mrope:
			p.picture(2, 3, false, 1)
		default:
			p.add(n % 2)
		}
	}
	return p.add(rapid.IntRange(0, 1).Draw(s.t, "last"))
}

// job is one of those that run.
func (s *schedule) job() *job {
	if len(s.jobs) == 0 {
		s.t.Skip("nothing runs")
	}
	return rapid.SampledFrom(s.jobs).Draw(s.t, "job")
}

func (s *schedule) start(q *Sequence, p *Prompt) {
	delete(s.announced, q)
	s.jobs = append(s.jobs, &job{q, p, slices.Clone(q.Items)})
}

func (s *schedule) open(*rapid.T) {
	p, fresh := s.draw(), rapid.IntRange(0, 4).Draw(s.t, "fresh") == 0
	from, n := s.c.Match(p)
	q, err := s.c.Open(p, fresh)
	if err != nil {
		if !errors.Is(err, ErrNoSequence) || len(s.jobs) < len(s.c.seqs) {
			s.t.Fatalf("%v with %d sequences running", err, len(s.jobs))
		}
		return
	}
	if fresh {
		from, n = nil, 0
	}
	if q.Len() != n || n >= len(p.Items) || (from == nil) != (n == 0) {
		s.t.Fatalf("%d items stand, Match said %d", q.Len(), n)
	}
	s.start(q, p)
}

// next is where a decode of some items of p from item at on may end.
func (s *schedule) next(p *Prompt, at int) int {
	n := min(at+rapid.IntRange(1, fakeBatch).Draw(s.t, "items"), len(p.Items))
	if cut := p.Cut(n); cut > at {
		return cut
	}
	for p.Cut(n) != n {
		n++
	}
	return n
}

// room reserves cells, and checks what Reserve promises.
func (s *schedule) room(n int) bool {
	available, free := s.c.Available(), s.c.Free()
	ok := s.c.Reserve(n)
	switch {
	case ok != (n <= available):
		s.t.Fatalf("Reserve(%d) is %v with %d cells available", n, ok, available)
	case ok && s.c.Free() < n:
		s.t.Fatalf("Reserve(%d) is true with %d cells free", n, s.c.Free())
	case (!ok || free >= n) && s.c.Free() != free:
		s.t.Fatalf("Reserve(%d) gave up cells for nothing", n)
	case s.c.Available() != available:
		s.t.Fatalf("Reserve(%d) changed what is available from %d to %d", n, available,
			s.c.Available())
	}
	return ok
}

func (s *schedule) compute(*rapid.T) {
	j := s.job()
	have := j.seq.Len()
	if have == len(j.p.Items) {
		j.p.add(rapid.IntRange(0, 1).Draw(s.t, "token"))
	}
	n := s.next(j.p, have)
	if !s.room(n - have) {
		return
	}
	if err := s.mem.decode(j.seq.ID, j.p, have, n); err != nil {
		s.t.Fatalf("%v, the books say that %d cells are free", err, s.c.Free())
	}
	if err := s.c.Append(j.seq, j.p, n); err != nil {
		s.t.Fatal(err)
	}
	j.has = append(j.has, j.p.Items[have:n]...)
}

// fail is a decode that leaves some of its items behind before it fails.
func (s *schedule) fail(*rapid.T) {
	j := s.job()
	have := j.seq.Len()
	if have == len(j.p.Items) {
		j.p.add(0)
	}
	n := s.next(j.p, have)
	if !s.room(n - have) {
		return
	}
	if err := s.mem.decode(j.seq.ID, j.p, have, n); err != nil {
		s.t.Fatal(err)
	}
	if rapid.Bool().Draw(s.t, "drop") {
		s.end(j)
		if err := s.c.Drop(j.seq); err != nil {
			s.t.Fatal(err)
		}
		return
	}
	if err := s.c.Resync(j.seq); err != nil {
		s.t.Fatal(err)
	}
	s.cutTo(j, have)
}

// cutTo accepts that a sequence was cut at n, or emptied by memory that cannot be cut.
func (s *schedule) cutTo(j *job, n int) {
	if got := j.seq.Len(); got != n && (got != 0 || s.kind == plain || s.kind == mrope) {
		s.t.Fatalf("%d items are left, want %d", got, n)
	}
	j.has = j.has[:j.seq.Len()]
}

func (s *schedule) catch(*rapid.T) {
	j := s.job()
	have := j.seq.Len()
	_, most := s.c.Match(j.p)
	n, err := s.c.ShareLate(j.seq, j.p)
	if err != nil || j.seq.Len() != have+n {
		s.t.Fatalf("caught %d items, %d stood, %d do: %v", n, have, j.seq.Len(), err)
	}
	if can := s.c.shares() && !j.seq.private && !j.seq.shifted; can && j.seq.Len() < most ||
		!can && n > 0 {
		s.t.Fatalf("caught %d items behind %d where %d stand", n, have, most)
	}
	j.has = append(j.has, j.p.Items[have:have+n]...)
}

func (s *schedule) end(j *job) {
	i := slices.Index(s.jobs, j)
	s.jobs = slices.Delete(s.jobs, i, i+1)
}

func (s *schedule) finish(*rapid.T) {
	j := s.job()
	s.end(j)
	shifted := j.seq.shifted
	s.c.Finish(j.seq)
	s.c.Finish(j.seq) // the second time nothing happens
	if n := len(j.has); !shifted {
		q := &Prompt{Items: append(j.has, TokenItem(99)), Pos: append(j.p.Pos[:n:n],
			j.p.Position(n)), Next: j.p.Position(n) + 1}
		if _, got := s.c.Match(q); got != n {
			s.t.Fatalf("finished with %d items, of which %d can be had", n, got)
		}
	}
}

func (s *schedule) drop(*rapid.T) {
	j := s.job()
	s.end(j)
	if j.seq.Len() > 0 && !j.seq.shifted {
		s.saved = append(s.saved, saved{j.p, j.seq.Len()})
	}
	for range 2 { // the second time nothing happens
		if err := s.c.Drop(j.seq); err != nil {
			s.t.Fatal(err)
		}
	}
}

func (s *schedule) trim(*rapid.T) {
	j := s.job()
	n := rapid.IntRange(0, j.seq.Len()).Draw(s.t, "to")
	want := j.p.Cut(n)
	if err := s.c.Trim(j.seq, n); err != nil {
		s.t.Fatal(err)
	}
	s.cutTo(j, want)
}

func (s *schedule) shift(*rapid.T) {
	j := s.job()
	have := j.seq.Len()
	keep, n := rapid.IntRange(0, have).Draw(s.t, "keep"), rapid.IntRange(0, have).Draw(s.t, "n")
	ok, err := s.c.Shift(j.seq, keep, n)
	if err != nil {
		s.t.Fatal(err)
	}
	if !ok {
		return // that nothing has changed is what check sees
	}
	if s.kind != plain || n == 0 {
		s.t.Fatal("shifted what cannot be")
	}
	end := keep + n
	d := j.p.Pos[end] - j.p.Pos[keep]
	p := &Prompt{Items: slices.Delete(slices.Clone(j.p.Items), keep, end),
		Pos: slices.Delete(slices.Clone(j.p.Pos), keep, end), Next: j.p.Next - d}
	for i := keep; i < len(p.Pos); i++ {
		p.Pos[i] -= d
	}
	for _, w := range j.p.Whole {
		if w[1] <= keep {
			p.Whole = append(p.Whole, w)
		} else if w[0] >= end {
			p.Whole = append(p.Whole, [2]int{w[0] - n, w[1] - n})
		}
	}
	j.p, j.has = p, slices.Clone(p.Items[:have-n])
}

func (s *schedule) reserve(*rapid.T) { s.room(rapid.IntRange(0, 20).Draw(s.t, "cells")) }

// adopt brings back a sequence that was dropped.
func (s *schedule) adopt(*rapid.T) {
	if len(s.saved) == 0 {
		// not Skip: rapid draws this action more often than others, and gives up where it draws
		// nothing else a hundred times
		return
	}
	aside := rapid.SampledFrom(s.saved).Draw(s.t, "saved")
	p, n, available := aside.p.clone(), aside.n, s.c.Available()
	q, err := s.c.Adopt(p, n)
	switch {
	case n > available:
		if !errors.Is(err, ErrNoCells) {
			s.t.Fatalf("%v for %d items with %d cells available", err, n, available)
		}
		return
	case len(s.jobs) == len(s.c.seqs):
		if !errors.Is(err, ErrNoSequence) {
			s.t.Fatalf("%v with all sequences running", err)
		}
		return
	case err != nil:
		s.t.Fatal(err)
	}
	if err := s.restore(q.ID, p, n); err != nil || rapid.Bool().Draw(s.t, "fails") {
		if errors.Is(err, llama.ErrNoRoom) {
			s.t.Fatal(err)
		}
		if err := s.c.Drop(q); err != nil {
			s.t.Fatal(err)
		}
		return
	}
	s.start(q, p)
}

// restore fills a sequence as reading a state does: all of the pool of cells, and the end of the
// window.
func (s *schedule) restore(id llama.Seq, p *Prompt, n int) error {
	for at := 0; at < n; {
		to := min(at+fakeBatch, n)
		if cut := p.Cut(to); cut > at {
			to = cut
		}
		if err := s.mem.decode(id, p, at, to); err != nil {
			return err
		}
		at = to
	}
	return nil
}

// empty ends everything, after which nothing may be left.
func (s *schedule) empty() {
	for i, j := range slices.Clone(s.jobs) {
		s.end(j)
		if i%2 == 0 {
			s.c.Finish(j.seq)
		} else if err := s.c.Drop(j.seq); err != nil {
			s.t.Fatal(err)
		}
		s.check()
	}
	if n := len(s.c.cells.refs); !s.room(n) || s.c.Free() != n {
		s.t.Fatalf("%d cells are free of %d", s.c.Free(), n)
	}
	s.check()
	for id, q := range s.c.seqs {
		if q != nil {
			s.t.Fatalf("sequence %d is left with %d items", id, q.Len())
		}
	}
}
