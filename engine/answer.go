package engine

import (
	"sync"
	"time"

	"github.com/eyelet-engine/eyelet/cgo/llama"
)

// answer is one request on its way: it draws tokens for the scheduler and turns them into events for the caller. It is a [sched.Answer].
type answer struct {
	model   *Model
	request *Request
	chain   *llama.Sampler
	began   time.Time
	result  Result

	// What follows belongs to the compute thread until the task is done, and to the caller afterwards.
	text llama.Decoder
	stop stopper
	cut  bool // a stop text has appeared

	mu     sync.Mutex
	events []Event // not taken yet; a caller who is slow has at most one answer's
	news   chan struct{}
}

// Next implements [sched.Answer].
func (a *answer) Next(output int) (token llama.Token, more bool, err error) {
	m := a.model
	if token, err = a.chain.Sample(m.lc, output); err != nil {
		return token, false, err
	}
	e := Event{Tokens: []Token{token}}
	if a.request.Logprobs {
		logits, err := m.lc.Logits(output)
		if err != nil {
			return token, false, err
		}
		e.Logprobs = []TokenLogprob{m.logprob(logits, token, a.request.TopLogprobs)}
	}
	if m.lm.Vocab().IsEOG(token) {
		a.result.Finish = FinishStop
		return token, false, nil
	}
	a.result.Usage.Completion++
	e.Text, a.cut = a.stop.push(a.text.Push(token))
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
	case a.news <- struct{}{}:
	default:
	}
}

// take returns the events that have come.
func (a *answer) take() (events []Event) {
	a.mu.Lock()
	defer a.mu.Unlock()
	events, a.events = a.events, nil
	return events
}

// rest is the text that was held back, once the answer is over.
func (a *answer) rest() string {
	if a.cut {
		return ""
	}
	text, stopped := a.stop.push(a.text.Flush())
	if stopped {
		a.result.Finish = FinishStop
		return text
	}
	return text + a.stop.flush()
}
