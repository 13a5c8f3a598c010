// Package ollama holds what Ollama's API reads and writes beyond the types of its own package: the
// bodies of requests, read more gently than those types do (pictures and numbers as clients write
// them), and the renderers of answers.
// https://github.com/ollama/ollama/blob/main/docs/api.md describes it.
package ollama

import (
	"bytes"
	"encoding/json"
	"math"
	"strings"
	"time"

	"github.com/ollama/ollama/api"

	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/engine/server/internal/failure"
	"github.com/eyelet-engine/eyelet/engine/server/internal/fields"
)

// ChatRequest is the body of POST /api/chat. Tools are kept as they come: the schema of Ollama's
// own type knows less.
type ChatRequest struct {
	api.ChatRequest
	fields.Forms
	Messages    []Message    `json:"messages"`
	KeepAlive   *KeepAlive   `json:"keep_alive"`
	TopLogprobs fields.Whole `json:"top_logprobs"`
	Tools       []struct {
		Type     string `json:"type"`
		Function struct {
			Name        string          `json:"name"`
			Description string          `json:"description"`
			Parameters  json.RawMessage `json:"parameters"`
			Strict      bool            `json:"strict"`
		} `json:"function"`
	} `json:"tools"`
}

// GenerateRequest is the body of POST /api/generate.
type GenerateRequest struct {
	api.GenerateRequest
	fields.Forms
	Images      fields.Texts   `json:"images"`
	KeepAlive   *KeepAlive     `json:"keep_alive"`
	TopLogprobs fields.Whole   `json:"top_logprobs"`
	Context     []fields.Whole `json:"context"`
}

// Message is a turn of a conversation. Its pictures are texts until the server decodes them.
type Message struct {
	PlainMessage
	Images    fields.Texts `json:"images"`
	ToolCalls []Call       `json:"tool_calls"`
}

// PlainMessage is Ollama's message without its method of reading.
type PlainMessage api.Message

// KeepAlive is how long a model stays loaded: seconds, or a duration as "5m"; a number may be
// written as a text. Negative ones are for ever.
type KeepAlive struct {
	given bool // "" and null are none
	time  time.Duration
}

// ForEver tells the engine to keep a model.
const ForEver = -1

// UnmarshalJSON implements [json.Unmarshaler].
func (k *KeepAlive) UnmarshalJSON(data []byte) error {
	*k = KeepAlive{}
	if string(bytes.TrimSpace(data)) == "null" {
		return nil
	}
	var text string
	if json.Unmarshal(data, &text) == nil {
		if text = strings.TrimSpace(text); text == "" {
			return nil
		}
		if d, err := time.ParseDuration(text); err == nil {
			*k = KeepAlive{true, d}
		}
	}
	if seconds, ok := fields.ReadNumber(data); ok {
		*k = KeepAlive{true, time.Duration(min(max(seconds*float64(time.Second), -1),
			math.MaxInt64/2))}
	}
	if !k.given {
		return fields.WrongNumber(data, time.Duration(0))
	}
	if k.time < 0 {
		k.time = ForEver
	}
	return nil
}

// Time returns how long the model stays loaded, as the engine takes it; nil for what applies
// anyway.
func (k *KeepAlive) Time() *time.Duration {
	if k == nil || !k.given {
		return nil
	}
	return &k.time
}

// Unloads reports whether the model is to be unloaded at once.
func (k *KeepAlive) Unloads() bool { return k != nil && k.given && k.time == 0 }

// BeforeTokens returns the tokens that a request to generate goes on from.
func (q *GenerateRequest) BeforeTokens() ([]engine.Token, error) {
	var tokens []engine.Token
	for _, n := range q.Context {
		if n < 0 || n > math.MaxInt32 {
			return nil, failure.Field("context", "the context holds the token %d; there is none", n)
		}
		tokens = append(tokens, engine.Token(n))
	}
	return tokens, nil
}

// Request returns what the body asks of the engine, but for the conversation, the options and what
// else needs the model.
func (q *ChatRequest) Request() (engine.Request, error) {
	r := engine.Request{Logprobs: q.Logprobs, TopLogprobs: int(q.TopLogprobs),
		ContextShift: q.Shift == nil || *q.Shift, Thinking: ThinkingOf(q.Think)}
	for _, t := range q.Tools {
		r.Tools = append(r.Tools, engine.Tool(t.Function))
	}
	form := fields.Form{Forms: q.Forms, Format: q.Format}
	return r, form.Apply(&r)
}

// Request is as that of ChatRequest.
func (q *GenerateRequest) Request() (engine.Request, error) {
	r := engine.Request{Logprobs: q.Logprobs, TopLogprobs: int(q.TopLogprobs),
		ContextShift: q.Shift == nil || *q.Shift, KeepPrompt: !q.Raw}
	form := fields.Form{Forms: q.Forms, Format: q.Format}
	if err := form.Apply(&r); err != nil || q.Raw {
		return r, err
	}
	r.Thinking = ThinkingOf(q.Think)
	return r, nil
}

// ThinkingOf translates the choice of thinking. Levels of thinking are all the same.
func ThinkingOf(v *api.ThinkValue) engine.Thinking {
	switch {
	case v == nil || v.Value == nil:
		return engine.ThinkAsUsual
	case v.Bool():
		return engine.ThinkOn
	}
	return engine.ThinkOff
}
