package engine

import "fmt"

// Tokenize splits text into tokens. addSpecial adds those that the model wants around a text; parseSpecial lets the text name control tokens.
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

// Piece is the bytes of a token, control tokens included, which may be part of a character. Beyond the vocabulary there are none.
func (m *Model) Piece(t Token) []byte {
	if !m.enter() {
		return nil
	}
	defer m.requests.Done()
	return m.lm.Vocab().Piece(t, true)
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
