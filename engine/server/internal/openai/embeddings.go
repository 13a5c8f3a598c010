package openai

import (
	"encoding/json"

	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/engine/server/internal/failure"
	"github.com/eyelet-engine/eyelet/engine/server/internal/fields"
)

// MaxTexts bounds the texts of one request for embeddings.
const MaxTexts = 2048

// EmbeddingRequest is the body of POST /v1/embeddings.
type EmbeddingRequest struct {
	Model      string          `json:"model"`
	Input      json.RawMessage `json:"input"`
	Encoding   string          `json:"encoding_format"`
	Dimensions *fields.Whole   `json:"dimensions"`
}

// Inputs returns what is to be embedded.
func (q *EmbeddingRequest) Inputs() (r engine.EmbedRequest, err error) {
	list, err := fields.Inputs(q.Input, "input", MaxTexts)
	if err != nil {
		return r, err
	}
	if len(list) == 0 {
		return r, failure.Wrong("input", "is missing")
	}
	for i, in := range list {
		if in.Empty() {
			return r, failure.Field("input", "text %d of input is empty", i+1)
		}
		r.Texts, r.Tokens = append(r.Texts, in.Text), append(r.Tokens, in.Tokens)
	}
	return r, nil
}

// Embeddings is the answer to POST /v1/embeddings.
type Embeddings struct {
	Object string      `json:"object"`
	Data   []Embedding `json:"data"`
	Model  string      `json:"model"`
	Usage  struct {
		Prompt int `json:"prompt_tokens"`
		Total  int `json:"total_tokens"`
	} `json:"usage"`
}

// Embedding is the vector of one input.
type Embedding struct {
	Object string `json:"object"`
	Index  int    `json:"index"`
	// a list of numbers, or base64 of float32 in little-endian order
	Embedding any `json:"embedding"`
}
