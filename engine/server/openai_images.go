package server

import (
	"encoding/base64"
	"fmt"
	"net/http"

	"github.com/eyelet-engine/eyelet/engine/server/internal/failure"
	"github.com/eyelet-engine/eyelet/engine/server/internal/openai"
)

// openaiGenerateImages answers POST /v1/images/generations.
func (s *Server) openaiGenerateImages(w http.ResponseWriter, r *http.Request,
	q *openai.ImageRequest) error {
	if q.Strength != nil {
		return failure.Wrong("strength",
			"belongs to edits, which begin with a picture: /v1/images/edits")
	}
	return s.answerImages(w, r, q, nil, nil)
}

// answerImages draws what a request says, beginning with a picture where that is not nil.
func (s *Server) answerImages(w http.ResponseWriter, r *http.Request, q *openai.ImageRequest, begin,
	mask []byte) error {
	request, err := q.Request(begin, mask)
	if err != nil {
		return err
	}
	m, err := s.models.thatDraws(q.Model)
	if err != nil {
		return err
	}
	drawn, err := s.drawing.draw(r.Context(), m, request, nil)
	if err != nil {
		return err
	}
	recordOf(r.Context()).model = m.name
	answer := openai.Images{Created: now(), Size: fmt.Sprintf("%dx%d", drawn.Width, drawn.Height),
		Format: "png"}
	for _, p := range drawn.Pictures {
		answer.Data = append(answer.Data,
			openai.Image{B64: base64.StdEncoding.EncodeToString(p.PNG),
				Seed: p.Seed})
	}
	return s.writeJSON(w, http.StatusOK, answer)
}
