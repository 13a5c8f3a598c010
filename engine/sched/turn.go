package sched

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/engine/media"
)

const (
	// aloneTime bounds a decode while no answer is running: what somebody who comes meanwhile waits for it.
	aloneTime = 3 * time.Second
	// encodeTime bounds the steps of the tower at a time while no answer is running.
	encodeTime = 500 * time.Millisecond
	// smallChunk and largeChunk are the fewest items of a prompt that are computed at a time, while answers are running and while none
	// is: below, weights are read from memory for too little.
	smallChunk, largeChunk = 4, 64
)

// gapShare is the part of Config.MaxGap that is planned for; the rest is for what plans do not see.
const gapShare = 0.75

// turn computes what is due. It returns false if there is nothing, so that the loop may sleep.
func (s *Scheduler) turn() bool {
	s.fill()
	s.rank()
	s.catchUp()
	s.want()
	answers := 0
	for _, t := range s.active {
		if t.answering() {
			answers++
		}
	}
	tokens, rows := s.promptsDue(answers > 0)
	encode := s.cfg.Encoder != nil && s.cfg.Encoder.Ready()
	budget := aloneTime
	if answers > 0 {
		budget = time.Duration(gapShare * float64(s.cfg.MaxGap))
		if (tokens || rows) && encode {
			// Both in one gap would leave too little for each.
			if s.encoding = !s.encoding; s.encoding {
				tokens, rows = false, false
			} else {
				encode = false
			}
		}
	}
	// Answers come last, so that the time between two tokens is that of one turn.
	left, did := budget-s.tokens.of(answers), false
	start := time.Now()
	if encode {
		if answers == 0 {
			left = encodeTime
		}
		s.encode(left)
		left, did = budget-time.Since(start), true
	}
	if rows && s.computeRows(left, answers) {
		did = true
	}
	if answers == 0 {
		budget -= time.Since(start)
	}
	return s.computeTokens(budget, answers, tokens) || did
}

// answering reports whether the next item of a task is the token that was drawn last.
func (t *Task) answering() bool { return t.state == reading && t.answered > 0 && t.left() == 1 }

// promptsDue reports whether there are prompts whose next items are tokens, and such whose next items are rows that are there. With one,
// it is what the first of them needs, and not both.
func (s *Scheduler) promptsDue(one bool) (tokens, rows bool) {
	for _, t := range s.active {
		if t.state != reading || t.answering() || t.follows != nil || (one && (tokens || rows)) {
			continue
		}
		if p, i := t.picture(t.seq.Len()); p == nil {
			tokens = true
		} else if t.tickets[i] != nil && t.tickets[i].Done() {
			rows = true
		}
	}
	return tokens, rows
}

// catchUp lets tasks share what others have computed, and finds out which of them wait for others to go on.
func (s *Scheduler) catchUp() {
	for i, t := range s.active {
		t.follows = nil
		if !s.cfg.Share || t.state != reading || t.Fresh || t.answering() {
			continue
		}
		if n, err := s.cfg.Cache.Catch(t.seq, t.Prompt); err != nil {
			s.check(err)
		} else if n > 0 {
			t.report.Cached += n
			t.report.LateShare += n
			t.trace("shared", n, 0)
			s.released(t)
		}
		for _, o := range s.active[:i] {
			if o.state == reading && !o.Fresh && o.follows == nil && !o.answering() && follows(t, o) {
				t.follows = o
				break
			}
		}
	}
}

// worthFollowing is how many items another task must be about to compute for this one to wait for it.
const worthFollowing = 4

// follows reports whether o is about to compute what t needs next.
func follows(t, o *Task) bool {
	n := t.seq.Len()
	if len(o.Prompt.Items) < n+worthFollowing || len(t.Prompt.Items) < n+worthFollowing {
		return false
	}
	for i := range n + worthFollowing {
		if t.Prompt.Items[i] != o.Prompt.Items[i] {
			return false
		}
	}
	// Beyond what they have in common o is of no use.
	common := n + worthFollowing
	for common < min(len(o.Prompt.Items), len(t.Prompt.Items)) && t.Prompt.Items[common] == o.Prompt.Items[common] {
		common++
	}
	return o.seq.Len() < t.Prompt.Cut(common)
}

// want asks for the pictures that tasks will need.
func (s *Scheduler) want() {
	for _, t := range s.active {
		if t.state != reading || t.follows != nil {
			continue
		}
		for i := range t.Pictures {
			if p := t.Pictures[i]; p.To() > t.seq.Len() && t.tickets[i] == nil {
				t.tickets[i] = s.cfg.Encoder.Want(p)
			}
		}
		t.watchPicture()
	}
}

// watchPicture measures how long a task waits for the tower.
func (t *Task) watchPicture() {
	waits := t.waitsForPicture()
	switch {
	case waits && t.blind.IsZero():
		t.blind = time.Now()
	case !waits && !t.blind.IsZero():
		took := time.Since(t.blind)
		t.blind = time.Time{}
		t.report.Encode += took
		t.trace("encode", 0, took)
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

// encode lets the tower work, and counts that as encoding for tasks that have something else of their prompts to compute meanwhile; for those
// that wait, watchPicture does.
func (s *Scheduler) encode(d time.Duration) {
	var busy []*Task
	for _, t := range s.active {
		open := func(k *media.Ticket) bool { return k != nil && !k.Done() }
		if t.state == reading && t.blind.IsZero() && slices.ContainsFunc(t.tickets, open) {
			busy = append(busy, t)
		}
	}
	start := time.Now()
	s.advance(d)
	took := time.Since(start)
	for _, t := range busy {
		t.report.Encode += took
		t.trace("encode", 0, took)
	}
}

// advance runs steps of the tower for about so long, one at least. Steps are not alike (the first one, the patch embedding, is short), so
// that another one is begun only if there is time for the longest so far.
func (s *Scheduler) advance(d time.Duration) {
	s.cfg.Run(func() {
		start, longest := time.Now(), s.cfg.Encoder.StepCost()
		for {
			ran, took, err := s.cfg.Encoder.Advance(s.ctx, 1)
			if ran == 0 || err != nil || !s.cfg.Encoder.Ready() { // an error says that the scheduler is being closed
				return
			}
			if longest = max(longest, took); time.Since(start)+longest > d {
				return
			}
		}
	})
}

// waitsForPicture reports whether a task has nothing to compute before the tower has made a picture's rows.
func (t *Task) waitsForPicture() bool {
	if t.state != reading || t.left() == 0 {
		return false
	}
	p, i := t.picture(t.seq.Len())
	return p != nil && t.tickets[i] != nil && !t.tickets[i].Done() && !t.tickets[i].Decoding()
}

// computeRows computes rows of the picture that is due, and returns whether there was one.
func (s *Scheduler) computeRows(budget time.Duration, answers int) bool {
	for _, t := range s.active {
		if t.state != reading || t.follows != nil || t.left() == 0 {
			continue
		}
		p, i := t.picture(t.seq.Len())
		if p == nil || t.tickets[i] == nil || !t.tickets[i].Done() {
			continue
		}
		rows, err := t.tickets[i].Rows(), t.tickets[i].Err()
		if err == nil && len(rows) != p.Tokens*s.cfg.Width {
			err = fmt.Errorf("sched: the tower made %d numbers for %d rows of %d", len(rows), p.Tokens, s.cfg.Width)
		}
		if err != nil {
			if p.Source != nil {
				err = &media.Fault{Name: p.Source.Name, Err: err}
			}
			s.finish(t, err)
			return true
		}
		s.decodeRows(t, p, rows, s.rowsAtOnce(t, p, budget, answers))
		return true
	}
	return false
}

// rowsAtOnce is how many rows of a picture are computed now: all of one that cannot be cut.
func (s *Scheduler) rowsAtOnce(t *Task, p *media.Picture, budget time.Duration, answers int) int {
	from := t.seq.Len()
	if p.Whole || t.Prompt.Cut(from+1) <= from {
		return p.To() - from
	}
	least := largeChunk
	if answers > 0 {
		least = smallChunk
	}
	c := &s.rows
	if c.w == 0 {
		c = &s.tokens // rows cost about as much
	}
	return min(s.portion(c, budget, 0, least, s.cfg.Batch), p.To()-from)
}

// portion is how many entries a decode may have beside n others. While there is only one task it is a power of two, or all that a batch
// holds for a fresh one: portions change the last bits of logits, and the same question should find the same answer.
func (s *Scheduler) portion(c *cost, budget time.Duration, n, least, most int) int {
	if len(s.active) > 1 {
		return c.within(budget, n, least, most)
	}
	if s.active[0].Fresh {
		return most
	}
	k := least
	for limit := c.within(budget, n, least, most); 2*k <= limit; {
		k *= 2
	}
	return min(k, most)
}

// decodeRows computes n rows of a picture.
func (s *Scheduler) decodeRows(t *Task, p *media.Picture, rows []float32, n int) {
	if !s.room(t, n) {
		return
	}
	from := t.seq.Len()
	places := make([][4]llama.Pos, n)
	for i := range places {
		places[i] = t.place(p, from+i)
	}
	w := s.cfg.Width
	var took time.Duration
	var err error
	s.cfg.Run(func() {
		start := time.Now()
		err = s.cfg.Decoder.DecodeRows(t.ctx, t.seq.ID, rows[(from-p.From)*w:(from-p.From+n)*w], places, !p.Whole)
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

// failed deals with a decode that did not succeed: what it left in the memory goes, and those who took part end, unless it was stopped
// for the sake of somebody who left, or room can be made. It is not called on the compute thread: room is made there.
func (s *Scheduler) failed(parts []part, err error) {
	for _, p := range parts {
		s.check(s.cfg.Cache.Resync(p.t.seq))
	}
	if errors.Is(err, llama.ErrAborted) {
		return // reap ends those whose callers left; the others go on
	}
	if errors.Is(err, llama.ErrNoRoom) && s.recoverRoom() {
		return
	}
	for _, p := range parts {
		s.finish(p.t, err)
	}
}
