package ollama

import (
	"strings"
	"time"

	"github.com/ollama/ollama/api"

	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/engine/server/internal/answer"
	"github.com/eyelet-engine/eyelet/engine/server/internal/failure"
)

// Answer renders the answer to a request to chat, or to generate.
type Answer struct {
	model  string // as the client called it
	began  time.Time
	load   time.Duration
	chat   bool
	raw    bool  // of a request to generate: there is no context to go on from
	unsent piece // what has come and was not sent
}

// piece is what an answer, or a line of it, holds.
type piece struct {
	text, thinking string
	calls          []api.ToolCall
	logprobs       []api.Logprob
}

// NewChat returns the renderer of the answer to a request to chat, which came at began and waited
// for its model for load.
func NewChat(q *ChatRequest, began time.Time, load time.Duration) *Answer {
	return &Answer{model: q.Model, began: began, load: load, chat: true}
}

// NewGenerate returns the renderer of the answer to a request to generate, as NewChat does.
func NewGenerate(q *GenerateRequest, began time.Time, load time.Duration) *Answer {
	return &Answer{model: q.Model, began: began, load: load, raw: q.Raw}
}

// Step implements [answer.Renderer]: a line of what has come since the last one, once it can be
// shown, and one of its own for the end.
func (o *Answer) Step(s answer.Step) (out []answer.Piece) {
	p := &o.unsent
	p.text += s.Text
	p.thinking += s.Thought
	p.logprobs = append(p.logprobs, logprobsOf(s.Logprobs)...)
	for i := range s.Deltas {
		if s.Deltas[i].Change == answer.Ended {
			p.addCall(&s.Deltas[i].Block)
		}
	}
	if p.text != "" || p.thinking != "" || len(p.calls) > 0 {
		out = append(out, answer.Piece{Data: o.document(*p, nil)})
		*p = piece{}
	}
	if s.Done != nil {
		out = append(out, answer.Piece{Data: o.document(*p, s.Answer)})
	}
	return out
}

// End implements [answer.Renderer]: the last line of the answer is that of the stream.
func (o *Answer) End(*answer.Set) []answer.Piece { return nil }

// Failed implements [answer.Renderer].
func (o *Answer) Failed(f *failure.Failure) []answer.Piece {
	return []answer.Piece{{Data: ErrorBody(f)}}
}

// Document implements [answer.Renderer].
func (o *Answer) Document(set *answer.Set) any {
	a := set.Answers[0]
	p := piece{text: a.Text(), thinking: a.Thought, logprobs: logprobsOf(a.Logprobs)}
	for _, b := range a.Blocks {
		p.addCall(b)
	}
	return o.document(p, a)
}

// addCall adds a block that is a whole call: Ollama's API knows no others. What the grammar has
// held to the schema is JSON.
func (p *piece) addCall(b *answer.Block) {
	var exact arguments
	if b.Kind != answer.Call || b.Cut || exact.UnmarshalJSON([]byte(b.Text)) != nil {
		return
	}
	p.calls = append(p.calls, api.ToolCall{ID: b.CallID, Function: api.ToolCallFunction{
		Index: b.CallIndex, Name: b.Name, Arguments: exact.ToolCallFunctionArguments}})
}

// document returns what goes to the client; ended is the answer where it is over, else nil.
func (o *Answer) document(p piece, ended *answer.Answer) any {
	var more extras
	if ended != nil {
		more = extras{answer.Checked(ended.Result), ended.Result.Usage.Image}
	}
	if o.chat {
		c := api.ChatResponse{Model: o.model, CreatedAt: time.Now().UTC(),
			Message: api.Message{Role: "assistant", Content: p.text, Thinking: p.thinking,
				ToolCalls: p.calls}, Logprobs: p.logprobs}
		if ended != nil {
			c.Done, c.DoneReason, c.Metrics = true, reasonOf(ended.Result), o.metrics(ended.Result)
		}
		return struct {
			api.ChatResponse
			extras
		}{c, more}
	}
	g := api.GenerateResponse{Model: o.model, CreatedAt: time.Now().UTC(), Response: p.text,
		Thinking: p.thinking, Logprobs: p.logprobs}
	if ended != nil {
		g.Done, g.DoneReason, g.Metrics = true, reasonOf(ended.Result), o.metrics(ended.Result)
		if !o.raw {
			g.Context = contextOf(ended.Result.Prompt, ended.Tokens)
		}
	}
	return struct {
		api.GenerateResponse
		extras
	}{g, more}
}

// extras are fields that Ollama's own answers do not have, of an answer that is over.
type extras struct {
	Checked     *bool `json:"schema_checked,omitempty"`
	ImageTokens int   `json:"image_tokens,omitempty"` // of the prompt, those of pictures
}

// reasonOf returns why an answer ended, in Ollama's words, which have none for calls of tools.
func reasonOf(r *engine.Result) string {
	if r.Finish == engine.FinishTools {
		return string(engine.FinishStop)
	}
	return string(r.Finish)
}

// contextOf returns the context that continues a conversation: all its tokens. Pictures are not
// among them.
func contextOf(prompt, answer []engine.Token) []int {
	tokens := make([]int, 0, len(prompt)+len(answer))
	for _, list := range [][]engine.Token{prompt, answer} {
		for _, t := range list {
			tokens = append(tokens, int(t))
		}
	}
	return tokens
}

// metrics returns the figures of an answer, as measured. The time to load is what this request
// waited for the model; that of the prompt includes its pictures.
func (o *Answer) metrics(r *engine.Result) api.Metrics {
	drawn := r.Usage.Completion
	if r.EndToken { // which counts in Ollama's API
		drawn++
	}
	t := r.Timings
	return api.Metrics{
		TotalDuration: time.Since(o.began), LoadDuration: o.load,
		PromptEvalCount:    r.Usage.Prompt,
		PromptEvalDuration: t.DecodeImage + t.Preprocess + t.Encode + t.Prefill,
		EvalCount:          drawn, EvalDuration: t.Generate,
	}
}

func logprobsOf(list []engine.TokenLogprob) []api.Logprob {
	var out []api.Logprob
	for _, t := range list {
		l := api.Logprob{TokenLogprob: logprobOf(t)}
		for _, top := range t.Top {
			l.TopLogprobs = append(l.TopLogprobs, logprobOf(top))
		}
		out = append(out, l)
	}
	return out
}

// logprobOf returns a token with its bytes: it may be part of a character only.
func logprobOf(t engine.TokenLogprob) api.TokenLogprob {
	out := api.TokenLogprob{Token: strings.ToValidUTF8(t.Text, "\uFFFD"),
		Logprob: answer.Finite(t.Logprob)}
	for _, b := range []byte(t.Text) {
		out.Bytes = append(out.Bytes, int(b))
	}
	return out
}
