package server

import (
	"context"
	"errors"
	"sync"

	"github.com/eyelet-engine/eyelet/engine/server/internal/failure"
)

// waits are the requests that wait: for room to be read, for a model, for their turn at one. When
// the server ends they are refused, while what is being computed goes on to its end.
type waits struct {
	mu      sync.Mutex
	over    bool
	cancels map[*context.CancelCauseFunc]struct{}
}

// begin returns ctx as it is for a request that waits. What waits calls done when it has what it
// waited for, after which the end of the server does not touch the context; that of ctx does.
func (w *waits) begin(ctx context.Context) (waiting context.Context, done func()) {
	if w == nil { // of a request that no server knows
		return ctx, func() {}
	}
	waiting, cancel := context.WithCancelCause(ctx)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.over {
		cancel(failure.ErrShutdown)
		return waiting, func() {}
	}
	if w.cancels == nil {
		w.cancels = map[*context.CancelCauseFunc]struct{}{}
	}
	w.cancels[&cancel] = struct{}{}
	return waiting, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.cancels, &cancel)
	}
}

// refuse ends those that wait, and those that will, or lets others wait again.
func (w *waits) refuse(over bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.over = over; !over {
		return
	}
	for cancel := range w.cancels {
		(*cancel)(failure.ErrShutdown)
	}
	w.cancels = nil
}

// refused is err as it is told: what was refused by the end of the server says so.
func refused(waiting context.Context, err error) error {
	if err != nil && errors.Is(context.Cause(waiting), failure.ErrShutdown) {
		return failure.ErrShutdown
	}
	return err
}
