package sampling

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/engine/internal/fault"
)

// guidance steers an answer away from a negative prompt (classifier-free guidance, Sanchez et al.
// 2023): the negative prompt is continued with the same tokens in a context of its own, and the
// distance between the two counts scale times. It belongs to the compute thread but for its
// beginning and its end.
type guidance struct {
	ctx   context.Context
	lc    *llama.Context
	batch *llama.Batch
	scale float64

	next []llama.Token // not computed yet
	keep int           // tokens of the negative prompt
	n    int           // tokens computed
}

// Guide steers the answer away from what a negative prompt would be continued with: scale times the
// distance between the two; 0 and 1 steer nothing. Errors wrap the engine's ErrRequest or
// ErrContextLength.
func (s *Sampler) Guide(ctx context.Context, scale float32, negative string) error {
	h := &s.host
	lm := h.Context.Model()
	switch {
	case math.IsNaN(float64(scale)) || math.IsInf(float64(scale), 0) || scale < 0:
		return fmt.Errorf("%w: the guidance is %v; give 0 or more", fault.ErrRequest, scale)
	case scale == 0 || scale == 1:
		return nil
	case lm.IsRecurrent() || lm.IsHybrid():
		return fmt.Errorf("%w: guidance by a negative prompt does not work with recurrent models",
			fault.ErrRequest)
	}
	tokens, err := h.vocab().Tokenize(negative, true, true)
	switch {
	case err != nil:
		return fmt.Errorf("%w: the negative prompt: %w", fault.ErrRequest, err)
	case len(tokens) == 0:
		return fmt.Errorf("%w: the negative prompt is empty, and the model begins no text by "+
			"itself", fault.ErrRequest)
	case len(tokens) >= h.Cells:
		return fmt.Errorf("%w: the negative prompt has %d tokens, and the context holds %d",
			fault.ErrContextLength, len(tokens), h.Cells)
	}
	g := &guidance{ctx: ctx, scale: float64(scale), next: tokens, keep: len(tokens)}
	if g.lc, err = h.Open(ctx, llama.ContextParams{NCtx: h.Cells, Threads: h.Threads}); err != nil {
		return fmt.Errorf("engine: the context of the negative prompt: %w", err)
	}
	g.batch = llama.NewTokenBatch(g.lc.NBatch(), 1)
	s.guide = g
	return nil
}

// steer changes the logits of the next token.
func (g *guidance) steer(logits []float32) error {
	if err := g.read(); err != nil {
		return err
	}
	away, err := g.lc.Logits(g.batch.Len() - 1)
	if err != nil {
		return err
	}
	here, there := logSum(logits), logSum(away)
	for i, x := range logits {
		a := float64(away[i]) - there
		guided := float32(a + g.scale*(float64(x)-here-a))
		if guided != guided { // both forbid it
			guided = float32(math.Inf(-1))
		}
		logits[i] = guided
	}
	return nil
}

// drawn is told the token that was drawn.
func (g *guidance) drawn(t llama.Token) { g.next = append(g.next[:0], t) }

// read computes what the context has not read yet. When it is full, half of what follows the
// negative prompt goes.
func (g *guidance) read() error {
	if g.n+len(g.next) > g.lc.NCtxSeq() {
		drop := (g.n - g.keep) / 2
		m := g.lc.Memory()
		if drop < 1 || !m.CanShift() {
			return fmt.Errorf("%w: the context of the negative prompt is full",
				fault.ErrContextLength)
		}
		if err := errors.Join(m.SeqRemove(0, llama.Pos(g.keep), llama.Pos(g.keep+drop)),
			m.SeqAdd(0, llama.Pos(g.keep+drop), -1, llama.Pos(-drop))); err != nil {
			return err
		}
		g.n -= drop
	}
	for rest := g.next; len(rest) > 0; {
		n := min(len(rest), g.batch.Cap())
		g.batch.Clear()
		for i, t := range rest[:n] {
			if err := g.batch.Add(t, llama.Pos(g.n+i), i == n-1, 0); err != nil {
				return err
			}
		}
		if err := g.lc.Decode(g.ctx, g.batch); err != nil {
			return err
		}
		g.n += n
		rest = rest[n:]
	}
	return nil
}

// close frees the context, on the compute thread.
func (g *guidance) close() error { return errors.Join(g.batch.Close(), g.lc.Close()) }
