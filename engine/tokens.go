package engine

import (
	"fmt"

	"github.com/eyelet-engine/eyelet/engine/prompt"
)

// Tokenize splits text into tokens. addSpecial adds those that the model wants around a text;
// parseSpecial lets the text name control tokens.
func (m *Model) Tokenize(text string, addSpecial, parseSpecial bool) ([]Token, error) {
	if !m.enter() {
		return nil, ErrClosed
	}
	defer m.requests.Done()
	tokens, err := m.lm.Vocab().Tokenize(text, addSpecial, parseSpecial)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRequest, err)
	}
	return tokens, nil
}

// Detokenize is the text of tokens, control tokens included. Errors wrap ErrRequest.
func (m *Model) Detokenize(tokens []Token) (string, error) {
	if !m.enter() {
		return "", ErrClosed
	}
	defer m.requests.Done()
	if err := m.checkTokens(tokens); err != nil {
		return "", err
	}
	text, err := m.lm.Vocab().Detokenize(tokens, false, true)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrRequest, err)
	}
	return text, nil
}

// Piece is the bytes of a token, control tokens included, which may be part of a character. Beyond
// the vocabulary there are none.
func (m *Model) Piece(t Token) []byte {
	if !m.enter() {
		return nil
	}
	defer m.requests.Done()
	return m.lm.Vocab().Piece(t, true)
}

// Opening is the token with which the model begins a text of which nothing is given: the
// beginning-of-sequence token, or the end of a text before it. It returns false for a vocabulary
// with neither.
func (m *Model) Opening() (Token, bool) {
	if !m.enter() {
		return 0, false
	}
	defer m.requests.Done()
	v := m.lm.Vocab()
	for _, t := range []Token{v.BOS(), v.EOS(), v.EOT()} {
		if t >= 0 {
			return t, true
		}
	}
	return 0, false
}

// checkTokens finds tokens that are not in the vocabulary.
func (m *Model) checkTokens(tokens []Token) error {
	return prompt.CheckTokens(m.lm.Vocab(), tokens)
}

// endings are the tokens that end an answer, found once.
func (m *Model) endings() []Token {
	m.ended.Do(func() {
		vocab := m.lm.Vocab()
		for t := range Token(vocab.N()) {
			if vocab.IsEOG(t) {
				m.ends = append(m.ends, t)
			}
		}
	})
	return m.ends
}
