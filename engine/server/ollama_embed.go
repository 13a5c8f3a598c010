package server

import (
	"errors"
	"math"
	"net/http"
	"time"

	"github.com/ollama/ollama/api"

	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/engine/server/internal/failure"
	"github.com/eyelet-engine/eyelet/engine/server/internal/fields"
	"github.com/eyelet-engine/eyelet/engine/server/internal/ollama"
	"github.com/eyelet-engine/eyelet/engine/server/internal/openai"
)

// ollamaEmbedRequest is the body of POST /api/embed.
type ollamaEmbedRequest struct {
	api.EmbedRequest
	KeepAlive  *ollama.KeepAlive `json:"keep_alive"`
	Dimensions fields.Whole      `json:"dimensions"`
}

// ollamaEmbed answers POST /api/embed: vectors for texts.
func (s *Server) ollamaEmbed(w http.ResponseWriter, r *http.Request, q *ollamaEmbedRequest) error {
	began := recordOf(r.Context()).began
	m, err := s.models.find(q.Model)
	if err != nil {
		return err
	}
	texts, err := embedTexts(q.Input)
	if err != nil {
		return err
	}
	if q.Dimensions < 0 {
		return failure.Wrong("dimensions", "is %d", q.Dimensions)
	}
	truncate := q.Truncate == nil || *q.Truncate
	if n, given := q.Options["num_ctx"]; given && truncate && len(texts) > 0 && n == float64(0) {
		return tooLongForOllama(truncate, nil)
	}
	out, load, err := s.embed(r, m, q.Options, q.KeepAlive, engine.EmbedRequest{Texts: texts,
		Truncate: truncate})
	if errors.Is(err, engine.ErrContextLength) {
		return tooLongForOllama(truncate, err)
	}
	if err != nil {
		return err
	}
	answer := api.EmbedResponse{Model: q.Model, Embeddings: [][]float32{},
		TotalDuration: time.Since(began), LoadDuration: load}
	for i, v := range out.Vectors {
		answer.Embeddings = append(answer.Embeddings, shorten(v, int(q.Dimensions)))
		answer.PromptEvalCount += out.Tokens[i]
	}
	return s.writeJSON(w, http.StatusOK, answer)
}

// tooLongForOllama says that a text does not fit in Ollama's very words, which its clients compare.
func tooLongForOllama(truncated bool, cause error) error {
	f := failure.Refuse("the input length exceeds the context length")
	if truncated {
		f = failure.Refuse("input after truncation exceeds maximum context length")
	}
	return f.By(cause)
}

// ollamaEmbeddingRequest is the body of POST /api/embeddings.
type ollamaEmbeddingRequest struct {
	api.EmbeddingRequest
	KeepAlive *ollama.KeepAlive `json:"keep_alive"`
}

// ollamaEmbeddings answers POST /api/embeddings, which is older and takes one text.
func (s *Server) ollamaEmbeddings(w http.ResponseWriter, r *http.Request,
	q *ollamaEmbeddingRequest) error {
	m, err := s.models.find(q.Model)
	if err != nil {
		return err
	}
	var texts []string
	if q.Prompt != "" {
		texts = []string{q.Prompt}
	}
	out, _, err := s.embed(r, m, q.Options, q.KeepAlive, engine.EmbedRequest{Texts: texts,
		Truncate: true, Plain: true})
	if err != nil {
		return err
	}
	answer := api.EmbeddingResponse{Embedding: []float64{}}
	for _, v := range out.Vectors {
		for _, x := range v {
			answer.Embedding = append(answer.Embedding, float64(x))
		}
	}
	return s.writeJSON(w, http.StatusOK, answer)
}

// embed borrows a model for texts. Without texts the model is loaded all the same, as Ollama does
// it.
func (s *Server) embed(r *http.Request, m *model, options map[string]any, keep *ollama.KeepAlive,
	q engine.EmbedRequest) (*engine.Embeddings, time.Duration, error) {
	o := fields.NewOptions()
	if err := o.OfRequest(options); err != nil {
		return nil, 0, err
	}
	l, err := s.models.use(r.Context(), s.models.placed(m, o.Layers), o.Context, keep.Time())
	if err != nil {
		return nil, 0, err
	}
	defer l.Release()
	q.Context = o.Context
	if len(q.Texts) == 0 {
		return &engine.Embeddings{}, l.load, nil
	}
	recordOf(r.Context()).memory.turn()
	out, err := l.Model.Embed(r.Context(), q)
	return out, l.load, err
}

// embedTexts reads the input of a request: a text, or a list of texts.
func embedTexts(input any) ([]string, error) {
	switch input := input.(type) {
	case nil:
		return nil, nil
	case string:
		if input == "" {
			return nil, nil
		}
		return []string{input}, nil
	case []any:
		if len(input) > openai.MaxTexts {
			return nil, failure.Field("input", "the input has %d texts; give %d at most",
				len(input), openai.MaxTexts)
		}
		texts := make([]string, len(input))
		for i, x := range input {
			text, ok := x.(string)
			if !ok {
				return nil, failure.Field("input", "element %d of the input is no text", i+1)
			}
			texts[i] = text
		}
		return texts, nil
	}
	return nil, failure.Field("input", "the input is neither a text nor a list of texts")
}

// shorten keeps the first n numbers of a vector, 0 for all, and makes its length 1 again.
func shorten(v []float32, n int) []float32 {
	if n == 0 || n >= len(v) {
		return v
	}
	sum := 0.0
	for _, x := range v[:n] {
		sum += float64(x) * float64(x)
	}
	norm := 1 / max(math.Sqrt(sum), 1e-12)
	out := make([]float32, n)
	for i, x := range v[:n] {
		out[i] = float32(float64(x) * norm)
	}
	return out
}
