// Package pool keeps several models of one engine in memory: each is loaded when somebody asks for
// it, lent to all who ask, and unloaded when nobody has asked for a while or when another model
// needs its memory.
//
// A [Pool] is a queue of waiters over a map of entries, under one lock. pool.go has what callers
// see, queue.go decides who is served next, and reserve.go counts memory that no model takes.
package pool

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/engine/placement"
	"github.com/eyelet-engine/eyelet/engine/sched"
)

// ErrUnknownModel marks a name for which a [Pool] has no model.
var ErrUnknownModel = errors.New("pool: unknown model")

// DefaultKeepAlive is how long a pool keeps a model that nobody uses.
const DefaultKeepAlive = 5 * time.Minute

// Options are the options of New. The zero value keeps any number of models, each for
// DefaultKeepAlive.
type Options struct {
	// KeepAlive is how long a model stays loaded after its last lease was released: 0 means
	// DefaultKeepAlive, negative for as long as there is room. [Lease.KeepAlive] sets another time.
	KeepAlive time.Duration
	// Bytes is the most memory that models take together, weights and KV caches; 0 means no limit.
	// A single model larger than that is loaded all the same, alone.
	Bytes int64
	// Max is the most models that are loaded at once; 0 means no limit.
	Max int
}

// Pool keeps several models of one engine, loaded when they are asked for and unloaded when nobody
// has asked for a while, or when others need their memory. Its methods may be called from many
// goroutines.
//
//	models := pool.New(e, pool.Options{Bytes: 16 << 30})
//	defer models.Close()
//	lease, err := models.Use(ctx, "llava",
//		engine.ModelSpec{Model: "llava.gguf", Projector: "mmproj.gguf"})
//	if err != nil {
//		return err
//	}
//	defer lease.Release()
//	for event, err := range lease.Model.Generate(ctx, request) {
//
// Models are loaded outside the compute thread, so answers of other models go on meanwhile. Memory
// is counted from the moment a load begins until an unload is complete, by the size of the files
// and estimates of the KV cache and of what is computed in. Where a device lacks memory for all
// layers of a model, idle models that lie there are unloaded first.
type Pool struct {
	loader  loader
	options Options

	mu sync.Mutex
	// models that are loaded, loading or unloading, or waited for
	entries map[string]*entry
	queue   []*waiter // in the order in which they came
	closed  bool
	work    sync.WaitGroup // loads and unloads under way; added to under mu while the pool is open
	once    sync.Once
	err     error // of Close
}

// loader is what a pool does with models. Tests put another in its place.
type loader interface {
	bytes(spec engine.ModelSpec) (int64, error)
	load(ctx context.Context, spec engine.ModelSpec) (*engine.Model, error)
	close(m *engine.Model) error
	// devices are those on which a model lies, short those that lack memory for all of its layers.
	devices(m *engine.Model) []string
	short(spec engine.ModelSpec) []string
}

// engineLoader is the loader of an Engine.
type engineLoader struct{ engine *engine.Engine }

func (l engineLoader) close(m *engine.Model) error          { return m.Close() }
func (l engineLoader) short(spec engine.ModelSpec) []string { return placement.Short(&spec) }
func (l engineLoader) bytes(spec engine.ModelSpec) (int64, error) {
	return placement.Memory(&spec)
}
func (l engineLoader) devices(m *engine.Model) (names []string) {
	for _, share := range m.Info().Devices {
		names = append(names, share.Device)
	}
	return names
}
func (l engineLoader) load(ctx context.Context, spec engine.ModelSpec) (*engine.Model, error) {
	return l.engine.Load(ctx, spec)
}

// New makes a pool over e. Models that were opened otherwise are not its concern. Close the
// pool before the engine.
func New(e *engine.Engine, options Options) *Pool { return newPool(engineLoader{e}, options) }

func newPool(l loader, options Options) *Pool {
	if options.KeepAlive == 0 {
		options.KeepAlive = DefaultKeepAlive
	}
	return &Pool{loader: l, options: options, entries: map[string]*entry{}}
}

// Use lends the model of a name, and loads it as spec says if it is not there under that name. It
// waits for a load that is under way, and while all memory is taken by models in use, until one of
// them is released or ctx is done. Those who wait for memory get it in the order in which they
// came. While one waits for models in use, nobody who came later gets a lease, lest the memory
// never becomes free; so a goroutine that holds a lease must not wait for another. A load goes on
// as long as anybody waits for it. Nothing is kept of the name beyond the model's own time in the
// pool.
//
// Errors are ctx's own, engine.ErrClosed, those of [engine.Engine.Load], or ErrUnknownModel for a
// name that [Pool.Reserve] has.
func (p *Pool) Use(ctx context.Context, name string, spec engine.ModelSpec) (*Lease, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	w, err := p.enqueue(name, spec)
	if err != nil {
		return nil, err
	}
	select {
	case r := <-w.result:
		return r.lease, r.err
	case <-ctx.Done():
		p.leave(w)
		return nil, ctx.Err()
	}
}

// Lease is the right to use a model. A pool does not unload a model while there is a lease of it.
type Lease struct {
	Model *engine.Model // not to be closed, nor used after Release

	pool  *Pool
	entry *entry
	keep  *time.Duration // nil for what applies anyway
	done  bool
}

// KeepAlive sets how long the model stays loaded after its last lease: 0 unloads it then, negative
// keeps it for as long as there is room. It applies from this lease's release until another one
// sets it again, or the model is unloaded.
func (l *Lease) KeepAlive(d time.Duration) {
	l.pool.mu.Lock()
	defer l.pool.mu.Unlock()
	l.keep, l.entry.wanted = &d, &d
}

// Release gives the model back. A second call does nothing.
func (l *Lease) Release() {
	p := l.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	if l.done {
		return
	}
	l.done = true
	if p.closed {
		return
	}
	if l.keep != nil {
		l.entry.keep = *l.keep
	}
	p.release(l.entry)
	if l.entry.leases == 0 {
		l.entry.wanted = nil
	}
}

// State is what a pool is doing with a model.
type State string

// Pool states.
const (
	Loading   State = "loading"
	Ready     State = "ready"
	Unloading State = "unloading"
)

// Status is a model in a pool's list.
type Status struct {
	Name   string
	State  State
	Info   engine.Info // of a model that is ready
	Bytes  int64       // memory that it is counted with
	Leases int         // not released yet
	Since  time.Time   // when it came to rest; zero while it is used
	// when it will be unloaded if nobody asks for it; zero for never, and while it is used
	Expires time.Time
	// how long it stays after its last lease, as far as is known; negative for as long as there is
	// room
	Keep time.Duration
}

// List lists the models that take memory, by name.
func (p *Pool) List() []Status {
	p.mu.Lock()
	defer p.mu.Unlock()
	var list []Status
	for _, e := range slices.SortedFunc(maps.Values(p.entries), func(a, b *entry) int {
		return strings.Compare(a.name, b.name)
	}) {
		if e.state == "" {
			continue
		}
		m := Status{Name: e.name, State: e.state, Bytes: e.bytes, Leases: e.leases,
			Since: e.since, Expires: e.expires, Keep: e.keep}
		if e.wanted != nil {
			m.Keep = *e.wanted
		}
		if e.state == Ready && e.model != nil {
			m.Info = e.model.Info()
		}
		list = append(list, m)
	}
	return list
}

// Limit returns Options.Bytes.
func (p *Pool) Limit() int64 { return p.options.Bytes }

// Stats returns what a loaded model's scheduler, cache and encoder did so far. It is no use of the
// model, which may be unloaded meanwhile; ok is false if it is not loaded.
func (p *Pool) Stats(name string) (stats sched.Stats, ok bool) {
	p.mu.Lock()
	e := p.entries[name]
	if e == nil || e.state != Ready || e.model == nil {
		p.mu.Unlock()
		return stats, false
	}
	m := e.model
	p.mu.Unlock()
	return m.Stats(), true
}

// Unload lets go of a model: now if nobody uses it, else when the last lease is released, whatever
// was said about keeping it. It does not wait for that. A model that is not loaded is
// ErrUnknownModel.
func (p *Pool) Unload(name string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	e := p.entries[name]
	switch {
	case p.closed:
		return engine.ErrClosed
	case e == nil || e.state == "":
		return fmt.Errorf("%w: %q is not loaded", ErrUnknownModel, name)
	}
	e.drop = true
	if e.state == Ready && e.leases == 0 {
		p.unload(e)
	}
	return nil
}

// Close unloads all models; requests that run on them end with engine.ErrClosed, and so do calls of
// Use that wait. It returns when the memory is free. A second call returns the same.
func (p *Pool) Close() error {
	p.once.Do(func() {
		p.mu.Lock()
		p.closed = true
		for _, w := range p.queue {
			w.result <- result{err: engine.ErrClosed}
		}
		p.queue = nil
		var loaded []*engine.Model
		var kept []io.Closer
		for _, e := range p.entries {
			e.stopTimer()
			switch e.state {
			case Loading:
				e.cancel()
			case Ready:
				if e.model != nil {
					loaded = append(loaded, e.model)
				}
				if e.kept != nil {
					kept = append(kept, e.kept)
				}
			}
			if e.reserved != nil {
				close(e.reserved) // others who wait for the name learn that the pool is closed
			}
		}
		clear(p.entries)
		p.mu.Unlock()
		var errs []error
		for _, m := range loaded {
			errs = append(errs, p.loader.close(m))
		}
		for _, k := range kept {
			errs = append(errs, k.Close())
		}
		p.work.Wait()
		p.err = errors.Join(errs...)
	})
	return p.err
}
