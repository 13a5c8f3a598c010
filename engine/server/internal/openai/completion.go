package openai

import (
	"encoding/json"

	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/engine/server/internal/failure"
	"github.com/eyelet-engine/eyelet/engine/server/internal/fields"
	"github.com/eyelet-engine/eyelet/models/store"
)

// CompletionRequest is the body of POST /v1/completions.
type CompletionRequest struct {
	fields.Sampling
	fields.Form
	Model         string          `json:"model"`
	Prompt        json.RawMessage `json:"prompt"`
	Suffix        string          `json:"suffix"`
	Echo          bool            `json:"echo"`
	Stream        bool            `json:"stream"`
	StreamOptions StreamOptions   `json:"stream_options"`
	N             *fields.Whole   `json:"n"`
	BestOf        *fields.Whole   `json:"best_of"`
	Stop          fields.Texts    `json:"stop"`
	MaxTokens     *fields.Whole   `json:"max_tokens"`
	Logprobs      *fields.Whole   `json:"logprobs"`
}

const (
	// completionTokens is how long an answer is where the request does not say, as in OpenAI's API.
	completionTokens = 16
	// maxCompletions bounds the answers to one request.
	maxCompletions = 2048
)

// CompletionTask is what a request asks about one of its prompts.
type CompletionTask struct {
	Prompt  fields.Input
	Request engine.Request
}

// Tasks returns what the body asks of a model with such parameters, prompt by prompt, and the
// number of answers to each.
func (q *CompletionRequest) Tasks(p store.Params) (list []CompletionTask, n int, err error) {
	if n, err = Answers(q.N); err != nil {
		return nil, 0, err
	}
	switch {
	case q.Suffix != "":
		return nil, 0, failure.Field("suffix", "this server fills in no suffix")
	case q.BestOf != nil && int(*q.BestOf) > n:
		return nil, 0, failure.Wrong("best_of", "is not supported; give n")
	}
	if q.Logprobs != nil {
		if err := fields.CheckTopLogprobs("logprobs", *q.Logprobs); err != nil {
			return nil, 0, err
		}
	}
	if err := fields.CheckStops("stop", q.Stop); err != nil {
		return nil, 0, err
	}
	prompts, err := fields.Inputs(q.Prompt, "prompt", maxCompletions)
	if err != nil {
		return nil, 0, err
	}
	if len(prompts) == 0 {
		prompts = []fields.Input{{}} // the model begins a text, as in OpenAI's API
	}
	if len(prompts)*n > maxCompletions {
		return nil, 0, failure.Field("n", "%d prompts with %d answers each are more than %d",
			len(prompts), n, maxCompletions)
	}
	for _, prompt := range prompts {
		r, err := q.request(prompt, p)
		if err != nil {
			return nil, 0, err
		}
		list = append(list, CompletionTask{prompt, r})
	}
	return list, n, nil
}

// request returns what the body asks about one prompt.
func (q *CompletionRequest) request(prompt fields.Input, p store.Params) (engine.Request, error) {
	r := engine.Request{Prompt: prompt.Text, Before: prompt.Tokens, Stop: q.Stop}
	if q.Logprobs != nil {
		r.Logprobs, r.TopLogprobs = true, int(*q.Logprobs)
	}
	if !q.ScoresOnly() {
		if err := fields.MaxTokens(&r, "max_tokens", q.MaxTokens); err != nil {
			return r, err
		}
	}
	if err := q.Form.Apply(&r); err != nil {
		return r, err
	}
	if err := q.Sampling.Apply(&r, p); err != nil {
		return r, err
	}
	if r.MaxTokens == 0 {
		r.MaxTokens = completionTokens
	}
	return r, nil
}

// ScoresOnly reports whether no token of an answer is wanted: only the prompt, and how probable it
// is.
func (q *CompletionRequest) ScoresOnly() bool { return q.MaxTokens != nil && *q.MaxTokens == 0 }
