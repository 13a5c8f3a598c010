package server

import (
	"context"
	"errors"
	"iter"
	"net/http"

	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/engine/sched"
	"github.com/eyelet-engine/eyelet/engine/server/internal/answer"
	"github.com/eyelet-engine/eyelet/engine/server/internal/failure"
)

// generate runs a request on a borrowed model, for the client whose turn it is.
func (l *lease) generate(ctx context.Context, r engine.Request) iter.Seq2[engine.Event, error] {
	rec := recordOf(ctx)
	if r.Bounded() {
		l.bounded()
	}
	r.Client, r.Priority, r.SchemaRetries = rec.client, rec.priority, rec.attempts
	return noted(ctx, func(yield func(engine.Event, error) bool) {
		rec.memory.count(whileQueued)
		waiting, begun := rec.waits.begin(ctx)
		defer begun()
		r.Trace = func(m sched.Moment) {
			if m.What == sched.Admitted {
				begun()
				rec.memory.turn()
			}
		}
		for e, err := range l.Model.Generate(waiting, r) {
			if !yield(e, refused(waiting, err)) {
				return
			}
		}
	})
}

// generateFitting is generate for a request of which something may be left out where it is too long
// for its context; f is nil where nothing may.
func (l *lease) generateFitting(ctx context.Context, r engine.Request,
	f *engine.Fitting) iter.Seq2[engine.Event, error] {
	if f == nil {
		return l.generate(ctx, r)
	}
	return func(yield func(engine.Event, error) bool) {
		begun := false
		for e, err := range l.generate(ctx, r) {
			// which is found before anything is computed
			if errors.Is(err, engine.ErrContextLength) && !begun {
				if r, err = l.Model.Fit(ctx, r, *f); err == nil {
					l.generate(ctx, r)(yield)
					return
				}
			}
			begun = true
			if !yield(e, err) || err != nil {
				return
			}
		}
	}
}

// indexed is an event of one of several answers.
type indexed struct {
	engine.Event
	index int
}

// only makes the events of one answer those of a request that has no other.
func only(events iter.Seq2[engine.Event, error]) iter.Seq2[indexed, error] {
	return func(yield func(indexed, error) bool) {
		for e, err := range events {
			if !yield(indexed{e, 0}, err) {
				return
			}
		}
	}
}

// maxAtOnce bounds the answers to one request that are computed side by side; the others wait for
// their turn.
const maxAtOnce = 16

// generateAll answers requests side by side. It ends with the first error; leaving the loop ends
// the answers.
func (l *lease) generateAll(ctx context.Context,
	requests []engine.Request) iter.Seq2[indexed, error] {
	if len(requests) == 1 {
		return only(l.generate(ctx, requests[0]))
	}
	type arrival struct {
		indexed
		err  error
		over bool
	}
	return func(yield func(indexed, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		arrivals := make(chan arrival)
		turns := make(chan struct{}, maxAtOnce)
		for i, r := range requests {
			go func() {
				turns <- struct{}{}
				defer func() { <-turns }()
				if ctx.Err() == nil { // else nobody listens any more
					for e, err := range l.generate(ctx, r) {
						arrivals <- arrival{indexed: indexed{e, i}, err: err}
					}
				}
				arrivals <- arrival{over: true}
			}()
		}
		running := len(requests)
		defer func() {
			cancel()
			for running > 0 { // what the others still say is not heard
				if a := <-arrivals; a.over {
					running--
				}
			}
		}()
		for running > 0 {
			if a := <-arrivals; a.over {
				running--
			} else if !yield(a.indexed, a.err) || a.err != nil {
				return
			}
		}
	}
}

// copies returns the requests for n answers to the same question.
func copies(r engine.Request, n int) []engine.Request {
	list := make([]engine.Request, n)
	for i := range list {
		list[i] = r
		if r.Sampling.Seed != nil {
			seed := *r.Sampling.Seed + uint32(i)
			list[i].Sampling.Seed = &seed
		}
	}
	return list
}

// count returns how many tokens the prompt of a request has for a model, which it borrows.
func (s *Server) count(ctx context.Context, m *model, request engine.Request) (int, error) {
	l, err := s.models.use(ctx, m, 0, nil)
	if err != nil {
		return 0, err
	}
	defer l.Release()
	n, err := l.Model.Count(ctx, request)
	return n.Prompt, err
}

// errUnfinished is a fault of the engine.
var errUnfinished = errors.New("server: an answer ended without its result")

// respond sends answers as a renderer formats them: piece by piece over a stream, or in one
// document where out is nil. An error after the first piece is told in the stream too.
func (s *Server) respond(ctx context.Context, w http.ResponseWriter, out *stream, set *answer.Set,
	format answer.Renderer, events iter.Seq2[indexed, error]) error {
	if out != nil {
		set.Streamed()
	}
	for e, err := range events {
		if err != nil {
			if out != nil && out.begun {
				_ = out.send(format.Failed(failure.Of(ctx, err))...) // the client may be gone
			}
			return err
		}
		step := set.Add(e.index, e.Event)
		if out == nil {
			continue
		}
		if err := out.send(format.Step(step)...); err != nil {
			return err
		}
	}
	switch {
	case len(set.Ended) < len(set.Answers):
		return errUnfinished
	case out == nil:
		return s.writeJSON(w, http.StatusOK, format.Document(set))
	}
	return out.send(format.End(set)...)
}
