package anthropic

import (
	"bytes"
	"encoding/json"

	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/engine/server/internal/failure"
	"github.com/eyelet-engine/eyelet/engine/server/internal/fields"
	"github.com/eyelet-engine/eyelet/models/store"
)

// Request is the body of POST /v1/messages.
type Request struct {
	fields.Form
	fields.ImageTokens
	Model         string           `json:"model"`
	MaxTokens     *fields.Whole    `json:"max_tokens"`
	Messages      []Message        `json:"messages"`
	System        Blocks           `json:"system"`
	StopSequences fields.Texts     `json:"stop_sequences"`
	Stream        bool             `json:"stream"`
	Temperature   *fields.Fraction `json:"temperature"`
	TopK          *fields.Whole    `json:"top_k"`
	TopP          *fields.Fraction `json:"top_p"`
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
	MCPServers []json.RawMessage `json:"mcp_servers"`
}

// Message is a turn.
type Message struct {
	Role    string `json:"role"`
	Content Blocks `json:"content"`
}

// Blocks is the content of a turn: a text alone is one block.
type Blocks []Block

// Block is a piece of content, of any type.
type Block struct {
	Type      string          `json:"type"`
	Text      string          `json:"text"`
	Thinking  string          `json:"thinking"`
	Source    *Source         `json:"source"`
	ID        string          `json:"id"`
	Name      string          `json:"name"`
	Input     json.RawMessage `json:"input"`
	ToolUseID string          `json:"tool_use_id"`
	Content   Blocks          `json:"content"`
	IsError   bool            `json:"is_error"`
	Title     string          `json:"title"` // of a document, as is Context
	Context   string          `json:"context"`
}

// Source is where a picture or a document is.
type Source struct {
	Type    string `json:"type"`
	Data    string `json:"data"`
	URL     string `json:"url"`
	Content Blocks `json:"content"`
}

// UnmarshalJSON implements [json.Unmarshaler].
func (b *Blocks) UnmarshalJSON(data []byte) error {
	switch {
	case bytes.HasPrefix(data, []byte(`"`)):
		*b = Blocks{{Type: "text"}}
		return json.Unmarshal(data, &(*b)[0].Text)
	case bytes.Equal(data, []byte("null")):
		*b = nil
		return nil
	}
	return json.Unmarshal(data, (*[]Block)(b))
}

// Request returns what the body asks of a model with such parameters, but for the conversation and
// the most tokens of the answer.
func (q *Request) Request(p store.Params) (r engine.Request, err error) {
	r = engine.Request{Stop: q.StopSequences, SerialTools: q.ToolChoice.Serial}
	if err := fields.CheckStops("stop_sequences", q.StopSequences); err != nil {
		return r, err
	}
	if err := q.ImageTokens.Apply(&r); err != nil {
		return r, err
	}
	if len(q.MCPServers) > 0 {
		return r, failure.Wrong("mcp_servers",
			"names servers of tools; this server knows tools of the client only")
	}
	for i, tool := range q.Tools {
		if tool.Type != "" && tool.Type != "custom" {
			return r, failure.Field("tools",
				"tool %d is of type %.40q; this server knows tools of the client only", i+1,
				tool.Type)
		}
		r.Tools = append(r.Tools, engine.Tool{Name: tool.Name, Description: tool.Description,
			Parameters: tool.InputSchema, Strict: tool.Strict})
	}
	if err := q.choose(&r); err != nil {
		return r, err
	}
	if err := q.Form.Apply(&r); err != nil {
		return r, err
	}
	c := fields.Sampling{Temperature: q.Temperature, TopK: q.TopK, TopP: q.TopP}
	err = c.Apply(&r, p)
	return r, err
}

// choose makes the choice among tools, and that of thinking, part of a request.
func (q *Request) choose(r *engine.Request) error {
	switch q.ToolChoice.Type {
	case "", "auto":
	case "any":
		r.ToolChoice = engine.ToolsRequired
	case "none":
		r.ToolChoice = engine.ToolsNone
	case "tool":
		if r.ToolName = q.ToolChoice.Name; r.ToolName == "" {
			return failure.Field("tool_choice.name", "tool_choice names no tool")
		}
	default:
		return failure.Wrong("tool_choice.type", "is %.40q; give auto, any, tool or none",
			q.ToolChoice.Type)
	}
	switch q.Thinking.Type {
	case "":
	case "disabled":
		r.Thinking = engine.ThinkOff
	case "enabled", "adaptive":
		r.Thinking = engine.ThinkOn
	default:
		return failure.Wrong("thinking.type", "is %.40q; give enabled or disabled", q.Thinking.Type)
	}
	return nil
}
