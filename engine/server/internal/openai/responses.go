package openai

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"

	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/engine/server/internal/failure"
	"github.com/eyelet-engine/eyelet/engine/server/internal/fields"
	"github.com/eyelet-engine/eyelet/models/store"
)

// ResponseRequest is the body of POST /v1/responses.
type ResponseRequest struct {
	fields.Sampling
	fields.Form
	Model        string         `json:"model"`
	Input        ResponseInput  `json:"input"`
	Instructions string         `json:"instructions"`
	Stream       bool           `json:"stream"`
	MaxTokens    *fields.Whole  `json:"max_output_tokens"`
	TopLogprobs  fields.Whole   `json:"top_logprobs"`
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
	Prompt       json.RawMessage `json:"prompt"`
}

// responseTool is a tool in the words of responses.
type responseTool struct {
	Type        string          `json:"type"`
	Name        string          `json:"name"`
	Description string          `json:"description,omitempty"`
	Parameters  json.RawMessage `json:"parameters"`
	Strict      *bool           `json:"strict,omitempty"`
}

// ResponseInput holds the items of a conversation: a text alone is a user's message.
type ResponseInput []ResponseItem

// ResponseItem is a message, a call, what a call returned, or thoughts.
type ResponseItem struct {
	Type      string  `json:"type"`
	Role      string  `json:"role"`
	Content   Content `json:"content"`
	CallID    string  `json:"call_id"`
	Name      string  `json:"name"`
	Arguments string  `json:"arguments"`
	Output    Content `json:"output"`
	Summary   Content `json:"summary"` // of thoughts
}

// Thoughts returns the texts of an item of reasoning: what was thought, else its summary.
func (item *ResponseItem) Thoughts() string {
	var b strings.Builder
	for _, parts := range []Content{item.Content, item.Summary} {
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
func (in *ResponseInput) UnmarshalJSON(data []byte) error {
	if bytes.HasPrefix(data, []byte(`"`)) {
		part := Part{Type: "input_text"}
		*in = ResponseInput{{Type: "message", Role: "user"}}
		err := json.Unmarshal(data, &part.Text)
		(*in)[0].Content = Content{part}
		return err
	}
	return json.Unmarshal(data, (*[]ResponseItem)(in))
}

// Check refuses what this server has nothing for, before the conversation is looked at.
func (q *ResponseRequest) Check() error {
	switch {
	case q.Previous != "":
		return failure.Field("previous_response_id",
			"this server keeps no responses; send the whole conversation as input")
	case !fields.Missing(q.Conversation):
		return failure.Field("conversation",
			"this server keeps no conversations; send the whole conversation as input")
	case !fields.Missing(q.Prompt):
		return failure.Field("prompt",
			"this server keeps no prompts; send the text as input or instructions")
	case q.Background:
		return failure.Field("background", "this server answers at once; leave background out")
	case len(q.Input) == 0:
		return failure.Wrong("input", "is empty; give a text or a list of items")
	}
	switch q.Truncation {
	case "", "disabled", "auto":
	default:
		return failure.Wrong("truncation", "is %.40q; give auto or disabled", q.Truncation)
	}
	return fields.CheckTopLogprobs("top_logprobs", q.TopLogprobs)
}

// Request returns what the body asks of a model with such parameters, but for the conversation.
func (q *ResponseRequest) Request(p store.Params) (engine.Request, error) {
	r := engine.Request{TopLogprobs: int(q.TopLogprobs), Thinking: thinkingOf(q.Reasoning.Effort)}
	r.Logprobs = q.TopLogprobs > 0 || slices.Contains(q.Include, "message.output_text.logprobs")
	if err := fields.MaxTokens(&r, "max_output_tokens", q.MaxTokens); err != nil {
		return r, err
	}
	if err := q.Form.Apply(&r); err != nil {
		return r, err
	}
	for i, tool := range q.Tools {
		if tool.Type != "function" {
			return r, notAFunction(i, tool.Type)
		}
		r.Tools = append(r.Tools, engine.Tool{Name: tool.Name, Description: tool.Description,
			Parameters: tool.Parameters, Strict: tool.Strict != nil && *tool.Strict})
	}
	if err := applyChoice(&r, q.ToolChoice, q.Parallel); err != nil {
		return r, err
	}
	return r, q.Sampling.Apply(&r, p)
}
