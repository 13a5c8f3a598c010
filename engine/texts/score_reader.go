package texts

import (
	"context"
	"math"
	"slices"
	"time"

	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/engine/sampling"
)

// scoreReader computes the logits after each token of a text, in a context of its own, as the
// scheduler keeps those of last tokens alone. It remembers the last text, so that the common
// beginning of several, such as the choices of an exam question, is read once.
type scoreReader struct {
	host  *Host
	lc    *llama.Context
	batch *llama.Batch
	pace  pace
	rows  []float32 // logits of a portion

	known []sampling.TokenLogprob // of the last text; all but the last one stand in the context
	top   int                     // other tokens with each
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

// newScoreReader makes the context.
func newScoreReader(ctx context.Context, host *Host) (*scoreReader, error) {
	n := max(1, min(mostScored, scoreBytes/(4*host.Model.Vocab().N())))
	s := &scoreReader{host: host, pace: pace{target: host.Portion, size: min(firstPortion, n)}}
	p := llama.ContextParams{NCtx: host.Context, NBatch: n, NUBatch: n, NSeqMax: 1,
		Threads: host.Threads}
	var err error
	if s.lc, err = host.Open(ctx, p, "scores of a text"); err != nil {
		return nil, err
	}
	s.batch = llama.NewTokenBatch(s.lc.NBatch(), 1)
	return s, nil
}

// run returns each token with its probability after the tokens before it. The first has none.
func (s *scoreReader) run(ctx context.Context, tokens []llama.Token,
	top int) ([]sampling.TokenLogprob, error) {
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
			out = append(out, sampling.Logprob(s.host.Model.Vocab(),
				s.rows[i*width:(i+1)*width], tokens[from+i+1], top))
		}
		from += n
	}
	if s.known, s.top = nil, top; len(out)*(top+1) <= mostKnown {
		s.known = slices.Clone(out)
	}
	return out, nil
}

// begin copies what is remembered of the beginning of tokens, and cuts the context where the rest
// begins.
func (s *scoreReader) begin(ctx context.Context, tokens []llama.Token,
	top int) (out []sampling.TokenLogprob, from int, err error) {
	thread, lm := s.host.Thread, s.host.Model
	same := 0
	if top == s.top && !s.host.rigid() && lm.NSWA() == 0 {
		for same < min(len(tokens), len(s.known)) && tokens[same] == s.known[same].Token {
			same++
		}
	}
	// the token before the first new one is read again, for what follows it
	if from = max(same-1, 0); from > 0 {
		err = thread.Do(ctx, func() error {
			return s.lc.Memory().SeqRemove(0, llama.Pos(from), -1)
		})
		if err == nil {
			s.known = s.known[:from+1]
			return slices.Clone(s.known), from, nil
		}
	}
	s.known = nil
	if err := thread.Do(ctx, func() error {
		return s.lc.Memory().Clear(false)
	}); err != nil {
		return nil, 0, err
	}
	first := sampling.TokenLogprob{Token: tokens[0], Logprob: math.NaN(),
		Text: string(lm.Vocab().Piece(tokens[0], true))}
	return []sampling.TokenLogprob{first}, 0, nil
}

// read computes tokens[from:from+n] in one job on the compute thread, and copies their logits out.
func (s *scoreReader) read(ctx context.Context, tokens []llama.Token, from, n int) error {
	return s.host.Thread.Do(ctx, func() error {
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
