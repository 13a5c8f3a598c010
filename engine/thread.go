package engine

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
)

// thread is an OS thread that makes compute calls, for all engines and models of the process.
type thread struct {
	jobs chan func() // never closed: who comes late finds quit closed
	quit chan struct{}
	done chan struct{}
}

// compute is what all engines of the process share. One thread makes every compute call: libgomp
// keeps a team of workers for each thread that enters a parallel region, and two teams that compute
// would halve each other's speed. The one exception is a picture whose tower the CPU computes
// beside a model that lies on devices alone: its steps run on the second thread, and whoever
// computes on the CPU holds cpu, so that one team computes at a time all the same.
var compute struct {
	mu       sync.Mutex
	users    int
	t, tower *thread
	cpu      sync.Mutex
	encoding atomic.Bool // the second thread holds cpu
}

func newThread() *thread {
	t := &thread{jobs: make(chan func()), quit: make(chan struct{}), done: make(chan struct{})}
	go t.loop()
	return t
}

// acquireThread starts the compute thread for its first user.
func acquireThread() *thread {
	compute.mu.Lock()
	defer compute.mu.Unlock()
	compute.users++
	if compute.t == nil {
		compute.t = newThread()
	}
	return compute.t
}

// towerThread is the second thread, which a user of the first one may start.
func towerThread() *thread {
	compute.mu.Lock()
	defer compute.mu.Unlock()
	if compute.tower == nil {
		compute.tower = newThread()
	}
	return compute.tower
}

// releaseThread ends the threads with their last user.
func releaseThread() {
	compute.mu.Lock()
	defer compute.mu.Unlock()
	if compute.users--; compute.users > 0 {
		return
	}
	for _, t := range []*thread{compute.t, compute.tower} {
		if t != nil {
			close(t.quit)
			<-t.done
		}
	}
	compute.t, compute.tower = nil, nil
}

func (t *thread) loop() {
	// never unlocked: the thread ends with the goroutine, and libgomp's team with the thread
	runtime.LockOSThread()
	defer close(t.done)
	for {
		select {
		case job := <-t.jobs:
			job()
		case <-t.quit:
			return
		}
	}
}

// do runs f, which may compute on the CPU, on the thread and waits for it. It gives up only while f
// has not begun: a compute call is stopped through the context that f itself passes on. After the
// last user's release it returns ErrClosed.
func (t *thread) do(ctx context.Context, f func() error) error {
	return t.leaveCPU(ctx, func() error {
		compute.cpu.Lock()
		defer compute.cpu.Unlock()
		return f()
	})
}

// leaveCPU is do for what computes on devices alone, and leaves the CPU to a vision tower.
func (t *thread) leaveCPU(ctx context.Context, f func() error) error {
	result := make(chan error, 1)
	select {
	case t.jobs <- func() { result <- f() }:
		return <-result
	case <-t.quit:
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}
