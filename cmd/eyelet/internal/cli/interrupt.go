package cli

import (
	"context"
	"os"
	"os/signal"
	"sync"
	"syscall"
)

// interrupts turns Ctrl-C (SIGINT) and SIGTERM into the cancellation of contexts, so that what is
// running ends cleanly: files are removed or completed, and C code is left where it can be left.
type interrupts struct {
	exit func(code int)

	mu     sync.Mutex
	scopes []*interruptScope // the program's own first, then those of [Interruptible]
}

type interruptScope struct {
	cancel    context.CancelFunc
	cancelled bool
}

type interruptsKey struct{}

// WithInterrupts returns the context of the whole program. The first Ctrl-C cancels it; the second,
// should something not obey, ends the process through exit. stop puts the system's own handling
// back.
func WithInterrupts(parent context.Context, exit func(code int)) (ctx context.Context,
	stop func()) {
	in := &interrupts{exit: exit}
	ctx, cancel := context.WithCancel(context.WithValue(parent, interruptsKey{}, in))
	in.scopes = []*interruptScope{{cancel: cancel}}
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	done := make(chan struct{})
	go func() {
		for {
			select {
			case s := <-signals:
				in.handle(s)
			case <-done:
				return
			}
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		close(done)
		cancel()
	}
}

// Interruptible returns a context for a part of the program that Ctrl-C is to stop without stopping
// the rest, such as one answer of a chat. Until release is called, the first Ctrl-C cancels this
// context alone, a second one the whole program. SIGTERM always means the whole program.
func Interruptible(parent context.Context) (ctx context.Context, release func()) {
	ctx, cancel := context.WithCancel(parent)
	in, ok := parent.Value(interruptsKey{}).(*interrupts)
	if !ok {
		return ctx, cancel
	}
	scope := &interruptScope{cancel: cancel}
	in.mu.Lock()
	in.scopes = append(in.scopes, scope)
	in.mu.Unlock()
	return ctx, func() {
		in.mu.Lock()
		for i, s := range in.scopes {
			if s == scope {
				in.scopes = append(in.scopes[:i], in.scopes[i+1:]...)
				break
			}
		}
		in.mu.Unlock()
		cancel()
	}
}

// handle cancels the innermost scope that is not cancelled yet.
func (in *interrupts) handle(s os.Signal) {
	in.mu.Lock()
	defer in.mu.Unlock()
	first := 0
	if s == os.Interrupt {
		first = len(in.scopes) - 1
	}
	for i := first; i >= 0; i-- {
		if scope := in.scopes[i]; !scope.cancelled {
			scope.cancelled = true
			scope.cancel()
			return
		}
	}
	in.exit(ExitInterrupted)
}
