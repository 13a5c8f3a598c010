package llama

import (
	"errors"
	"fmt"

	"github.com/eyelet-engine/eyelet/engine"
)

// Embeddings returns the embedding of a text, as wide as the model's output and not scaled: pooled
// as the model's file says, or of a model that says nothing the output at the last token. The model
// must have been opened with EnableEmbeddings. No option of predictions changes them.
func (l *LLama) Embeddings(text string, _ ...PredictOption) ([]float32, error) {
	m, done, err := l.use()
	if err != nil {
		return nil, err
	}
	defer done()
	v, err := l.embed(m, engine.EmbedRequest{Texts: []string{text}})
	return v, l.asked(err)
}

// TokenEmbeddings is Embeddings of tokens, which are read as they stand.
func (l *LLama) TokenEmbeddings(tokens []int, _ ...PredictOption) ([]float32, error) {
	m, done, err := l.use()
	if err != nil {
		return nil, err
	}
	defer done()
	r := engine.EmbedRequest{Texts: []string{""},
		Tokens: [][]engine.Token{make([]engine.Token, len(tokens))}}
	for i, t := range tokens {
		if r.Tokens[0][i] = engine.Token(t); int(r.Tokens[0][i]) != t {
			return nil, l.asked(fmt.Errorf("TokenEmbeddings: %d is no token", t))
		}
	}
	v, err := l.embed(m, r)
	return v, l.asked(err)
}

func (l *LLama) embed(m *engine.Model, r engine.EmbedRequest) ([]float32, error) {
	if !l.options.Embeddings {
		return nil, errors.New("model loaded without embeddings; give EnableEmbeddings to New")
	}
	r.Plain = true
	got, err := m.Embed(l.ctx, r)
	if err != nil {
		return nil, err
	}
	return got.Vectors[0], nil
}
