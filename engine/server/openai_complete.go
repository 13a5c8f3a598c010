package server

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/eyelet-engine/eyelet/engine"
)

// completionRequest is the body of POST /v1/completions.
type completionRequest struct {
	sampleChoices
	formatDemands
	Model         string          `json:"model"`
	Prompt        json.RawMessage `json:"prompt"`
	Suffix        string          `json:"suffix"`
	Echo          bool            `json:"echo"`
	Stream        bool            `json:"stream"`
	StreamOptions streamOptions   `json:"stream_options"`
	N             *whole          `json:"n"`
	BestOf        *whole          `json:"best_of"`
	Stop          texts           `json:"stop"`
	MaxTokens     *whole          `json:"max_tokens"`
	Logprobs      *whole          `json:"logprobs"`
}

const (
	// completionTokens is how long an answer is where the request does not say, as in OpenAI's API.
	completionTokens = 16
	// maxCompletions bounds the answers to one request; maxAtOnce of them are computed side by
	// side.
	maxCompletions = 2048
)

// completionTask is what a request asks about one of its prompts.
type completionTask struct {
	prompt  rawInput
	request engine.Request
}

// tasks checks a request and translates it, prompt by prompt. It returns the number of answers to
// each as well.
func (q *completionRequest) tasks(m *model) (list []completionTask, n int, err error) {
	if n, err = answersOf(q.N); err != nil {
		return nil, 0, err
	}
	switch {
	case q.Suffix != "":
		return nil, 0, refuseField("suffix", "this server fills in no suffix")
	case q.BestOf != nil && int(*q.BestOf) > n:
		return nil, 0, refuseField("best_of", "best_of is not supported; give n")
	}
	if q.Logprobs != nil {
		if err := checkTopLogprobs("logprobs", *q.Logprobs); err != nil {
			return nil, 0, err
		}
	}
	if err := checkStops("stop", q.Stop); err != nil {
		return nil, 0, err
	}
	prompts, err := rawInputs(q.Prompt, "prompt", maxCompletions)
	if err != nil {
		return nil, 0, err
	}
	if len(prompts) == 0 {
		prompts = []rawInput{{}} // the model begins a text, as in OpenAI's API
	}
	if len(prompts)*n > maxCompletions {
		return nil, 0, refuseField("n", "%d prompts with %d answers each are more than %d",
			len(prompts), n, maxCompletions)
	}
	for _, prompt := range prompts {
		r := engine.Request{Prompt: prompt.text, Before: prompt.tokens, Stop: q.Stop}
		if q.Logprobs != nil {
			r.Logprobs, r.TopLogprobs = true, int(*q.Logprobs)
		}
		if !q.scoresOnly() {
			if err := maxTokens(&r, "max_tokens", q.MaxTokens); err != nil {
				return nil, 0, err
			}
		}
		if err := q.formatDemands.apply(&r); err != nil {
			return nil, 0, err
		}
		if err := q.sampleChoices.apply(&r, m); err != nil {
			return nil, 0, err
		}
		if r.MaxTokens == 0 {
			r.MaxTokens = completionTokens
		}
		list = append(list, completionTask{prompt, r})
	}
	return list, n, nil
}

// scoresOnly reports whether no token of an answer is wanted: only the prompt, and how probable it
// is.
func (q *completionRequest) scoresOnly() bool { return q.MaxTokens != nil && *q.MaxTokens == 0 }

// openaiComplete answers POST /v1/completions: text goes to the model as it stands.
func (s *Server) openaiComplete(w http.ResponseWriter, r *http.Request) error {
	var q completionRequest
	m, err := s.decodeFor(w, r, &q, &q.Model)
	if err != nil {
		return err
	}
	tasks, n, err := q.tasks(m)
	if err != nil {
		return err
	}
	l, err := s.models.use(r.Context(), m, 0, nil)
	if err != nil {
		return err
	}
	defer l.Release()
	o := &completionOutput{s: s, w: w, q: &q, n: n}
	o.base = completion{ID: "cmpl-" + rand.Text(), Object: "text_completion", Created: now(),
		Model: q.Model, Choices: []completionChoice{}}
	var requests []engine.Request
	for _, t := range tasks {
		if err := l.begin(&t); err != nil {
			return err
		}
		if err := o.addPrompt(r.Context(), l, &t); err != nil {
			return err
		}
		requests = append(requests, copies(t.request, n)...)
	}
	if q.Stream {
		o.events = s.newEvents(w)
		o.base.Usage = q.StreamOptions.none()
	}
	if q.scoresOnly() {
		return o.endUnanswered()
	}
	return o.run(r.Context(), l.generateAll(r.Context(), requests))
}

// begin gives an empty prompt the token with which the model begins a text.
func (l *lease) begin(t *completionTask) error {
	if !t.prompt.empty() {
		return nil
	}
	opening, ok := l.Model.Opening()
	if !ok {
		return refuseField("prompt",
			"the prompt is empty, and the model has no token that begins a text; give a prompt")
	}
	t.request.Before = []engine.Token{opening}
	return nil
}

// promptOf is the prompt of a task as it comes back: its text, and, where wanted, its tokens with
// their probabilities. Read is how many tokens it has.
func (l *lease) promptOf(ctx context.Context, q *completionRequest,
	t *completionTask) (*engine.Scores, error) {
	switch {
	case q.Echo && q.Logprobs != nil && !t.prompt.empty():
		recordOf(ctx).memory.turn()
		return l.Model.Score(ctx, engine.ScoreRequest{Prompt: t.prompt.text,
			Tokens: t.prompt.tokens, Top: int(*q.Logprobs)})
	case !q.Echo && !q.scoresOnly():
		return &engine.Scores{}, nil
	}
	out := &engine.Scores{Text: t.prompt.text}
	count, err := l.Model.Count(ctx, t.request)
	// which no answer would tell of where none is wanted
	if most := l.Model.Info().Context; err == nil && count.Prompt > most {
		err = fmt.Errorf("%w: it has %d tokens, and the context holds %d", engine.ErrContextLength,
			count.Prompt, most)
	}
	if err == nil && len(t.prompt.tokens) > 0 {
		out.Text, err = l.Model.Detokenize(t.prompt.tokens)
	}
	out.Read = count.Prompt
	return out, err
}
