package engine

import (
	"context"
	"runtime"
	"sync"
)

// thread is the one OS thread that makes every compute call of the process, for all engines and
// models. libgomp keeps a team of workers for each thread that enters a parallel region; two such
// threads would double the workers and halve the speed.
type thread struct {
	jobs chan func() // never closed: who comes late finds quit closed
	quit chan struct{}
	done chan struct{}
}

var compute struct {
	mu    sync.Mutex
	users int
	t     *thread
}

// acquireThread starts the compute thread for its first user.
func acquireThread() *thread {
	compute.mu.Lock()
	defer compute.mu.Unlock()
	compute.users++
	if compute.t == nil {
		compute.t = &thread{jobs: make(chan func()), quit: make(chan struct{}),
			done: make(chan struct{})}
		go compute.t.loop()
	}
	return compute.t
}

// releaseThread ends the compute thread with its last user.
func releaseThread() {
	compute.mu.Lock()
	defer compute.mu.Unlock()
	compute.users--
	if compute.users == 0 {
		close(compute.t.quit)
		<-compute.t.done
		compute.t = nil
	}
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

// do runs f on the compute thread and waits for it. It gives up only while f has not begun: a
// compute call is stopped through the context that f itself passes on. After the last user's
// release it returns ErrClosed.
func (t *thread) do(ctx context.Context, f func() error) error {
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
