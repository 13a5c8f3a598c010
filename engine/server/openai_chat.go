package server

import (
	"encoding/json"
	"net/http"

	"github.com/eyelet-engine/eyelet/engine"
)

// chatRequest is the body of POST /v1/chat/completions.
type chatRequest struct {
	sampleChoices
	formatDemands
	Model               string          `json:"model"`
	Messages            []openaiMessage `json:"messages"`
	Stream              bool            `json:"stream"`
	StreamOptions       streamOptions   `json:"stream_options"`
	N                   *whole          `json:"n"`
	Stop                texts           `json:"stop"`
	MaxTokens           *whole          `json:"max_tokens"`
	MaxCompletionTokens *whole          `json:"max_completion_tokens"`
	Logprobs            bool            `json:"logprobs"`
	TopLogprobs         whole           `json:"top_logprobs"`
	Tools               []struct {
		Type     string         `json:"type"`
		Function openaiFunction `json:"function"`
	} `json:"tools"`
	ToolChoice json.RawMessage `json:"tool_choice"`
	Parallel   *bool           `json:"parallel_tool_calls"`
	Effort     string          `json:"reasoning_effort"`
	// What tools were called at first; answers to such requests have the shapes of then.
	Functions    []openaiFunction `json:"functions"`
	FunctionCall json.RawMessage  `json:"function_call"`
	// What else an answer might be made of than text, which is all that models here make.
	Modalities []string        `json:"modalities"`
	Audio      json.RawMessage `json:"audio"`
	// Of vLLM.
	Continue *bool `json:"continue_final_message"`
	Opening  *bool `json:"add_generation_prompt"`
}

// streamOptions say what a stream has beside the answer.
type streamOptions struct {
	IncludeUsage bool `json:"include_usage"`
}

// none is the usage of the chunks before the last one: a null, where the last one will have it.
func (o streamOptions) none() any {
	if !o.IncludeUsage {
		return nil
	}
	return json.RawMessage("null")
}

// maxAnswers bounds the answers to one question.
const maxAnswers = 16

func answersOf(n *whole) (int, error) {
	if n == nil {
		return 1, nil
	}
	if *n < 1 || *n > maxAnswers {
		return 0, refuseField("n", "n is %d; give 1 to %d", *n, maxAnswers)
	}
	return int(*n), nil
}

// request translates what needs no model.
func (q *chatRequest) request(m *model) (r engine.Request, err error) {
	r = engine.Request{Logprobs: q.Logprobs, TopLogprobs: int(q.TopLogprobs), Stop: q.Stop}
	if err := checkTopLogprobs("top_logprobs", q.TopLogprobs); err != nil {
		return r, err
	}
	for _, kind := range q.Modalities {
		if kind != "text" {
			return r, refuseField(
				"modalities", "modalities names %.40q; models here answer in text alone, so leave it out or give [\"text\"]", kind)
		}
	}
	if len(q.Audio) > 0 && string(q.Audio) != "null" {
		return r, refuseField("audio",
			"audio asks for a spoken answer; models here answer in text alone")
	}
	if q.TopLogprobs > 0 && !q.Logprobs {
		return r, refuseField("top_logprobs", "top_logprobs is set, and logprobs is not true")
	}
	if err := checkStops("stop", q.Stop); err != nil {
		return r, err
	}
	if err := maxTokens(&r, "max_tokens", q.MaxTokens); err != nil {
		return r, err
	}
	if err := maxTokens(&r, "max_completion_tokens", q.MaxCompletionTokens); err != nil {
		return r, err
	}
	if err := q.formatDemands.apply(&r); err != nil {
		return r, err
	}
	for i, t := range q.Tools {
		if t.Type != "" && t.Type != "function" {
			return r, refuseField("tools", "tool %d is of type %.40q; this server knows functions",
				i+1, t.Type)
		}
		r.Tools = append(r.Tools, engine.Tool(t.Function))
	}
	if err := openaiChoice(&r, q.ToolChoice, q.Parallel); err != nil {
		return r, err
	}
	if err := q.applyFunctions(&r); err != nil {
		return r, err
	}
	r.Thinking = thinkingOf(q.Effort)
	err = q.sampleChoices.apply(&r, m)
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

// goesOn reports whether a last message of the assistant's is the beginning of the answer. It is
// unless the request asks for a turn of its own, as vLLM's clients can.
func (q *chatRequest) goesOn() bool {
	if q.Continue != nil {
		return *q.Continue
	}
	return q.Opening == nil || !*q.Opening
}

// openaiChat answers POST /v1/chat/completions.
func (s *Server) openaiChat(w http.ResponseWriter, r *http.Request) error {
	var q chatRequest
	m, err := s.decodeFor(w, r, &q, &q.Model)
	if err != nil {
		return err
	}
	if len(q.Messages) == 0 {
		return refuseField("messages", "messages is empty; send at least one")
	}
	n, err := answersOf(q.N)
	if err != nil {
		return err
	}
	request, err := q.request(m)
	if err != nil {
		return err
	}
	t := s.newTalk(r.Context(), m, isSystem(q.Messages[0].Role))
	if err := s.openaiTalk(t, q.Messages); err != nil {
		return err
	}
	request.Messages = t.messages
	q.Messages = nil // pictures in base64: a request that waits keeps its files alone
	prefilled := q.goesOn() && !isHeld(&request) && prefill(&request)
	l, err := s.models.use(r.Context(), m, 0, nil)
	if err != nil {
		return err
	}
	defer l.Release()
	out := newChatOutput(s, w, &q, n)
	for i := range out.spoken {
		out.spoken[i].begun = prefilled
	}
	return out.run(r.Context(), l.generateAll(r.Context(), copies(request, n)))
}
