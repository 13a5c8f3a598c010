package sched

import (
	"slices"
	"time"

	"github.com/eyelet-engine/eyelet/engine/media"
)

// encode lets the tower work for a part of the turn.
func (s *Scheduler) encode(d time.Duration) {
	busy := s.encoding()
	start := time.Now()
	s.advance(d)
	charge(busy, time.Since(start))
}

// encoding are the tasks that have something to compute while a picture of theirs is encoded; those
// that wait for it measure that in timePicture, but not beside a tower of its own thread.
func (s *Scheduler) encoding() (busy []*Task) {
	for _, t := range s.active {
		open := func(k *media.Ticket) bool { return k != nil && !k.Done() }
		if t.state == running && t.towerSince.IsZero() && slices.ContainsFunc(t.tickets, open) {
			busy = append(busy, t)
		}
	}
	return busy
}

// charge counts the tower's time as tasks' encoding.
func charge(tasks []*Task, took time.Duration) {
	for _, t := range tasks {
		t.report.Encode += took
		t.trace("encode", 0, took)
	}
}

// advance runs steps of the tower for about so long, one at least. Steps are not alike (the first
// one, the patch embedding, is short), so that another one is begun only if there is time for the
// longest so far.
func (s *Scheduler) advance(d time.Duration) {
	s.cfg.Run(func() {
		start, longest := time.Now(), s.cfg.Encoder.StepCost()
		for {
			ran, took, err := s.cfg.Encoder.Advance(s.ctx, 1)
			// an error says that the scheduler is being closed
			if ran == 0 || err != nil || !s.cfg.Encoder.Ready() {
				return
			}
			if longest = max(longest, took); time.Since(start)+longest > d {
				return
			}
		}
	})
}

// lending is a picture that the tower works on beside the turns.
type lending struct {
	loan *media.Loan
	over chan struct{} // closed after the last step
}

// lend lets the tower work on the next picture beside the turns that follow, where it may
// (Config.Tower).
func (s *Scheduler) lend() {
	if s.cfg.Tower == nil || s.lent != nil {
		return
	}
	loan := s.cfg.Encoder.Lend(s.ctx)
	if loan == nil {
		return
	}
	l := &lending{loan, make(chan struct{})}
	s.lent = l
	go func() {
		defer s.Poke()
		defer close(l.over)
		for more := true; more; {
			more = false // if the thread has ended, and nothing is run
			s.cfg.Tower(func() { more = loan.Step() })
		}
	}()
}

// takeBack takes what the tower has done beside the turns, once it is done.
func (s *Scheduler) takeBack() {
	if s.lent == nil {
		return
	}
	select {
	case <-s.lent.over:
		busy := s.encoding()
		charge(busy, s.lent.loan.Return())
		s.lent = nil
	default:
	}
}

// decodes runs a decode on the compute thread, and counts the steps of the tower meanwhile.
func (s *Scheduler) decodes(f func()) {
	s.cfg.Run(func() {
		if s.cfg.Tower != nil {
			before := s.cfg.Encoder.Stats().Steps
			defer func() {
				s.stats.EncodedBeside += uint64(s.cfg.Encoder.Stats().Steps - before)
			}()
		}
		f()
	})
}

// timePicture measures how long a task waits for the tower.
func (t *Task) timePicture() {
	waits := t.waitsForPicture()
	switch {
	case waits && t.towerSince.IsZero():
		t.towerSince = time.Now()
	case !waits && !t.towerSince.IsZero():
		took := time.Since(t.towerSince)
		t.towerSince = time.Time{}
		t.report.Encode += took
		t.trace("encode", 0, took)
	}
}

// waitsForPicture reports whether a task has nothing to compute before the tower has made a
// picture's rows.
func (t *Task) waitsForPicture() bool {
	if t.state != running || t.left() == 0 {
		return false
	}
	p, i := t.picture(t.seq.Len())
	return p != nil && t.tickets[i] != nil && !t.tickets[i].Done() && !t.tickets[i].Decoding()
}
