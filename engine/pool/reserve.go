package pool

import (
	"context"
	"errors"
	"io"

	"github.com/eyelet-engine/eyelet/engine"
)

// Reserve counts memory of the pool for a while that no model of its engine takes, as that of a
// program that draws. Models that nobody uses go to make room, and it waits in the queue for what
// others use, as Use does. The name is listed like a model's and stands for one reservation at a
// time: another call with it waits for the first to be released.
//
// Errors are ctx's own, engine.ErrClosed, or those of a name that a model has.
func (p *Pool) Reserve(ctx context.Context, name string, bytes int64) (*Reservation, error) {
	if bytes < 0 {
		return nil, errors.New("pool: a negative number of bytes is reserved")
	}
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		r, w, gone, err := p.enqueueReserve(name, bytes)
		switch {
		case err != nil:
			return nil, err
		case r != nil:
			return r, nil
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
			return &Reservation{lease: r.lease}, nil
		case <-ctx.Done():
			p.leave(w)
			return nil, ctx.Err()
		}
	}
}

// Reservation is memory of a pool that [Pool.Reserve] counts.
type Reservation struct {
	lease *Lease
	kept  io.Closer
}

// Kept is what the reservation of this name before this one left with Keep, and nobody has closed
// since; nil for nothing. It belongs to the caller now.
func (r *Reservation) Kept() io.Closer { return r.kept }

// Release gives all memory back. A second call does nothing, nor does one after Keep.
func (r *Reservation) Release() { r.lease.Release() }

// Keep ends the reservation, but leaves something in the pool that takes bytes of memory, for the
// next reservation of this name. The pool closes it after the time for which it keeps models that
// nobody uses, when others need the memory, on Unload, or when it is closed.
func (r *Reservation) Keep(what io.Closer, bytes int64) {
	p, e := r.lease.pool, r.lease.entry
	p.mu.Lock()
	if p.closed || r.lease.done {
		p.mu.Unlock()
		_ = what.Close() // nobody would do it later
		return
	}
	e.kept, e.bytes, e.keep = what, bytes, p.options.KeepAlive
	p.mu.Unlock()
	r.lease.Release()
}

// enqueueReserve takes over what was kept under the name, if the memory can be had at once; or puts
// a waiter for memory into the queue; or returns what is closed when the name is free.
func (p *Pool) enqueueReserve(name string,
	bytes int64) (r *Reservation, w *waiter, gone <-chan struct{}, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, nil, nil, engine.ErrClosed
	}
	if e := p.entries[name]; e != nil {
		if e.reserved == nil {
			return nil, nil, nil, errors.New("pool: the name of a model is reserved")
		}
		if e.state != Ready || e.leases > 0 {
			return nil, nil, e.reserved, nil
		}
		// those who wait come first, and may need this very memory
		if len(p.queue) > 0 || !p.fits(e, bytes) {
			p.unload(e)
			return nil, nil, e.reserved, nil
		}
		r = &Reservation{kept: e.kept}
		e.kept, e.bytes = nil, bytes
		p.occupy(e)
		r.lease = &Lease{pool: p, entry: e}
		return r, nil, nil, nil
	}
	e := &entry{name: name, bytes: bytes, reserved: make(chan struct{})}
	p.entries[name] = e
	w = &waiter{entry: e, result: make(chan result, 1)}
	p.queue = append(p.queue, w)
	e.waiting++
	p.schedule()
	return nil, w, nil, nil
}

// fits reports whether an entry can have so many bytes with all others as they are.
func (p *Pool) fits(e *entry, bytes int64) bool {
	others, n := int64(0), 0
	for _, other := range p.entries {
		if other.state != "" && other != e {
			others, n = others+other.bytes, n+1
		}
	}
	return p.options.Bytes <= 0 || n == 0 || others <= p.options.Bytes-bytes
}

// grant hands the memory to the one who waits for it.
func (p *Pool) grant(e *entry) {
	e.state, e.keep, e.drop = Ready, 0, false
}
