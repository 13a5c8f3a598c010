package server

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/ollama/ollama/api"

	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/engine/server/internal/answer"
	"github.com/eyelet-engine/eyelet/engine/server/internal/failure"
	"github.com/eyelet-engine/eyelet/engine/server/internal/fields"
	"github.com/eyelet-engine/eyelet/engine/server/internal/ollama"
)

// ollamaTurn is what requests to chat and to generate have in common once they are read.
type ollamaTurn struct {
	model      *model
	name       string // of the model, as the client called it
	request    engine.Request
	options    *fields.Options
	keep       *ollama.KeepAlive
	streamed   *bool
	truncate   *bool
	renderOnly bool
	continued  bool // the first blank of the answer is part of it
}

// ollamaAnswer borrows the model and answers. format makes the renderer, given the time for which
// the request waited for the model, and rendered the answer to a request that asks for its prompt
// alone.
func (s *Server) ollamaAnswer(w http.ResponseWriter, r *http.Request, t *ollamaTurn,
	format func(load time.Duration) answer.Renderer, rendered func(*api.DebugInfo) any) error {
	l, err := s.models.use(r.Context(), s.models.placed(t.model, t.options.Layers),
		t.options.Context, t.keep.Time())
	if err != nil {
		return err
	}
	defer l.Release()
	t.options.Apply(&t.request, l.Model.Info().Context)
	if t.request.Thinking == engine.ThinkOn && !l.Model.Thinks() {
		return failure.Field("think", "%q does not support thinking", t.name)
	}
	if t.renderOnly {
		prompt, err := l.Model.Render(r.Context(), t.request)
		if err != nil {
			return err
		}
		return s.writeJSON(w, http.StatusOK, rendered(&api.DebugInfo{
			RenderedTemplate: prompt.Text, ImageCount: prompt.Images}))
	}
	set := answer.NewSet(1)
	if t.continued {
		set.Continued()
	}
	out := s.streamIf(t.streamed == nil || *t.streamed, w, asLines)
	return s.respond(r.Context(), w, out, set, format(l.load),
		only(l.generateFitting(r.Context(), t.request, t.options.Fitting(t.truncate))))
}

// ollamaChat answers POST /api/chat.
func (s *Server) ollamaChat(w http.ResponseWriter, r *http.Request, q *ollama.ChatRequest) error {
	began := recordOf(r.Context()).began
	m, err := s.models.find(q.Model)
	if err != nil {
		return err
	}
	if len(q.Messages) == 0 {
		reason, err := s.ollamaLoad(r.Context(), m, q.Options, q.KeepAlive)
		if err != nil {
			return err
		}
		return s.writeJSON(w, http.StatusOK, api.ChatResponse{Model: q.Model,
			CreatedAt: time.Now().UTC(), Message: api.Message{Role: "assistant"}, Done: true,
			DoneReason: reason})
	}
	options, err := s.checkChat(q, m)
	if err != nil {
		return err
	}
	messages, err := s.conversation(q)
	if err != nil {
		return err
	}
	request, err := q.Request()
	if err != nil {
		return err
	}
	request.Messages = ollamaMessages(m, messages)
	if err := s.withPages(r.Context(), request.Messages); err != nil {
		return err
	}
	continued := !isHeld(&request) && prefill(&request)
	return s.ollamaAnswer(w, r, &ollamaTurn{model: m, name: q.Model, request: request,
		options: options, keep: q.KeepAlive, streamed: q.Stream, truncate: q.Truncate,
		renderOnly: q.DebugRenderOnly, continued: continued},
		func(load time.Duration) answer.Renderer { return ollama.NewChat(q, began, load) },
		func(info *api.DebugInfo) any {
			return api.ChatResponse{Model: q.Model, CreatedAt: time.Now().UTC(), DebugInfo: info}
		})
}

// checkChat finds what is wrong with a request before a model is loaded.
func (s *Server) checkChat(q *ollama.ChatRequest, m *model) (*fields.Options, error) {
	for i, t := range q.Tools {
		if t.Type != "" && t.Type != "function" {
			return nil, failure.Field("tools",
				"tool %d is of the type %.40q; there are functions alone", i+1, t.Type)
		}
	}
	return ollamaChoices(m, q.Options, q.TopLogprobs)
}

// ollamaChoices returns the options of a request over those of its model.
func ollamaChoices(m *model, options map[string]any, topLogprobs fields.Whole) (*fields.Options,
	error) {
	if err := fields.CheckTopLogprobs("top_logprobs", topLogprobs); err != nil {
		return nil, err
	}
	o := fields.NewOptions()
	o.OfModel(m.params())
	return o, o.OfRequest(options)
}

// ollamaMessages returns the messages of a request as the engine takes them, behind what the model
// itself brings.
func ollamaMessages(m *model, messages []api.Message) []engine.Message {
	out, pictures := m.beginning(strings.EqualFold(messages[0].Role, "system"))
	out, _ = appendOllama(out, messages, pictures)
	return out
}

// beginning returns what the model itself brings to a conversation: its system prompt, unless the
// client has one, and its opening turns. pictures counts those in them.
func (m *model) beginning(hasSystem bool) (messages []engine.Message, pictures int) {
	if system := m.system(); system != "" && !hasSystem {
		messages = append(messages, engine.System(system))
	}
	return appendOllama(messages, m.opening(), 0)
}

// appendOllama adds messages to those of a conversation, and counts their pictures, whose numbers
// go on from pictures.
func appendOllama(to []engine.Message, messages []api.Message,
	pictures int) ([]engine.Message, int) {
	for _, msg := range messages {
		to = append(to, engine.Message{
			Role: strings.ToLower(msg.Role), Content: ollamaContent(msg.Content, msg.Images,
				pictures),
			Reasoning: msg.Thinking, ToolCalls: ollamaCalls(msg.ToolCalls),
			ToolCallID: msg.ToolCallID, Name: msg.ToolName,
			KeepOrder: len(msg.Images) > 0 && strings.Contains(msg.Content, pictureMark),
		})
		pictures += len(msg.Images)
	}
	return to, pictures
}

// ollamaCalls returns the calls of an assistant's turn as the engine takes them.
func ollamaCalls(calls []api.ToolCall) []engine.ToolCall {
	var out []engine.ToolCall
	for _, c := range calls {
		out = append(out, engine.ToolCall{ID: c.ID, Name: c.Function.Name,
			Arguments: c.Function.Arguments.String()})
	}
	return out
}

// ollamaLoad answers a request without a question, which loads a model, or unloads it if it is to
// be kept for no time. It returns what was done.
func (s *Server) ollamaLoad(ctx context.Context, m *model, options map[string]any,
	keep *ollama.KeepAlive) (string, error) {
	o := fields.NewOptions()
	if err := o.OfRequest(options); err != nil {
		return "", err
	}
	if keep.Unloads() {
		s.models.unload(m)
		return "unload", nil
	}
	l, err := s.models.use(ctx, s.models.placed(m, o.Layers), o.Context, keep.Time())
	if err != nil {
		return "", err
	}
	l.Release()
	return "load", nil
}
