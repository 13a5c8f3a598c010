package kv

import (
	"math"
	"slices"
)

// Finish makes a running sequence cache. What a Shift has moved is given up. So are sequences of
// which everything is part of another one: whatever could be taken from them can be taken from it.
func (c *Cache) Finish(s *Sequence) {
	if !s.Running || c.seqs[s.ID] != s {
		return
	}
	if s.shifted && c.Trim(s, s.pure) != nil {
		_ = c.Drop(s) // the memory is broken, and the next decode will say so
		return
	}
	s.Running, s.private, s.announced = false, false, false
	c.cells.stop(s.cells)
	c.use(s)
	for _, o := range c.seqs {
		if o != nil && !o.Running && c.redundant(o) {
			_ = c.Drop(o)
		}
	}
}

// redundant reports whether somebody else holds the last cell of s. What stands in a cell depends
// on all items before it, so whoever holds it has the same items up to there. Without items there
// is nothing to hold.
func (c *Cache) redundant(s *Sequence) bool {
	return s.Len() == 0 || c.cells.refs[s.cells[len(s.cells)-1]] > 1
}

// Free is the number of cells that hold nothing.
func (c *Cache) Free() int { return len(c.cells.free) }

// Available is the number of cells that hold nothing or only what can be given up.
func (c *Cache) Available() int { return c.cells.idle }

// Reserve makes room for n more items, giving up finished sequences from their ends as far as
// needed. It returns false if all of them are not enough, and gives up none then.
func (c *Cache) Reserve(n int) bool {
	if n > c.Available() {
		return false
	}
	for c.Free() < n {
		victim := c.victim()
		if victim == nil {
			return false
		}
		c.evict(victim, n-c.Free())
	}
	return true
}

// closeRanks are ranks that differ by no more than the rounding of sums, as a part of the larger
// one.
const closeRanks = 1e-9

// victim chooses the finished sequence to give up next. It is nil if there is none.
func (c *Cache) victim() *Sequence {
	best, lowest := c.lowest(func(*Sequence) bool { return true })
	if best != nil {
		c.floor = max(c.floor, lowest)
	}
	return best
}

// Next is the sequence of at least so many items that will be given up before others of which
// Config.Evict was not told yet, once cells or sequences are scarce: fewer than free cells hold
// nothing, or all sequences hold something. It is nil if there is none.
func (c *Cache) Next(free, items int) *Sequence {
	if c.Free() >= free && slices.Contains(c.seqs, nil) {
		return nil
	}
	s, _ := c.lowest(func(s *Sequence) bool {
		return !s.announced && s.Len() >= items && !c.redundant(s)
	})
	return s
}

// Announce tells Config.Evict of a finished sequence before it is given up, instead of then.
func (c *Cache) Announce(s *Sequence) {
	if c.seqs[s.ID] == s && !s.Running {
		c.announce(s)
	}
}

// lowest is the finished sequence of the lowest rank among those that may be chosen, and of equals
// that which was used longest ago.
func (c *Cache) lowest(may func(*Sequence) bool) (best *Sequence, lowest float64) {
	for _, s := range c.seqs {
		if s == nil || s.Running || !may(s) {
			continue
		}
		rank := c.rankOf(s)
		same := rank == lowest || math.Abs(rank-lowest) <= closeRanks*max(rank, lowest)
		if best == nil || (same && s.used < best.used) || (!same && rank < lowest) {
			best, lowest = s, rank
		}
	}
	return best, lowest
}

// rankOf is what a cell of a finished sequence is worth: the cost to rebuild the items whose cells
// nobody else holds, divided by their number, above the floor at its last use. The floor rises to
// the rank of what is given up. This is GreedyDual-Size (Cao and Irani, "Cost-aware WWW proxy
// caching algorithms", 1997): pictures, which cost an encoding and a prefill, outlive text; what is
// not used again ages as the floor rises; a prefix that serves many is not lost with one of them.
// What is redundant is worth nothing.
func (c *Cache) rankOf(s *Sequence) float64 {
	if c.redundant(s) {
		return 0
	}
	cost, n := 0.0, 0
	for i, cell := range s.cells {
		if c.cells.refs[cell] == 1 {
			cost += c.cfg.Cost(s.Items[i])
			n++
		}
	}
	return s.rank + cost/float64(n)
}

// announce tells Config.Evict about a sequence that is about to lose items, unless it has.
func (c *Cache) announce(s *Sequence) {
	if c.cfg.Evict != nil && !s.announced && !c.redundant(s) {
		s.announced = true
		c.cfg.Evict(s)
	}
}

// evict frees about n cells at the end of a finished sequence, or all of it if it cannot be cut.
// What is left of it stays cache, if nobody else has it.
func (c *Cache) evict(s *Sequence, n int) {
	c.announce(s)
	at := s.Len()
	for freed := 0; at > 0 && freed < n; at-- {
		if c.cells.refs[s.cells[at-1]] == 1 {
			freed++
		}
	}
	if c.Trim(s, at) != nil || c.redundant(s) {
		_ = c.Drop(s)
	}
}

// Stats counts cells and sequences.
type Stats struct {
	Cells   int `json:"cells"`   // of the context
	Running int `json:"running"` // cells of running sequences
	Cached  int `json:"cached"`  // cells of finished sequences alone
	// cells of more than one sequence, counted in the two above too
	Shared    int `json:"shared"`
	Sequences int `json:"sequences"` // of the context
	Active    int `json:"active"`    // running sequences
	Kept      int `json:"kept"`      // finished sequences
}

// Stats counts what is in use.
func (c *Cache) Stats() Stats {
	s := Stats{Cells: len(c.cells.refs), Sequences: len(c.seqs)}
	for _, q := range c.seqs {
		switch {
		case q == nil:
		case q.Running:
			s.Active++
		default:
			s.Kept++
		}
	}
	s.Running = s.Cells - c.Available()
	s.Cached = s.Cells - c.Free() - s.Running
	for _, n := range c.cells.refs {
		if n > 1 {
			s.Shared++
		}
	}
	return s
}

// Finished returns the sequences that are cache.
func (c *Cache) Finished() (list []*Sequence) {
	for _, s := range c.seqs {
		if s != nil && !s.Running {
			list = append(list, s)
		}
	}
	return list
}

// Pictures yields the numbers of the pictures that stand in the cache, each at least once.
func (c *Cache) Pictures(yield func(number uint32)) {
	for _, s := range c.seqs {
		if s != nil {
			s.EachPicture(yield)
		}
	}
}
