package sched

import (
	"errors"
	"time"

	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/engine/kv"
)

// part is what a decode of tokens computes of one task: items [from, to) of its prompt, and guesses
// of what follows.
type part struct {
	t        *Task
	from, to int
	guesses  []llama.Token
	most     int  // guesses that there may be
	drafted  bool // the guesses are the drafter's
	forced   bool // they are what a grammar forces
	first    int  // index of the first entry in the batch
}

func (p *part) size() int { return p.to - p.from + len(p.guesses) }

// count is the number of entries of a batch of parts.
func count(parts []part) (n int) {
	for i := range parts {
		n += parts[i].size()
	}
	return n
}

// computeTokens runs one decode: the next token of each running answer, and the step's portions of
// prompts. It returns whether there was anything.
func (s *Scheduler) computeTokens(tasks []*Task, st *step) bool {
	parts := s.answers(st.guess)
	for _, x := range st.prompt {
		if t := tasks[x.task]; t.state == running && t.seq != nil {
			parts = append(parts, part{t: t, from: t.seq.Len(), to: t.seq.Len() + x.items})
		}
	}
	if len(parts) == 0 {
		return false
	}
	if !s.cfg.Cache.Reserve(count(parts)) { // the step counts on no room for guesses
		for i := range parts {
			parts[i].guesses = nil
		}
	}
	if s.reserve(count(parts)) {
		s.decode(parts)
	}
	return true
}

// answers takes the next token of each running answer, and, if guesses are wanted, what probably
// follows where that pays. (A decode that has items of prompts has better use for its time.)
func (s *Scheduler) answers(guesses bool) (parts []part) {
	answers := 0
	for _, t := range s.active {
		if t.answering() {
			answers++
		}
	}
	for _, t := range s.active {
		if !t.answering() || len(parts) == s.cfg.Batch {
			continue
		}
		p := part{t: t, from: t.seq.Len(), to: len(t.Prompt.Items)}
		if guesses && !t.NoSpeculation && !t.Fresh {
			room := s.cells(t) - p.to
			if t.MaxTokens > 0 {
				room = min(room, t.MaxTokens-t.answered-1)
			}
			p.most = min(room, (s.batch(t)-answers)/answers)
			if t.MostGuesses > 0 {
				p.most = min(p.most, t.MostGuesses)
			}
			p.guesses, p.forced = t.ahead(p.most, answers, s.cfg.RowShare)
		}
		parts = append(parts, p)
	}
	s.draft(parts, answers)
	return parts
}

// batch returns the most entries of a decode with an answer of t.
func (s *Scheduler) batch(t *Task) int {
	if t.Uniform && s.cfg.FewRows > 0 {
		return min(s.cfg.FewRows, s.cfg.Batch)
	}
	return s.cfg.Batch
}

// decode computes parts and draws the tokens that follow.
func (s *Scheduler) decode(parts []part) {
	var entries []Entry
	for i := range parts {
		p := &parts[i]
		p.first = len(entries)
		items, pos := p.t.Prompt.Items, p.t.Prompt.Pos
		for k := p.from; k < p.to; k++ {
			entries = append(entries, Entry{llama.Token(items[k].Value), pos[k], p.t.seq.ID,
				k == len(items)-1, p.t.Threads, p.t.Uniform})
		}
		for k, g := range p.guesses {
			entries = append(entries, Entry{g, p.t.Prompt.Next + llama.Pos(k), p.t.seq.ID, true,
				p.t.Threads, p.t.Uniform})
		}
	}
	ctx := s.ctx
	if len(parts) == 1 {
		ctx = parts[0].t.ctx // nobody else needs this decode
	}
	var err error
	s.decodes(func() {
		start := time.Now()
		if err = s.cfg.Decoder.Decode(ctx, entries); err == nil {
			s.decoded(parts, len(entries), time.Since(start))
		}
	})
	if err != nil {
		s.failed(parts, err)
	}
}

// decoded draws tokens from a decode of n entries that succeeded. It runs on the compute thread, as
// samplers do.
func (s *Scheduler) decoded(parts []part, n int, took time.Duration) {
	s.stats.Turns++
	s.tokens.add(n, took)
	for i := range parts {
		p := &parts[i]
		t := p.t
		t.moved = false
		if t.answered == 0 {
			t.report.Prefill += took
			t.trace("prefill", p.to-p.from, took)
		}
		if err := s.cfg.Cache.Append(t.seq, t.Prompt, p.to); err != nil {
			s.check(s.cfg.Cache.Resync(t.seq))
			s.finish(t, err)
			continue
		}
		if p.to < len(t.Prompt.Items) {
			continue
		}
		if over, err := s.draw(p); over {
			s.finish(t, err)
		}
	}
}

// draw draws the token that follows a part, and, as long as the guesses come true, those that
// follow them. It returns whether the answer is over.
func (s *Scheduler) draw(p *part) (over bool, err error) {
	t := p.t
	output := p.first + p.to - p.from - 1
	right := 0
	for {
		token, more, err := t.Answer.Next(output + right)
		if err != nil {
			return true, errors.Join(err, s.settle(p, right))
		}
		s.drawn(t)
		if !more {
			over = true
			break
		}
		t.Prompt.Add(kv.TokenItem(token))
		if t.MaxTokens > 0 && t.answered >= t.MaxTokens {
			t.Answer.Full()
			over = true
			break
		}
		if right == len(p.guesses) || p.guesses[right] != token {
			break
		}
		right++
	}
	if err := s.settle(p, right); err != nil {
		return true, err
	}
	return over, nil
}

// settle keeps the guesses of a part that came true, and removes the others from the memory.
func (s *Scheduler) settle(p *part, right int) error {
	t := p.t
	if len(p.guesses) == 0 {
		return nil
	}
	t.report.Guessed += len(p.guesses)
	t.report.Right += right
	switch {
	case p.drafted:
		t.report.Drafted += len(p.guesses)
		t.sketch.learn(len(p.guesses), right)
	case p.forced:
		t.forced.learn(len(p.guesses), right)
	default:
		t.guess.learn(len(p.guesses), right)
	}
	return errors.Join(s.cfg.Cache.Append(t.seq, t.Prompt, p.to+right), s.cfg.Cache.Resync(t.seq))
}

// drawn notes that a token was drawn.
func (s *Scheduler) drawn(t *Task) {
	now := time.Now()
	s.stats.Tokens++
	t.answered++
	if t.answered == 1 {
		t.report.First = now
		s.stats.PromptItems += uint64(len(t.Prompt.Items))
		t.trace("first token", len(t.Prompt.Items), now.Sub(t.arrived))
	} else {
		gap := now.Sub(t.last)
		t.report.Gap = max(t.report.Gap, gap)
		s.stats.ITL.add(gap)
	}
	t.last = now
}
