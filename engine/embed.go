package engine

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/eyelet-engine/eyelet/cgo/llama"
)

// EmbedRequest asks for the embeddings of texts.
type EmbedRequest struct {
	Texts []string
	// Tokens, where not nil, has an entry for each text. Where that is not nil, its tokens are read
	// in the place of the text, as they stand.
	Tokens [][]Token
	// Truncate cuts texts that are longer than the model takes; else they are an error,
	// ErrContextLength.
	Truncate bool
	// Context is the most tokens of a text, those included that the model wants around it, where
	// that is less than the model takes; 0 means no less.
	Context int
	// Plain leaves vectors as long as the model makes them.
	Plain bool
}

// Embeddings is the answer to an EmbedRequest.
type Embeddings struct {
	// one a text, of Euclidean length 1 but where EmbedRequest.Plain is set, as wide as the model's
	// output
	Vectors [][]float32
	// how many tokens were read of each text, those included that the model wants around it
	Tokens []int
}

// Pooling of embeddings: how the outputs of a text's tokens become one vector.
const (
	poolMean = "mean" // their mean
	poolCLS  = "cls"  // the first
	poolLast = "last" // the last
)

// poolings are the numbers that model files use.
var poolings = map[string]string{"1": poolMean, "2": poolCLS, "3": poolLast}

// Embed turns texts into vectors whose directions are alike where their meanings are. The outputs
// of a text's tokens are pooled as the model's file says; of a model that says nothing, which was
// made to write text and not for this, the last one counts, as in Ollama. Compute is cut into
// portions, between which running answers go on. Errors wrap ErrRequest or ErrContextLength and
// number the text; ErrBusy is the one of more requests than ModelSpec.Queue that wait for others to
// be embedded.
func (m *Model) Embed(ctx context.Context, r EmbedRequest) (*Embeddings, error) {
	return whileOpen(ctx, m, func(ctx context.Context) (*Embeddings, error) {
		return m.embed(ctx, r)
	})
}

func (m *Model) embed(ctx context.Context, r EmbedRequest) (*Embeddings, error) {
	// The context for embeddings computes for one request at a time; the others wait, and may give
	// up.
	defer m.embedWaiting.Add(-1)
	if m.embedWaiting.Add(1) > int64(m.queue)+1 { // one of them has its turn
		return nil, ErrBusy
	}
	select {
	case m.embedding <- struct{}{}:
		defer func() { <-m.embedding }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if m.embedder == nil {
		e, err := newEmbedder(ctx, m)
		if err != nil {
			return nil, err
		}
		m.embedder = e
	}
	texts, err := m.embedder.tokenize(r)
	if err != nil {
		return nil, err
	}
	out := &Embeddings{}
	for _, t := range texts {
		out.Tokens = append(out.Tokens, len(t.tokens))
	}
	if err := m.embedder.compute(ctx, texts); err != nil {
		return nil, err
	}
	for i, t := range texts {
		v, err := t.vector(r.Plain)
		if err != nil {
			return nil, fmt.Errorf("%w: text %d: %w", ErrModel, i+1, err)
		}
		out.Vectors = append(out.Vectors, v)
	}
	return out, nil
}

// embedText is a text on its way to a vector.
type embedText struct {
	tokens []llama.Token
	next   int       // tokens computed
	sum    []float64 // of the outputs that count
	n      int       // how many those are
}

// add counts an output in.
func (t *embedText) add(row []float32) {
	if t.sum == nil {
		t.sum = make([]float64, len(row))
	}
	for i, x := range row {
		t.sum[i] += float64(x)
	}
	t.n++
}

// vector is the mean of what was added, scaled to length 1 but where plain is true.
func (t *embedText) vector(plain bool) ([]float32, error) {
	square := 0.0
	for _, x := range t.sum {
		square += x * x
	}
	if !(square > 0) || math.IsInf(square, 0) {
		return nil, errors.New("the model's output has no direction: it is zero or not finite")
	}
	by := math.Sqrt(square)
	if plain {
		by = float64(t.n)
	}
	v := make([]float32, len(t.sum))
	for i, x := range t.sum {
		v[i] = float32(x / by)
	}
	return v, nil
}
