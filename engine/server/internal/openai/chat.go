package openai

import (
	"encoding/json"

	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/engine/server/internal/failure"
	"github.com/eyelet-engine/eyelet/engine/server/internal/fields"
	"github.com/eyelet-engine/eyelet/models/store"
)

// ChatRequest is the body of POST /v1/chat/completions.
type ChatRequest struct {
	fields.Sampling
	fields.Form
	Model               string        `json:"model"`
	Messages            []Message     `json:"messages"`
	Stream              bool          `json:"stream"`
	StreamOptions       StreamOptions `json:"stream_options"`
	N                   *fields.Whole `json:"n"`
	Stop                fields.Texts  `json:"stop"`
	MaxTokens           *fields.Whole `json:"max_tokens"`
	MaxCompletionTokens *fields.Whole `json:"max_completion_tokens"`
	Logprobs            bool          `json:"logprobs"`
	TopLogprobs         fields.Whole  `json:"top_logprobs"`
	Tools               []struct {
		Type     string   `json:"type"`
		Function Function `json:"function"`
	} `json:"tools"`
	ToolChoice json.RawMessage `json:"tool_choice"`
	Parallel   *bool           `json:"parallel_tool_calls"`
	Effort     string          `json:"reasoning_effort"`
	// What tools were called at first; answers to such requests have the shapes of then.
	Functions    []Function      `json:"functions"`
	FunctionCall json.RawMessage `json:"function_call"`
	// What else an answer might be made of than text, which is all that models here make.
	Modalities []string        `json:"modalities"`
	Audio      json.RawMessage `json:"audio"`
	// A tool of OpenAI's own.
	WebSearch json.RawMessage `json:"web_search_options"`
	// Of vLLM.
	Continue *bool `json:"continue_final_message"`
	Opening  *bool `json:"add_generation_prompt"`
}

// StreamOptions say what a stream has beside the answer.
type StreamOptions struct {
	IncludeUsage bool `json:"include_usage"`
}

// pending returns the usage of the chunks before the last one: a null, where the last will have it.
func (o StreamOptions) pending() any {
	if !o.IncludeUsage {
		return nil
	}
	return json.RawMessage("null")
}

// maxAnswers bounds the answers to one question.
const maxAnswers = 16

// Answers returns how many answers the field n asks for.
func Answers(n *fields.Whole) (int, error) {
	if n == nil {
		return 1, nil
	}
	if *n < 1 || *n > maxAnswers {
		return 0, failure.Wrong("n", "is %d; give 1 to %d", *n, maxAnswers)
	}
	return int(*n), nil
}

// Request returns what the body asks of a model with such parameters, but for the conversation.
func (q *ChatRequest) Request(p store.Params) (r engine.Request, err error) {
	r = engine.Request{Logprobs: q.Logprobs, TopLogprobs: int(q.TopLogprobs), Stop: q.Stop}
	if err := fields.CheckTopLogprobs("top_logprobs", q.TopLogprobs); err != nil {
		return r, err
	}
	for _, kind := range q.Modalities {
		if kind != "text" {
			return r, failure.Wrong("modalities",
				"names %.40q; models here answer in text alone, so leave it out or give [\"text\"]",
				kind)
		}
	}
	if !fields.Missing(q.Audio) {
		return r, failure.Wrong("audio",
			"asks for a spoken answer; models here answer in text alone")
	}
	if !fields.Missing(q.WebSearch) {
		return r, failure.Wrong("web_search_options",
			"asks for a search of the web; this server has none, so leave it out")
	}
	if q.TopLogprobs > 0 && !q.Logprobs {
		return r, failure.Wrong("top_logprobs", "is set, and logprobs is not true")
	}
	if err := fields.CheckStops("stop", q.Stop); err != nil {
		return r, err
	}
	if err := fields.MaxTokens(&r, "max_tokens", q.MaxTokens); err != nil {
		return r, err
	}
	if err := fields.MaxTokens(&r, "max_completion_tokens", q.MaxCompletionTokens); err != nil {
		return r, err
	}
	if err := q.Form.Apply(&r); err != nil {
		return r, err
	}
	for i, t := range q.Tools {
		if t.Type != "" && t.Type != "function" {
			return r, notAFunction(i, t.Type)
		}
		r.Tools = append(r.Tools, engine.Tool(t.Function))
	}
	if err := applyChoice(&r, q.ToolChoice, q.Parallel); err != nil {
		return r, err
	}
	if err := q.applyFunctions(&r); err != nil {
		return r, err
	}
	r.Thinking = thinkingOf(q.Effort)
	err = q.Sampling.Apply(&r, p)
	return r, err
}

// thinkingOf translates the effort of reasoning, of which a model here has two: none and its own.
func thinkingOf(effort string) engine.Thinking {
	switch effort {
	case "":
		return engine.ThinkAsUsual
	case "none", "minimal":
		return engine.ThinkOff
	}
	return engine.ThinkOn
}

// GoesOn reports whether a last message of the assistant's is the beginning of the answer. It is
// unless the request asks for a turn of its own, as vLLM's clients can.
func (q *ChatRequest) GoesOn() bool {
	if q.Continue != nil {
		return *q.Continue
	}
	return q.Opening == nil || !*q.Opening
}
