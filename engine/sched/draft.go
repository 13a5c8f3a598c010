package sched

import (
	"context"
	"time"

	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/engine/kv"
)

// Drafter guesses tokens with a smaller model of the same vocabulary (speculative decoding,
// Leviathan, Kalman and Matias 2023). Draft is called on the compute thread; Forget there or on the
// scheduler's goroutine, never both at once.
type Drafter interface {
	// Draft fills in the tokens of sketches, together. A sketch for which it is not ready stays
	// empty: it may have much to read first. An error leaves all of them empty.
	Draft(ctx context.Context, sketches []*Sketch) error
	// Forget gives back what is kept for an answer.
	Forget(id uint64)
}

// Sketch is what a [Drafter] guesses of one answer.
type Sketch struct {
	ID uint64 // of the answer
	// what the model has read and written; a drafter that sees no pictures reads the tokens among
	// them
	Items  []kv.Item
	Most   int           // tokens to guess
	Tokens []llama.Token // the guesses
}

// draft lets the drafter guess for parts whose text does not repeat itself, where that pays.
func (s *Scheduler) draft(parts []part, answers int) {
	if s.cfg.Drafter == nil {
		return
	}
	// What a smaller model costs beside this one can only be measured.
	one := s.tokens.of(1).Seconds()
	if one == 0 {
		return
	}
	_, each := s.tokens.fit()
	row, extra := each/one, s.drafts.each(&s.tokens)/one
	var sketches []*Sketch
	var of []*part
	for i := range parts {
		p := &parts[i]
		if p.most <= 0 || len(p.guesses) > 0 || p.t.sketch.failed {
			continue
		}
		if p.t.sketch.id == 0 {
			s.sketches++
			p.t.sketch.id, p.t.sketch.prior = s.sketches, draftRate
		}
		if k := p.t.sketch.wanted(min(p.most, mostGuesses), answers, row,
			extra); k > 0 {
			sketches = append(sketches, &Sketch{ID: p.t.sketch.id, Items: p.t.Prompt.Items,
				Most: k})
			of = append(of, p)
		}
	}
	if len(sketches) == 0 {
		return
	}
	var err error
	var took time.Duration
	s.cfg.Run(func() {
		start := time.Now()
		err = s.cfg.Drafter.Draft(s.ctx, sketches)
		took = time.Since(start)
	})
	if err != nil {
		// The answers go on without: what has no room once would be read again and again, and never
		// fit.
		s.stats.Undrafted++
		for _, p := range of {
			p.t.sketch.failed = true
			s.forgetSketch(p.t)
		}
		return
	}
	n := 0
	for i, k := range sketches {
		of[i].guesses, of[i].drafted = k.Tokens, len(k.Tokens) > 0
		n += len(k.Tokens)
	}
	s.drafts.add(n, took)
}

// SetDrafter puts another drafter, or nil, in the place of Config.Drafter. It is called through Do;
// the old one is not used any more after it.
func (s *Scheduler) SetDrafter(d Drafter) {
	for _, t := range s.active {
		s.forgetSketch(t)
	}
	s.cfg.Drafter, s.drafts = d, draftCost{}
}

// forgetSketch gives back what the drafter keeps for a task that ends, is preempted, or cannot be
// drafted for.
func (s *Scheduler) forgetSketch(t *Task) {
	if t.sketch.id != 0 {
		s.cfg.Drafter.Forget(t.sketch.id)
		t.sketch.id = 0
	}
}

// sketcher is the guesser of an answer's drafts.
type sketcher struct {
	guesser
	id     uint64 // by which the drafter knows the answer; 0 while it keeps nothing for it
	failed bool   // a draft failed, and none is asked for any more
}

// draftCost is what a drafted token costs beside the decode that tests it.
type draftCost struct{ seconds float64 }

// add notes that n tokens were drafted in d. A draft of none was spent on reading, which is not
// what the next token costs.
func (c *draftCost) add(n int, d time.Duration) {
	if n == 0 {
		return
	}
	each := d.Seconds() / float64(n)
	if c.seconds == 0 {
		c.seconds = each
	}
	c.seconds += (each - c.seconds) / 8
}

// each is the cost in seconds; before the first draft a tenth of what a decode of the model takes.
func (c *draftCost) each(model *cost) float64 {
	if c.seconds > 0 {
		return c.seconds
	}
	return model.of(1).Seconds() / 10
}
