package engine

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/eyelet-engine/eyelet/cgo/llama"
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

// guide makes the guidance of a request ready; nil if it asks for none.
func (m *Model) guide(ctx context.Context, r *Request) (*guidance, error) {
	switch {
	case math.IsNaN(float64(r.Guidance)) || math.IsInf(float64(r.Guidance), 0) || r.Guidance < 0:
		return nil, fmt.Errorf("%w: the guidance is %v; give 0 or more", ErrRequest, r.Guidance)
	case r.Guidance == 0 || r.Guidance == 1:
		return nil, nil
	case m.rigid():
		return nil, fmt.Errorf(
			"%w: guidance by a negative prompt does not work with recurrent models", ErrRequest)
	}
	tokens, err := m.lm.Vocab().Tokenize(r.NegativePrompt, true, true)
	if err != nil {
		return nil, fmt.Errorf("%w: the negative prompt: %w", ErrRequest, err)
	}
	if len(tokens) == 0 {
		return nil, fmt.Errorf(
			"%w: the negative prompt is empty, and the model begins no text by itself", ErrRequest)
	}
	if len(tokens) >= m.cells {
		return nil, fmt.Errorf("%w: the negative prompt has %d tokens, and the context holds %d",
			ErrContextLength, len(tokens), m.cells)
	}
	g := &guidance{ctx: ctx, scale: float64(r.Guidance), next: tokens, keep: len(tokens)}
	if g.lc, err = m.newContext(ctx, llama.ContextParams{NCtx: m.cells,
		Threads: m.engine.threads}); err != nil {
		return nil, fmt.Errorf("engine: the context of the negative prompt: %w", err)
	}
	g.batch = llama.NewTokenBatch(g.lc.NBatch(), 1)
	return g, nil
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
			return fmt.Errorf("%w: the context of the negative prompt is full", ErrContextLength)
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

// logSum is the logarithm of the sum of exponentials, by which logits become logarithms of
// probabilities.
func logSum(logits []float32) float64 {
	best := float64(slices.Max(logits))
	sum := 0.0
	for _, x := range logits {
		sum += math.Exp(float64(x) - best)
	}
	return best + math.Log(sum)
}
