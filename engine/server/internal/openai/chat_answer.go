package openai

import (
	"crypto/rand"
	"strings"
	"time"

	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/engine/server/internal/answer"
	"github.com/eyelet-engine/eyelet/engine/server/internal/failure"
)

// Usage counts tokens in OpenAI's words.
type Usage struct {
	Prompt     int `json:"prompt_tokens"`
	Completion int `json:"completion_tokens"`
	Total      int `json:"total_tokens"`
	Details    struct {
		Cached int `json:"cached_tokens"`
		Image  int `json:"image_tokens"` // of pictures, as vLLM and others count them
	} `json:"prompt_tokens_details"`
}

// TokenLogprob is a token in OpenAI's words.
type TokenLogprob struct {
	Token   string         `json:"token"`
	Logprob float64        `json:"logprob"`
	Bytes   []int          `json:"bytes,omitzero"` // nil where the schema has none
	Top     []TokenLogprob `json:"top_logprobs,omitzero"`
}

// logprobsOf translates tokens with their probabilities. Bytes that are no text on their own show
// as U+FFFD in the token, and whole in the bytes.
func logprobsOf(list []engine.TokenLogprob, top bool) []TokenLogprob {
	out := []TokenLogprob{}
	for _, t := range list {
		l := TokenLogprob{Token: strings.ToValidUTF8(t.Text, "\uFFFD"),
			Logprob: answer.Finite(t.Logprob), Bytes: []int{}}
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

// completion is an answer to a request for chat completions or for completions, or a chunk of it.
type completion[Choice any] struct {
	ID      string   `json:"id"`
	Object  string   `json:"object"`
	Created int64    `json:"created"`
	Model   string   `json:"model"`
	Choices []Choice `json:"choices"`
	Usage   any      `json:"usage,omitempty"` // *Usage, or a null that is there; nil for none
}

func newCompletion[Choice any](prefix, object, model string) completion[Choice] {
	return completion[Choice]{ID: prefix + rand.Text(), Object: object, Created: time.Now().Unix(),
		Model: model}
}

// with returns a copy with choices, a list that is never null.
func (c completion[Choice]) with(usage any, choices ...Choice) completion[Choice] {
	c.Usage, c.Choices = usage, append([]Choice{}, choices...)
	return c
}

// chatChoice is one answer of a chat completion, or a piece of it.
type chatChoice struct {
	Index    int          `json:"index"`
	Message  *chatMessage `json:"message,omitempty"`
	Delta    *chatDelta   `json:"delta,omitempty"`
	Logprobs *chatLogprob `json:"logprobs"`
	Finish   *string      `json:"finish_reason"`
	Checked  *bool        `json:"schema_checked,omitempty"`
}

// chatMessage is a whole message of the model's.
type chatMessage struct {
	Role      string          `json:"role"`
	Content   *string         `json:"content"`
	Refusal   *string         `json:"refusal"`
	Reasoning string          `json:"reasoning_content,omitempty"`
	ToolCalls []ToolCall      `json:"tool_calls,omitempty"`
	Function  *CalledFunction `json:"function_call,omitempty"`
}

// chatDelta is what a chunk adds to a message.
type chatDelta struct {
	Role      string          `json:"role,omitempty"`
	Content   *string         `json:"content,omitempty"`
	Reasoning string          `json:"reasoning_content,omitempty"`
	ToolCalls []ToolCall      `json:"tool_calls,omitempty"`
	Function  *CalledFunction `json:"function_call,omitempty"`
}

type chatLogprob struct {
	Content []TokenLogprob `json:"content"`
	Refusal []TokenLogprob `json:"refusal"`
}

// finishWords are why an answer ended, in OpenAI's words.
var finishWords = map[engine.FinishReason]string{engine.FinishStop: "stop",
	engine.FinishLength: "length", engine.FinishTools: "tool_calls"}

// done ends the streams of chat completions and completions.
var done = answer.Piece{Data: answer.Verbatim("[DONE]")}

// Chat renders chat completions.
type Chat struct {
	base      completion[chatChoice]
	stream    StreamOptions
	logprobs  bool
	functions bool // calls have the shape of functions
}

// NewChat returns the renderer of the answers to a request.
func NewChat(q *ChatRequest) *Chat {
	return &Chat{base: newCompletion[chatChoice]("chatcmpl-", "chat.completion", q.Model),
		stream: q.StreamOptions, logprobs: q.Logprobs, functions: q.usesFunctions()}
}

// Step implements [answer.Renderer]: a chunk of what is new, and one of its own for the end.
func (c *Chat) Step(s answer.Step) (out []answer.Piece) {
	choice := chatChoice{Index: s.Answer.Index, Delta: &chatDelta{Reasoning: s.Thought}}
	d := choice.Delta
	if s.First {
		d.Role, d.Content = "assistant", new(string)
	}
	if s.Text != "" {
		d.Content = &s.Text
	}
	if c.logprobs && len(s.Logprobs) > 0 {
		choice.Logprobs = &chatLogprob{Content: logprobsOf(s.Logprobs, true)}
	}
	for _, call := range s.Calls {
		c.addCall(d, &call)
	}
	if d.Role != "" || d.Content != nil || d.Reasoning != "" || d.ToolCalls != nil ||
		d.Function != nil || choice.Logprobs != nil {
		out = append(out, c.chunk(c.stream.pending(), choice))
	}
	if s.Done != nil {
		word := c.finishWord(s.Done.Finish)
		out = append(out, c.chunk(c.stream.pending(), chatChoice{Index: s.Answer.Index,
			Delta: &chatDelta{}, Finish: &word, Checked: answer.Checked(s.Done)}))
	}
	return out
}

// addCall adds a piece of a call to a chunk.
func (c *Chat) addCall(d *chatDelta, call *engine.CallDelta) {
	if c.functions {
		if d.Function == nil {
			d.Function = &CalledFunction{}
		}
		d.Function.Name += call.Name
		d.Function.Arguments += call.Arguments
		return
	}
	out := ToolCall{Index: &call.Index, ID: call.ID}
	if call.Name != "" {
		out.Type = "function"
	}
	out.Function.Name, out.Function.Arguments = call.Name, call.Arguments
	d.ToolCalls = append(d.ToolCalls, out)
}

func (c *Chat) chunk(usage any, choices ...chatChoice) answer.Piece {
	chunk := c.base.with(usage, choices...)
	chunk.Object += ".chunk"
	return answer.Piece{Data: chunk}
}

// End implements [answer.Renderer].
func (c *Chat) End(set *answer.Set) []answer.Piece {
	if !c.stream.IncludeUsage {
		return []answer.Piece{done}
	}
	return []answer.Piece{c.chunk(chatUsage(set)), done}
}

// Failed implements [answer.Renderer].
func (c *Chat) Failed(f *failure.Failure) []answer.Piece { return failed(f) }

func failed(f *failure.Failure) []answer.Piece {
	return []answer.Piece{{Data: ErrorBody(f)}}
}

// Document implements [answer.Renderer].
func (c *Chat) Document(set *answer.Set) any {
	var choices []chatChoice
	for _, a := range set.Answers {
		choices = append(choices, c.choice(a))
	}
	return c.base.with(chatUsage(set), choices...)
}

// choice returns a whole answer.
func (c *Chat) choice(a *answer.Answer) chatChoice {
	text, word := a.Text(), c.finishWord(a.Result.Finish)
	m := &chatMessage{Role: "assistant", Reasoning: a.Thought}
	if text != "" || len(a.Result.Calls) == 0 {
		m.Content = &text
	}
	for _, call := range a.Result.Calls {
		if c.functions {
			m.Function = &CalledFunction{call.Name, call.Arguments}
			continue
		}
		out := ToolCall{ID: call.ID, Type: "function"}
		out.Function.Name, out.Function.Arguments = call.Name, call.Arguments
		m.ToolCalls = append(m.ToolCalls, out)
	}
	choice := chatChoice{Index: a.Index, Message: m, Finish: &word,
		Checked: answer.Checked(a.Result)}
	if c.logprobs {
		choice.Logprobs = &chatLogprob{Content: logprobsOf(a.Logprobs, true)}
	}
	return choice
}

// chatUsage counts the tokens of all answers, which have one prompt in common.
func chatUsage(set *answer.Set) *Usage {
	u := &Usage{}
	for _, a := range set.Ended {
		e := a.Result.Usage
		if u.Prompt == 0 {
			u.Prompt, u.Details.Cached, u.Details.Image = e.Prompt, e.Cached, e.Image
		}
		u.Completion += e.Completion
	}
	u.Total = u.Prompt + u.Completion
	return u
}

// finishWord returns why an answer ended, in the words that the request's kind of tools has.
func (c *Chat) finishWord(f engine.FinishReason) string {
	if c.functions && f == engine.FinishTools {
		return "function_call"
	}
	return finishWords[f]
}
