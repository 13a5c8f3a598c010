package server

import (
	"net/http"

	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/engine/server/internal/answer"
	"github.com/eyelet-engine/eyelet/engine/server/internal/anthropic"
	"github.com/eyelet-engine/eyelet/engine/server/internal/failure"
	"github.com/eyelet-engine/eyelet/engine/server/internal/fields"
)

// messagesRequest reads a request of Anthropic's API, and what it asks of the model that it names.
func (s *Server) messagesRequest(r *http.Request,
	q *anthropic.Request) (request engine.Request, m *model, err error) {
	if m, err = s.models.find(q.Model); err != nil {
		return request, nil, err
	}
	if len(q.Messages) == 0 {
		return request, nil, failure.Wrong("messages", "is empty; send at least one")
	}
	t := s.newTalk(r.Context(), m, len(q.System) > 0)
	system, err := t.anthropicContent(q.System, "system", "is")
	if err != nil {
		return request, nil, err
	}
	if len(system) > 1 || len(system) == 1 && (system[0].Image != nil || system[0].Text != "") {
		t.messages = append([]engine.Message{{Role: "system", Content: system}}, t.messages...)
	}
	if err := t.anthropicTurns(q.Messages); err != nil {
		return request, nil, err
	}
	if err := s.withPages(r.Context(), t.messages); err != nil {
		return request, nil, err
	}
	q.System, q.Messages = nil, nil // as openaiChat forgets its messages
	request, err = q.Request(m.params())
	request.Messages = t.messages
	prefill(&request)
	return request, m, err
}

// anthropicMessages answers POST /v1/messages.
func (s *Server) anthropicMessages(w http.ResponseWriter, r *http.Request,
	q *anthropic.Request) error {
	request, m, err := s.messagesRequest(r, q)
	if err != nil {
		return err
	}
	if q.MaxTokens == nil {
		return failure.Wrong("max_tokens", "is missing")
	}
	if err := fields.MaxTokens(&request, "max_tokens", q.MaxTokens); err != nil {
		return err
	}
	l, err := s.models.use(r.Context(), m, 0, nil)
	if err != nil {
		return err
	}
	defer l.Release()
	set := answer.NewSet(1)
	if request.Prefill != "" {
		set.Continued()
	}
	return s.respond(r.Context(), w, s.streamIf(q.Stream, w, asEvents), set,
		anthropic.NewMessages(q), only(l.generate(r.Context(), request)))
}

// anthropicCount answers POST /v1/messages/count_tokens.
func (s *Server) anthropicCount(w http.ResponseWriter, r *http.Request,
	q *anthropic.Request) error {
	request, m, err := s.messagesRequest(r, q)
	if err != nil {
		return err
	}
	n, err := s.count(r.Context(), m, request)
	if err != nil {
		return err
	}
	return s.writeJSON(w, http.StatusOK, anthropic.InputTokens{Tokens: n})
}
