package server

import (
	"net/http"

	"github.com/eyelet-engine/eyelet/engine/draw"
	"github.com/eyelet-engine/eyelet/engine/server/internal/failure"
	"github.com/eyelet-engine/eyelet/engine/server/internal/openai"
)

// pageDrawing is what the page asks to have drawn: the fields of OpenAI's request, and the pictures
// of an edit.
type pageDrawing struct {
	openai.ImageRequest
	Init []byte `json:"init"` // file of the picture to begin with, in base64
}

// pageDrawn is a line of the answer.
type pageDrawn struct {
	Stage    draw.Stage `json:"stage,omitempty"`
	Picture  int        `json:"picture,omitempty"`
	Pictures int        `json:"pictures,omitempty"`
	Step     int        `json:"step,omitempty"`
	Steps    int        `json:"steps,omitempty"`

	Drawn []pageImage `json:"drawn,omitempty"` // in the last line
	Error string      `json:"error,omitempty"`
}

type pageImage struct {
	PNG  []byte `json:"png"`
	Seed int64  `json:"seed"`
}

// pageDraw answers POST /page/api/draw: lines of how far it is, and the pictures in the last one.
func (s *Server) pageDraw(w http.ResponseWriter, r *http.Request, q *pageDrawing) error {
	if q.Strength != nil && q.Init == nil {
		return failure.Field("strength", "a strength belongs to a picture to begin with")
	}
	request, err := q.Request(q.Init, nil)
	if err != nil {
		return err
	}
	m, err := s.models.thatDraws(q.Model)
	if err != nil {
		return err
	}
	recordOf(r.Context()).model = m.name
	out := s.newStream(w, asLines)
	steps := make(chan draw.Progress, 1)
	type outcome struct {
		drawn *draw.Drawing
		err   error
	}
	done := make(chan outcome, 1)
	go func() {
		drawn, err := s.drawing.draw(r.Context(), m, request, func(p draw.Progress) {
			select {
			case <-steps: // one that was not sent yet is no news any more
			default:
			}
			steps <- p
		})
		done <- outcome{drawn, err}
	}()
	gone := false
	for {
		select {
		case p := <-steps:
			if !gone { // the context ends what is drawn for a client that is gone
				gone = out.sendLine(pageDrawn{Stage: p.Stage, Picture: p.Picture,
					Pictures: p.Pictures,
					Step:     p.Step, Steps: p.Steps}) != nil
			}
		case end := <-done:
			if end.err != nil {
				if out.begun {
					// the client may be gone
					_ = out.sendLine(pageDrawn{Error: failure.Of(r.Context(), end.err).Text})
				}
				return end.err
			}
			var last pageDrawn
			for _, p := range end.drawn.Pictures {
				last.Drawn = append(last.Drawn, pageImage{p.PNG, p.Seed})
			}
			return out.sendLine(last)
		}
	}
}
