package kv

import (
	"cmp"
	"errors"
	"fmt"
	"hash/maphash"
	"slices"
	"testing"

	"github.com/eyelet-engine/eyelet/cgo/llama"
)

// kind is a kind of memory.
type kind int

const (
	plain  kind = iota // one pool of cells, positions can be moved
	mrope              // rows of a picture share a position, nothing can be moved
	window             // a second pool holds what lies in a sliding window
	rigid              // sequences cannot be cut or shared
)

func (k kind) String() string { return [...]string{"plain", "mrope", "window", "rigid"}[k] }

// fakeWindow is the sliding window of the fake memory, and fakeBatch the most items of a decode.
const (
	fakeWindow = 6
	fakeBatch  = 8
)

// fakeCell is one cell as libllama keeps it, and what a model would have computed into it: a digest
// of the item and of all that it attended to.
type fakeCell struct {
	pos   llama.Pos
	seqs  uint64 // a bit a sequence; the cell is free when there is none
	order int    // counts placements: the order among cells of one position
	item  Item
	kv    uint64
}

func (c *fakeCell) has(seq llama.Seq) bool { return c.seqs>>seq&1 == 1 }

// fakeMemory does what libllama's unified cache does, and fails the test where libllama would abort
// or corrupt its books.
type fakeMemory struct {
	t     testing.TB
	kind  kind
	cells []fakeCell
	// of the window: what is masked may be overwritten if one sequence alone has it
	near  []fakeCell
	order int
	dead  bool // every call fails
}

var errFake = errors.New("the memory cannot do that")

func newFake(t testing.TB, k kind, cells, sequences int) *fakeMemory {
	m := &fakeMemory{t: t, kind: k, cells: make([]fakeCell, cells)}
	if k == window {
		m.near = make([]fakeCell, fakeWindow*sequences+fakeBatch)
	}
	return m
}

// within calls f for the cells of seq, in both pools, whose position is in [p0, p1).
func (m *fakeMemory) within(seq llama.Seq, p0, p1 llama.Pos, f func(*fakeCell)) {
	for _, pool := range [][]fakeCell{m.cells, m.near} {
		for i := range pool {
			if c := &pool[i]; c.has(seq) && c.pos >= max(p0, 0) && (p1 < 0 || c.pos < p1) {
				f(c)
			}
		}
	}
}

func (m *fakeMemory) SeqCopy(src, dst llama.Seq, p0, p1 llama.Pos) error {
	if m.dead || m.kind == rigid {
		return errFake
	}
	m.within(src, p0, p1, func(c *fakeCell) {
		if c.has(dst) {
			m.t.Fatalf("position %d of sequence %d is copied to sequence %d, which has the cell",
				c.pos, src, dst)
		}
		c.seqs |= 1 << dst
	})
	return nil
}

func (m *fakeMemory) SeqRemove(seq llama.Seq, p0, p1 llama.Pos) error {
	all, part := 0, 0
	m.within(seq, -1, -1, func(*fakeCell) { all++ })
	m.within(seq, p0, p1, func(*fakeCell) { part++ })
	if m.dead || (m.kind == rigid && part > 0 && part < all) {
		return errFake
	}
	m.within(seq, p0, p1, func(c *fakeCell) { c.seqs &^= 1 << seq })
	return nil
}

func (m *fakeMemory) SeqAdd(seq llama.Seq, p0, p1, delta llama.Pos) error {
	if m.dead || m.kind == rigid || m.kind == mrope {
		return errFake
	}
	if p0 == p1 {
		return nil
	}
	var moved []*fakeCell
	m.within(seq, p0, p1, func(c *fakeCell) { moved = append(moved, c) })
	for _, c := range moved {
		if c.pos += delta; c.pos < 0 {
			c.seqs = 0
		}
	}
	return nil
}

func (m *fakeMemory) SeqPosMin(seq llama.Seq) llama.Pos {
	pool := m.cells
	if m.kind == window {
		pool = m.near
	}
	first := llama.Pos(-1)
	for i := range pool {
		if c := &pool[i]; c.has(seq) && (first < 0 || c.pos < first) {
			first = c.pos
		}
	}
	return first
}

// last is the largest position of a sequence, -1 if it is empty.
func (m *fakeMemory) last(seq llama.Seq) llama.Pos {
	last := llama.Pos(-1)
	m.within(seq, -1, -1, func(c *fakeCell) { last = max(last, c.pos) })
	return last
}

// held are the cells of a sequence by position.
func (m *fakeMemory) held(seq llama.Seq) (list []*fakeCell) {
	for i := range m.cells {
		if m.cells[i].has(seq) {
			list = append(list, &m.cells[i])
		}
	}
	slices.SortFunc(list, func(a, b *fakeCell) int {
		return cmp.Or(cmp.Compare(a.pos, b.pos), cmp.Compare(a.order, b.order))
	})
	return list
}

// count is the number of cells that are used, and of those that more than one sequence has.
func (m *fakeMemory) count() (used, shared int) {
	for _, c := range m.cells {
		if c.seqs != 0 {
			used++
		}
		if c.seqs&(c.seqs-1) != 0 {
			shared++
		}
	}
	return used, shared
}

var fakeSeed = maphash.MakeSeed()

// attend is what a model computes for an item behind others: before is what it computed for the one
// before it.
func attend(before uint64, it Item, pos llama.Pos) uint64 {
	return maphash.Comparable(fakeSeed, struct {
		before uint64
		it     Item
		pos    llama.Pos
	}{before, it, pos})
}

// decode computes items [from, to) of p in a sequence, or returns llama.ErrNoRoom and changes
// nothing.
func (m *fakeMemory) decode(seq llama.Seq, p *Prompt, from, to int) error {
	var places, near []*fakeCell
	for i := range m.cells {
		if m.cells[i].seqs == 0 {
			places = append(places, &m.cells[i])
		}
	}
	for i := range m.near {
		if m.masked(&m.near[i]) {
			near = append(near, &m.near[i])
		}
	}
	if len(places) < to-from || (m.kind == window && len(near) < to-from) {
		return fmt.Errorf("%w for %d items", llama.ErrNoRoom, to-from)
	}
	if last := m.last(seq); p.Pos[from] <= last {
		m.t.Fatalf("item %d at position %d in sequence %d, which stands at %d", from, p.Pos[from],
			seq, last)
	}
	before := uint64(0)
	if held := m.held(seq); len(held) > 0 {
		before = held[len(held)-1].kv
	}
	for i := from; i < to; i++ {
		m.order++
		before = attend(before, p.Items[i], p.Pos[i])
		c := fakeCell{pos: p.Pos[i], seqs: 1 << seq, order: m.order, item: p.Items[i], kv: before}
		*places[i-from] = c
		if m.kind == window {
			m.overwrite(near[i-from], c)
		}
	}
	m.seesWindow(seq, p.Pos[from])
	return nil
}

// masked reports whether a cell of the window's pool may be overwritten.
func (m *fakeMemory) masked(c *fakeCell) bool {
	if c.seqs&(c.seqs-1) != 0 {
		return false // libllama looks only at cells of one sequence
	}
	for seq := llama.Seq(0); seq < 64; seq++ {
		if c.has(seq) {
			return m.last(seq)+1-c.pos >= fakeWindow
		}
	}
	return true
}

// overwrite puts a new cell in the place of a masked one. What lies before the one that goes is
// removed too, as libllama does, so that a sequence has no holes.
func (m *fakeMemory) overwrite(old *fakeCell, c fakeCell) {
	gone := *old
	*old = c
	for i := range m.near {
		if o := &m.near[i]; o.seqs&gone.seqs != 0 && o.pos <= gone.pos {
			o.seqs &^= gone.seqs
		}
	}
}

// seesWindow fails the test if the item of a sequence at pos attends to something that is gone.
func (m *fakeMemory) seesWindow(seq llama.Seq, pos llama.Pos) {
	if m.kind != window {
		return
	}
	there := map[llama.Pos]bool{}
	for i := range m.near {
		if m.near[i].has(seq) {
			there[m.near[i].pos] = true
		}
	}
	for q := max(0, pos-fakeWindow+1); q < pos; q++ {
		if !there[q] {
			m.t.Fatalf("position %d of sequence %d attends to position %d, which is gone", pos, seq,
				q)
		}
	}
}

// equal checks that the books say what the memory holds.
func (m *fakeMemory) equal(c *Cache) error {
	running := uint64(0)
	for id, s := range c.seqs {
		held := m.held(llama.Seq(id))
		if s == nil {
			if len(held) > 0 {
				return fmt.Errorf("sequence %d is not in use and holds %d cells", id, len(held))
			}
			continue
		}
		if err := sameItems(s, held); err != nil {
			return fmt.Errorf("sequence %d: %w", id, err)
		}
		if s.Running {
			running |= 1 << id
		} else if s.Len() == 0 || s.shifted || s.private {
			return fmt.Errorf("sequence %d is kept with %d items, shifted %v, private %v", id,
				s.Len(), s.shifted, s.private)
		}
	}
	used, shared := m.count()
	needed := 0
	for _, cell := range m.cells {
		if cell.seqs&running != 0 {
			needed++
		}
	}
	n, st := len(m.cells), c.Stats()
	if c.Free() != n-used || c.Available() != n-needed {
		return fmt.Errorf("%d free and %d available by the books, %d and %d in truth", c.Free(),
			c.Available(), n-used, n-needed)
	}
	if st.Cells != n || st.Running != needed || st.Cached != used-needed || st.Shared != shared ||
		st.Sequences != len(c.seqs) {
		return fmt.Errorf("%+v, in truth %d of running sequences, %d of others, %d shared", st,
			needed, used-needed, shared)
	}
	return nil
}

// sameItems compares a sequence with its cells: items, positions, and that each was computed behind
// those before it.
func sameItems(s *Sequence, held []*fakeCell) error {
	if len(held) != s.Len() || len(s.Pos) != s.Len() || len(s.cells) != s.Len() {
		return fmt.Errorf("%d items, %d positions, %d cells by the books, %d cells in truth",
			s.Len(), len(s.Pos), len(s.cells), len(held))
	}
	before := uint64(0)
	for i, cell := range held {
		if cell.item != s.Items[i] || cell.pos != s.Pos[i] {
			return fmt.Errorf("item %d is %v at %d by the books, %v at %d in truth", i, s.Items[i],
				s.Pos[i], cell.item, cell.pos)
		}
		before = attend(before, s.Items[i], s.Pos[i])
		if cell.kv != before && !(s.shifted && i >= s.pure) {
			return fmt.Errorf("item %d was computed behind other items", i)
		}
	}
	if s.Len() > 0 && s.Next <= s.Pos[s.Len()-1] || s.Len() == 0 && s.Next != 0 {
		return fmt.Errorf("the next position is %d", s.Next)
	}
	return nil
}
