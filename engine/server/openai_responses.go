package server

import (
	"fmt"
	"net/http"

	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/engine/server/internal/answer"
	"github.com/eyelet-engine/eyelet/engine/server/internal/failure"
	"github.com/eyelet-engine/eyelet/engine/server/internal/openai"
)

// responseTurns makes the items of a conversation ready. Calls that follow each other, or an
// assistant's message, are one turn; thoughts belong to the turn that they come before.
func (t *talk) responseTurns(items openai.ResponseInput) error {
	thoughts := ""
	add := func(msg engine.Message) {
		if msg.Role == "assistant" {
			msg.Reasoning, thoughts = thoughts, ""
		}
		t.messages = append(t.messages, msg)
	}
	for i, item := range items {
		param := fmt.Sprintf("input[%d]", i)
		switch item.Type {
		case "", "message":
			role := item.Role
			if role == "developer" {
				role = "system"
			}
			if role != "system" && role != "user" && role != "assistant" {
				return failure.Wrong(param+".role",
					"is %.40q; give developer, system, user or assistant", item.Role)
			}
			content, err := t.content(item.Content, param+".content")
			if err != nil {
				return err
			}
			if len(content) == 0 {
				return failure.Field(param+".content", "%s has no content", param)
			}
			add(engine.Message{Role: role, Content: content})
		case "function_call":
			call := engine.ToolCall{ID: item.CallID, Name: item.Name, Arguments: item.Arguments}
			if n := len(t.messages); n > 0 && t.messages[n-1].Role == "assistant" &&
				thoughts == "" {
				t.messages[n-1].ToolCalls = append(t.messages[n-1].ToolCalls, call)
				continue
			}
			add(engine.Message{Role: "assistant", ToolCalls: []engine.ToolCall{call}})
		case "function_call_output":
			content, err := t.content(item.Output, param+".output")
			if err != nil {
				return err
			}
			add(engine.Message{Role: "tool", ToolCallID: item.CallID, Name: t.nameOf(item.CallID),
				Content: content})
		case "reasoning":
			thoughts += item.Thoughts()
		default:
			return failure.Field(param+".type",
				"%s is %.40q; this server takes message, function_call, function_call_output and reasoning",
				param, item.Type)
		}
	}
	return nil
}

// responseRequest reads a request for a response, and what it asks of the model that it names.
func (s *Server) responseRequest(r *http.Request,
	q *openai.ResponseRequest) (request engine.Request, m *model, err error) {
	if m, err = s.models.find(q.Model); err != nil {
		return request, nil, err
	}
	if err := q.Check(); err != nil {
		return request, nil, err
	}
	t := s.newTalk(r.Context(), m, q.Instructions != "" || isSystem(q.Input[0].Role))
	if q.Instructions != "" {
		t.messages = append([]engine.Message{engine.System(q.Instructions)}, t.messages...)
	}
	if err := t.responseTurns(q.Input); err != nil {
		return request, nil, err
	}
	if err := s.withPages(r.Context(), t.messages); err != nil {
		return request, nil, err
	}
	q.Input = nil // as openaiChat forgets its messages
	request, err = q.Request(m.params())
	request.Messages = t.messages
	return request, m, err
}

// openaiCountResponse answers POST /v1/responses/input_tokens.
func (s *Server) openaiCountResponse(w http.ResponseWriter, r *http.Request,
	q *openai.ResponseRequest) error {
	request, m, err := s.responseRequest(r, q)
	if err != nil {
		return err
	}
	n, err := s.count(r.Context(), m, request)
	if err != nil {
		return err
	}
	return s.writeJSON(w, http.StatusOK, openai.InputTokens{Object: "response.input_tokens",
		Tokens: n})
}

// openaiRespond answers POST /v1/responses.
func (s *Server) openaiRespond(w http.ResponseWriter, r *http.Request,
	q *openai.ResponseRequest) error {
	request, m, err := s.responseRequest(r, q)
	if err != nil {
		return err
	}
	l, err := s.models.use(r.Context(), m, 0, nil)
	if err != nil {
		return err
	}
	defer l.Release()
	var fitting *engine.Fitting
	if q.Truncation == "auto" {
		fitting = &engine.Fitting{}
	}
	set := answer.NewSet(1)
	set.KeepBlockLogprobs()
	return s.respond(r.Context(), w, s.streamIf(q.Stream, w, asEvents), set,
		openai.NewResponses(q, request.Sampling),
		only(l.generateFitting(r.Context(), request, fitting)))
}
