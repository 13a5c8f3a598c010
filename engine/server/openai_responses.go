package server

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/eyelet-engine/eyelet/engine"
)

// responseRequest is the body of POST /v1/responses.
type responseRequest struct {
	sampleChoices
	formatDemands
	Model        string         `json:"model"`
	Input        responseInput  `json:"input"`
	Instructions string         `json:"instructions"`
	Stream       bool           `json:"stream"`
	MaxTokens    *whole         `json:"max_output_tokens"`
	TopLogprobs  whole          `json:"top_logprobs"`
	Include      []string       `json:"include"`
	Tools        []responseTool `json:"tools"`
	Reasoning    struct {
		Effort string `json:"effort"`
	} `json:"reasoning"`
	ToolChoice json.RawMessage   `json:"tool_choice"`
	Parallel   *bool             `json:"parallel_tool_calls"`
	Metadata   map[string]string `json:"metadata"`
	User       string            `json:"user"`
	Truncation string            `json:"truncation"`

	Previous     string          `json:"previous_response_id"`
	Conversation json.RawMessage `json:"conversation"`
	Background   bool            `json:"background"`
}

// responseTool is a tool in the words of responses.
type responseTool struct {
	Type        string          `json:"type"`
	Name        string          `json:"name"`
	Description string          `json:"description,omitempty"`
	Parameters  json.RawMessage `json:"parameters"`
	Strict      *bool           `json:"strict,omitempty"`
}

// responseInput are the items of a conversation: a text alone is a user's message.
type responseInput []responseItem

// responseItem is a message, a call, or what a call returned.
type responseItem struct {
	Type      string        `json:"type"`
	Role      string        `json:"role"`
	Content   openaiContent `json:"content"`
	CallID    string        `json:"call_id"`
	Name      string        `json:"name"`
	Arguments string        `json:"arguments"`
	Output    openaiContent `json:"output"`
	Summary   openaiContent `json:"summary"` // of thoughts
}

// thoughts are the texts of an item of reasoning: what was thought, else its summary.
func (item *responseItem) thoughts() string {
	var b strings.Builder
	for _, parts := range []openaiContent{item.Content, item.Summary} {
		for _, p := range parts {
			b.WriteString(p.Text)
		}
		if b.Len() > 0 {
			break
		}
	}
	return b.String()
}

// UnmarshalJSON implements [json.Unmarshaler].
func (in *responseInput) UnmarshalJSON(data []byte) error {
	if bytes.HasPrefix(data, []byte(`"`)) {
		part := openaiPart{Type: "input_text"}
		*in = responseInput{{Type: "message", Role: "user"}}
		err := json.Unmarshal(data, &part.Text)
		(*in)[0].Content = openaiContent{part}
		return err
	}
	return json.Unmarshal(data, (*[]responseItem)(in))
}

// responseTurns makes the items of a conversation ready. Calls that follow each other, or an
// assistant's message, are one turn; thoughts belong to the turn that they come before.
func (t *talk) responseTurns(items responseInput) error {
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
				return refuseField(param+".role",
					"%s.role is %.40q; give developer, system, user or assistant", param, item.Role)
			}
			content, err := t.content(item.Content, param+".content")
			if err != nil {
				return err
			}
			if len(content) == 0 {
				return refuseField(param+".content", "%s has no content", param)
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
			thoughts += item.thoughts()
		default:
			return refuseField(param+".type", "%s is %.40q; this server takes message, function_call, function_call_output and reasoning", param, item.Type)
		}
	}
	return nil
}

// request translates a request, conversation included.
func (q *responseRequest) request(t *talk, m *model) (r engine.Request, err error) {
	switch {
	case q.Previous != "" || len(q.Conversation) > 0 && string(q.Conversation) != "null":
		return r, refuseField("previous_response_id",
			"this server keeps no responses; send the whole conversation as input")
	case q.Background:
		return r, refuseField("background", "this server answers at once; leave background out")
	case len(q.Input) == 0:
		return r, refuseField("input", "input is empty; give a text or a list of items")
	}
	switch q.Truncation {
	case "", "disabled", "auto":
	default:
		return r, refuseField("truncation", "truncation is %.40q; give auto or disabled",
			q.Truncation)
	}
	if err := checkTopLogprobs("top_logprobs", q.TopLogprobs); err != nil {
		return r, err
	}
	if q.Instructions != "" {
		t.messages = append([]engine.Message{engine.System(q.Instructions)}, t.messages...)
	}
	if err := t.responseTurns(q.Input); err != nil {
		return r, err
	}
	if err := t.s.withPages(t.ctx, t.messages); err != nil {
		return r, err
	}
	r = engine.Request{Messages: t.messages, TopLogprobs: int(q.TopLogprobs),
		Thinking: thinkingOf(q.Reasoning.Effort)}
	r.Logprobs = q.TopLogprobs > 0 || slices.Contains(q.Include, "message.output_text.logprobs")
	if err := maxTokens(&r, "max_output_tokens", q.MaxTokens); err != nil {
		return r, err
	}
	if err := q.formatDemands.apply(&r); err != nil {
		return r, err
	}
	for i, tool := range q.Tools {
		if tool.Type != "function" {
			return r, refuseField("tools", "tool %d is of type %.40q; this server knows functions",
				i+1, tool.Type)
		}
		r.Tools = append(r.Tools, engine.Tool{Name: tool.Name, Description: tool.Description,
			Parameters: tool.Parameters, Strict: tool.Strict != nil && *tool.Strict})
	}
	if err := openaiChoice(&r, q.ToolChoice, q.Parallel); err != nil {
		return r, err
	}
	err = q.sampleChoices.apply(&r, m)
	return r, err
}

// openaiPrepare reads a request for a response and translates it.
func (s *Server) openaiPrepare(w http.ResponseWriter, r *http.Request,
	q *responseRequest) (request engine.Request, m *model, err error) {
	if m, err = s.decodeFor(w, r, q, &q.Model); err != nil {
		return request, nil, err
	}
	hasSystem := q.Instructions != "" || len(q.Input) > 0 && isSystem(q.Input[0].Role)
	request, err = q.request(s.newTalk(r.Context(), m, hasSystem), m)
	q.Input = nil // as openaiChat forgets its messages
	return request, m, err
}

// openaiCountResponse answers POST /v1/responses/input_tokens.
func (s *Server) openaiCountResponse(w http.ResponseWriter, r *http.Request) error {
	var q responseRequest
	request, m, err := s.openaiPrepare(w, r, &q)
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
		Object string `json:"object"`
		Tokens int    `json:"input_tokens"`
	}{"response.input_tokens", n.Prompt})
}

// openaiRespond answers POST /v1/responses.
func (s *Server) openaiRespond(w http.ResponseWriter, r *http.Request) error {
	var q responseRequest
	request, m, err := s.openaiPrepare(w, r, &q)
	if err != nil {
		return err
	}
	l, err := s.models.use(r.Context(), m, 0, nil)
	if err != nil {
		return err
	}
	defer l.Release()
	o := newResponseOutput(&q, request.Sampling)
	if q.Stream {
		o.events = s.newEvents(w)
		o.begun, o.grown, o.ended = o.itemBegun, o.itemGrown, o.itemEnded
	}
	var fitting *engine.Fitting
	if q.Truncation == "auto" {
		fitting = &engine.Fitting{}
	}
	for e, err := range l.generateFitting(r.Context(), request, fitting) {
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
	return s.writeJSON(w, http.StatusOK, o.response)
}
