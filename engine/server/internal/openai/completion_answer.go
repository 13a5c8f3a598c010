package openai

import (
	"fmt"
	"math"
	"strings"
	"unicode/utf8"

	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/engine/server/internal/answer"
	"github.com/eyelet-engine/eyelet/engine/server/internal/failure"
)

// completionChoice is one answer, or a piece of it.
type completionChoice struct {
	Text     string              `json:"text"`
	Index    int                 `json:"index"`
	Logprobs *completionLogprobs `json:"logprobs"` // null where it was not asked for
	Finish   *string             `json:"finish_reason"`
}

// completionLogprobs are lists of one entry a token.
type completionLogprobs struct {
	Tokens []string `json:"tokens"`
	// null for the first token of a prompt, before which there is nothing
	Values []*float64 `json:"token_logprobs"`
	// the token itself and the most probable ones; null where token_logprobs is
	Top     []map[string]float64 `json:"top_logprobs"`
	Offsets []int                `json:"text_offset"` // characters of the text before the token
}

// Completions renders completions.
type Completions struct {
	base     completion[completionChoice]
	stream   StreamOptions
	echo     bool
	logprobs bool
	n        int // answers to a prompt
	unsent   []*unsentText
}

// unsentText is what of an answer was not sent yet.
type unsentText struct {
	text     strings.Builder
	logprobs *completionLogprobs // nil where they were not asked for
	place    characters          // where the next token stands
}

// NewCompletions returns the renderer of n answers to each prompt of a request; AddPrompt tells it
// the prompts.
func NewCompletions(q *CompletionRequest, n int) *Completions {
	return &Completions{base: newCompletion[completionChoice]("cmpl-", "text_completion", q.Model),
		stream: q.StreamOptions, echo: q.Echo, logprobs: q.Logprobs != nil, n: n}
}

// AddPrompt begins the answers to the next prompt, with the prompt itself where it comes back.
func (c *Completions) AddPrompt(prompt *engine.Scores) {
	for range c.n {
		u := &unsentText{}
		if c.logprobs {
			u.logprobs = newCompletionLogprobs()
		}
		if c.echo {
			u.add(prompt.Text, prompt.Tokens)
		}
		c.unsent = append(c.unsent, u)
	}
}

// Step implements [answer.Renderer]: a chunk with what has come since the last one, once it is more
// than a part of a character.
func (c *Completions) Step(s answer.Step) []answer.Piece {
	u := c.unsent[s.Answer.Index]
	u.add(s.Text, s.Logprobs)
	if u.text.Len() == 0 && s.Done == nil {
		return nil
	}
	chunk := c.base.with(c.stream.pending(), c.choice(s.Answer))
	u.text.Reset()
	if c.logprobs {
		u.logprobs = newCompletionLogprobs()
	}
	return []answer.Piece{{Data: chunk}}
}

// choice returns what was not sent yet of an answer.
func (c *Completions) choice(a *answer.Answer) completionChoice {
	u := c.unsent[a.Index]
	choice := completionChoice{Text: u.text.String(), Index: a.Index, Logprobs: u.logprobs}
	if a.Result != nil {
		word := finishWords[a.Result.Finish]
		choice.Finish = &word
	}
	return choice
}

// End implements [answer.Renderer].
func (c *Completions) End(set *answer.Set) []answer.Piece {
	if !c.stream.IncludeUsage {
		return []answer.Piece{done}
	}
	return []answer.Piece{{Data: c.base.with(c.usage(set))}, done}
}

// Failed implements [answer.Renderer].
func (c *Completions) Failed(f *failure.Failure) []answer.Piece { return failed(f) }

// Document implements [answer.Renderer].
func (c *Completions) Document(set *answer.Set) any {
	var choices []completionChoice
	for _, a := range set.Answers {
		c.unsent[a.Index].add(a.Text(), a.Logprobs)
		choices = append(choices, c.choice(a))
	}
	return c.base.with(c.usage(set), choices...)
}

// usage counts the tokens of all answers, and of each prompt once.
func (c *Completions) usage(set *answer.Set) *Usage {
	u := &Usage{}
	for _, a := range set.Ended {
		if a.Index%c.n == 0 {
			u.Prompt += a.Result.Usage.Prompt
			u.Details.Cached += a.Result.Usage.Cached
		}
		u.Completion += a.Result.Usage.Completion
	}
	u.Total = u.Prompt + u.Completion
	return u
}

func newCompletionLogprobs() *completionLogprobs {
	return &completionLogprobs{Tokens: []string{}, Values: []*float64{},
		Top: []map[string]float64{}, Offsets: []int{}}
}

// add takes text in, and its tokens where they were asked for.
func (u *unsentText) add(text string, list []engine.TokenLogprob) {
	u.text.WriteString(text)
	if u.logprobs == nil {
		return
	}
	for _, t := range list {
		l := u.logprobs
		l.Tokens = append(l.Tokens, TokenText(t.Text))
		l.Offsets = append(l.Offsets, u.place.add(t.Text))
		if math.IsNaN(t.Logprob) {
			l.Values, l.Top = append(l.Values, nil), append(l.Top, nil)
			continue
		}
		value := answer.Finite(t.Logprob)
		top := map[string]float64{}
		for _, x := range append(t.Top, t) {
			name := TokenText(x.Text)
			if known, ok := top[name]; !ok || known < x.Logprob {
				top[name] = answer.Finite(x.Logprob)
			}
		}
		l.Values, l.Top = append(l.Values, &value), append(l.Top, top)
	}
}

// characters counts those of a text that comes in pieces, which may end within one.
type characters struct {
	n       int
	partial string
}

// add takes a piece in and returns at which character it begins.
func (c *characters) add(piece string) (at int) {
	at = c.n
	rest := c.partial + piece
	for len(rest) > 0 && utf8.FullRuneInString(rest) {
		_, size := utf8.DecodeRuneInString(rest)
		rest = rest[size:]
		c.n++
	}
	c.partial = rest
	return at
}

// TokenText returns the text of a token, or its bytes in OpenAI's words where it is a part of a
// character.
func TokenText(text string) string {
	if utf8.ValidString(text) {
		return text
	}
	out := "bytes:"
	for _, b := range []byte(text) {
		out += fmt.Sprintf(`\x%02x`, b)
	}
	return out
}
