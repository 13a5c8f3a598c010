package server

import (
	"context"
	"errors"
	"iter"

	"github.com/eyelet-engine/eyelet/engine"
)

// generateFitting is generate for a request of which something may be left out where it is too long
// for its context; f is nil where nothing may.
func (l *lease) generateFitting(ctx context.Context, r engine.Request,
	f *engine.Fitting) iter.Seq2[engine.Event, error] {
	if f == nil {
		return l.generate(ctx, r)
	}
	return func(yield func(engine.Event, error) bool) {
		begun := false
		for e, err := range l.generate(ctx, r) {
			// which is found before anything is computed
			if errors.Is(err, engine.ErrContextLength) && !begun {
				if r, err = l.Model.Fit(ctx, r, *f); err == nil {
					l.generate(ctx, r)(yield)
					return
				}
			}
			begun = true
			if !yield(e, err) || err != nil {
				return
			}
		}
	}
}
