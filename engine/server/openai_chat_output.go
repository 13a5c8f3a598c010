package server

import (
	"context"
	"crypto/rand"
	"iter"
	"net/http"
	"strings"

	"github.com/eyelet-engine/eyelet/engine"
)

// chatChoice is one answer of a chat completion, or a piece of it.
type chatChoice struct {
	Index    int          `json:"index"`
	Message  *chatAnswer  `json:"message,omitempty"`
	Delta    *chatDelta   `json:"delta,omitempty"`
	Logprobs *chatLogprob `json:"logprobs"`
	Finish   *string      `json:"finish_reason"`
	Checked  *bool        `json:"schema_checked,omitempty"`
}

// chatAnswer is a whole message of the model's.
type chatAnswer struct {
	Role      string           `json:"role"`
	Content   *string          `json:"content"`
	Refusal   *string          `json:"refusal"`
	Reasoning string           `json:"reasoning_content,omitempty"`
	ToolCalls []openaiToolCall `json:"tool_calls,omitempty"`
	Function  *calledFunction  `json:"function_call,omitempty"`
}

// chatDelta is what a piece adds to a message.
type chatDelta struct {
	Role      string           `json:"role,omitempty"`
	Content   *string          `json:"content,omitempty"`
	Reasoning string           `json:"reasoning_content,omitempty"`
	ToolCalls []openaiToolCall `json:"tool_calls,omitempty"`
	Function  *calledFunction  `json:"function_call,omitempty"`
}

type chatLogprob struct {
	Content []tokenLogprob `json:"content"`
	Refusal []tokenLogprob `json:"refusal"`
}

// tokenLogprob is a token in OpenAI's words.
type tokenLogprob struct {
	Token   string         `json:"token"`
	Logprob float64        `json:"logprob"`
	Bytes   []int          `json:"bytes,omitzero"` // nil where the schema has none
	Top     []tokenLogprob `json:"top_logprobs,omitzero"`
}

// logprobsOf translates tokens with their probabilities. Bytes that are no text on their own show
// as U+FFFD in the token, and whole in the bytes.
func logprobsOf(list []engine.TokenLogprob, top bool) []tokenLogprob {
	out := []tokenLogprob{}
	for _, t := range list {
		l := tokenLogprob{Token: strings.ToValidUTF8(t.Text, "\uFFFD"), Logprob: finite(t.Logprob),
			Bytes: []int{}}
		for _, b := range []byte(t.Text) {
			l.Bytes = append(l.Bytes, int(b))
		}
		if top {
			l.Top = logprobsOf(t.Top, false)
		}
		out = append(out, l)
	}
	return out
}

// chatCompletion is an answer to a chat request, or a piece of it.
type chatCompletion struct {
	ID      string       `json:"id"`
	Object  string       `json:"object"`
	Created int64        `json:"created"`
	Model   string       `json:"model"`
	Choices []chatChoice `json:"choices"`
	// *openaiUsage, or a null that is there; nil for none
	Usage any `json:"usage,omitempty"`
}

// chatOutput writes the answers to a chat request.
type chatOutput struct {
	s      *Server
	w      http.ResponseWriter
	q      *chatRequest
	base   chatCompletion
	usage  openaiUsage
	spoken []spoken
	whole  []chatChoice
	text   []strings.Builder
	events *events // nil for an answer at once
	begun  []bool
}

func newChatOutput(s *Server, w http.ResponseWriter, q *chatRequest, n int) *chatOutput {
	o := &chatOutput{s: s, w: w, q: q, spoken: make([]spoken, n), begun: make([]bool, n),
		text: make([]strings.Builder, n)}
	o.base = chatCompletion{ID: "chatcmpl-" + rand.Text(), Object: "chat.completion",
		Created: now(), Model: q.Model, Choices: []chatChoice{}}
	if q.Stream {
		o.base.Object += ".chunk"
		o.base.Usage = q.StreamOptions.none()
		o.events = s.newEvents(w)
		return o
	}
	for i := range n {
		o.whole = append(o.whole, chatChoice{Index: i, Message: &chatAnswer{Role: "assistant"}})
		if q.Logprobs {
			o.whole[i].Logprobs = &chatLogprob{Content: []tokenLogprob{}}
		}
	}
	return o
}

// run writes what comes. An error in the middle of a stream is told in it.
func (o *chatOutput) run(ctx context.Context, answers iter.Seq2[indexed, error]) error {
	for e, err := range answers {
		if err != nil {
			return o.s.broken(ctx, o.events, err, func(f *failure) any {
				return openaiErrorEvent(f)
			})
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

// broken tells of an error in the middle of a stream. Before a stream has begun, the error is
// returned.
func (s *Server) broken(ctx context.Context, e *events, err error,
	shape func(f *failure) any) error {
	if e == nil || !e.begun {
		return err
	}
	_ = e.send("", shape(failureOf(ctx, err))) // the client may be gone
	return err
}

func openaiErrorEvent(f *failure) any {
	return struct {
		Error openaiError `json:"error"`
	}{openaiErrorOf(f)}
}

var finishWords = map[engine.FinishReason]string{engine.FinishStop: "stop",
	engine.FinishLength: "length", engine.FinishTools: "tool_calls"}

// take writes or keeps an event.
func (o *chatOutput) take(e indexed) error {
	i := e.index
	text := o.spoken[i].push(e.Text)
	if e.Done != nil {
		o.usage.add(e.Done.Usage)
	}
	if o.events == nil {
		c := &o.whole[i]
		o.text[i].WriteString(text)
		c.Message.Reasoning += e.Reasoning
		c.addLogprobs(o.q, e.Logprobs)
		if e.Done != nil {
			c.finish(o.q, e.Done, o.text[i].String())
		}
		return nil
	}
	var chunk chatChoice
	chunk.Index, chunk.Delta = i, &chatDelta{Reasoning: e.Reasoning}
	if !o.begun[i] {
		o.begun[i] = true
		chunk.Delta.Role, chunk.Delta.Content = "assistant", new(string)
	}
	if text != "" {
		chunk.Delta.Content = &text
	}
	chunk.addLogprobs(o.q, e.Logprobs)
	for _, d := range e.Calls {
		if o.q.usesFunctions() {
			if chunk.Delta.Function == nil {
				chunk.Delta.Function = &calledFunction{}
			}
			chunk.Delta.Function.Name += d.Name
			chunk.Delta.Function.Arguments += d.Arguments
			continue
		}
		call := openaiToolCall{Index: &d.Index, ID: d.ID}
		if d.Name != "" {
			call.Type = "function"
		}
		call.Function.Name, call.Function.Arguments = d.Name, d.Arguments
		chunk.Delta.ToolCalls = append(chunk.Delta.ToolCalls, call)
	}
	d := chunk.Delta
	if d.Role != "" || d.Content != nil || d.Reasoning != "" || d.ToolCalls != nil ||
		d.Function != nil || chunk.Logprobs != nil {
		if err := o.send(chunk); err != nil {
			return err
		}
	}
	if e.Done == nil {
		return nil
	}
	word := o.q.finishWord(e.Done.Finish)
	return o.send(chatChoice{Index: i, Delta: &chatDelta{}, Finish: &word,
		Checked: checked(e.Done)})
}

func (o *chatOutput) send(c chatChoice) error {
	chunk := o.base
	chunk.Choices = []chatChoice{c}
	return o.events.send("", chunk)
}

func (c *chatChoice) addLogprobs(q *chatRequest, list []engine.TokenLogprob) {
	if !q.Logprobs || len(list) == 0 {
		return
	}
	if c.Logprobs == nil {
		c.Logprobs = &chatLogprob{}
	}
	c.Logprobs.Content = append(c.Logprobs.Content, logprobsOf(list, true)...)
}

// finish fills in what is known at the end of an answer.
func (c *chatChoice) finish(q *chatRequest, r *engine.Result, text string) {
	word := q.finishWord(r.Finish)
	c.Finish, c.Checked = &word, checked(r)
	if text != "" || len(r.Calls) == 0 {
		c.Message.Content = &text
	}
	for _, call := range r.Calls {
		if q.usesFunctions() {
			c.Message.Function = &calledFunction{call.Name, call.Arguments}
			continue
		}
		out := openaiToolCall{ID: call.ID, Type: "function"}
		out.Function.Name, out.Function.Arguments = call.Name, call.Arguments
		c.Message.ToolCalls = append(c.Message.ToolCalls, out)
	}
}
