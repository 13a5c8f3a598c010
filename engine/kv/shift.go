package kv

import (
	"errors"
	"fmt"
	"slices"
)

// Shift drops the items [keep, keep+n) of a running sequence and moves what follows down in their
// place, so that it can go on when the context is full. Cells that others share cannot be moved,
// nor can every memory; ok is false then, and nothing has changed. What was moved is not shared
// with anybody afterwards, for it was computed behind items that are gone.
func (c *Cache) Shift(s *Sequence, keep, n int) (ok bool, err error) {
	end := keep + n
	if !c.shares() || keep < 0 || n < 1 || end >= s.Len() ||
		c.cells.alone(s.cells[end:]) != s.Len()-end ||
		s.Cut(keep) != keep || s.Cut(end) != end {
		return false, nil
	}
	from, to := s.Pos[end], s.Pos[keep]
	// Adding to no positions at all says whether the memory could add to some.
	if c.cfg.Memory.SeqAdd(s.ID, from, from, to-from) != nil || c.cfg.Memory.SeqRemove(s.ID, to,
		from) != nil {
		return false, nil
	}
	if err := c.cfg.Memory.SeqAdd(s.ID, from, -1, to-from); err != nil {
		return false, errors.Join(fmt.Errorf("kv: shift sequence %d: %w", s.ID, err),
			c.Trim(s, keep))
	}
	c.cells.release(s.cells[keep:end], s.Running)
	s.cells = slices.Delete(s.cells, keep, end)
	s.Items = slices.Delete(s.Items, keep, end)
	s.Pos = slices.Delete(s.Pos, keep, end)
	for i := keep; i < len(s.Pos); i++ {
		s.Pos[i] += to - from
	}
	s.Next += to - from
	s.Whole = shiftWhole(s.Whole, keep, n)
	if !s.shifted || keep < s.pure {
		s.shifted, s.pure = true, keep
	}
	return true, nil
}

// Isolate keeps a running sequence apart: nothing is taken from it or given to it. It is for one
// whose items were moved by a Shift before it was saved and adopted again.
func (c *Cache) Isolate(s *Sequence) { s.private = true }

// shiftWhole moves the ranges behind a gap of n items at keep, and drops those within it.
func shiftWhole(list [][2]int, keep, n int) (out [][2]int) {
	for _, w := range list {
		switch {
		case w[1] <= keep:
			out = append(out, w)
		case w[0] >= keep+n:
			out = append(out, [2]int{w[0] - n, w[1] - n})
		}
	}
	return out
}
