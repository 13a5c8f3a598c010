package server

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"iter"
	"math"
	"net/http"
	"strings"

	"github.com/eyelet-engine/eyelet/engine"
)

// completionRequest is the body of POST /v1/completions.
type completionRequest struct {
	sampleChoices
	Model         string          `json:"model"`
	Prompt        json.RawMessage `json:"prompt"`
	Suffix        string          `json:"suffix"`
	Echo          bool            `json:"echo"`
	Stream        bool            `json:"stream"`
	StreamOptions struct {
		IncludeUsage bool `json:"include_usage"`
	} `json:"stream_options"`
	N         *int  `json:"n"`
	BestOf    *int  `json:"best_of"`
	Stop      texts `json:"stop"`
	MaxTokens *int  `json:"max_tokens"`
	Logprobs  *int  `json:"logprobs"`
}

// completionTokens is how long an answer is where the request does not say, as in OpenAI's API.
const completionTokens = 16

// completionChoice is an answer, or a piece of it.
type completionChoice struct {
	Text     string              `json:"text"`
	Index    int                 `json:"index"`
	Logprobs *completionLogprobs `json:"logprobs"`
	Finish   *string             `json:"finish_reason"`
}

type completionLogprobs struct {
	Tokens  []string             `json:"tokens"`
	Values  []float64            `json:"token_logprobs"`
	Top     []map[string]float64 `json:"top_logprobs"`
	Offsets []int                `json:"text_offset"`
}

type completion struct {
	ID      string             `json:"id"`
	Object  string             `json:"object"`
	Created int64              `json:"created"`
	Model   string             `json:"model"`
	Choices []completionChoice `json:"choices"`
	Usage   *openaiUsage       `json:"usage,omitempty"`
}

// prompts are the prompts of a request: a text, several, a list of tokens, or several of these.
func (q *completionRequest) prompts() ([]engine.Request, error) {
	raw := bytes.TrimSpace(q.Prompt)
	if len(raw) == 0 || string(raw) == "null" {
		return nil, refuseField("prompt", "prompt is missing")
	}
	// What does not fit leaves something behind all the same, so that each try has a variable of its own.
	var one string
	var many, texts []string
	var tokens []engine.Token
	var lists, several [][]engine.Token
	switch {
	case json.Unmarshal(raw, &one) == nil:
		many = []string{one}
	case json.Unmarshal(raw, &texts) == nil:
		many = texts
	case json.Unmarshal(raw, &tokens) == nil:
		lists = [][]engine.Token{tokens}
	case json.Unmarshal(raw, &several) == nil:
		lists = several
	default:
		return nil, refuseField("prompt", "prompt is neither a text nor a list of texts or of tokens")
	}
	var out []engine.Request
	for _, text := range many {
		out = append(out, engine.Request{Prompt: text})
	}
	for _, list := range lists {
		out = append(out, engine.Request{Before: list})
	}
	if len(out) == 0 || len(out) > maxAnswers {
		return nil, refuseField("prompt", "prompt has %d entries; give 1 to %d", len(out), maxAnswers)
	}
	for _, r := range out {
		if r.Prompt == "" && len(r.Before) == 0 {
			return nil, refuseField("prompt", "a prompt is empty")
		}
	}
	return out, nil
}

// requests are the answers to compute, in the order of their indexes.
func (q *completionRequest) requests(m *model) ([]engine.Request, error) {
	n, err := answersOf(q.N)
	if err != nil {
		return nil, err
	}
	switch {
	case q.Suffix != "":
		return nil, refuseField("suffix", "this server fills in no suffix")
	case q.BestOf != nil && *q.BestOf > n:
		return nil, refuseField("best_of", "best_of is not supported; give n")
	}
	if q.Logprobs != nil {
		if err := checkTopLogprobs("logprobs", *q.Logprobs); err != nil {
			return nil, err
		}
	}
	if err := checkStops("stop", q.Stop); err != nil {
		return nil, err
	}
	prompts, err := q.prompts()
	if err != nil {
		return nil, err
	}
	if len(prompts)*n > maxAnswers {
		return nil, refuseField("n", "%d prompts with %d answers each are more than %d", len(prompts), n, maxAnswers)
	}
	var list []engine.Request
	for _, r := range prompts {
		r.MaxTokens, r.Stop = completionTokens, q.Stop
		if q.Logprobs != nil {
			r.Logprobs, r.TopLogprobs = true, *q.Logprobs
		}
		if err := maxTokens(&r, "max_tokens", q.MaxTokens); err != nil {
			return nil, err
		}
		if err := q.apply(&r, m); err != nil {
			return nil, err
		}
		list = append(list, copies(r, n)...)
	}
	return list, nil
}

// openaiComplete answers POST /v1/completions: text goes to the model as it stands.
func (s *Server) openaiComplete(w http.ResponseWriter, r *http.Request) error {
	var q completionRequest
	m, err := s.decodeFor(w, r, &q, &q.Model)
	if err != nil {
		return err
	}
	requests, err := q.requests(m)
	if err != nil {
		return err
	}
	l, err := s.models.use(r.Context(), m, 0, nil)
	if err != nil {
		return err
	}
	defer l.Release()
	n, _ := answersOf(q.N) // requests has checked it
	o := &completionOutput{s: s, w: w, q: &q, n: n, whole: make([]completionChoice, len(requests)), text: make([]strings.Builder, len(requests)), offsets: make([]int, len(requests))}
	o.base = completion{ID: "cmpl-" + rand.Text(), Object: "text_completion", Created: now(), Model: q.Model, Choices: []completionChoice{}}
	for i := range o.whole {
		o.whole[i].Index = i
		if q.Echo {
			o.text[i].WriteString(requests[i].Prompt)
		}
	}
	if q.Stream {
		o.events = s.newEvents(w)
	}
	return o.run(r.Context(), l.generateAll(r.Context(), requests))
}

// completionOutput writes the answers to a completion request.
type completionOutput struct {
	s       *Server
	w       http.ResponseWriter
	q       *completionRequest
	base    completion
	usage   openaiUsage
	whole   []completionChoice
	text    []strings.Builder // what is not sent yet
	n       int               // answers to a prompt
	offsets []int             // bytes of the answer that tokens with logprobs have
	events  *events
}

func (o *completionOutput) run(ctx context.Context, answers iter.Seq2[indexed, error]) error {
	for e, err := range answers {
		if err != nil {
			return o.s.broken(ctx, o.events, err, func(f *failure) any { return openaiErrorEvent(f) })
		}
		if err := o.take(e); err != nil {
			return err
		}
	}
	if o.events == nil {
		o.base.Choices, o.base.Usage = o.whole, &o.usage
		return o.s.writeJSON(o.w, http.StatusOK, o.base)
	}
	if o.q.StreamOptions.IncludeUsage {
		last := o.base
		last.Usage = &o.usage
		if err := o.events.send("", last); err != nil {
			return err
		}
	}
	return o.events.raw("", []byte("[DONE]"))
}

func (o *completionOutput) take(e indexed) error {
	i := e.index
	c := &o.whole[i]
	o.text[i].WriteString(e.Text)
	o.addLogprobs(c, e.Logprobs)
	if e.Done != nil {
		word := finishWords[e.Done.Finish]
		c.Finish = &word
		if i%o.n == 0 { // the answers to a prompt come n at a time, and the prompt counts once
			o.usage.Prompt += e.Done.Usage.Prompt
			o.usage.Details.Cached += e.Done.Usage.Cached
		}
		o.usage.Completion += e.Done.Usage.Completion
		o.usage.Total = o.usage.Prompt + o.usage.Completion
	}
	if o.events == nil {
		if e.Done != nil {
			c.Text = o.text[i].String()
		}
		return nil
	}
	if o.text[i].Len() == 0 && e.Done == nil {
		return nil
	}
	chunk := o.base
	c.Text = o.text[i].String()
	chunk.Choices = []completionChoice{*c}
	o.text[i].Reset()
	c.Logprobs = nil
	return o.events.send("", chunk)
}

func (o *completionOutput) addLogprobs(c *completionChoice, list []engine.TokenLogprob) {
	for _, t := range list {
		if c.Logprobs == nil {
			c.Logprobs = &completionLogprobs{}
		}
		l := c.Logprobs
		l.Tokens = append(l.Tokens, strings.ToValidUTF8(t.Text, "\uFFFD"))
		l.Values = append(l.Values, max(t.Logprob, -math.MaxFloat32))
		l.Offsets = append(l.Offsets, o.offsets[c.Index])
		o.offsets[c.Index] += len(t.Text)
		top := map[string]float64{}
		for _, x := range t.Top {
			top[strings.ToValidUTF8(x.Text, "\uFFFD")] = max(x.Logprob, -math.MaxFloat32)
		}
		l.Top = append(l.Top, top)
	}
}
