package main

import (
	"context"
	"fmt"
	"time"
)

// answerTokens is the length of every answer.
const answerTokens = 16

// question is a request, the same for both sides.
type question struct {
	system string
	turns  []turn // the last one has no answer yet
	tokens int    // of the answer
}

// turn is what a user shows and asks, and the answer.
type turn struct {
	picture []byte // JPEG; nil for text alone
	text    string
	answer  string
}

// ask makes a question of one turn.
func ask(picture []byte, text string) question {
	return question{turns: []turn{{picture: picture, text: text}}, tokens: answerTokens}
}

// then is the conversation after an answer, with a new question.
func (q question) then(answer, text string) question {
	turns := append([]turn(nil), q.turns...)
	turns[len(turns)-1].answer = answer
	q.turns = append(turns, turn{text: text})
	return q
}

// reply is an answer, and when it came.
type reply struct {
	text   string
	began  time.Time
	at     []time.Time // of each token
	prompt int         // tokens of the prompt, those of pictures included
	cached int         // of prompt, those that were not computed again
	tokens int         // of the answer
}

// first is the time to the first token in seconds.
func (r *reply) first() float64 { return r.at[0].Sub(r.began).Seconds() }

// check wants the whole answer: other lengths would be other work.
func (r *reply) check(q question) error {
	if r.tokens != q.tokens || len(r.at) == 0 {
		return fmt.Errorf("an answer of %d tokens, %d of them with text, want %d: %q", r.tokens,
			len(r.at), q.tokens, r.text)
	}
	return nil
}

// side answers questions. It may be asked several at once.
type side interface {
	name() string
	// ask waits for the whole answer. seen is called for each token, from the calling goroutine; it
	// may be nil. When ctx ends, what came so far is returned with the error.
	ask(ctx context.Context, q question, seen func()) (reply, error)
	// restart ends the side and starts it again, as a program that kept what it can keep.
	restart(ctx context.Context) error
}

// ourSide is one of this project's.
type ourSide interface {
	side
	// withEncoder opens another of the kind, whose vision tower somebody else runs. Closing it
	// leaves this one open.
	withEncoder(ctx context.Context, encoder string) (ourSide, error)
	// about is what it is, and what model it has loaded.
	about() (program, model string)
	close() error
}
