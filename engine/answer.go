package engine

import (
	"sync"
	"time"

	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/engine/sampling"
	"github.com/eyelet-engine/eyelet/models/grammar"
	"github.com/eyelet-engine/eyelet/models/reply"
)

// answer is one request on its way: it draws tokens for the scheduler and turns them into events
// for the caller. It is a [sched.Answer].
type answer struct {
	model   *Model
	request *Request
	sampler *sampling.Sampler
	began   time.Time
	result  Result

	// What follows belongs to the compute thread until the task is done, and to the caller
	// afterwards.
	text llama.Decoder
	stop stopper
	cut  bool // a stop text has appeared

	grammar string        // that holds all of the answer; "" if none does
	walk    *grammar.Walk // through it; nil if nothing is to be foreseen

	check   *schemaCheck // nil where the grammar holds all of a schema
	relaxed []string     // parts of schemas of tools that nothing holds
	retry   int          // answers that were drawn before and were not valid

	marks  map[llama.Token]string // control tokens that mean something to the parser
	parser *reply.Parser          // nil where an answer is just text
	whole  int                    // calls that are whole

	mu     sync.Mutex
	events []Event // not taken yet; a caller who is slow has at most one answer's
	posted chan struct{}
}

// Next implements [sched.Answer].
func (a *answer) Next(output int) (token llama.Token, more bool, err error) {
	m := a.model
	if token, err = a.sampler.Draw(output); err != nil {
		return token, false, err
	}
	e := Event{Tokens: []Token{token}}
	if a.result.Usage.Completion == 0 {
		usage := a.result.Usage
		e.Usage, e.Relaxed = &usage, a.relaxed
	}
	if a.request.Logprobs {
		logits, err := m.lc.Logits(output)
		if err != nil {
			return token, false, err
		}
		e.Logprobs = []TokenLogprob{sampling.Logprob(m.lm.Vocab(), logits, token,
			a.request.TopLogprobs)}
	}
	if m.lm.Vocab().IsEOG(token) {
		a.result.Finish, a.result.EndToken = FinishStop, true
		return token, false, nil
	}
	a.result.Usage.Completion++
	if a.walk != nil {
		a.walk.Push(string(m.lm.Vocab().Piece(token, false)))
	}
	text := ""
	if mark, ok := a.marks[token]; ok {
		text = a.text.Flush() + mark
	} else {
		text = a.text.Push(token)
	}
	text, a.cut = a.stop.push(text)
	a.interpret(&e, text)
	a.check.push(e.Text)
	a.post(e)
	if a.cut {
		a.result.Finish = FinishStop
	}
	return token, !a.cut, nil
}

// Full implements [sched.Answer].
func (a *answer) Full() { a.result.Finish = FinishLength }

// post leaves an event for the caller.
func (a *answer) post(e Event) {
	a.mu.Lock()
	a.events = append(a.events, e)
	a.mu.Unlock()
	select {
	case a.posted <- struct{}{}:
	default:
	}
}

// drain returns the events that have come.
func (a *answer) drain() (events []Event) {
	a.mu.Lock()
	defer a.mu.Unlock()
	events, a.events = a.events, nil
	return events
}

// rest is the last event, with what was held back, once the answer is over.
func (a *answer) rest() Event {
	text := ""
	if !a.cut {
		var stopped bool
		if text, stopped = a.stop.push(a.text.Flush()); stopped {
			a.result.Finish = FinishStop
		} else {
			text += a.stop.flush()
		}
	}
	e := Event{Done: &a.result}
	if a.result.Usage.Completion == 0 { // the last event is the first
		usage := a.result.Usage
		e.Usage, e.Relaxed = &usage, a.relaxed
	}
	a.result.StopText = a.stop.hit
	a.interpret(&e, text)
	if a.parser != nil {
		flush := a.parser.Flush
		if a.result.Finish == FinishLength {
			flush = a.parser.Cut
		}
		d := flush()
		e.Text, e.Reasoning = e.Text+d.Text, e.Reasoning+d.Reasoning
	}
	a.check.push(e.Text)
	a.result.Calls = a.result.Calls[:a.whole]
	if len(a.result.Calls) > 0 && a.result.Finish == FinishStop {
		a.result.Finish = FinishTools
	}
	return e
}
