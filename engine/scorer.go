package engine

import (
	"context"
	"errors"
	"math"
	"slices"
	"time"

	"github.com/eyelet-engine/eyelet/cgo/llama"
)

// scorer reads texts for the logits after each of their tokens, in a context of its own: the
// scheduler keeps the logits of last tokens alone. It remembers the last text, so that texts with
// the same beginning, as the choices of an exam have it, are read once.
type scorer struct {
	model *Model
	lc    *llama.Context
	batch *llama.Batch
	pace  pace
	rows  []float32 // logits of a portion

	known []TokenLogprob // of the last text; all but the last one stand in the context
	top   int            // other tokens with each
}

const (
	// scoreBytes bounds the logits of a portion.
	scoreBytes = 64 << 20
	// mostScored is the size of a portion where the vocabulary is small.
	mostScored = 512
	// maxTop bounds the other tokens that come with a token.
	maxTop = 1000
	// mostKnown bounds what is remembered of the last text: tokens, and others with them.
	mostKnown = 1 << 18
)

// newScorer makes the context.
func newScorer(ctx context.Context, m *Model) (*scorer, error) {
	n := max(1, min(mostScored, scoreBytes/(4*m.lm.Vocab().N())))
	s := &scorer{model: m, pace: pace{target: m.maxGap / 2, size: min(firstPortion, n)}}
	p := llama.ContextParams{NCtx: m.info.Context, NBatch: n, NUBatch: n, NSeqMax: 1,
		Threads: m.engine.threads}
	var err error
	if s.lc, err = m.secondContext(ctx, p, "scores of a text"); err != nil {
		return nil, err
	}
	s.batch = llama.NewTokenBatch(s.lc.NBatch(), 1)
	return s, nil
}

// Close frees the context, on the compute thread.
func (s *scorer) Close() error {
	return errors.Join(s.batch.Close(), s.lc.Close())
}

// run reads tokens and returns each with its probability after those before it. The first has none.
func (s *scorer) run(ctx context.Context, tokens []Token, top int) ([]TokenLogprob, error) {
	out, from, err := s.begin(ctx, tokens, top)
	if err != nil {
		return nil, err
	}
	for from < len(tokens)-1 { // nothing follows the last one
		n := min(s.pace.portion(s.batch.Cap()), len(tokens)-1-from)
		if err := s.read(ctx, tokens, from, n); err != nil {
			s.known = nil // who knows what stands there now
			return nil, err
		}
		width := len(s.rows) / n
		for i := range n {
			if ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
			out = append(out, s.model.logprob(s.rows[i*width:(i+1)*width], tokens[from+i+1], top))
		}
		from += n
	}
	if s.known, s.top = nil, top; len(out)*(top+1) <= mostKnown {
		s.known = slices.Clone(out)
	}
	return out, nil
}

// begin takes over what is known of the beginning of tokens, and makes the context end where the
// rest begins.
func (s *scorer) begin(ctx context.Context, tokens []Token,
	top int) (out []TokenLogprob, from int, err error) {
	m := s.model
	same := 0
	if top == s.top && !m.rigid() && m.lm.NSWA() == 0 {
		for same < min(len(tokens), len(s.known)) && tokens[same] == s.known[same].Token {
			same++
		}
	}
	// the token before the first new one is read again, for what follows it
	if from = max(same-1, 0); from > 0 {
		err = m.engine.thread.Do(ctx, func() error {
			return s.lc.Memory().SeqRemove(0, llama.Pos(from), -1)
		})
		if err == nil {
			s.known = s.known[:from+1]
			return slices.Clone(s.known), from, nil
		}
	}
	s.known = nil
	if err := m.engine.thread.Do(ctx, func() error {
		return s.lc.Memory().Clear(false)
	}); err != nil {
		return nil, 0, err
	}
	first := TokenLogprob{Token: tokens[0], Text: string(m.lm.Vocab().Piece(tokens[0], true)),
		Logprob: math.NaN()}
	return []TokenLogprob{first}, 0, nil
}

// read computes n tokens from number from on, as a job of its own on the compute thread, and copies
// their logits out.
func (s *scorer) read(ctx context.Context, tokens []Token, from, n int) error {
	return s.model.engine.thread.Do(ctx, func() error {
		start := time.Now()
		s.batch.Clear()
		for i := from; i < from+n; i++ {
			if err := s.batch.Add(tokens[i], llama.Pos(i), true, 0); err != nil {
				return err
			}
		}
		if err := s.lc.Decode(ctx, s.batch); err != nil {
			return err
		}
		s.rows = s.rows[:0]
		for i := range n {
			row, err := s.lc.Logits(i)
			if err != nil {
				return err
			}
			s.rows = append(s.rows, row...)
		}
		s.pace.took(n, time.Since(start))
		return nil
	})
}

// pace aims the size of portions of a long computation at the time that each may take, so that
// others get their turns.
type pace struct {
	target time.Duration
	size   int
}

// portion is how many tokens to compute next: a power of two, since sizes change the last bits of a
// result.
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
