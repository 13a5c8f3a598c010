package sched

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/engine/kv"
	"github.com/eyelet-engine/eyelet/engine/media"
)

// turn computes what is due: what is known becomes a view, of which a plan is made, which is
// executed. It returns false if there is nothing, so that the loop may sleep.
func (s *Scheduler) turn() bool {
	s.fill()
	s.rank()
	s.shareLate()
	s.want()
	s.lend()
	s.restReader(time.Now())
	s.answerOrders()
	v := s.view()
	st := v.plan()
	return s.execute(&st)
}

// view is what the planner is told of the tasks, in the order of their ranks.
func (s *Scheduler) view() view {
	v := view{
		gap: s.cfg.MaxGap, tokens: &s.tokens, rows: &s.rows, batch: s.cfg.Batch,
		guesses: s.cfg.Speculation,
		ready:   s.cfg.Encoder != nil && s.cfg.Tower == nil && s.cfg.Encoder.Ready(),
		context: s.cfg.Cells, cells: s.cfg.Cache.Available(), crowded: s.crowded,
		copied: s.copies(),
	}
	r := &s.reader
	v.reader = readerState{cells: r.cells, busy: r.busy(), unmoved: r.unmoved(),
		least: s.together(), dropped: r.busy() && r.task == nil, each: r.each, bytes: r.bytes}
	_, v.keep = s.toKeep()
	if len(s.orders) > 0 {
		v.wanted = s.orders[0].size
	}
	due := r.unmoved()
	for _, t := range s.active {
		n := s.need(t)
		for _, o := range s.active {
			if o.arrived.Before(t.arrived) {
				n.age++
			}
		}
		due += min(n.items, s.cfg.Batch) + 1
		v.tasks = append(v.tasks, n)
	}
	if v.crowded || v.cells < due {
		s.cfg.Run(func() {
			for i, t := range s.active {
				if v.tasks[i].held > 0 {
					v.tasks[i].bytes, _ = s.cfg.Decoder.StateSize(t.seq.ID)
				}
			}
		})
	}
	return v
}

// need is what the planner is told of a task.
func (s *Scheduler) need(t *Task) need {
	n := need{fresh: t.Fresh, shifted: t.report.Shifted > 0, moved: t.moved}
	if t.state != running {
		return n
	}
	if n.held = t.seq.Len(); t.left() == 0 {
		return n
	}
	if t.answering() {
		n.kind = token
		return n
	}
	n.beside, n.cells = s.beside(t), len(t.Prompt.Items)
	if t.follows != nil || s.reader.worksFor(t) {
		n.beside = s.reader.worksFor(t)
		return n
	}
	from := t.seq.Len()
	end := len(t.Prompt.Items)
	if p, i := t.picture(from); p != nil {
		n.kind, end = rows, p.To()
		n.whole = p.Whole || t.Prompt.Cut(from+1) <= from
		if k := t.tickets[i]; k == nil || !k.Done() {
			n.kind = encoding
		}
	} else {
		n.kind = text
		for i := range t.Pictures {
			if at := t.Pictures[i].From; at >= from {
				end = min(end, at)
			}
		}
	}
	n.items, n.ends = end-from, end == len(t.Prompt.Items)
	return n
}

// execute computes a step. It returns false if there was nothing to do.
func (s *Scheduler) execute(st *step) bool {
	tasks := slices.Clone(s.active) // which the step counts; tasks may end meanwhile
	switch {
	case st.room == roomEnds:
		s.noMore(tasks[st.task])
		return true
	case st.room != roomEnough:
		s.preempt(tasks[st.task], st.room == roomSaves)
		return true
	case st.snapshot:
		s.serveOrder()
		return true
	}
	did := true
	switch st.reader {
	case readerStops:
		s.stopReader()
	case readerOpens:
		s.openReader(tasks[st.task])
	case readerReads:
		s.read(tasks[st.task], st.items, st.time)
	case readerMoves:
		s.move(st.items)
	default:
		did = st.keep || st.encode > 0 || st.rows > 0
	}
	if st.keep {
		s.keep()
	}
	if st.encode > 0 {
		s.encode(st.encode)
	}
	if st.rows > 0 {
		s.computeRows(tasks[st.rowsOf], st.rows)
	}
	return s.computeTokens(tasks, st) || did
}

// answering reports whether the next item of a task is the token that was drawn last.
func (t *Task) answering() bool { return t.state == running && t.answered > 0 && t.left() == 1 }

// shareLate lets tasks share what others have computed, and finds out which of them wait for others
// to go on.
func (s *Scheduler) shareLate() {
	for i, t := range s.active {
		t.follows = nil
		if !s.cfg.Share || t.state != running || t.Fresh || t.answering() || s.reader.worksFor(t) {
			continue
		}
		if n, err := s.cfg.Cache.ShareLate(t.seq, t.Prompt); err != nil {
			s.check(err)
		} else if n > 0 {
			t.report.Cached += n
			t.report.LateShare += n
			t.trace("shared", n, 0)
			s.released(t)
		}
		for _, o := range s.active[:i] {
			if o.state == running && !o.Fresh && o.follows == nil && !o.answering() && follows(t,
				o) {
				t.follows = o
				break
			}
		}
	}
}

// worthFollowing is how many items another task must be about to compute for this one to wait for
// it.
const worthFollowing = 4

// follows reports whether o is about to compute what t needs next.
func follows(t, o *Task) bool {
	n := t.seq.Len()
	// Beyond what they have in common o is of no use.
	common := kv.Common(t.Prompt.Items, o.Prompt.Items)
	return common >= n+worthFollowing && o.seq.Len() < t.Prompt.Cut(common)
}

// want asks for the pictures that tasks will need.
func (s *Scheduler) want() {
	for _, t := range s.active {
		if t.state != running || t.follows != nil {
			continue
		}
		for i := range t.Pictures {
			if p := t.Pictures[i]; p.To() > t.seq.Len() && t.tickets[i] == nil {
				t.tickets[i] = s.cfg.Encoder.Want(p)
			}
		}
		if s.cfg.Tower == nil {
			t.timePicture()
		}
	}
}

// released gives back tickets of pictures that stand in the cache.
func (s *Scheduler) released(t *Task) {
	for i := range t.Pictures {
		if t.Pictures[i].To() <= t.seq.Len() {
			t.release(i)
		}
	}
}

// rowsOf returns the rows of a picture that is encoded, or why there are none.
func (s *Scheduler) rowsOf(t *Task, i int) ([]float32, error) {
	p := t.Pictures[i]
	rows, err := t.tickets[i].Rows(), t.tickets[i].Err()
	if err == nil && len(rows) != p.Tokens*s.cfg.Width {
		err = fmt.Errorf("sched: the tower made %d numbers for %d rows of %d", len(rows), p.Tokens,
			s.cfg.Width)
	}
	if err != nil && p.Source != nil {
		err = &media.Fault{Name: p.Source.Name, Err: err}
	}
	return rows, err
}

// nextPlaces is where the model takes the next n items, rows of a picture.
func (t *Task) nextPlaces(p *media.Picture, n int) [][4]llama.Pos {
	places := make([][4]llama.Pos, n)
	for i := range places {
		places[i] = t.place(p, t.seq.Len()+i)
	}
	return places
}

// computeRows computes the next n rows of a task's picture.
func (s *Scheduler) computeRows(t *Task, n int) {
	if t.state != running || t.seq == nil {
		return // it has failed in the meantime
	}
	from := t.seq.Len()
	p, i := t.picture(from)
	rows, err := s.rowsOf(t, i)
	if err != nil {
		s.finish(t, err)
		return
	}
	if !s.reserve(n) {
		return
	}
	places := t.nextPlaces(p, n)
	w := s.cfg.Width
	var took time.Duration
	s.decodes(func() {
		start := time.Now()
		err = s.cfg.Decoder.DecodeRows(t.ctx, t.seq.ID, rows[(from-p.From)*w:(from-p.From+n)*w],
			places, !p.Whole)
		took = time.Since(start)
	})
	if err == nil {
		err = s.cfg.Cache.Append(t.seq, t.Prompt, from+n)
	}
	if err != nil {
		s.failed([]part{{t: t}}, err)
		return
	}
	s.rows.add(n, took)
	t.report.Prefill += took
	t.trace("rows", n, took)
	s.released(t)
}

// failed deals with a decode that did not succeed: what it left in the memory goes, and those who
// took part end, unless it was stopped for the sake of somebody who left, or room can be made. It
// is not called on the compute thread: whether room can be made is asked there.
func (s *Scheduler) failed(parts []part, err error) {
	for _, p := range parts {
		s.check(s.cfg.Cache.Resync(p.t.seq))
	}
	if errors.Is(err, llama.ErrAborted) {
		return // reap ends those whose callers left; the others go on
	}
	if errors.Is(err, llama.ErrNoRoom) && s.lackRoom() {
		return
	}
	for _, p := range parts {
		s.finish(p.t, err)
	}
}
