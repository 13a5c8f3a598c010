package engine

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/eyelet-engine/eyelet/cgo/llama"
)

// Generate answers a request. The sequence yields events as tokens arrive; the last one carries the Result. An error ends it:
// ctx's own if the caller gave up, else one of the package's errors. Leaving the loop stops the answer. What was computed
// stays in the KV cache, so that a request that goes on from there is answered sooner.
func (m *Model) Generate(ctx context.Context, r Request) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		ctx, cancel := m.during(ctx)
		defer cancel()
		a := &answer{model: m, request: &r, began: time.Now(), yield: yield}
		a.result.Timings.Load = m.load
		if err := a.run(ctx); err != nil && !a.left {
			if errors.Is(context.Cause(ctx), ErrClosed) {
				err = ErrClosed
			} else if ctx.Err() != nil && !isCancelled(err) {
				err = fmt.Errorf("%w: %w", context.Cause(ctx), err)
			}
			yield(Event{}, err)
		}
	}
}

// during is ctx, ended as well by the model's Close.
func (m *Model) during(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(m.closed, func() { cancel(ErrClosed) })
	return ctx, func() { stop(); cancel(nil) }
}

// answer is one request on its way.
type answer struct {
	model   *Model
	request *Request
	yield   func(Event, error) bool
	left    bool // the caller left the loop
	began   time.Time
	result  Result
}

func (a *answer) run(ctx context.Context) error {
	m, t := a.model, &a.result.Timings
	if m.closed.Err() != nil {
		return ErrClosed
	}
	if err := a.request.check(); err != nil {
		return err
	}
	chain, seed, err := m.sampler(a.request)
	if err != nil {
		return err
	}
	defer chain.Close()
	a.result.Seed = seed
	p, err := m.prompt(ctx, a.request, t)
	if err != nil {
		return err
	}
	defer p.close()
	a.result.Usage.Prompt, a.result.Usage.Image = p.n, p.images

	waited := time.Now()
	select {
	case m.turn <- struct{}{}:
		defer func() { <-m.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	t.Queue = time.Since(waited)
	output, cached, err := m.prefill(ctx, p, a.request.Fresh, t)
	if err != nil {
		return err
	}
	a.result.Usage.Cached = cached
	return a.generate(ctx, chain, output)
}

// step is what one turn of the compute thread brings: a token, chosen from the logits of an output.
type step struct {
	token   llama.Token
	logprob *TokenLogprob
}

// generate draws tokens until the answer ends.
func (a *answer) generate(ctx context.Context, chain *llama.Sampler, output int) error {
	m := a.model
	began := time.Now()
	vocab := m.lm.Vocab()
	text := llama.Decoder{Vocab: vocab}
	stop := stopper{stops: a.request.Stop}
	a.result.Finish = FinishLength
	for n := 0; a.request.MaxTokens == 0 || n < a.request.MaxTokens; n++ {
		var s step
		err := m.engine.thread.do(ctx, func() (err error) { s, err = a.sample(chain, output); return err })
		if err != nil {
			return err
		}
		if n == 0 {
			a.result.Timings.FirstToken = time.Since(a.began)
		}
		if vocab.IsEOG(s.token) {
			a.result.Finish = FinishStop
			break
		}
		a.result.Usage.Completion++
		show, stopped := stop.push(text.Push(s.token))
		if !a.emit(show, s) {
			return nil
		}
		if stopped {
			a.result.Finish = FinishStop
			return a.finish(began, "")
		}
		if len(m.seq.items) >= m.lc.NCtxSeq() || n+1 == a.request.MaxTokens {
			break
		}
		err = m.engine.thread.do(ctx, func() (err error) {
			output, err = m.seq.appendTokens(ctx, m.lc, []llama.Token{s.token}, true)
			return err
		})
		if errors.Is(err, llama.ErrNoRoom) {
			break
		}
		if err != nil {
			return err
		}
	}
	rest, stopped := stop.push(text.Flush())
	if stopped {
		a.result.Finish = FinishStop
	} else {
		rest += stop.flush()
	}
	return a.finish(began, rest)
}

// sample chooses a token from an output of the last decode. It runs on the compute thread.
func (a *answer) sample(chain *llama.Sampler, output int) (step, error) {
	token, err := chain.Sample(a.model.lc, output)
	if err != nil {
		return step{}, err
	}
	s := step{token: token}
	if a.request.Logprobs {
		logits, err := a.model.lc.Logits(output)
		if err != nil {
			return step{}, err
		}
		l := a.model.logprob(logits, token, a.request.TopLogprobs)
		s.logprob = &l
	}
	return s, nil
}

// emit yields a token's event; it returns false when the caller has left.
func (a *answer) emit(text string, s step) bool {
	e := Event{Text: text, Tokens: []Token{s.token}}
	if s.logprob != nil {
		e.Logprobs = []TokenLogprob{*s.logprob}
	}
	a.left = !a.yield(e, nil)
	return !a.left
}

// finish yields the last event.
func (a *answer) finish(began time.Time, text string) error {
	t := &a.result.Timings
	t.Generate = time.Since(began)
	t.Total = time.Since(a.began)
	a.left = !a.yield(Event{Text: text, Done: &a.result}, nil)
	return nil
}
