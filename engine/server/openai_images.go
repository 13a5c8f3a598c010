package server

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/eyelet-engine/eyelet/engine/draw"
)

// imageRequest is the body of POST /v1/images/generations, and the fields of the form of POST
// /v1/images/edits. The last ones are Eyelet's own.
type imageRequest struct {
	Model        string `json:"model"`
	Prompt       string `json:"prompt"`
	Count        *whole `json:"n"`
	Size         string `json:"size"`
	Response     string `json:"response_format"`
	Format       string `json:"output_format"`
	Background   string `json:"background"`
	Stream       bool   `json:"stream"`
	PartialCount *whole `json:"partial_images"`

	Steps    *whole   `json:"steps"`
	Seed     *int64   `json:"seed"`
	Negative string   `json:"negative_prompt"`
	Guidance *float64 `json:"guidance"`
	Strength *float64 `json:"strength"` // of edits alone
}

// imageResponse is the answer to both.
type imageResponse struct {
	Created int64       `json:"created"`
	Data    []imageData `json:"data"`
	Size    string      `json:"size"`
	Format  string      `json:"output_format"`
}

type imageData struct {
	B64  string `json:"b64_json"`
	Seed int64  `json:"seed"` // Eyelet's own
}

// openaiGenerateImages answers POST /v1/images/generations.
func (s *Server) openaiGenerateImages(w http.ResponseWriter, r *http.Request) error {
	var q imageRequest
	if err := s.decode(w, r, &q); err != nil {
		return err
	}
	if q.Strength != nil {
		return refuseField("strength",
			"strength belongs to edits, which begin with a picture: /v1/images/edits")
	}
	return s.answerImages(w, r, &q, nil, nil)
}

// answerImages draws what a request says, beginning with a picture where that is not nil.
func (s *Server) answerImages(w http.ResponseWriter, r *http.Request, q *imageRequest, begin,
	mask []byte) error {
	request, err := q.request(begin, mask)
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
	answer := imageResponse{Created: now(), Size: fmt.Sprintf("%dx%d", drawn.Width, drawn.Height),
		Format: "png"}
	for _, p := range drawn.Pictures {
		answer.Data = append(answer.Data, imageData{base64.StdEncoding.EncodeToString(p.PNG),
			p.Seed})
	}
	return s.writeJSON(w, http.StatusOK, answer)
}

// request makes of OpenAI's words what the child is asked for.
func (q *imageRequest) request(begin, mask []byte) (*draw.Request, error) {
	r := &draw.Request{Prompt: q.Prompt, Negative: q.Negative, Seed: q.Seed, Guidance: q.Guidance,
		Init: begin, Mask: mask}
	switch {
	case strings.TrimSpace(q.Prompt) == "":
		return nil, refuseField("prompt", "prompt says what to draw; it is missing")
	case q.Response == "url":
		return nil, refuseField("response_format",
			"the server keeps no pictures to give the address of; ask for b64_json")
	case q.Response != "" && q.Response != "b64_json":
		return nil, refuseField("response_format", "response_format is %.40q; give b64_json",
			q.Response)
	case q.Format != "" && q.Format != "png":
		return nil, refuseField("output_format",
			"output_format is %.40q; pictures are drawn as png", q.Format)
	case q.Background == "transparent":
		return nil, refuseField("background",
			"models that draw here have no transparent background")
	case q.Stream || q.PartialCount != nil && *q.PartialCount > 0:
		return nil, refuseField("stream",
			"pictures come whole; leave stream and partial_images out")
	case q.Count != nil && (*q.Count < 1 || *q.Count > draw.MaxCount):
		return nil, refuseField("n", "n is %d; give 1 to %d", *q.Count, draw.MaxCount)
	case q.Steps != nil && (*q.Steps < 1 || *q.Steps > draw.MaxSteps):
		return nil, refuseField("steps", "steps is %d; give 1 to %d", *q.Steps, draw.MaxSteps)
	case q.Strength != nil && !(*q.Strength > 0 && *q.Strength <= 1):
		return nil, refuseField("strength", "strength is %g; give more than 0, and at most 1",
			*q.Strength)
	}
	if q.Count != nil {
		r.Count = int(*q.Count)
	}
	if q.Steps != nil {
		r.Steps = int(*q.Steps)
	}
	if q.Strength != nil {
		r.Strength = *q.Strength
	}
	var err error
	if r.Width, r.Height, err = imageSize(q.Size); err != nil {
		return nil, err
	}
	return r, r.Check()
}

// imageSize reads a size as "1024x1024"; nothing and "auto" are what the model was trained with.
func imageSize(text string) (w, h int, err error) {
	if text == "" || text == "auto" {
		return 0, 0, nil
	}
	left, right, ok := strings.Cut(text, "x")
	if ok && len(left) <= 5 && len(right) <= 5 {
		var first, second error
		w, first = strconv.Atoi(left)
		h, second = strconv.Atoi(right)
		ok = first == nil && second == nil && w > 0 && h > 0
	}
	if !ok || w == 0 {
		return 0, 0, refuseField("size",
			"size is %.40q; give width and height in pixels as 512x512, or auto", text)
	}
	return w, h, nil
}
