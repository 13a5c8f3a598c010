// Package compute owns the OS threads on which all engines and models of the process compute, and
// what a scheduler has computed there over contexts of libllama: [Decoder], [Reader], [Drafter].
//
// One thread makes every compute call: libgomp keeps a team of workers for each thread that enters
// a parallel region, and two teams that compute would halve each other's speed. The one exception
// is a picture whose tower the CPU computes beside a model that lies on devices alone: its steps
// run on a second thread, and whoever computes on the CPU holds a lock, so that one team computes
// at a time all the same.
package compute

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/eyelet-engine/eyelet/engine/internal/fault"
)

// Thread is an OS thread that makes compute calls, for all engines and models of the process.
type Thread struct {
	jobs    chan func() // never closed: who comes late finds quit closed
	quit    chan struct{}
	done    chan struct{}
	recheck *recheck // nil for a thread that measures nothing
}

// shared is what all engines of the process share.
var shared struct {
	mu            sync.Mutex
	users         int
	thread, tower *Thread
	cpu           sync.Mutex
	encoding      atomic.Bool // the second thread holds cpu
}

func newThread(r *recheck) *Thread {
	t := &Thread{jobs: make(chan func()), quit: make(chan struct{}), done: make(chan struct{}),
		recheck: r}
	go t.loop()
	return t
}

// Acquire returns the compute thread, and starts it for its first user. Each call must be matched
// by a call of [Release].
func Acquire() *Thread {
	shared.mu.Lock()
	defer shared.mu.Unlock()
	shared.users++
	if shared.thread == nil {
		shared.thread = newThread(newRecheck())
	}
	return shared.thread
}

// Release ends the threads with their last user.
func Release() {
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if shared.users--; shared.users > 0 {
		return
	}
	for _, t := range []*Thread{shared.thread, shared.tower} {
		if t != nil {
			close(t.quit)
			<-t.done
		}
	}
	shared.thread, shared.tower = nil, nil
}

// RunTower runs a step of a vision tower on the second thread, beside a model that leaves the CPU
// to it. The caller has acquired the first.
func RunTower(step func()) {
	shared.mu.Lock()
	if shared.tower == nil {
		shared.tower = newThread(nil)
	}
	t := shared.tower
	shared.mu.Unlock()
	_ = t.Do(context.Background(), func() error {
		shared.encoding.Store(true)
		defer shared.encoding.Store(false)
		step()
		return nil
	})
}

// Encoding reports whether a step of [RunTower] has the CPU now.
func Encoding() bool { return shared.encoding.Load() }

func (t *Thread) loop() {
	// never unlocked: the thread ends with the goroutine, and libgomp's team with the thread
	runtime.LockOSThread()
	defer close(t.done)
	for {
		var pause <-chan time.Time // never ends where there is nothing to measure
		if d, wanted := t.recheck.wait(time.Now()); wanted {
			pause = time.After(d)
		}
		select {
		case job := <-t.jobs:
			t.recheck.interrupted()
			job()
		case <-pause:
			t.measure()
		case <-t.quit:
			return
		}
	}
}

// measure takes the next of the measurements that are made in pauses. While a tower computes on the
// second thread there is no pause.
func (t *Thread) measure() {
	if !shared.cpu.TryLock() {
		t.recheck.interrupted()
		return
	}
	defer shared.cpu.Unlock()
	t.recheck.tick(time.Now())
}

// Do runs f, which may compute on the CPU, on the thread and waits for it. It gives up only while f
// has not begun: a compute call is stopped through the context that f itself passes on. After the
// last user's release it returns the engine's ErrClosed.
func (t *Thread) Do(ctx context.Context, f func() error) error {
	return t.LeaveCPU(ctx, func() error {
		shared.cpu.Lock()
		defer shared.cpu.Unlock()
		return f()
	})
}

// LeaveCPU is [Thread.Do] for a function that computes on devices alone, so that a vision tower may
// have the CPU meanwhile.
func (t *Thread) LeaveCPU(ctx context.Context, f func() error) error {
	result := make(chan error, 1)
	select {
	case t.jobs <- func() { result <- f() }:
		return <-result
	case <-t.quit:
		return fault.ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}
