package pool

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/eyelet-engine/eyelet/engine"
)

// entry is a model of a pool. Its state goes from "" over loading, ready and unloading back to
// "".
type entry struct {
	name  string
	spec  engine.ModelSpec
	bytes int64
	state State
	model *engine.Model // while ready; nil where memory is reserved
	// on which the model lies, until it is unloaded
	devices []string
	looking bool     // for devices that lack memory for it
	looked  bool     // just now
	short   []string // those devices

	// of memory that no model takes: closed when it is given back; nil for a model
	reserved chan struct{}
	kept     io.Closer // of such memory, what stays in it while nobody uses it; else nil

	waiting int // waiters in the queue
	leases  int
	keep    time.Duration // after the last lease
	// what the latest lease that is not released has asked for; nil for nothing
	wanted  *time.Duration
	drop    bool      // unload after the last lease, whatever keep says
	since   time.Time // idle since, else zero
	expires time.Time // with a timer; else zero
	timer   *time.Timer

	cancel    context.CancelFunc // of a load
	abandoned bool               // the load was cancelled, since nobody waited for it any more
}

// waiter is a call of Use.
type waiter struct {
	entry *entry
	// holds one; sent to when the waiter leaves the queue, under the pool's lock
	result chan result
}

type result struct {
	lease *Lease
	err   error
}

// enqueue puts a waiter at the end of the queue. Files are looked at only for models that nobody
// has asked for.
func (p *Pool) enqueue(name string, spec engine.ModelSpec) (*waiter, error) {
	w, err := p.join(name, nil)
	if w == nil && err == nil {
		var bytes int64
		if bytes, err = p.loader.bytes(spec); err == nil {
			w, err = p.join(name, &entry{name: name, spec: spec, bytes: bytes})
		}
	}
	return w, err
}

// join is enqueue for a model that has an entry, or else gets the given one. It returns nil and no
// error where there is neither.
func (p *Pool) join(name string, given *entry) (*waiter, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, engine.ErrClosed
	}
	e := p.entries[name]
	if e == nil {
		if e = given; e == nil {
			return nil, nil
		}
		p.entries[name] = e
	}
	if e.reserved != nil {
		return nil, fmt.Errorf("%w: %q is no model", ErrUnknownModel, name)
	}
	w := &waiter{entry: e, result: make(chan result, 1)}
	p.queue = append(p.queue, w)
	e.waiting++
	p.schedule()
	return w, nil
}

// leave takes a waiter who gave up out of the queue, or returns the lease that came at the same
// moment.
func (p *Pool) leave(w *waiter) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if i := slices.Index(p.queue, w); i >= 0 {
		p.remove(i)
		e := w.entry
		if e.state == Loading && e.waiting == 0 {
			e.abandoned = true
			e.cancel()
		}
		p.forget(e)
		p.schedule() // those behind may have waited for this one alone
		return
	}
	if r := <-w.result; r.lease != nil && !p.closed {
		r.lease.done = true
		p.release(w.entry)
	}
}

// remove takes waiter i out of the queue.
func (p *Pool) remove(i int) {
	p.queue[i].entry.waiting--
	p.queue = slices.Delete(p.queue, i, i+1)
}

// forget drops an entry that stands for nothing.
func (p *Pool) forget(e *entry) {
	if e.state == "" && e.waiting == 0 && p.entries[e.name] == e {
		delete(p.entries, e.name)
		if e.reserved != nil {
			close(e.reserved)
		}
	}
}

// schedule serves the queue from its head: it lends what is ready, and begins loads for which there
// is room. A waiter for whom memory is being freed keeps those behind from loading, and one who
// needs the memory of models in use keeps them from leases as well, lest they take it away again.
// Whatever changes the queue, a state or a lease calls it.
func (p *Pool) schedule() {
	if p.closed {
		return
	}
	promised := false // memory that is being freed
	for i := 0; i < len(p.queue); {
		w := p.queue[i]
		e := w.entry
		switch {
		case e.state == Ready && e.lost():
			if e.leases == 0 {
				p.unload(e)
			}
			promised = true // it will be loaded again
		case e.state == Ready:
			p.remove(i)
			p.lend(w)
			continue
		case e.state == Unloading:
			promised = true // it will be loaded again
		case e.state == "" && !promised:
			switch p.makeRoom(e) {
			case roomNow:
				if e.reserved != nil {
					p.grant(e)
					continue
				}
				if p.freeDevice(e) {
					promised = true
					break
				}
				p.load(e)
			case roomSoon:
				promised = true
			case roomTaken:
				return
			}
		}
		i++
	}
}

// lost tells whether a ready model can answer nothing any more.
func (e *entry) lost() bool { return e.model != nil && e.model.Lost() != nil }

// lend gives a waiter a lease of a model that is ready.
func (p *Pool) lend(w *waiter) {
	e := w.entry
	p.occupy(e)
	w.result <- result{lease: &Lease{Model: e.model, pool: p, entry: e}}
}

// occupy counts a lease more.
func (p *Pool) occupy(e *entry) {
	e.stopTimer()
	e.since = time.Time{}
	e.leases++
}

// room is whether a model can be loaded.
type room int

const (
	roomNow   room = iota
	roomSoon       // when models that are being unloaded are gone
	roomTaken      // by models in use
)

// makeRoom unloads what is idle, the longest idle first, as far as a model needs the memory. Where
// models in use take too much, nothing is unloaded in vain.
func (p *Pool) makeRoom(e *entry) room {
	bytes, n := int64(0), 0          // of models that take memory
	staying, stay := int64(0), 0     // without those that are being unloaded
	required, require := int64(0), 0 // without those that nobody uses
	var idle []*entry
	for _, other := range p.entries {
		if other.state == "" {
			continue
		}
		bytes, n = bytes+other.bytes, n+1
		if other.state == Unloading {
			continue
		}
		staying, stay = staying+other.bytes, stay+1
		if other.state == Ready && other.leases == 0 {
			idle = append(idle, other)
			continue
		}
		required, require = required+other.bytes, require+1
	}
	fits := func(bytes int64, n int) bool {
		return (p.options.Max <= 0 || n < p.options.Max) && (p.options.Bytes <= 0 || n == 0 ||
			bytes <= p.options.Bytes-e.bytes)
	}
	switch {
	case fits(bytes, n):
		return roomNow
	case !fits(required, require):
		return roomTaken
	}
	slices.SortFunc(idle, func(a, b *entry) int { return a.since.Compare(b.since) })
	for _, other := range idle {
		if fits(staying, stay) {
			break
		}
		staying, stay = staying-other.bytes, stay-1
		p.unload(other)
	}
	return roomSoon
}

// freeDevice unloads the longest idle model on a device that lacks memory for all layers of e. It
// returns false if nothing becomes free, else schedule is called again.
func (p *Pool) freeDevice(e *entry) bool {
	var idle []*entry
	going := false
	for _, other := range p.entries {
		if len(other.devices) > 0 {
			going = going || other.state == Unloading
			if other.state == Ready && other.leases == 0 {
				idle = append(idle, other)
			}
		}
	}
	switch {
	case len(idle) == 0 || going:
		return going
	case !e.looked:
		p.look(e)
		return true
	}
	idle = slices.DeleteFunc(idle, func(other *entry) bool {
		return !slices.ContainsFunc(other.devices, func(name string) bool {
			return slices.Contains(e.short, name)
		})
	})
	if len(idle) == 0 {
		return false
	}
	p.unload(slices.MinFunc(idle, func(a, b *entry) int { return a.since.Compare(b.since) }))
	return true
}

// look finds out which devices lack memory for e. Files are read for that, and drivers asked, which
// nobody else should wait for.
func (p *Pool) look(e *entry) {
	if e.looking {
		return
	}
	e.looking = true
	p.work.Go(func() {
		short := p.loader.short(e.spec)
		p.mu.Lock()
		defer p.mu.Unlock()
		e.short, e.looking, e.looked = short, false, true
		if !p.closed {
			p.schedule()
		}
		e.looked = false // whoever gets to it later looks again
	})
}

// load begins to load a model.
func (p *Pool) load(e *entry) {
	ctx, cancel := context.WithCancel(context.Background())
	e.state, e.cancel, e.abandoned, e.drop, e.keep = Loading, cancel, false, false,
		p.options.KeepAlive
	p.work.Go(func() {
		m, err := p.loader.load(ctx, e.spec)
		cancel()
		if p.loaded(e, m, err) {
			return
		}
		_ = p.loader.close(m) // the pool was closed meanwhile; nobody has seen the model
	})
}

// loaded takes over what a load brought. It returns false if the model has to be closed.
func (p *Pool) loaded(e *entry, m *engine.Model, err error) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return err != nil
	}
	if err != nil {
		e.state = ""
		// A load that was cancelled says nothing to those who came after that: schedule begins
		// another.
		if !e.abandoned || !errors.Is(err, context.Canceled) {
			p.fail(e, err)
		}
		p.forget(e)
		p.schedule()
		return true
	}
	e.state, e.model, e.devices = Ready, m, p.loader.devices(m)
	if n := m.Memory(); n > 0 {
		e.bytes = n // by where it lies indeed
	}
	p.schedule()
	// nobody waits any more, or only behind one who needs memory
	if e.state == Ready && e.leases == 0 {
		p.rest(e)
	}
	return true
}

// fail hands an error to all who wait for a model.
func (p *Pool) fail(e *entry, err error) {
	p.queue = slices.DeleteFunc(p.queue, func(w *waiter) bool {
		if w.entry != e {
			return false
		}
		e.waiting--
		w.result <- result{err: err}
		return true
	})
}

// release takes a lease back.
func (p *Pool) release(e *entry) {
	if e.leases--; e.leases == 0 {
		p.rest(e)
	}
	p.schedule()
}

// rest begins the time that a model without leases stays loaded.
func (p *Pool) rest(e *entry) {
	e.since = time.Now()
	switch {
	case e.drop || e.keep == 0 || e.lost() || e.reserved != nil && e.kept == nil:
		p.unload(e)
	case e.keep > 0:
		e.expires = e.since.Add(e.keep)
		e.timer = time.AfterFunc(e.keep, func() { p.expire(e) })
	}
}

// expire unloads a model whose time has come. A timer may fire just as the model is lent or loaded
// again; its time is another then.
func (p *Pool) expire(e *entry) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed && e.state == Ready && !e.expires.IsZero() && !time.Now().Before(e.expires) {
		p.unload(e)
	}
}

func (e *entry) stopTimer() {
	if e.timer != nil {
		e.timer.Stop()
	}
	e.timer, e.expires = nil, time.Time{}
}

// unload closes a model that nobody uses.
func (p *Pool) unload(e *entry) {
	e.stopTimer()
	if e.reserved != nil && e.kept == nil {
		e.state, e.since = "", time.Time{}
		p.forget(e)
		return // whoever gave it back serves the queue
	}
	m, kept := e.model, e.kept
	e.state, e.model, e.kept = Unloading, nil, nil
	p.work.Go(func() {
		// The memory is gone whatever closing says.
		if kept != nil {
			_ = kept.Close()
		} else {
			_ = p.loader.close(m)
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		e.state, e.since, e.devices = "", time.Time{}, nil
		if !p.closed {
			p.forget(e)
			p.schedule()
		}
	})
}
