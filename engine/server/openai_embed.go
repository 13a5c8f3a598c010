package server

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"math"
	"net/http"

	"github.com/eyelet-engine/eyelet/engine"
)

// embeddingRequest is the body of POST /v1/embeddings.
type embeddingRequest struct {
	Model      string          `json:"model"`
	Input      json.RawMessage `json:"input"`
	Encoding   string          `json:"encoding_format"`
	Dimensions *whole          `json:"dimensions"`
}

type embedding struct {
	Object string `json:"object"`
	Index  int    `json:"index"`
	// a list of numbers, or base64 of float32 in little-endian order
	Embedding any `json:"embedding"`
}

// inputs are what is to be embedded.
func (q *embeddingRequest) inputs() (r engine.EmbedRequest, err error) {
	list, err := rawInputs(q.Input, "input", maxTexts)
	if err != nil {
		return r, err
	}
	if len(list) == 0 {
		return r, refuseField("input", "input is missing")
	}
	for i, in := range list {
		if in.empty() {
			return r, refuseField("input", "text %d of input is empty", i+1)
		}
		r.Texts, r.Tokens = append(r.Texts, in.text), append(r.Tokens, in.tokens)
	}
	return r, nil
}

// openaiEmbed answers POST /v1/embeddings.
func (s *Server) openaiEmbed(w http.ResponseWriter, r *http.Request) error {
	var q embeddingRequest
	m, err := s.decodeFor(w, r, &q, &q.Model)
	if err != nil {
		return err
	}
	inputs, err := q.inputs()
	if err != nil {
		return err
	}
	switch {
	case q.Encoding != "" && q.Encoding != "float" && q.Encoding != "base64":
		return refuseField("encoding_format", "encoding_format is %.40q; give float or base64",
			q.Encoding)
	case q.Dimensions != nil && *q.Dimensions < 1:
		return refuseField("dimensions", "dimensions is %d; give 1 or more", *q.Dimensions)
	}
	l, err := s.models.use(r.Context(), m, 0, nil)
	if err != nil {
		return err
	}
	defer l.Release()
	recordOf(r.Context()).memory.turn()
	out, err := l.Model.Embed(r.Context(), inputs)
	if err != nil {
		return err
	}
	answer := struct {
		Object string      `json:"object"`
		Data   []embedding `json:"data"`
		Model  string      `json:"model"`
		Usage  struct {
			Prompt int `json:"prompt_tokens"`
			Total  int `json:"total_tokens"`
		} `json:"usage"`
	}{Object: "list", Model: q.Model}
	for i, v := range out.Vectors {
		if q.Dimensions != nil {
			if int(*q.Dimensions) > len(v) {
				return refuseField("dimensions", "dimensions is %d, and the model makes %d",
					*q.Dimensions, len(v))
			}
			v = shorten(v, int(*q.Dimensions))
		}
		e := embedding{Object: "embedding", Index: i, Embedding: v}
		if q.Encoding == "base64" {
			e.Embedding = float32sBase64(v)
		}
		answer.Data = append(answer.Data, e)
		answer.Usage.Prompt += out.Tokens[i]
	}
	answer.Usage.Total = answer.Usage.Prompt
	return s.writeJSON(w, http.StatusOK, answer)
}

func float32sBase64(v []float32) string {
	data := make([]byte, 0, 4*len(v))
	for _, x := range v {
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(x))
	}
	return base64.StdEncoding.EncodeToString(data)
}
