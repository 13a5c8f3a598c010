package server

import (
	"net/http"
	"time"

	"github.com/ollama/ollama/api"

	"github.com/eyelet-engine/eyelet/engine"
	templates "github.com/eyelet-engine/eyelet/models/chat"
)

// ollamaGenerate answers POST /api/generate.
func (s *Server) ollamaGenerate(w http.ResponseWriter, r *http.Request) error {
	began := time.Now()
	var q ollamaGenerateRequest
	m, err := s.decodeFor(w, r, &q, &q.Model)
	if err != nil {
		return err
	}
	if q.Prompt == "" && len(q.Images) == 0 {
		reason, err := s.ollamaLoad(r.Context(), m, q.KeepAlive)
		if err != nil {
			return err
		}
		return s.writeJSON(w, http.StatusOK, api.GenerateResponse{Model: q.Model,
			CreatedAt: time.Now().UTC(), Done: true, DoneReason: reason})
	}
	options, err := s.checkGenerate(&q, m)
	if err != nil {
		return err
	}
	request, err := generateRequest(&q, m)
	if err == nil {
		err = s.withPages(r.Context(), request.Messages)
	}
	if err == nil {
		request.Images, err = s.pagesOfAll(r.Context(), request.Images)
	}
	if err != nil {
		return err
	}
	l, err := s.models.use(r.Context(), m, options.context, q.KeepAlive.keep())
	if err != nil {
		return err
	}
	defer l.Release()
	if request.Thinking == engine.ThinkOn && !l.Model.Thinks() {
		return refuseField("think", "%q does not support thinking", q.Model)
	}
	options.apply(request, l.Model.Info().Context)
	if q.DebugRenderOnly {
		rendered, err := l.Model.Render(r.Context(), *request)
		if err != nil {
			return err
		}
		return s.writeJSON(w, http.StatusOK, api.GenerateResponse{Model: q.Model,
			CreatedAt: time.Now().UTC(), DebugInfo: &api.DebugInfo{RenderedTemplate: rendered.Text,
				ImageCount: rendered.Images}})
	}
	out := &ollamaOutput{s: s, w: w, ctx: r.Context(), model: q.Model, began: began, load: l.load,
		streamed: q.Stream == nil || *q.Stream, raw: q.Raw}
	return out.run(l.generateFitting(r.Context(), *request, options.fitting(q.Truncate)),
		func(e ollamaEvent) any {
			g := api.GenerateResponse{Model: e.model, CreatedAt: e.at, Response: e.text,
				Thinking: e.thinking, Logprobs: e.logprobs}
			if e.done {
				g.Done, g.DoneReason, g.Metrics = true, e.reason, e.metrics
				if !q.Raw {
					g.Context = contextOf(e.result.Prompt, e.tokens)
				}
			}
			return struct {
				api.GenerateResponse
				schemaChecked
			}{g, schemaChecked{checked(e.result)}}
		})
}

// checkGenerate finds what is wrong with a request before a model is loaded.
func (s *Server) checkGenerate(q *ollamaGenerateRequest, m *model) (*ollamaOptions, error) {
	switch {
	case q.Raw && (q.Template != "" || q.System != "" || len(q.Context) > 0):
		return nil, refuseField("raw", "raw mode does not support template, system, or context")
	case q.Suffix != "":
		return nil, refuseField("suffix", "%q does not support insert", q.Model)
	case q.Width != 0 || q.Height != 0 || q.Steps != 0:
		return nil, refuseField("width", "%q does not draw pictures", q.Model)
	}
	var n int
	var err error
	if q.GenerateRequest.Images, err = s.ollamaPictures(q.Images, -1, &n); err != nil {
		return nil, err
	}
	return ollamaChoices(m, q.Options, q.TopLogprobs)
}

// generateRequest makes an engine's request of one to generate.
func generateRequest(q *ollamaGenerateRequest, m *model) (*engine.Request, error) {
	r := &engine.Request{Logprobs: q.Logprobs, TopLogprobs: int(q.TopLogprobs),
		ContextShift: q.Shift == nil || *q.Shift, KeepPrompt: !q.Raw}
	demands := formatDemands{q.otherDemands, q.Format}
	if err := demands.apply(r); err != nil {
		return nil, err
	}
	if q.Raw {
		r.Prompt = q.Prompt
		for i, data := range q.GenerateRequest.Images {
			r.Images = append(r.Images, &engine.Image{Name: fileName(i+1, "", data), Data: data})
		}
		return r, nil
	}
	r.Thinking = thinking(q.Think)
	if q.Template != "" {
		if len(q.Template) > maxTemplate {
			return nil, refuseField("template", "the template has %d bytes; give %d at most",
				len(q.Template), maxTemplate)
		}
		var err error
		// as it was shown
		if r.Template, err = templates.ParseGo(q.Template, templates.Options{}); err != nil &&
			q.Template != m.ownTemplate() {
			return nil, refuseField("template", "%s", plain(err))
		}
	}
	var err error
	if r.Before, err = q.beforeTokens(); err != nil {
		return nil, err
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

// maxTemplate bounds a template that comes with a request.
const maxTemplate = 64 << 10

// contextOf is the context that continues a conversation: all its tokens. Pictures are not among
// them.
func contextOf(prompt, answer []engine.Token) []int {
	tokens := make([]int, 0, len(prompt)+len(answer))
	for _, list := range [][]engine.Token{prompt, answer} {
		for _, t := range list {
			tokens = append(tokens, int(t))
		}
	}
	return tokens
}
