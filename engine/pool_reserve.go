package engine

import (
	"context"
	"errors"
)

// Reserve counts memory that something other than a model of the engine is about to take, such as a program that draws, with that of the pool's
// models: it waits in the queue as [Pool.Use] does, and models that nobody uses go to make room. name is what List shows it by, which must not be a
// model's; who asks for a name that is reserved already waits until it is given back. release gives the memory back; a second call does nothing.
//
// Errors are ctx's own and ErrClosed.
func (p *Pool) Reserve(ctx context.Context, name string, bytes int64) (release func(), err error) {
	if bytes < 0 {
		return nil, errors.New("engine: a negative number of bytes is reserved")
	}
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		w, gone, err := p.enqueueReserve(name, bytes)
		switch {
		case err != nil:
			return nil, err
		case gone != nil:
			select {
			case <-gone:
				continue
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		select {
		case r := <-w.result:
			if r.err != nil {
				return nil, r.err
			}
			return r.lease.Release, nil
		case <-ctx.Done():
			p.leave(w)
			return nil, ctx.Err()
		}
	}
}

// enqueueReserve puts a waiter for memory into the queue, or returns what is closed when the name is free.
func (p *Pool) enqueueReserve(name string, bytes int64) (w *poolWaiter, gone <-chan struct{}, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, nil, ErrClosed
	}
	if e := p.entries[name]; e != nil {
		if e.reserved == nil {
			return nil, nil, errors.New("engine: the name of a model is reserved")
		}
		return nil, e.reserved, nil
	}
	e := &poolEntry{name: name, bytes: bytes, reserved: make(chan struct{})}
	p.entries[name] = e
	w = &poolWaiter{entry: e, result: make(chan poolResult, 1)}
	p.queue = append(p.queue, w)
	e.waiting++
	p.schedule()
	return w, nil, nil
}

// grant hands the memory to the one who waits for it.
func (p *Pool) grant(e *poolEntry) {
	e.state, e.keep, e.drop = PoolReady, 0, false
}
