package sched

import (
	"context"
	"slices"
	"sync/atomic"

	"github.com/eyelet-engine/eyelet/engine/kv"
	"github.com/eyelet-engine/eyelet/engine/kv/disk"
)

// copied counts copies of cells. It may be used by several goroutines.
type copied struct{ bytes, items atomic.Int64 }

// count notes that there is a snapshot more, or with sign -1 one less.
func (c *copied) count(snap *disk.Snapshot, sign int) {
	c.bytes.Add(int64(sign * len(snap.State)))
	c.items.Add(int64(sign * len(snap.Prompt.Items)))
}

func (c *copied) amount() amount { return amount{int(c.bytes.Load()), int(c.items.Load())} }

// order is a snapshot that somebody waits for. It is made in a step of the plan.
type order struct {
	ctx    context.Context
	prompt *kv.Prompt
	exact  bool // no items behind those of prompt
	name   string
	size   amount // about; filled in before each plan
	done   chan struct{}
	snap   *disk.Snapshot
	err    error
}

func (o *order) end(err error) {
	o.err = err
	close(o.done)
}

// Snapshot copies the sequence of a task that has ended out of the cache and calls use with the
// copy, on the caller's goroutine. The copy takes a turn of its own, is counted as memory until use
// returns, and waits for that memory while others have it. Errors are ErrClosed, ErrShifted,
// ErrGone, ctx's own, or those of the decoder or of use.
func (s *Scheduler) Snapshot(ctx context.Context, t *Task, name string,
	use func(*disk.Snapshot) error) error {
	if t.report.Shifted > 0 {
		return ErrShifted
	}
	return s.await(&order{ctx: ctx, prompt: t.Prompt, name: name}, use)
}

// Copy is Snapshot for just these items, which must stand in the cache, all of them or all but the
// last.
func (s *Scheduler) Copy(ctx context.Context, p *kv.Prompt,
	use func(*disk.Snapshot) error) error {
	return s.await(&order{ctx: ctx, prompt: p, exact: true}, use)
}

func (s *Scheduler) await(o *order, use func(*disk.Snapshot) error) error {
	o.done = make(chan struct{})
	if !s.post(func() { s.orders = append(s.orders, o) }) {
		return ErrClosed
	}
	defer context.AfterFunc(o.ctx, s.Poke)()
	<-o.done
	if o.err != nil {
		return o.err
	}
	defer s.Poke()
	defer s.out.count(o.snap, -1)
	return use(o.snap)
}

// answerOrders ends orders whose callers have given up, or whose cells are gone, and asks for the
// size of the first.
func (s *Scheduler) answerOrders() {
	s.orders = slices.DeleteFunc(s.orders, func(o *order) bool {
		if o.ctx.Err() == nil {
			return false
		}
		o.end(context.Cause(o.ctx))
		return true
	})
	for len(s.orders) > 0 {
		o := s.orders[0]
		if seq := s.cfg.Cache.Holder(o.prompt); seq != nil {
			o.size = s.sizeOf(seq)
			return
		}
		s.orders = s.orders[1:]
		o.end(ErrGone)
	}
}

// serveOrder makes the copy that was ordered first.
func (s *Scheduler) serveOrder() {
	o := s.orders[0]
	s.orders = s.orders[1:]
	seq := s.cfg.Cache.Holder(o.prompt)
	if seq == nil {
		o.end(ErrGone)
		return
	}
	if o.exact {
		// Of a prompt the cache leaves the last item to be computed, so one more is asked for.
		n := len(o.prompt.Items)
		ask := o.prompt.First(n)
		ask.Add(kv.TokenItem(0))
		var err error
		if seq, err = s.cfg.Cache.Open(ask, false); err != nil {
			o.end(err)
			return
		}
		defer s.cfg.Cache.Finish(seq)
		if seq.Len() < n-1 {
			o.end(ErrGone)
			return
		}
	}
	snap, err := s.snapshot(seq, o.name)
	if err == nil {
		o.snap = snap
		s.out.count(snap, 1)
	}
	o.end(err)
}

func (s *Scheduler) snapshot(seq *kv.Sequence, name string) (*disk.Snapshot, error) {
	snap := &disk.Snapshot{Model: s.cfg.Model, Name: name}
	if err := snap.SetPrompt(&seq.Prompt, s.cfg.Pictures); err != nil {
		return nil, err
	}
	var err error
	s.cfg.Run(func() { snap.State, err = s.cfg.Decoder.State(seq.ID) })
	return snap, err
}
