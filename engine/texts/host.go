// Package texts reads texts with a model beside its answers, in contexts of their own: for vectors
// of their meaning, and for the probability of each of their tokens.
//
// A text is cut into portions by measured time. Each is a job of its own on the compute thread, so
// that steps of running answers take turns with them.
package texts

import (
	"context"
	"time"

	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/engine/compute"
)

// Host is a model that texts are read with.
type Host struct {
	Model   *llama.Model
	Name    string // in errors
	Context int    // cells of its context
	Longest int    // most tokens of a text that it may be asked to foretell
	Answers bool   // it writes text, and does not make embeddings alone
	Threads int
	Thread  *compute.Thread
	Queue   int           // most requests for embeddings that wait for others
	Portion time.Duration // about how long a portion may take
	// Open makes a context of the model. Its errors say, by what, which use it is for.
	Open func(ctx context.Context, p llama.ContextParams, what string) (*llama.Context, error)
}

// rigid reports whether sequences of the model can neither be cut nor shared.
func (h *Host) rigid() bool { return h.Model.IsRecurrent() || h.Model.IsHybrid() }

// firstPortion is the size of a portion before the machine's speed is known.
const firstPortion, leastPortion = 32, 8

// pace aims the size of portions of a long computation at the time that each may take.
type pace struct {
	target time.Duration
	size   int
}

// portion returns how many tokens to compute next, of most that are left. It is a power of two, so
// that there are few sizes: they change the last bits of a result.
func (p *pace) portion(most int) int {
	n := 1
	for 2*n <= min(p.size, most) {
		n *= 2
	}
	return n
}

// took notes the time of a portion.
func (p *pace) took(n int, d time.Duration) {
	if d > 0 {
		p.size = int(max(leastPortion, min(float64(n)*p.target.Seconds()/d.Seconds(),
			2*float64(p.size))))
	}
}

// turn lets one request at a time compute, while the others wait and may give up.
type turn chan struct{}

func newTurn() turn { return make(turn, 1) }

// take waits for the turn; release gives it back.
func (t turn) take(ctx context.Context) (release func(), err error) {
	select {
	case t <- struct{}{}:
		return func() { <-t }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}
