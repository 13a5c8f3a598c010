package texts

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/engine/internal/fault"
	"github.com/eyelet-engine/eyelet/engine/prompt"
	"github.com/eyelet-engine/eyelet/engine/sampling"
)

// ScoreRequest asks how probable each token of a text is, given those before it. Either Prompt or
// Tokens is set.
type ScoreRequest struct {
	// Prompt is raw text, special tokens included, as in a request for an answer. The model's
	// beginning-of-sequence token is read before it.
	Prompt string
	// Tokens are read as they stand, and nothing is added to them.
	Tokens []llama.Token
	// Top is how many of the most probable tokens come with each token.
	Top int
}

// Scores is the answer to a ScoreRequest.
type Scores struct {
	// Text is what was scored: the request's Prompt, or the text of its Tokens, control tokens
	// included.
	Text string
	// Tokens are the tokens of Text, in order; their texts put together are Text. A
	// beginning-of-sequence token that was added is not among them. Of the first one nothing is
	// known: its Logprob is NaN, and it has no Top.
	Tokens []sampling.TokenLogprob
	// Read is how many tokens were read, an added one included.
	Read int
}

// Scorer measures texts, in a context that it makes for the first request.
type Scorer struct {
	host   Host
	turn   turn
	reader *scoreReader // nil until the first request
}

// NewScorer makes a scorer, and no context yet.
func NewScorer(host Host) *Scorer { return &Scorer{host: host, turn: newTurn()} }

// Score answers a request. Errors wrap the engine's ErrRequest or ErrContextLength.
func (s *Scorer) Score(ctx context.Context, r ScoreRequest) (*Scores, error) {
	tokens, added, err := s.tokens(r)
	if err != nil {
		return nil, err
	}
	release, err := s.turn.take(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	if s.reader == nil {
		if s.reader, err = newScoreReader(ctx, &s.host); err != nil {
			return nil, err
		}
	}
	list, err := s.reader.run(ctx, tokens, r.Top)
	if err != nil {
		return nil, err
	}
	out := &Scores{Tokens: list[added:], Read: len(tokens)}
	if added > 0 && len(out.Tokens) > 0 {
		out.Tokens[0].Logprob, out.Tokens[0].Top = math.NaN(), nil
	}
	if r.Prompt != "" {
		out.Text = r.Prompt
		alignTexts(r.Prompt, out.Tokens)
		return out, nil
	}
	var text strings.Builder
	for _, t := range out.Tokens {
		text.WriteString(t.Text)
	}
	out.Text = text.String()
	return out, nil
}

// Close frees the context, on the compute thread. No request is under way.
func (s *Scorer) Close() error {
	if s == nil || s.reader == nil {
		return nil
	}
	return errors.Join(s.reader.batch.Close(), s.reader.lc.Close())
}

// tokens checks a request and returns what is to be read, and how many of the first tokens were
// added.
func (s *Scorer) tokens(r ScoreRequest) (tokens []llama.Token, added int, err error) {
	switch {
	case !s.host.Answers:
		return nil, 0, fmt.Errorf("%w: %s makes embeddings and foretells no text",
			fault.ErrRequest, s.host.Name)
	case (r.Prompt == "") == (len(r.Tokens) == 0):
		return nil, 0, fmt.Errorf("%w: give a text or tokens to be scored, and not both",
			fault.ErrRequest)
	case r.Top < 0 || r.Top > maxTop:
		return nil, 0, fmt.Errorf("%w: Top is %d; give 0 to %d", fault.ErrRequest, r.Top, maxTop)
	}
	tokens = r.Tokens
	v := s.host.Model.Vocab()
	if r.Prompt != "" {
		if tokens, err = v.Tokenize(r.Prompt, true, true); err != nil {
			return nil, 0, fmt.Errorf("%w: %w", fault.ErrRequest, err)
		}
		if v.AddBOS() && len(tokens) > 0 && tokens[0] == v.BOS() &&
			!strings.HasPrefix(r.Prompt, string(v.Piece(v.BOS(), true))) {
			added = 1
		}
	}
	if err := prompt.CheckTokens(v, tokens); err != nil {
		return nil, 0, err
	}
	if len(tokens) > s.host.Longest {
		return nil, 0, fmt.Errorf(
			"%w: it has %d tokens, and the context holds %d; shorten it or give a larger context",
			fault.ErrContextLength, len(tokens), s.host.Longest)
	}
	return tokens, added, nil
}

// alignTexts gives tokens the very bytes of the text that they were made of. Vocabularies put a
// space before the first word, and some control tokens swallow blanks beside them.
func alignTexts(text string, tokens []sampling.TokenLogprob) {
	for i := range tokens {
		piece := tokens[i].Text
		blanks := len(text) - len(strings.TrimLeft(text, " \t\r\n"))
		switch trimmed := strings.TrimPrefix(piece, " "); {
		case strings.HasPrefix(text, piece):
		case strings.HasPrefix(text, trimmed):
			piece = trimmed
		case strings.HasPrefix(text[blanks:], piece):
			piece = text[:blanks+len(piece)]
		default: // the vocabulary writes this otherwise; the last token takes what is left
			piece = text[:min(len(piece), len(text))]
		}
		tokens[i].Text, text = piece, text[len(piece):]
	}
	if n := len(tokens); n > 0 {
		tokens[n-1].Text += text
	}
}
