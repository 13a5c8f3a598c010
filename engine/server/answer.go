package server

import (
	"context"
	"iter"
	"strings"
	"time"

	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/engine/sched"
)

// generate runs a request on a borrowed model, for the client whose turn it is.
func (l *lease) generate(ctx context.Context, r engine.Request) iter.Seq2[engine.Event, error] {
	rec := recordOf(ctx)
	r.Client, r.Priority, r.SchemaRetries = rec.client, rec.priority, rec.attempts
	return noted(ctx, func(yield func(engine.Event, error) bool) {
		rec.memory.count(whileQueued)
		waiting, begun := rec.waits.begin(ctx)
		defer begun()
		r.Trace = func(m sched.Moment) {
			if m.What == sched.Admitted {
				begun()
				rec.memory.turn()
			}
		}
		for e, err := range l.Model.Generate(waiting, r) {
			if !yield(e, refused(waiting, err)) {
				return
			}
		}
	})
}

// spoken is the text of an answer that follows a chat template. Models begin an answer with the
// space that separates words; spoken leaves it out.
type spoken struct{ begun bool }

// push returns what of a piece is shown.
func (s *spoken) push(text string) string {
	if !s.begun {
		text = strings.TrimLeft(text, " ")
		s.begun = text != ""
	}
	return text
}

// promptTime is the time that a prompt took, pictures included.
func promptTime(t engine.Timings) time.Duration {
	return t.DecodeImage + t.Preprocess + t.Encode + t.Prefill
}
