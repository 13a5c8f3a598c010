package llama

// #include "shim.h"
import "C"

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"
)

// errStarted is the error of calls on a context in the middle of a decode.
var errStarted = errors.New("llama: the context is in the middle of a decode that was begun")

// Stepwise is a Decode that is computed bit by bit, so that other contexts can compute in between.
// Until it has ended, its context takes no other calls but Close.
//
// Its methods must be called on one OS thread, except Stop.
type Stepwise struct {
	c      *Context
	ctx    context.Context
	stop   func() // of the cancellation
	batch  *Batch
	result error
}

// Begin begins to decode a batch, which is not to be changed until that has ended. It fails as
// Decode does, and on a context that was made without Steps. Nothing is computed before Advance.
func (c *Context) Begin(ctx context.Context, batch *Batch) (*Stepwise, error) {
	if err := c.check(batch); err != nil {
		return nil, err
	}
	if c.steps == nil {
		return nil, errors.New("llama: the context was made without Steps")
	}
	if c.encoderOnly {
		return nil, fmt.Errorf("%w: the model has no decoder", ErrInvalidBatch)
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrAborted, err)
	}
	batch.seal()
	c.outputs = c.outputs[:0]
	if !bool(C.shim_steps_begin(c.steps, c.c, batch.c)) {
		return nil, errors.New("llama: out of memory")
	}
	s := &Stepwise{c: c, ctx: ctx, batch: batch, stop: c.cancelOn(ctx)}
	c.started = s
	return s, nil
}

// Advance goes on computing for about that long, at least from one node of the graph to the next
// where it can pause, and returns whether the decode has ended. Its errors are Decode's, and end
// it. Called again after the end it returns the same.
func (s *Stepwise) Advance(d time.Duration) (done bool, err error) {
	if s.c.started == s && s.ctx.Err() != nil {
		C.shim_flag_set(s.c.abort, true) // as cancelOn does, whose goroutine may come later
	}
	return s.advance(d, false)
}

func (s *Stepwise) advance(d time.Duration, aborted bool) (done bool, err error) {
	if s.c.started != s {
		return true, s.result
	}
	var ok C.bool
	var rc C.int32_t
	var eb errBuf
	switch C.shim_steps_advance(s.c.steps, C.double(d.Seconds()), C.bool(aborted), &ok, &rc,
		eb.ptr(), eb.cap()) {
	case 0:
		s.c.yield()
		return false, nil
	case -1:
		return false, errors.New(
			"llama: a decode that was begun on one thread cannot go on on another")
	}
	s.stop()
	s.c.started = nil
	s.c.yield()
	s.result = s.c.result(s.ctx, "decode", s.batch.outputs[:s.batch.Len()], bool(ok), rc, &eb)
	return true, s.result
}

// Longest is the longest time so far between two places of the graph where the decode can pause.
// After the end it is that of the whole, until the context begins another one or is closed.
func (s *Stepwise) Longest() time.Duration {
	if s.c.steps == nil {
		return 0
	}
	return time.Duration(float64(C.shim_steps_longest(s.c.steps)) * float64(time.Second))
}

// Stop ends a decode that is not to be finished. Cells of micro-batches that are whole may remain
// of it.
func (s *Stepwise) Stop() {
	if s.c.started != s {
		return
	}
	c := s.c
	C.shim_flag_set(c.abort, true)
	_, _ = s.advance(math.MaxInt32*time.Second, true)
	C.shim_flag_set(c.abort, false)
}
