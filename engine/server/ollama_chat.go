package server

import (
	"net/http"
	"strings"
	"time"

	"github.com/ollama/ollama/api"

	"github.com/eyelet-engine/eyelet/engine"
)

// ollamaChat answers POST /api/chat.
func (s *Server) ollamaChat(w http.ResponseWriter, r *http.Request) error {
	began := time.Now()
	var q ollamaChatRequest
	m, err := s.decodeFor(w, r, &q, &q.Model)
	if err != nil {
		return err
	}
	if len(q.Messages) == 0 {
		reason, err := s.ollamaLoad(r.Context(), m, q.KeepAlive)
		if err != nil {
			return err
		}
		return s.writeJSON(w, http.StatusOK, api.ChatResponse{Model: q.Model,
			CreatedAt: time.Now().UTC(), Message: api.Message{Role: "assistant"}, Done: true,
			DoneReason: reason})
	}
	options, err := s.checkChat(&q, m)
	if err != nil {
		return err
	}
	messages, err := s.conversation(&q)
	if err != nil {
		return err
	}
	request := engine.Request{Logprobs: q.Logprobs, TopLogprobs: int(q.TopLogprobs),
		ContextShift: q.Shift == nil || *q.Shift}
	if err := q.form(&request); err != nil {
		return err
	}
	request.Messages, request.Tools, request.Thinking = ollamaMessages(m, messages), q.tools(),
		thinking(q.Think)
	if err := s.withPages(r.Context(), request.Messages); err != nil {
		return err
	}
	prefilled := !isHeld(&request) && prefill(&request)
	l, err := s.models.use(r.Context(), m, options.context, q.KeepAlive.keep())
	if err != nil {
		return err
	}
	defer l.Release()
	options.apply(&request, l.Model.Info().Context)
	if request.Thinking == engine.ThinkOn && !l.Model.Thinks() {
		return refuseField("think", "%q does not support thinking", q.Model)
	}
	if q.DebugRenderOnly {
		rendered, err := l.Model.Render(r.Context(), request)
		if err != nil {
			return err
		}
		return s.writeJSON(w, http.StatusOK, api.ChatResponse{Model: q.Model,
			CreatedAt: time.Now().UTC(), DebugInfo: &api.DebugInfo{RenderedTemplate: rendered.Text,
				ImageCount: rendered.Images}})
	}
	out := &ollamaOutput{s: s, w: w, ctx: r.Context(), model: q.Model, began: began, load: l.load,
		streamed: q.Stream == nil || *q.Stream, raw: prefilled}
	return out.run(l.generateFitting(r.Context(), request, options.fitting(q.Truncate)),
		func(e ollamaEvent) any {
			c := api.ChatResponse{Model: e.model, CreatedAt: e.at,
				Message: api.Message{Role: "assistant", Content: e.text, Thinking: e.thinking,
					ToolCalls: e.calls}, Logprobs: e.logprobs}
			if e.done {
				c.Done, c.DoneReason, c.Metrics = true, e.reason, e.metrics
			}
			return struct {
				api.ChatResponse
				schemaChecked
			}{c, schemaChecked{checked(e.result)}}
		})
}

// tools are the tools of a request as the engine takes them.
func (q *ollamaChatRequest) tools() []engine.Tool {
	var tools []engine.Tool
	for _, t := range q.Tools {
		tools = append(tools, engine.Tool{Name: t.Function.Name,
			Description: t.Function.Description, Parameters: t.Function.Parameters,
			Strict: t.Function.Strict})
	}
	return tools
}

// thinking is Ollama's choice of thinking as the engine takes it. Levels of thinking are all the
// same.
func thinking(v *api.ThinkValue) engine.Thinking {
	switch {
	case v == nil || v.Value == nil:
		return engine.ThinkAsUsual
	case v.Bool():
		return engine.ThinkOn
	}
	return engine.ThinkOff
}

// checkChat finds what is wrong with a request before a model is loaded.
func (s *Server) checkChat(q *ollamaChatRequest, m *model) (*ollamaOptions, error) {
	for i, t := range q.Tools {
		if t.Type != "" && t.Type != "function" {
			return nil, refuseField("tools",
				"tool %d is of the type %.40q; there are functions alone", i+1, t.Type)
		}
	}
	return ollamaChoices(m, q.Options, q.TopLogprobs)
}

// ollamaChoices are the options of a request over those of its model.
func ollamaChoices(m *model, options map[string]any, topLogprobs whole) (*ollamaOptions, error) {
	if err := checkTopLogprobs("top_logprobs", topLogprobs); err != nil {
		return nil, err
	}
	o := newOllamaOptions()
	o.ofModel(m.params())
	return o, o.ofRequest(options)
}

// ollamaMessages are the messages of a request as the engine takes them, behind what the model
// itself brings.
func ollamaMessages(m *model, messages []api.Message) []engine.Message {
	out, pictures := m.beginning(strings.EqualFold(messages[0].Role, "system"))
	out, _ = appendOllama(out, messages, pictures)
	return out
}

// beginning is what the model itself brings to a conversation: its system prompt, unless the client
// has one, and its opening turns. pictures counts those in them.
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

// ollamaCalls are the calls of an assistant's turn as the engine takes them.
func ollamaCalls(calls []api.ToolCall) []engine.ToolCall {
	var out []engine.ToolCall
	for _, c := range calls {
		out = append(out, engine.ToolCall{ID: c.ID, Name: c.Function.Name,
			Arguments: c.Function.Arguments.String()})
	}
	return out
}
