package kv

import (
	"errors"
	"fmt"

	"github.com/eyelet-engine/eyelet/cgo/llama"
)

var (
	// ErrNoCells is returned when cells are wanted and all belong to running sequences.
	ErrNoCells = errors.New("kv: no cells left")
	// ErrNoSequence is returned when all sequences are running.
	ErrNoSequence = errors.New("kv: no sequence left")
)

// Memory is the part of a context's memory that a [Cache] uses. llama.Memory implements it.
type Memory interface {
	SeqCopy(src, dst llama.Seq, p0, p1 llama.Pos) error
	SeqRemove(seq llama.Seq, p0, p1 llama.Pos) error
	SeqAdd(seq llama.Seq, p0, p1, delta llama.Pos) error
	SeqPosMin(seq llama.Seq) llama.Pos
}

// Config describes the memory that a [Cache] manages.
type Config struct {
	Memory    Memory
	Cells     int // of the context, one pool for all sequences
	Sequences int // of the context
	// Window is the length of a sliding window of attention in positions, 0 without one. libllama
	// gives up cells that no longer lie in the window, but never one that two sequences hold:
	// sharing would fill the window's own small pool with cells that nobody reads. A sequence with
	// a window is therefore not shared, only gone on with, and cut only where the window before the
	// cut still stands. A context that keeps all cells (llama.ContextParams.SWAFull) is one without
	// a window here.
	Window llama.Pos
	// Rigid memory (recurrent models) can neither be cut nor shared: a sequence can only go on from
	// its end.
	Rigid bool
	// Cost is the time in seconds that an item takes to come back once it is gone; nil counts each
	// item as 1.
	Cost func(Item) float64
	// Evict, if not nil, is called once for a finished sequence, before the first of its items is
	// evicted that no other sequence holds. It may read the sequence and its cells, and must not
	// change the Cache.
	Evict func(*Sequence)
}

// Cache keeps the books of a context's memory. See the package comment.
type Cache struct {
	cfg   Config
	cells cells
	seqs  []*Sequence // by number, nil for one not in use
	floor float64     // of finished sequences' ranks, see rank
	clock uint64      // counts uses of finished sequences
}

// Sequence is a sequence of the context. Its fields are read by others and changed by the Cache
// alone.
type Sequence struct {
	// ID is libllama's number of it.
	ID llama.Seq
	// Prompt holds the items that stand in the memory.
	Prompt
	// Running sequences are never evicted. The others are there to be shared, until room is needed.
	Running bool

	cells []int32 // of each item
	// After a Shift the items from pure on depend on others that are gone: a prompt of the same
	// items would have other cells, so none may share them.
	shifted   bool
	pure      int
	private   bool    // opened afresh: while it runs, nothing is taken from it or given to it
	announced bool    // Config.Evict was called since it finished
	rank      float64 // of a finished sequence: what was the floor when it was last used
	used      uint64  // of a finished sequence: the clock when it was last used
}

// Len is the number of items that stand in the memory.
func (s *Sequence) Len() int { return len(s.Items) }

// New makes a Cache over an empty memory.
func New(cfg Config) *Cache {
	if cfg.Cost == nil {
		cfg.Cost = func(Item) float64 { return 1 }
	}
	return &Cache{cfg: cfg, cells: newCells(cfg.Cells), seqs: make([]*Sequence, cfg.Sequences)}
}

// shares reports whether sequences can hold cells together.
func (c *Cache) shares() bool { return !c.cfg.Rigid && c.cfg.Window <= 0 }

// Match returns the sequence that holds the longest prefix of p that can be shared, and the
// prefix's length, or nil and 0. The last item of p is never part of it, since its output is
// wanted. Among sequences with the same prefix, one that can be taken over comes first.
func (c *Cache) Match(p *Prompt) (from *Sequence, n int) {
	for _, s := range c.seqs {
		if s == nil || s.Len() < n {
			continue
		}
		if k := c.usable(s, p, n); k > n || (k == n && k > 0 && !s.Running && s.Len() == k) {
			from, n = s, k
		}
	}
	return from, n
}

// Holder returns the sequence in which p was computed: it holds all items of p, or all but the
// last. Of several it returns the one with the fewest items beyond, and nil if there is none. Items
// that a Shift has moved do not count.
func (c *Cache) Holder(p *Prompt) (best *Sequence) {
	for _, s := range c.seqs {
		if s == nil || s.shifted || s.Len() == 0 || (best != nil && best.Len() <= s.Len()) {
			continue
		}
		if n := Common(s.Items, p.Items); n >= len(p.Items)-1 && s.Position(n) == p.Position(n) {
			best = s
		}
	}
	return best
}

// usable returns the length of the prefix of p that s can share, or 0 where that is below least.
func (c *Cache) usable(s *Sequence, p *Prompt, least int) int {
	if s.private && s.Running {
		return 0
	}
	if least > 0 && s.Items[least-1] != p.Items[least-1] { // most sequences are done with here
		return 0
	}
	n := min(Common(s.Items, p.Items), len(p.Items)-1)
	if s.shifted {
		n = min(n, s.pure)
	}
	n = p.Cut(n)
	if n <= 0 || n < least || s.Position(n) != p.Position(n) {
		return 0
	}
	switch {
	case c.cfg.Rigid && (s.Running || n != s.Len()):
		return 0
	case c.cfg.Window > 0 && (s.Running || n < s.Len()-n || !c.windowStands(s, p.Position(n))):
		return 0 // taking it over cuts it, which must not lose more than it gains
	}
	return n
}

// windowStands reports whether all that the item at position next attends to is still there: the
// positions within the window, which includes its own.
func (c *Cache) windowStands(s *Sequence, next llama.Pos) bool {
	w := c.cfg.Window
	if w <= 0 {
		return true
	}
	first := c.cfg.Memory.SeqPosMin(s.ID)
	return first >= 0 && first <= max(0, next-w+1)
}

// Open returns a running sequence for p, which begins with as many items of p as the memory holds
// already: its Len. A finished sequence that ends there is taken over; else the cells are shared.
// With fresh nothing is shared, neither now nor while the sequence runs. The error is
// ErrNoSequence, or one of the memory.
func (c *Cache) Open(p *Prompt, fresh bool) (*Sequence, error) {
	var from *Sequence
	n := 0
	if !fresh {
		from, n = c.Match(p)
	}
	if from != nil && !from.Running && (n == from.Len() || !c.shares()) {
		return c.takeOver(from, n)
	}
	s, err := c.empty(from)
	if err != nil {
		return nil, err
	}
	if s == from {
		c.announce(from)
		return c.takeOver(from, n)
	}
	s.private = fresh
	if n > 0 {
		if err := c.copy(from, s, p, n); err != nil {
			return nil, errors.Join(err, c.Drop(s))
		}
		c.use(from)
	}
	return s, nil
}

// takeOver makes the first n items of a finished sequence a running one.
func (c *Cache) takeOver(s *Sequence, n int) (*Sequence, error) {
	s.Running = true
	c.cells.start(s.cells)
	if err := c.Trim(s, n); err != nil {
		return nil, errors.Join(err, c.Drop(s))
	}
	return s, nil
}

// use notes that a request uses the sequence, or has just ended, for the order of eviction.
func (c *Cache) use(s *Sequence) {
	c.clock++
	s.rank, s.used = c.floor, c.clock
}

// empty returns a running sequence without items. If keep would be the one to evict for it, keep is
// returned as it is.
func (c *Cache) empty(keep *Sequence) (*Sequence, error) {
	for id, s := range c.seqs {
		if s == nil {
			s = &Sequence{ID: llama.Seq(id), Running: true}
			c.seqs[id] = s
			return s, nil
		}
	}
	victim := c.victim()
	if victim == nil {
		return nil, ErrNoSequence
	}
	if victim == keep {
		return keep, nil
	}
	c.evict(victim, victim.Len())
	s := &Sequence{ID: victim.ID, Running: true}
	c.seqs[s.ID] = s
	return s, nil
}

// copy appends to s the items of p from its Len up to n, which from holds.
func (c *Cache) copy(from, s *Sequence, p *Prompt, n int) error {
	have := s.Len()
	if err := c.cfg.Memory.SeqCopy(from.ID, s.ID, p.Position(have), p.Position(n)); err != nil {
		return fmt.Errorf("kv: share %d items of sequence %d with %d: %w", n-have, from.ID, s.ID,
			err)
	}
	c.cells.share(from.cells[have:n])
	s.cells = append(s.cells, from.cells[have:n]...)
	s.extend(p, n)
	return nil
}

// extend notes that s holds the items of p up to n.
func (s *Sequence) extend(p *Prompt, n int) {
	have := s.Len()
	s.Items = append(s.Items, p.Items[have:n]...)
	s.Pos = append(s.Pos, p.Pos[have:n]...)
	s.Next = p.Position(n)
	for _, w := range p.Whole {
		if w[0] >= have && w[1] <= n {
			s.Whole = append(s.Whole, w)
		}
	}
}

// ShareLate shares with a running sequence the items of its prompt that another one has computed
// meanwhile. It returns how many they are.
func (c *Cache) ShareLate(s *Sequence, p *Prompt) (int, error) {
	have := s.Len()
	if !c.shares() || s.private || s.shifted || have >= len(p.Items)-1 {
		return 0, nil
	}
	var from *Sequence
	n := have
	for _, o := range c.seqs {
		if o == nil || o.Len() <= n {
			continue
		}
		if k := c.usable(o, p, n+1); k > n {
			from, n = o, k
		}
	}
	if from == nil {
		return 0, nil
	}
	if err := c.copy(from, s, p, n); err != nil {
		return 0, err
	}
	c.use(from)
	return n - have, nil
}

// Append notes that a decode, which must have succeeded, computed the items of p up to n. p begins
// with the items of s, and n does not lie within a picture that is kept whole. The error is
// ErrNoCells if there was no room by the books, which means that they are wrong.
func (c *Cache) Append(s *Sequence, p *Prompt, n int) error {
	have := s.Len()
	switch {
	case n < have || n > len(p.Items) || p.Cut(n) != n:
		return fmt.Errorf("kv: items %d to %d of a prompt of %d cannot be appended", have, n,
			len(p.Items))
	case have > 0 && p.Position(have) != s.Next:
		return fmt.Errorf("kv: item %d of the prompt is at position %d, the sequence goes on at %d",
			have, p.Position(have), s.Next)
	case n-have > c.Free():
		return fmt.Errorf("%w: %d items were computed with %d cells free", ErrNoCells, n-have,
			c.Free())
	}
	s.cells = c.cells.occupy(s.cells, n-have)
	s.extend(p, n)
	return nil
}

// Trim removes all items from n on, and before n the part of a whole picture that n lies in. If the
// memory cannot be cut there, the sequence is emptied, which is no error: look at Len.
func (c *Cache) Trim(s *Sequence, n int) error {
	if n >= s.Len() {
		return nil
	}
	n = s.Cut(n)
	next := s.Position(n)
	if n <= 0 || c.cfg.Rigid || !c.windowStands(s, next) || c.cfg.Memory.SeqRemove(s.ID, next,
		-1) != nil {
		if err := c.cfg.Memory.SeqRemove(s.ID, -1, -1); err != nil {
			return fmt.Errorf("kv: empty sequence %d: %w", s.ID, err)
		}
		n, next = 0, 0
	}
	c.forget(s, n, next)
	return nil
}

// forget removes the items from n on from the books, not from the memory.
func (c *Cache) forget(s *Sequence, n int, next llama.Pos) {
	c.cells.release(s.cells[n:], s.Running)
	s.cells, s.Items, s.Pos, s.Next = s.cells[:n], s.Items[:n], s.Pos[:n], next
	for len(s.Whole) > 0 && s.Whole[len(s.Whole)-1][1] > n {
		s.Whole = s.Whole[:len(s.Whole)-1]
	}
	if n <= s.pure {
		s.shifted = false
	}
}

// Resync removes from the memory the cells that a failed decode may have left after the items of s.
func (c *Cache) Resync(s *Sequence) error {
	if s.Len() > 0 && !c.cfg.Rigid && c.windowStands(s, s.Next) && c.cfg.Memory.SeqRemove(s.ID,
		s.Next, -1) == nil {
		return nil
	}
	if s.Len() > 0 {
		return c.Trim(s, 0)
	}
	return c.cfg.Memory.SeqRemove(s.ID, -1, -1)
}

// Drop removes a sequence and all its cells, those of a failed decode included. A second Drop does
// nothing. An error means that the memory is closed or broken; the sequence is removed from the
// books all the same.
func (c *Cache) Drop(s *Sequence) error {
	if c.seqs[s.ID] != s {
		return nil
	}
	c.forget(s, 0, 0)
	c.seqs[s.ID] = nil
	if err := c.cfg.Memory.SeqRemove(s.ID, -1, -1); err != nil {
		return fmt.Errorf("kv: empty sequence %d: %w", s.ID, err)
	}
	return nil
}

// Adopt returns a running sequence, with room for the items of p up to n, which the caller is about
// to restore from a saved state. If that fails, the caller must Drop it. The error is ErrNoCells or
// ErrNoSequence.
func (c *Cache) Adopt(p *Prompt, n int) (*Sequence, error) {
	if n > c.Available() {
		return nil, ErrNoCells
	}
	s, err := c.empty(nil)
	if err != nil {
		return nil, err
	}
	if c.Reserve(n) {
		err = c.Append(s, p, n)
	} else {
		err = ErrNoCells
	}
	if err != nil {
		return nil, errors.Join(err, c.Drop(s))
	}
	return s, nil
}
