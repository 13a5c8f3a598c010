package sched

import (
	"slices"
	"time"

	"github.com/eyelet-engine/eyelet/engine/kv"
)

// savedCells is what a preempted task had computed, copied out of the cache.
type savedCells struct {
	state []byte // nil if it is computed again
	items int
}

// reserve finds cells for n more items, of which the step has said that they can be had.
func (s *Scheduler) reserve(n int) bool {
	ok := s.cfg.Cache.Reserve(n)
	if !ok {
		s.stats.Faults++
	}
	return ok
}

// lackRoom is called when the memory had no room although the books say that there is: a sliding
// window's own small pool can be full, for one. First all finished sequences are evicted, then the
// next turn preempts a task, and nobody is admitted until somebody has ended: what did not fit
// once would not fit again. It returns false if nothing is left to give up.
func (s *Scheduler) lackRoom() bool {
	if n := s.cfg.Cache.Available(); s.cfg.Cache.Free() < n {
		return s.cfg.Cache.Reserve(n)
	}
	s.crowded = true
	v := s.view()
	s.crowded = v.plan().room != roomEnds
	s.admitNone = s.admitNone || s.crowded
	return s.crowded
}

// preempt takes a task's cells for others and puts it back into the queue. With save they are
// copied out before.
func (s *Scheduler) preempt(t *Task, save bool) {
	saved := &savedCells{items: t.seq.Len()}
	begun := time.Now()
	var err error
	if save {
		s.cfg.Run(func() { saved.state, err = s.cfg.Decoder.State(t.seq.ID) })
	}
	switch {
	case err != nil && t.report.Shifted > 0:
		s.finish(t, err) // what is left of it cannot be computed again
		return
	case save && err == nil:
		t.saved = saved
		s.check(s.cfg.Cache.Drop(t.seq))
	default:
		s.cfg.Cache.Finish(t.seq) // it is cache now, of which others may take what they need
	}
	s.forgetSketch(t)
	s.reader.leave(t)
	t.seq = nil
	t.become(waiting)
	t.report.Preempted++
	s.stats.Preempted++
	s.crowded = false
	// One that held nothing makes no room, and would be back at once.
	s.admitNone = s.admitNone || saved.items == 0
	for i := range t.tickets {
		t.release(i)
	}
	s.active = slices.DeleteFunc(s.active, func(o *Task) bool { return o == t })
	s.queue = append([]*Task{t}, s.queue...)
	s.mu.Lock()
	s.waiting++
	s.mu.Unlock()
	t.trace("preempted", saved.items, time.Since(begun))
}

// writing reports whether an answer is running.
func (s *Scheduler) writing() bool {
	return slices.ContainsFunc(s.active, (*Task).answering)
}

// copies is how much of cells is held outside the cache.
func (s *Scheduler) copies() amount {
	a := s.out.amount()
	for _, t := range s.queue {
		if t.saved != nil {
			a.bytes, a.items = a.bytes+len(t.saved.state), a.items+t.saved.items
		}
	}
	return a
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

// shift carries out Task.Shift. It returns false where nothing can be dropped.
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
		p.Add(item)
	}
	t.Prompt, t.Pictures = p, nil
	t.report.Shifted += end - keep
	t.moved = true
	t.trace("shifted", end-keep, 0)
	return true
}
