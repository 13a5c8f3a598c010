package server

import (
	"encoding/base64"
	"encoding/binary"
	"math"
	"net/http"

	"github.com/eyelet-engine/eyelet/engine/server/internal/failure"
	"github.com/eyelet-engine/eyelet/engine/server/internal/openai"
)

// openaiEmbed answers POST /v1/embeddings.
func (s *Server) openaiEmbed(w http.ResponseWriter, r *http.Request,
	q *openai.EmbeddingRequest) error {
	m, err := s.models.find(q.Model)
	if err != nil {
		return err
	}
	inputs, err := q.Inputs()
	if err != nil {
		return err
	}
	switch {
	case q.Encoding != "" && q.Encoding != "float" && q.Encoding != "base64":
		return failure.Wrong("encoding_format", "is %.40q; give float or base64", q.Encoding)
	case q.Dimensions != nil && *q.Dimensions < 1:
		return failure.Wrong("dimensions", "is %d; give 1 or more", *q.Dimensions)
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
	answer := openai.Embeddings{Object: "list", Model: q.Model}
	for i, v := range out.Vectors {
		if q.Dimensions != nil {
			if int(*q.Dimensions) > len(v) {
				return failure.Wrong("dimensions", "is %d, and the model makes %d", *q.Dimensions,
					len(v))
			}
			v = shorten(v, int(*q.Dimensions))
		}
		e := openai.Embedding{Object: "embedding", Index: i, Embedding: v}
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
