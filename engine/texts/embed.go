package texts

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync/atomic"

	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/engine/internal/fault"
)

// EmbedRequest asks for the embeddings of texts.
type EmbedRequest struct {
	Texts []string
	// Tokens, where not nil, has an entry for each text. Where that is not nil, its tokens are read
	// in the place of the text, as they stand.
	Tokens [][]llama.Token
	// Truncate cuts texts that are longer than the model takes; else they are an error, the
	// engine's ErrContextLength.
	Truncate bool
	// Context bounds the tokens of a text, with those that the model wants around it; 0 means as
	// many as the model takes, which is also the most.
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

// Embedder turns texts into vectors whose directions are alike where their meanings are, in a
// context that it makes for the first request.
type Embedder struct {
	host    Host
	turn    turn
	waiting atomic.Int64 // requests that compute or wait
	reader  *embedReader // nil until the first request
}

// NewEmbedder makes an embedder, and no context yet.
func NewEmbedder(host Host) *Embedder { return &Embedder{host: host, turn: newTurn()} }

// Embed answers a request. The outputs of a text's tokens are pooled as the model's file says; of a
// model that says nothing, which was made to write text and not for this, the last one counts, as
// in Ollama. Errors wrap the engine's ErrRequest or ErrContextLength and number the text; ErrBusy
// is the one of more requests than Host.Queue that wait for others.
func (e *Embedder) Embed(ctx context.Context, r EmbedRequest) (*Embeddings, error) {
	defer e.waiting.Add(-1)
	if e.waiting.Add(1) > int64(e.host.Queue)+1 { // one of them has its turn
		return nil, fault.ErrBusy
	}
	release, err := e.turn.take(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	if e.reader == nil {
		if e.reader, err = newEmbedReader(ctx, &e.host); err != nil {
			return nil, err
		}
	}
	texts, err := e.reader.tokenize(r)
	if err != nil {
		return nil, err
	}
	out := &Embeddings{}
	for _, t := range texts {
		out.Tokens = append(out.Tokens, len(t.tokens))
	}
	if err := e.reader.compute(ctx, texts); err != nil {
		return nil, err
	}
	for i, t := range texts {
		v, err := t.vector(r.Plain)
		if err != nil {
			return nil, fmt.Errorf("%w: text %d: %w", fault.ErrModel, i+1, err)
		}
		out.Vectors = append(out.Vectors, v)
	}
	return out, nil
}

// Close frees the context, on the compute thread. No request is under way.
func (e *Embedder) Close() error {
	if e == nil || e.reader == nil {
		return nil
	}
	return errors.Join(e.reader.batch.Close(), e.reader.lc.Close())
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
