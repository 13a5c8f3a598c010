package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"
)

// runner lets the sides take turns.
type runner struct {
	o       options
	us      ourSide
	them    peer // nil with -ours-only
	results []result
}

// result is what a scenario measured.
type result struct {
	scenario scenario
	sides    [2]measured // ours, theirs
}

const (
	oursSide = iota
	theirSide
)

// measured is one side's part of a result.
type measured struct {
	samples [][]float64 // of each row
	tokens  tokenCount
	failed  string // why the figures do not count
}

// tokenCount sums up the prompts of complete answers: sides that did the same work have the same
// sum.
type tokenCount struct {
	Prompt int `json:"prompt"`
	Cached int `json:"cached"` // of Prompt, those that were not computed again
}

func (c *tokenCount) add(other tokenCount) {
	c.Prompt += other.Prompt
	c.Cached += other.Cached
}

// turnOf is one side's turn with one scenario.
type turnOf struct {
	side     side
	round    int
	scenario string
	failed   string // set by a scenario whose figures must not count

	mu     sync.Mutex
	tokens tokenCount
	first  *conversation // of this side and round
}

// conversation is the picture that several scenarios go on from.
type conversation struct {
	picture  []byte
	question question
	answer   string
	first    float64 // TTFT in seconds
}

// ask asks the side, and counts.
func (t *turnOf) ask(ctx context.Context, q question, seen func()) (reply, error) {
	r, err := t.side.ask(ctx, q, seen)
	if err != nil {
		return r, fmt.Errorf("%s: %w", t.side.name(), err)
	}
	t.mu.Lock()
	t.tokens.add(tokenCount{r.prompt, r.cached})
	t.mu.Unlock()
	return r, nil
}

// conversation asks about a new picture, once in a round.
func (t *turnOf) conversation(ctx context.Context) (*conversation, error) {
	if t.first.picture != nil {
		return t.first, nil
	}
	p := picture(t.round, "conversation")
	q := ask(p, firstQuestion)
	r, err := t.ask(ctx, q, nil)
	if err != nil {
		return nil, err
	}
	*t.first = conversation{picture: p, question: q, answer: r.text, first: r.first()}
	return t.first, nil
}

// run warms both sides up and runs all rounds.
func (r *runner) run(ctx context.Context) error {
	for _, s := range r.o.scenarios {
		r.results = append(r.results, result{scenario: s})
	}
	for _, s := range r.sides() {
		if s == nil {
			continue
		}
		if _, err := s.ask(ctx, ask(nil, "Hello, are you there?"), nil); err != nil {
			return fmt.Errorf("%s: %w", s.name(), err)
		}
	}
	for round := range r.o.rounds {
		var first [2]conversation
		for i := range r.results {
			for k := range 2 {
				// llama-server begins in the first round, the engine in the next
				which := (round + k + 1) % 2
				if err := r.turn(ctx, &r.results[i], which, round, &first[which]); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// sides are ours and theirs; theirs is nil where it was left out.
func (r *runner) sides() [2]side {
	list := [2]side{oursSide: r.us}
	if r.them != nil {
		list[theirSide] = r.them
	}
	return list
}

// turn runs a scenario once with one side.
func (r *runner) turn(ctx context.Context, res *result, which, round int,
	first *conversation) error {
	s, m := r.sides()[which], &res.sides[which]
	switch {
	case s == nil:
		return nil
	case which == theirSide && slices.ContainsFunc(r.o.scenarios, func(s scenario) bool {
		return s.name == res.scenario.theirs
	}):
		return nil // the report takes them from there
	}
	if which == oursSide && res.scenario.encoder != "" {
		other, err := r.us.withEncoder(ctx, res.scenario.encoder)
		if err != nil {
			return err
		}
		defer other.close()
		s = other
	}
	fmt.Fprintf(os.Stderr, "%s round %d of %d: %s, %s ", time.Now().Format(time.TimeOnly), round+1,
		r.o.rounds, res.scenario.name, s.name())
	t := &turnOf{side: s, round: round, scenario: res.scenario.name, first: first}
	samples, err := res.scenario.run(ctx, t)
	fmt.Fprintf(os.Stderr, "%.3g, %d tokens of prompts, %d of them cached\n", samples,
		t.tokens.Prompt, t.tokens.Cached)
	m.tokens.add(t.tokens)
	if err != nil {
		return fmt.Errorf("%s: %w", res.scenario.name, err)
	}
	if t.failed != "" {
		m.failed = t.failed
	}
	if m.samples == nil {
		m.samples = make([][]float64, len(samples))
	}
	for i := range samples {
		m.samples[i] = append(m.samples[i], samples[i]...)
	}
	return nil
}
