package server

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/engine/draw"
	"github.com/eyelet-engine/eyelet/models/store"
)

// imageRequest is the body of POST /v1/images/generations, and the fields of the form of POST /v1/images/edits. The last ones are Eyelet's own.
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
		return refuseField("strength", "strength belongs to edits, which begin with a picture: /v1/images/edits")
	}
	return s.answerImages(w, r, &q, nil, nil)
}

// answerImages draws what a request says, beginning with a picture where that is not nil.
func (s *Server) answerImages(w http.ResponseWriter, r *http.Request, q *imageRequest, begin, mask []byte) error {
	request, err := q.request(begin, mask)
	if err != nil {
		return err
	}
	m, err := s.models.thatDraws(q.Model)
	if err != nil {
		return err
	}
	drawn, err := s.drawing.draw(r.Context(), m, request)
	if err != nil {
		return err
	}
	recordOf(r.Context()).model = m.name
	answer := imageResponse{Created: now(), Size: fmt.Sprintf("%dx%d", drawn.Width, drawn.Height), Format: "png"}
	for _, p := range drawn.Pictures {
		answer.Data = append(answer.Data, imageData{base64.StdEncoding.EncodeToString(p.PNG), p.Seed})
	}
	return s.writeJSON(w, http.StatusOK, answer)
}

// request makes of OpenAI's words what the child is asked for.
func (q *imageRequest) request(begin, mask []byte) (*draw.Request, error) {
	r := &draw.Request{Prompt: q.Prompt, Negative: q.Negative, Seed: q.Seed, Guidance: q.Guidance, Init: begin, Mask: mask}
	switch {
	case strings.TrimSpace(q.Prompt) == "":
		return nil, refuseField("prompt", "prompt says what to draw; it is missing")
	case q.Response == "url":
		return nil, refuseField("response_format", "the server keeps no pictures to give the address of; ask for b64_json")
	case q.Response != "" && q.Response != "b64_json":
		return nil, refuseField("response_format", "response_format is %.40q; give b64_json", q.Response)
	case q.Format != "" && q.Format != "png":
		return nil, refuseField("output_format", "output_format is %.40q; pictures are drawn as png", q.Format)
	case q.Background == "transparent":
		return nil, refuseField("background", "models that draw here have no transparent background")
	case q.Stream || q.PartialCount != nil && *q.PartialCount > 0:
		return nil, refuseField("stream", "pictures come whole; leave stream and partial_images out")
	case q.Count != nil && (*q.Count < 1 || *q.Count > draw.MaxCount):
		return nil, refuseField("n", "n is %d; give 1 to %d", *q.Count, draw.MaxCount)
	case q.Steps != nil && (*q.Steps < 1 || *q.Steps > draw.MaxSteps):
		return nil, refuseField("steps", "steps is %d; give 1 to %d", *q.Steps, draw.MaxSteps)
	case q.Strength != nil && !(*q.Strength > 0 && *q.Strength <= 1):
		return nil, refuseField("strength", "strength is %g; give more than 0, and at most 1", *q.Strength)
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
		return 0, 0, refuseField("size", "size is %.40q; give width and height in pixels as 512x512, or auto", text)
	}
	return w, h, nil
}

// drawing lets one child draw at a time: two would only share the processor, and take twice the memory.
type drawing struct {
	server *Server
	turn   chan struct{} // holds one while a child runs
	wait   chan struct{} // holds one for each request that waits or draws
	find   func(context.Context) (*draw.Program, error)
}

// maxDrawing is how many requests draw or wait for that; more get 503.
const maxDrawing = 16

// drawNice makes what answers questions go before what draws.
const drawNice = 10

func newDrawing(s *Server) *drawing {
	return &drawing{server: s, turn: make(chan struct{}, 1), wait: make(chan struct{}, maxDrawing), find: draw.Find}
}

// draw has a child draw, once its turn has come and the pool has memory for it.
func (d *drawing) draw(ctx context.Context, m *model, r *draw.Request) (*draw.Drawing, error) {
	program, err := d.find(ctx)
	if err != nil {
		return nil, err
	}
	file, err := draw.Open(m.stored.Path, strings.TrimSuffix(m.name, ":latest"))
	if err != nil {
		return nil, err
	}
	w, h, err := r.Size(file)
	if err != nil {
		return nil, err
	}
	select {
	case d.wait <- struct{}{}:
		defer func() { <-d.wait }()
	default:
		return nil, busyFailure("the server is busy: %d requests wait to draw; try again later", maxDrawing)
	}
	select {
	case d.turn <- struct{}{}:
		defer func() { <-d.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	key := "draw:" + m.digest
	d.server.models.called(key, m)
	if r.Init != nil { // which may give the picture another shape, of up to twice the area
		w, h = 2*max(w, file.Side), max(h, file.Side)
	}
	release, err := d.server.pool.Reserve(ctx, key, file.Memory(w, h))
	if err != nil {
		return nil, err
	}
	defer release()
	nice := *program
	nice.Nice = drawNice
	r.Threads = cmp.Or(r.Threads, d.server.options.DrawThreads)
	began := time.Now()
	drawn, err := nice.Draw(ctx, file, r, func(p draw.Progress) {
		d.server.log.Debug("drawing", "model", m.name, "stage", p.Stage, "picture", p.Picture, "step", p.Step, "steps", p.Steps)
	})
	if err != nil {
		return nil, err
	}
	d.server.log.Debug("drawn", "model", m.name, "pictures", len(drawn.Pictures), "time", time.Since(began))
	return drawn, nil
}

// draws reports whether the model draws pictures, and answers no questions.
func (m *model) draws() bool { return m.stored != nil && m.stored.Kind() == store.KindDraw }

// thatDraws finds the model that a request to draw names, or the only one where it names none.
func (ms *models) thatDraws(ref string) (*model, error) {
	if ref != "" {
		m, err := ms.find(ref)
		if err == nil && !m.draws() {
			err = refuseField("model", "%s answers questions and draws no pictures", m.name)
		}
		return m, err
	}
	all, err := ms.all()
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(m *model) bool { return !m.draws() })
	switch len(all) {
	case 0:
		return nil, &failure{status: http.StatusNotFound, kind: kindNoModel, param: "model", text: "the server has no model that draws pictures", cause: engine.ErrUnknownModel}
	case 1:
		return all[0], nil
	}
	return nil, refuseField("model", "the request names no model, and several draw pictures")
}

// drawFailure makes failures of the errors of a child, nil of others.
func drawFailure(err error) *failure {
	switch {
	case errors.Is(err, draw.ErrNotSetUp):
		return &failure{status: http.StatusNotImplemented, kind: kindUnsupported, text: plain(draw.ErrNotSetUp), cause: err}
	case errors.Is(err, draw.ErrChild):
		return &failure{status: http.StatusInternalServerError, kind: kindInternal, text: plain(err), cause: err}
	case errors.Is(err, draw.ErrRequest), errors.Is(err, draw.ErrImage):
		f := refuse("%s", plain(err))
		f.cause = err
		return f
	}
	return nil
}
