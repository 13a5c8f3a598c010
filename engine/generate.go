package engine

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/eyelet-engine/eyelet/engine/kv"
	"github.com/eyelet-engine/eyelet/engine/multimodal"
	"github.com/eyelet-engine/eyelet/engine/prompt"
	"github.com/eyelet-engine/eyelet/engine/sampling"
	"github.com/eyelet-engine/eyelet/engine/sched"
)

// Generate answers a request. The sequence yields events as tokens arrive; the last one carries the
// Result. An error ends it: ctx's own if the caller gave up, else one of the package's errors.
// Leaving the loop stops the answer. What was computed stays in the KV cache, so that a request
// that goes on from there is answered sooner.
func (m *Model) Generate(ctx context.Context, r Request) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		if !m.enter() {
			yield(Event{}, ErrClosed)
			return
		}
		defer m.requests.Done()
		ctx, cancel := m.untilClosed(ctx)
		defer cancel()
		left := false
		began := time.Now()
		for retry := 0; ; retry++ {
			a := &answer{model: m, request: &r, began: began, retry: retry}
			a.result.Timings.Load = m.load
			err := a.run(ctx, func(e Event) bool {
				left = !yield(e, nil)
				return !left
			})
			if errors.Is(err, ErrSchema) && retry < r.SchemaRetries && !left && ctx.Err() == nil {
				r.Sampling = r.Sampling.Anew()
				continue
			}
			if err != nil && !left {
				yield(Event{}, m.requestError(ctx, err))
			}
			return
		}
	}
}

// enter counts a request, which Close waits for. It returns false once the model is being closed.
func (m *Model) enter() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.over {
		m.requests.Add(1)
	}
	return !m.over
}

// whileOpen returns what f returns, which uses the model: Close waits for f, and ends the context
// that f gets. The error is ErrClosed for a model that is closed, and else that of f as the caller
// of a request understands it.
func whileOpen[T any](ctx context.Context, m *Model,
	f func(context.Context) (T, error)) (out T, err error) {
	if !m.enter() {
		return out, ErrClosed
	}
	defer m.requests.Done()
	ctx, cancel := m.untilClosed(ctx)
	defer cancel()
	if out, err = f(ctx); err != nil {
		var none T
		return none, m.requestError(ctx, err)
	}
	return out, nil
}

// isCancelled reports whether err means that the caller gave up.
func isCancelled(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// requestError returns err as the caller of a request understands it.
func (m *Model) requestError(ctx context.Context, err error) error {
	switch {
	case errors.Is(context.Cause(ctx), ErrClosed), errors.Is(err, sched.ErrClosed):
		return ErrClosed
	case errors.Is(err, sched.ErrQueueFull):
		return ErrBusy
	case errors.Is(err, kv.ErrNoCells), errors.Is(err, kv.ErrNoSequence):
		return fmt.Errorf("%w: %w", ErrContextLength, err)
	case ctx.Err() != nil && !isCancelled(err) && !errors.Is(err, context.Cause(ctx)):
		return fmt.Errorf("%w: %w", context.Cause(ctx), err)
	}
	return err
}

// untilClosed returns ctx, which the model's Close ends as well.
func (m *Model) untilClosed(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(m.closed, func() { cancel(ErrClosed) })
	return ctx, func() { stop(); cancel(nil) }
}

// prepare makes the request ready: its prompt, what holds the answer, and what draws its tokens.
// The sampler is to be closed, after an error too.
func (a *answer) prepare(ctx context.Context) (*prompt.Prompt, error) {
	m := a.model
	if err := a.request.check(); err != nil {
		return nil, err
	}
	if !m.lc.HasMemory() {
		return nil, fmt.Errorf("%w: %s makes embeddings and does not answer", ErrRequest,
			m.info.Name)
	}
	if a.request.Session != "" && m.disk == nil {
		return nil, fmt.Errorf("%w: a session needs a folder to be saved in (ModelSpec.StateDir)",
			ErrRequest)
	}
	p, err := m.prompt(ctx, a.request)
	if err != nil {
		return nil, err
	}
	held, schema, err := m.constraint(ctx, a.request, p.Thinking)
	if err != nil {
		return nil, err
	}
	a.relaxed, a.check = held.Relaxed, newSchemaCheck(a.request, held, schema)
	if a.sampler, err = sampling.New(m.sampling(), &a.request.Sampling, held,
		p.Tokens()); err != nil {
		return nil, err
	}
	a.result.Seed = a.sampler.Seed
	if held.Trigger == "" {
		a.grammar = held.GBNF
	}
	a.understand(p.Thinking)
	a.result.Usage.Prompt, a.result.Usage.Image = p.N, p.Images
	if a.request.KeepPrompt {
		a.result.Prompt = p.Tokens()
	}
	return p, a.sampler.Guide(ctx, a.request.Guidance, a.request.NegativePrompt)
}

// sampling is what the model's tokens are drawn with.
func (m *Model) sampling() sampling.Host {
	return sampling.Host{Context: m.lc, Cells: m.cells, Ends: m.endings,
		Threads: m.engine.threads, Thread: m.engine.thread, Open: m.newContext}
}

// heldBack returns a yield that passes events on when the last one has come.
func heldBack(yield func(Event) bool) func(Event) bool {
	var back []Event
	return func(e Event) bool {
		back = append(back, e)
		if e.Done == nil {
			return true
		}
		for _, e := range back {
			if !yield(e) {
				return false
			}
		}
		return true
	}
}

// run makes the request ready, hands it to the scheduler, and passes events on until the answer
// ends or the caller leaves.
func (a *answer) run(ctx context.Context, yield func(Event) bool) error {
	m := a.model
	p, err := a.prepare(ctx)
	defer func() { a.sampler.Close() }()
	if err != nil {
		return err
	}
	if a.request.SchemaRetries > 0 && a.check.fatal() {
		yield = heldBack(yield) // until the answer is found valid
	}
	task := m.task(p, a.request)
	a.text.Vocab, a.stop.stops, a.posted = m.lm.Vocab(), a.request.Stop, make(chan struct{}, 1)
	task.Answer = a
	a.foresee(task)
	ctx, leave := context.WithCancel(ctx)
	defer leave()
	submitted := time.Now()
	if err := m.sched.Submit(ctx, task); err != nil {
		return err
	}
	// the caller may panic, and what the task works with must not be closed before
	defer func() { leave(); <-task.Done() }()
	stays := a.follow(task, yield)
	if !stays {
		leave()
	}
	report, err := task.Wait()
	a.request.Conversation.record(task, p.N, report)
	if err != nil || !stays {
		return multimodal.Fault(err)
	}
	a.result.Timings.DecodeImage,
		a.result.Timings.Preprocess = time.Duration(p.Spent.Decode.Load()),
		time.Duration(p.Spent.Preprocess.Load())
	a.sum(report, submitted)
	last := a.rest()
	if a.check != nil {
		if a.result.SchemaChecked, err = a.check.outcome(&a.result); err != nil {
			return err
		}
		if a.result.SchemaChecked != nil {
			a.result.SchemaChecked.Retries = a.retry
		}
	}
	if a.request.Session != "" {
		a.result.SessionError = m.keep(ctx, task, a.request.Session)
	}
	yield(last)
	return nil
}

// follow passes events on as they come. It returns false if the caller left.
func (a *answer) follow(task *sched.Task, yield func(Event) bool) bool {
	for {
		over := false
		select {
		case <-a.posted:
		case <-task.Done():
			over = true
		}
		for _, e := range a.drain() {
			if !yield(e) {
				return false
			}
		}
		if over {
			return true
		}
	}
}

// sum fills in what the scheduler reports.
func (a *answer) sum(r sched.Report, submitted time.Time) {
	t := &a.result.Timings
	now := time.Now()
	a.result.Usage.Cached = r.Cached
	a.result.Speculation = Speculation{Guessed: r.Guessed, Right: r.Right}
	t.Queue, t.Encode, t.Prefill = r.Queue, r.Encode, r.Prefill
	if !r.First.IsZero() {
		t.FirstToken, t.Generate = r.First.Sub(a.began), now.Sub(r.First)
	}
	t.LongestGap = r.Gap
	t.Total = now.Sub(a.began)
}
