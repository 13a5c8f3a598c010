package server

import (
	"context"
	"fmt"
	"iter"
	"math"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/eyelet-engine/eyelet/engine"
)

// completionChoice is an answer, or a piece of it.
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

func newCompletionLogprobs() *completionLogprobs {
	return &completionLogprobs{Tokens: []string{}, Values: []*float64{},
		Top: []map[string]float64{}, Offsets: []int{}}
}

type completion struct {
	ID      string             `json:"id"`
	Object  string             `json:"object"`
	Created int64              `json:"created"`
	Model   string             `json:"model"`
	Choices []completionChoice `json:"choices"`
	Usage   any                `json:"usage,omitempty"` // as chatCompletion's
}

// completionOutput writes the answers to a completion request.
type completionOutput struct {
	s       *Server
	w       http.ResponseWriter
	q       *completionRequest
	base    completion
	usage   openaiUsage
	answers []*completionAnswer
	n       int // answers to a prompt
	events  *events
}

// completionAnswer is an answer on its way.
type completionAnswer struct {
	text     strings.Builder     // what is not sent yet
	logprobs *completionLogprobs // the same
	place    characters          // where the next token stands
	finish   *string
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

// addPrompt begins the answers to a prompt, with the prompt itself where it comes back.
func (o *completionOutput) addPrompt(ctx context.Context, l *lease, t *completionTask) error {
	prompt, err := l.promptOf(ctx, o.q, t)
	if err != nil {
		return err
	}
	if o.q.scoresOnly() {
		o.usage.Prompt += prompt.Read
		o.usage.Total += prompt.Read
	}
	for range o.n {
		a := &completionAnswer{}
		o.answers = append(o.answers, a)
		if o.q.Logprobs != nil {
			a.logprobs = newCompletionLogprobs()
		}
		if o.q.Echo {
			a.text.WriteString(prompt.Text)
			a.add(prompt.Tokens)
		}
	}
	return nil
}

// endUnanswered sends the prompts alone.
func (o *completionOutput) endUnanswered() error {
	word := finishWords[engine.FinishLength]
	for i := range o.answers {
		o.answers[i].finish = &word
		if o.events != nil {
			if err := o.send(i); err != nil {
				return err
			}
		}
	}
	return o.end()
}

func (o *completionOutput) run(ctx context.Context, answers iter.Seq2[indexed, error]) error {
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
	return o.end()
}

// end sends what comes when all answers are over.
func (o *completionOutput) end() error {
	if o.events == nil {
		for i := range o.answers {
			o.base.Choices = append(o.base.Choices, o.choice(i))
		}
		o.base.Usage = &o.usage
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
	a := o.answers[e.index]
	a.text.WriteString(e.Text)
	if a.logprobs != nil {
		a.add(e.Logprobs)
	}
	if e.Done != nil {
		word := finishWords[e.Done.Finish]
		a.finish = &word
		// the answers to a prompt come n at a time, and the prompt counts once
		if e.index%o.n == 0 {
			o.usage.Prompt += e.Done.Usage.Prompt
			o.usage.Details.Cached += e.Done.Usage.Cached
		}
		o.usage.Completion += e.Done.Usage.Completion
		o.usage.Total = o.usage.Prompt + o.usage.Completion
	}
	if o.events == nil || a.text.Len() == 0 && e.Done == nil {
		return nil
	}
	return o.send(e.index)
}

// choice is what there is of an answer.
func (o *completionOutput) choice(i int) completionChoice {
	a := o.answers[i]
	return completionChoice{Text: a.text.String(), Index: i, Logprobs: a.logprobs, Finish: a.finish}
}

// send sends what there is of an answer as a piece of a stream.
func (o *completionOutput) send(i int) error {
	a := o.answers[i]
	chunk := o.base
	chunk.Choices = []completionChoice{o.choice(i)}
	a.text.Reset()
	if a.logprobs != nil {
		a.logprobs = newCompletionLogprobs()
	}
	return o.events.send("", chunk)
}

// add takes tokens in, where they were asked for.
func (a *completionAnswer) add(list []engine.TokenLogprob) {
	for _, t := range list {
		l := a.logprobs
		l.Tokens = append(l.Tokens, completionToken(t.Text))
		l.Offsets = append(l.Offsets, a.place.add(t.Text))
		if math.IsNaN(t.Logprob) {
			l.Values, l.Top = append(l.Values, nil), append(l.Top, nil)
			continue
		}
		value := finite(t.Logprob)
		top := map[string]float64{}
		for _, x := range append(t.Top, t) {
			name := completionToken(x.Text)
			if known, ok := top[name]; !ok || known < x.Logprob {
				top[name] = finite(x.Logprob)
			}
		}
		l.Values, l.Top = append(l.Values, &value), append(l.Top, top)
	}
}

// finite is a log probability as JSON can hold it.
func finite(logprob float64) float64 { return max(logprob, -math.MaxFloat32) }

// completionToken is the text of a token, or its bytes in OpenAI's words where it is a part of a
// character.
func completionToken(text string) string {
	if utf8.ValidString(text) {
		return text
	}
	out := "bytes:"
	for _, b := range []byte(text) {
		out += fmt.Sprintf(`\x%02x`, b)
	}
	return out
}
