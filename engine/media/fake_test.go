package media

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/eyelet-engine/eyelet/engine/kv"
	"github.com/eyelet-engine/eyelet/models/vision"
)

// script is a picture for tests, and what its job does.
type script struct {
	name   string
	steps  int
	values int
	// beginErr fails Begin; stepErr fails the step of that number, counted from 1; rowsErr fails
	// Rows; closeErr fails Close.
	beginErr, stepErr, rowsErr, closeErr error
	failAt                               int
	stuck                                bool               // Advance does nothing
	short                                bool               // Rows has a number less than promised
	onStep                               func(n int)        // is called in each step
	stamp                                func(event string) // is told what happens

	begun, jobs, closed int // jobs are those that are open
	running             atomic.Int32
}

var errScript = errors.New("as scripted")

func (s *script) picture() *Picture {
	return &Picture{Key: keyOf(s.name), Part: vision.Part{Tokens: s.values},
		Source: &Source{Begin: func(*vision.Input, int) (vision.Job, error) { return s.begin() }}}
}

// known is a picture of so many numbers that can only be found.
func known(name string, values int) *Picture {
	return &Picture{Key: keyOf(name), Part: vision.Part{Tokens: values}}
}

// rows are what the picture's embeddings must be.
func (s *script) rows() []float32 {
	return ramp(float32(len(s.name))*1000+float32(s.name[0]), s.values)
}

func (s *script) begin() (vision.Job, error) {
	s.begun++
	s.note("begin")
	if s.beginErr != nil {
		return nil, s.beginErr
	}
	s.jobs++
	return &fakeJob{script: s}, nil
}

func (s *script) note(event string) {
	if s.stamp != nil {
		s.stamp(event + " " + s.name)
	}
}

// fakeJob is a vision.Job that follows its script. It panics where a job is used as it must not be.
type fakeJob struct {
	script *script
	done   int
	closed bool
}

func (j *fakeJob) use() func() {
	if j.closed {
		panic("used after Close")
	}
	if j.script.running.Add(1) != 1 {
		panic("used by two goroutines")
	}
	return func() { j.script.running.Add(-1) }
}

func (j *fakeJob) Progress() (done, total int) { return j.done, j.script.steps }

func (j *fakeJob) Advance(ctx context.Context, steps int) error {
	defer j.use()()
	s := j.script
	if s.stuck {
		return nil
	}
	for end := min(j.done+steps, s.steps); j.done < end; {
		if err := ctx.Err(); err != nil {
			return err
		}
		if s.stepErr != nil && s.failAt == j.done+1 {
			return s.stepErr
		}
		j.done++
		s.note("step")
		if s.onStep != nil {
			s.onStep(j.done)
		}
	}
	return nil
}

func (j *fakeJob) Rows() ([]float32, error) {
	defer j.use()()
	s := j.script
	switch {
	case j.done < s.steps:
		panic("rows before they are done")
	case s.rowsErr != nil:
		return nil, s.rowsErr
	case s.short:
		return s.rows()[1:], nil
	}
	return s.rows(), nil
}

func (j *fakeJob) Close() error {
	defer j.use()()
	j.closed = true
	j.script.jobs--
	j.script.closed++
	j.script.note("close")
	return j.script.closeErr
}

// waker is told when an encoder has something to collect.
type waker struct{ woke chan struct{} }

func newWaker() *waker { return &waker{make(chan struct{}, 1)} }

func (w *waker) options(cache *Cache) EncoderOptions {
	return EncoderOptions{Cache: cache, Wake: w.wake}
}

func (w *waker) wake() {
	select {
	case w.woke <- struct{}{}:
	default:
	}
}

// newEncoder makes an encoder over a cache of its own unless one is given, and closes it with the
// test.
func newEncoder(t testing.TB, o EncoderOptions) *Encoder {
	t.Helper()
	if o.Cache == nil {
		o.Cache = newCache(t, Options{})
	}
	e, err := NewEncoder(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	return e
}

// advance runs the encoder for that many steps and wants it to have done all of them.
func advance(t testing.TB, e *Encoder, steps int) {
	t.Helper()
	ran, took, err := e.Advance(context.Background(), steps)
	if err != nil || ran != steps || took < 0 {
		t.Fatalf("%d of %d steps in %v, %v", ran, steps, took, err)
	}
}

// wantRows wants a ticket to be done, with the rows of the picture.
func wantRows(t testing.TB, ticket *Ticket, s *script) {
	t.Helper()
	if !ticket.Done() || ticket.Err() != nil || !slices.Equal(ticket.Rows(), s.rows()) {
		t.Errorf("picture %s: done %v, %d numbers, %v", s.name, ticket.Done(), len(ticket.Rows()),
			ticket.Err())
	}
}

// wantErr wants a ticket to have failed.
func wantErr(t testing.TB, ticket *Ticket, want error) {
	t.Helper()
	if !ticket.Done() || !errors.Is(ticket.Err(), want) || ticket.Rows() != nil {
		t.Errorf("done %v, %d numbers, error %v, want %v", ticket.Done(), len(ticket.Rows()),
			ticket.Err(), want)
	}
}

// wantClean wants nothing of a picture to be left.
func wantClean(t testing.TB, s *script) {
	t.Helper()
	if s.jobs != 0 {
		t.Errorf("picture %s: %d jobs are open", s.name, s.jobs)
	}
}

// fetch returns the embeddings of a key, held, if they are in memory, or on disk as so many
// numbers; nil if they are not. It waits for the disk; when ctx is done it returns its error.
func (c *Cache) fetch(ctx context.Context, k kv.Key, values int) (*Embeddings, error) {
	if e, ok := c.Get(k); ok {
		return e, nil
	}
	answer := make(chan *Embeddings, 1)
	if !c.load(k, values, func(e *Embeddings) { answer <- e }) {
		return nil, ctx.Err()
	}
	select {
	case e := <-answer:
		return e, nil
	case <-ctx.Done():
		go func() { // every load is answered
			if e := <-answer; e != nil {
				e.Release()
			}
		}()
		return nil, ctx.Err()
	}
}

// Pending is how many pictures are wanted and not there yet.
func (e *Encoder) Pending() int { return len(e.jobs) }
