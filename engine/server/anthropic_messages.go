package server

import (
	"crypto/rand"
	"encoding/json"
	"net/http"

	"github.com/eyelet-engine/eyelet/engine"
)

// messagesRequest is the body of POST /v1/messages.
type messagesRequest struct {
	formatDemands
	imageTokens
	Model         string             `json:"model"`
	MaxTokens     *whole             `json:"max_tokens"`
	Messages      []anthropicMessage `json:"messages"`
	System        anthropicBlocks    `json:"system"`
	StopSequences texts              `json:"stop_sequences"`
	Stream        bool               `json:"stream"`
	Temperature   *fraction          `json:"temperature"`
	TopK          *whole             `json:"top_k"`
	TopP          *fraction          `json:"top_p"`
	Tools         []struct {
		Type        string          `json:"type"`
		Name        string          `json:"name"`
		Description string          `json:"description"`
		InputSchema json.RawMessage `json:"input_schema"`
		Strict      bool            `json:"strict"`
	} `json:"tools"`
	ToolChoice struct {
		Type   string `json:"type"`
		Name   string `json:"name"`
		Serial bool   `json:"disable_parallel_tool_use"`
	} `json:"tool_choice"`
	Thinking struct {
		Type string `json:"type"`
	} `json:"thinking"`
}

// request translates a request, conversation included.
func (q *messagesRequest) request(t *talk, m *model) (r engine.Request, err error) {
	if len(q.Messages) == 0 {
		return r, refuseField("messages", "messages is empty; send at least one")
	}
	system, err := t.anthropicContent(q.System, "system", "is")
	if err != nil {
		return r, err
	}
	if len(system) > 1 || len(system) == 1 && (system[0].Image != nil || system[0].Text != "") {
		t.messages = append([]engine.Message{{Role: "system", Content: system}}, t.messages...)
	}
	if err := t.anthropicTurns(q.Messages); err != nil {
		return r, err
	}
	if err := t.s.withPages(t.ctx, t.messages); err != nil {
		return r, err
	}
	r = engine.Request{Messages: t.messages, Stop: q.StopSequences,
		SerialTools: q.ToolChoice.Serial}
	if err := checkStops("stop_sequences", q.StopSequences); err != nil {
		return r, err
	}
	if err := q.imageTokens.apply(&r); err != nil {
		return r, err
	}
	for i, tool := range q.Tools {
		if tool.Type != "" && tool.Type != "custom" {
			return r, refuseField("tools",
				"tool %d is of type %.40q; this server knows tools of the client only", i+1,
				tool.Type)
		}
		r.Tools = append(r.Tools, engine.Tool{Name: tool.Name, Description: tool.Description,
			Parameters: tool.InputSchema, Strict: tool.Strict})
	}
	switch q.ToolChoice.Type {
	case "", "auto":
	case "any":
		r.ToolChoice = engine.ToolsRequired
	case "none":
		r.ToolChoice = engine.ToolsNone
	case "tool":
		if r.ToolName = q.ToolChoice.Name; r.ToolName == "" {
			return r, refuseField("tool_choice.name", "tool_choice names no tool")
		}
	default:
		return r, refuseField("tool_choice.type",
			"tool_choice.type is %.40q; give auto, any, tool or none", q.ToolChoice.Type)
	}
	switch q.Thinking.Type {
	case "":
	case "disabled":
		r.Thinking = engine.ThinkOff
	case "enabled", "adaptive":
		r.Thinking = engine.ThinkOn
	default:
		return r, refuseField("thinking.type", "thinking.type is %.40q; give enabled or disabled",
			q.Thinking.Type)
	}
	if err := q.formatDemands.apply(&r); err != nil {
		return r, err
	}
	prefill(&r)
	c := sampleChoices{Temperature: q.Temperature, TopK: q.TopK, TopP: q.TopP}
	err = c.apply(&r, m)
	return r, err
}

// anthropicPrepare reads a request and translates it.
func (s *Server) anthropicPrepare(w http.ResponseWriter, r *http.Request,
	q *messagesRequest) (request engine.Request, m *model, err error) {
	if m, err = s.decodeFor(w, r, q, &q.Model); err != nil {
		return request, nil, err
	}
	request, err = q.request(s.newTalk(r.Context(), m, len(q.System) > 0), m)
	q.System, q.Messages = nil, nil // as openaiChat forgets its messages
	return request, m, err
}

// anthropicMessages answers POST /v1/messages.
func (s *Server) anthropicMessages(w http.ResponseWriter, r *http.Request) error {
	var q messagesRequest
	request, m, err := s.anthropicPrepare(w, r, &q)
	if err != nil {
		return err
	}
	if q.MaxTokens == nil {
		return refuseField("max_tokens", "max_tokens is missing")
	}
	if err := maxTokens(&request, "max_tokens", q.MaxTokens); err != nil {
		return err
	}
	l, err := s.models.use(r.Context(), m, 0, nil)
	if err != nil {
		return err
	}
	defer l.Release()
	o := &messageOutput{s: s, message: anthropicAnswer{ID: "msg_" + rand.Text(), Type: "message",
		Role: "assistant", Model: q.Model, Content: []any{}}}
	o.spoken.begun = request.Prefill != ""
	if q.Stream {
		o.events = s.newEvents(w)
		o.begun, o.grown, o.ended = o.blockBegun, o.blockGrown, o.blockEnded
	}
	for e, err := range l.generate(r.Context(), request) {
		if err == nil {
			err = o.event(e)
		}
		if err != nil {
			return o.fail(r.Context(), err)
		}
	}
	if q.Stream {
		return nil
	}
	return s.writeJSON(w, http.StatusOK, o.message)
}

// anthropicCount answers POST /v1/messages/count_tokens.
func (s *Server) anthropicCount(w http.ResponseWriter, r *http.Request) error {
	var q messagesRequest
	request, m, err := s.anthropicPrepare(w, r, &q)
	if err != nil {
		return err
	}
	l, err := s.models.use(r.Context(), m, 0, nil)
	if err != nil {
		return err
	}
	defer l.Release()
	n, err := l.Model.Count(r.Context(), request)
	if err != nil {
		return err
	}
	return s.writeJSON(w, http.StatusOK, struct {
		Tokens int `json:"input_tokens"`
	}{n.Prompt})
}
