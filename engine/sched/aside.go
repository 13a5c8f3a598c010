package sched

import (
	"slices"

	"github.com/eyelet-engine/eyelet/engine/kv"
)

// aside is a task's beginning, taken out of the cache for others.
type aside struct {
	state []byte // nil if it is computed again
	items int
}

// copySpeed is about how fast cells are copied to memory and back, in bytes a second.
const copySpeed = 1e9

// outOfCells is called when even one part of a task finds no room: the youngest of several tasks is
// put aside; a task that is alone has filled the context.
func (s *Scheduler) outOfCells(t *Task) {
	if !s.makeRoom() {
		s.noMore(t)
	}
}

// recoverRoom is called when the memory had no room although the books say that there is: a sliding
// window's own small pool can be full, for one. First all finished sequences go, then somebody is
// put aside, and nobody is admitted until somebody has ended: what did not fit once would not fit
// again. It returns false if nothing is left to give up.
func (s *Scheduler) recoverRoom() bool {
	if n := s.cfg.Cache.Available(); s.cfg.Cache.Free() < n {
		return s.cfg.Cache.Reserve(n)
	}
	s.strained = true
	return s.makeRoom()
}

// makeRoom puts the youngest task aside. It returns false if there are no two.
func (s *Scheduler) makeRoom() bool {
	var youngest *Task
	holders := 0
	for _, t := range s.active {
		if t.state != running || t.seq.Len() == 0 {
			continue
		}
		holders++
		if t.moved {
			continue
		}
		if youngest == nil || t.arrived.After(youngest.arrived) {
			youngest = t
		}
	}
	if holders < 2 || youngest == nil {
		return false
	}
	s.putAside(youngest)
	return true
}

// room finds cells for n more items of a prompt. If there are none it makes some for the next turn.
func (s *Scheduler) room(t *Task, n int) bool {
	if s.cfg.Cache.Reserve(n) {
		return true
	}
	s.outOfCells(t)
	return false
}

// putAside takes a task's cells for others and puts it back into the queue. They are saved if that
// is cheaper than to compute them again, or if computing would not bring them back: those that were
// shifted.
func (s *Scheduler) putAside(t *Task) {
	saved := &aside{items: t.seq.Len()}
	size, err := 0, error(nil)
	s.cfg.Run(func() { size, err = s.cfg.Decoder.StateSize(t.seq.ID) })
	copying := s.copying(size)
	if err == nil && (t.report.Shifted > 0 || copying < s.tokens.of(saved.items) && s.affords(size,
		saved.items)) {
		s.cfg.Run(func() { saved.state, err = s.cfg.Decoder.State(t.seq.ID) })
	}
	if err != nil {
		saved.state = nil
	}
	if saved.state != nil {
		t.saved = saved
		s.check(s.cfg.Cache.Drop(t.seq))
	} else {
		s.cfg.Cache.Finish(t.seq) // it is cache now, of which others may take what they need
	}
	s.forgetSketch(t)
	s.reader.leave(t)
	t.seq = nil
	t.become(waiting)
	t.report.PutAside++
	s.meter.putAside++
	for i := range t.tickets {
		t.release(i)
	}
	s.active = slices.DeleteFunc(s.active, func(o *Task) bool { return o == t })
	s.queue = append([]*Task{t}, s.queue...)
	s.mu.Lock()
	s.waiting++
	s.mu.Unlock()
	t.trace("put aside", saved.items, copying)
}

// affords reports whether the cells of a sequence may be copied out of the cache now: there must be
// memory for the copy, and while answers are running it must fit the gap between two tokens.
func (s *Scheduler) affords(bytes, items int) bool {
	// out alone
	return s.holds(bytes, items) && (!s.writing() || s.copying(bytes)/2 <= s.cfg.MaxGap)
}

// writing reports whether an answer is running.
func (s *Scheduler) writing() bool {
	return slices.ContainsFunc(s.active, func(t *Task) bool {
		return t.state == running && t.answering()
	})
}

const (
	// MostCopies bounds the bytes of cells that are held outside the cache, for tasks that were put
	// aside and on their way to disk.
	MostCopies = 1 << 30
	// CopiedShare is the part of the cells of which there may be copies.
	CopiedShare = 0.5
)

// holds reports whether there is memory for a copy of so many items.
func (s *Scheduler) holds(bytes, items int) bool {
	haveBytes, haveItems := s.copies()
	return haveBytes+bytes <= MostCopies && haveItems+items <= int(CopiedShare*float64(s.cfg.Cells))
}

// copies is how much of cells is held outside the cache.
func (s *Scheduler) copies() (bytes, items int) {
	for _, t := range s.queue {
		if t.saved != nil {
			bytes, items = bytes+len(t.saved.state), items+t.saved.items
		}
	}
	if s.spill != nil {
		bytes, items = bytes+int(s.spill.bytes.Load()), items+int(s.spill.items.Load())
	}
	return bytes, items
}

// resume brings a task's saved cells back.
func (s *Scheduler) resume(t *Task) {
	saved := t.saved
	seq, err := s.cfg.Cache.Adopt(t.Prompt, saved.items)
	t.saved = nil
	if err == nil {
		if s.cfg.Run(func() { err = s.cfg.Decoder.SetState(seq.ID, saved.state) }); err != nil {
			s.check(s.cfg.Cache.Drop(seq))
		}
	}
	switch {
	case err == nil:
		t.seq = seq
		t.become(running)
		if t.report.Shifted > 0 {
			s.cfg.Cache.Isolate(seq)
		}
	case t.report.Shifted > 0: // nothing but these cells would bring it back
		s.finish(t, err)
		return
	default:
		s.open(t)
		return
	}
	t.trace("resumed", saved.items, 0)
}

// fill deals with tasks that have as many items as a sequence can hold.
func (s *Scheduler) fill() {
	for i := len(s.active) - 1; i >= 0; i-- {
		if t := s.active[i]; t.state == running && t.answered > 0 &&
			len(t.Prompt.Items) > s.cells(t) {
			s.noMore(t)
		}
	}
}

// noMore goes on without the oldest items of an answer that has no room, if the request allows it,
// and else ends the answer.
func (s *Scheduler) noMore(t *Task) {
	if t.Shift && t.answered > 0 && s.shift(t) {
		return
	}
	if t.answered > 0 {
		t.Answer.Full()
		s.finish(t, nil)
		return
	}
	s.finish(t, kv.ErrNoCells)
}

// shift drops half of what follows the first quarter of the context, or what the task says to keep,
// so that its beginning, where instructions stand, and what was said last remain.
func (s *Scheduler) shift(t *Task) bool {
	keep := min(t.seq.Len(), s.cells(t)) / 4
	if t.Keep > 0 {
		keep = min(t.Keep, t.seq.Len())
	}
	keep = t.seq.Cut(keep)
	end := t.seq.Cut(keep + (t.seq.Len()-keep)/2)
	if end <= keep {
		return false
	}
	pending := append([]kv.Item(nil), t.Prompt.Items[t.seq.Len():]...)
	ok, err := s.cfg.Cache.Shift(t.seq, keep, end-keep)
	s.check(err)
	if !ok || err != nil {
		return false
	}
	p := &kv.Prompt{
		Items: append([]kv.Item(nil), t.seq.Items...), Pos: append(t.seq.Pos[:0:0], t.seq.Pos...),
		Next:  t.seq.Next,
		Whole: append(t.seq.Whole[:0:0], t.seq.Whole...),
	}
	for _, item := range pending {
		p.Items, p.Pos, p.Next = append(p.Items, item), append(p.Pos, p.Next), p.Next+1
	}
	t.Prompt, t.Pictures = p, nil
	t.report.Shifted += end - keep
	t.moved = true
	t.trace("shifted", end-keep, 0)
	return true
}
