package sched

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/eyelet-engine/eyelet/engine/media"
)

// admit moves tasks from the queue to those that are computed, as long as there are cells for the
// next one.
func (s *Scheduler) admit() {
	for len(s.queue) > 0 && len(s.active) < s.cfg.Parallel {
		t := s.nextInQueue()
		if len(s.active) > 0 && (s.admitNone || !s.fits(t)) {
			return
		}
		i := slices.Index(s.queue, t)
		s.queue = slices.Delete(s.queue, i, i+1)
		s.leaveQueue()
		s.turns++
		s.served[t.Client] = s.turns
		s.begin(t)
	}
	if s.cfg.Pictures != nil {
		s.cfg.Pictures.Forget(s.eachPicture)
	}
	if len(s.served) > 4*s.cfg.Queue {
		// clients that are not heard of again; the order among the others begins anew
		clear(s.served)
	}
}

// eachPicture yields the pictures that stand in the cache or are in prompts of tasks.
func (s *Scheduler) eachPicture(yield func(number uint32)) {
	s.cfg.Cache.Pictures(yield)
	for _, t := range slices.Concat(s.active, s.queue) {
		t.Prompt.EachPicture(yield)
	}
}

// nextInQueue chooses who is admitted next: those preempted, then by priority, then the client with
// the fewest tasks under way, then the one whose last turn is longest ago, then by arrival.
func (s *Scheduler) nextInQueue() *Task {
	running := map[string]int{}
	for _, t := range s.active {
		running[t.Client]++
	}
	return slices.MinFunc(s.queue, func(a, b *Task) int {
		return cmp.Or(
			cmp.Compare(b.report.Preempted, a.report.Preempted),
			cmp.Compare(b.Priority, a.Priority),
			cmp.Compare(running[a.Client], running[b.Client]),
			cmp.Compare(s.served[a.Client], s.served[b.Client]),
			a.arrived.Compare(b.arrived),
		)
	})
}

// fits reports whether there are cells for a task beside what those under way will still need.
func (s *Scheduler) fits(t *Task) bool {
	need := s.needs(t)
	for _, o := range s.active {
		need += s.needs(o)
	}
	return need <= s.cfg.Cache.Available()
}

// needs is the number of cells that a task is expected to take beyond those it shares or has.
func (s *Scheduler) needs(t *Task) int {
	answer := s.cfg.Expected
	if t.MaxTokens > 0 {
		answer = min(answer, t.MaxTokens)
	}
	n := len(t.Prompt.Items) + max(answer-t.answered, 1)
	switch {
	case t.seq != nil:
		n -= t.seq.Len()
	case !t.Fresh && t.saved == nil:
		if from, k := s.cfg.Cache.Match(t.Prompt); from != nil && from.Running {
			n -= k // finished sequences count as available already
		}
	}
	return min(n, s.cells(t))
}

// cells is the most items that a task may have.
func (s *Scheduler) cells(t *Task) int {
	if t.Cells > 0 {
		return min(t.Cells, s.cfg.Cells)
	}
	return s.cfg.Cells
}

// begin admits a task.
func (s *Scheduler) begin(t *Task) {
	s.active = append(s.active, t)
	t.become(admitted)
	if t.tickets == nil {
		t.tickets = make([]*media.Ticket, len(t.Pictures))
		t.report.Queue = time.Since(t.arrived)
	}
	if most := s.cells(t); len(t.Prompt.Items) > most {
		s.finish(t, fmt.Errorf("sched: a prompt of %d items for %d cells", len(t.Prompt.Items),
			most))
		return
	}
	if t.saved != nil {
		s.resume(t)
		return
	}
	if s.restore(t) {
		return
	}
	s.open(t)
}

// open begins a task with what stands of its prompt.
func (s *Scheduler) open(t *Task) {
	if t.Fresh && len(s.active) == 1 {
		s.cfg.Cache.Reserve(s.cfg.Cells) // where cells lie decides the order of sums
	}
	seq, err := s.cfg.Cache.Open(t.Prompt, t.Fresh)
	if err != nil {
		s.finish(t, err)
		return
	}
	t.seq = seq
	t.become(running)
	if t.answered == 0 {
		t.report.Cached = seq.Len()
	}
	t.trace(Admitted, seq.Len(), t.report.Queue)
}

// rank puts those that are computed in order: by arrival and the work that is left of their
// prompts.
func (s *Scheduler) rank() {
	for _, t := range s.active {
		t.rank = t.arrived
		if t.state != running {
			continue
		}
		t.rank = t.rank.Add(s.tokens.of(t.left()))
		for i := range t.Pictures {
			if t.Pictures[i].To() > t.seq.Len() && s.cfg.Encoder != nil {
				t.rank = t.rank.Add(typicalSteps * s.cfg.Encoder.StepCost())
			}
		}
	}
	slices.SortStableFunc(s.active, func(a, b *Task) int { return a.rank.Compare(b.rank) })
}

// typicalSteps is about how many steps a picture takes, to tell long tasks from short ones.
const typicalSteps = 25
