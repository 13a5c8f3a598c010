package server

import (
	"net/http"
	"time"

	"github.com/ollama/ollama/api"

	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/engine/server/internal/answer"
	"github.com/eyelet-engine/eyelet/engine/server/internal/failure"
	"github.com/eyelet-engine/eyelet/engine/server/internal/fields"
	"github.com/eyelet-engine/eyelet/engine/server/internal/ollama"
	templates "github.com/eyelet-engine/eyelet/models/chat"
)

// ollamaGenerate answers POST /api/generate.
func (s *Server) ollamaGenerate(w http.ResponseWriter, r *http.Request,
	q *ollama.GenerateRequest) error {
	began := recordOf(r.Context()).began
	m, err := s.models.find(q.Model)
	if err != nil {
		return err
	}
	if q.Prompt == "" && len(q.Images) == 0 {
		reason, err := s.ollamaLoad(r.Context(), m, q.Options, q.KeepAlive)
		if err != nil {
			return err
		}
		return s.writeJSON(w, http.StatusOK, api.GenerateResponse{Model: q.Model,
			CreatedAt: time.Now().UTC(), Done: true, DoneReason: reason})
	}
	options, err := s.checkGenerate(q, m)
	if err != nil {
		return err
	}
	request, err := generateRequest(q, m)
	if err == nil {
		err = s.withPages(r.Context(), request.Messages)
	}
	if err == nil {
		request.Images, err = s.pagesOfAll(r.Context(), request.Images)
	}
	if err != nil {
		return err
	}
	return s.ollamaAnswer(w, r, &ollamaTurn{model: m, name: q.Model, request: request,
		options: options, keep: q.KeepAlive, streamed: q.Stream, truncate: q.Truncate,
		renderOnly: q.DebugRenderOnly, continued: q.Raw},
		func(load time.Duration) answer.Renderer { return ollama.NewGenerate(q, began, load) },
		func(info *api.DebugInfo) any {
			return api.GenerateResponse{Model: q.Model, CreatedAt: time.Now().UTC(),
				DebugInfo: info}
		})
}

// checkGenerate finds what is wrong with a request before a model is loaded.
func (s *Server) checkGenerate(q *ollama.GenerateRequest, m *model) (*fields.Options, error) {
	switch {
	case q.Raw && (q.Template != "" || q.System != "" || len(q.Context) > 0):
		return nil, failure.Wrong("raw", "mode does not support template, system, or context")
	case q.Suffix != "":
		return nil, failure.Field("suffix", "%q does not support insert", q.Model)
	case q.Width != 0 || q.Height != 0 || q.Steps != 0:
		return nil, failure.Field("width", "%q does not draw pictures", q.Model)
	}
	var n int
	var err error
	if q.GenerateRequest.Images, err = s.ollamaPictures(q.Images, -1, &n); err != nil {
		return nil, err
	}
	return ollamaChoices(m, q.Options, q.TopLogprobs)
}

// maxTemplate bounds a template that comes with a request.
const maxTemplate = 64 << 10

// generateRequest returns what a request to generate asks of the engine.
func generateRequest(q *ollama.GenerateRequest, m *model) (engine.Request, error) {
	r, err := q.Request()
	if err != nil {
		return r, err
	}
	if q.Raw {
		r.Prompt = q.Prompt
		for i, data := range q.GenerateRequest.Images {
			r.Images = append(r.Images, &engine.Image{Name: fileName(i+1, "", data), Data: data})
		}
		return r, nil
	}
	if q.Template != "" {
		if len(q.Template) > maxTemplate {
			return r, failure.Field("template", "the template has %d bytes; give %d at most",
				len(q.Template), maxTemplate)
		}
		// as it was shown
		if r.Template, err = templates.ParseGo(q.Template, templates.Options{}); err != nil &&
			q.Template != m.ownTemplate() {
			return r, failure.Field("template", "%s", failure.Text(err))
		}
	}
	if r.Before, err = q.BeforeTokens(); err != nil {
		return r, err
	}
	messages := []api.Message{{Role: "user", Content: q.Prompt, Images: q.GenerateRequest.Images}}
	if q.System != "" {
		messages = append([]api.Message{{Role: "system", Content: q.System}}, messages...)
	}
	if len(q.Context) > 0 {
		m = m.withoutOpening()
	}
	r.Messages = ollamaMessages(m, messages)
	return r, nil
}
