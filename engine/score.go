package engine

import (
	"context"
	"fmt"
	"math"
	"strings"
)

// ScoreRequest asks how probable each token of a text is, given those before it. Either Prompt or
// Tokens is set.
type ScoreRequest struct {
	// Prompt is raw text, special tokens included, as in Request. The model's beginning-of-sequence
	// token is read before it.
	Prompt string
	// Tokens are read as they stand, and nothing is added to them.
	Tokens []Token
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
	Tokens []TokenLogprob
	// Read is how many tokens were read, an added one included.
	Read int
}

// Score measures a text with the model and answers nothing. Compute is cut into portions, between
// which running answers go on. Errors wrap ErrRequest or ErrContextLength.
func (m *Model) Score(ctx context.Context, r ScoreRequest) (*Scores, error) {
	return whileOpen(ctx, m, func(ctx context.Context) (*Scores, error) { return m.score(ctx, r) })
}

func (m *Model) score(ctx context.Context, r ScoreRequest) (*Scores, error) {
	tokens, added, err := m.scoreTokens(r)
	if err != nil {
		return nil, err
	}
	// One text at a time is scored; the others wait, and may give up.
	select {
	case m.scoring <- struct{}{}:
		defer func() { <-m.scoring }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if m.scorer == nil {
		s, err := newScorer(ctx, m)
		if err != nil {
			return nil, err
		}
		m.scorer = s
	}
	list, err := m.scorer.run(ctx, tokens, r.Top)
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

// scoreTokens checks a request and returns what is to be read, and how many of the first tokens
// were added.
func (m *Model) scoreTokens(r ScoreRequest) (tokens []Token, added int, err error) {
	switch {
	case !m.lc.HasMemory():
		return nil, 0, fmt.Errorf("%w: %s makes embeddings and foretells no text", ErrRequest,
			m.info.Name)
	case (r.Prompt == "") == (len(r.Tokens) == 0):
		return nil, 0, fmt.Errorf("%w: give a text or tokens to be scored, and not both",
			ErrRequest)
	case r.Top < 0 || r.Top > maxTop:
		return nil, 0, fmt.Errorf("%w: Top is %d; give 0 to %d", ErrRequest, r.Top, maxTop)
	}
	tokens = r.Tokens
	if r.Prompt != "" {
		if tokens, err = m.Tokenize(r.Prompt, true, true); err != nil {
			return nil, 0, err
		}
		if v := m.lm.Vocab(); v.AddBOS() && len(tokens) > 0 && tokens[0] == v.BOS() &&
			!strings.HasPrefix(r.Prompt, string(v.Piece(v.BOS(), true))) {
			added = 1
		}
	}
	if err := m.checkTokens(tokens); err != nil {
		return nil, 0, err
	}
	if len(tokens) > m.cells {
		return nil, 0, fmt.Errorf(
			"%w: it has %d tokens, and the context holds %d; shorten it or give a larger context",
			ErrContextLength, len(tokens), m.cells)
	}
	return tokens, added, nil
}

// alignTexts gives tokens the very bytes of the text that they were made of. Vocabularies put a
// space before the first word, and some control tokens swallow blanks beside them.
func alignTexts(text string, tokens []TokenLogprob) {
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
