package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/eyelet-engine/eyelet/engine"
)

// scenario is something that clients do, and what is measured of it.
type scenario struct {
	name string
	rows []row
	// run does it once with one side and returns the samples of each row.
	run func(ctx context.Context, t *turnOf) ([][]float64, error)
	// encoder, if set, is that of our side, in a model of its own.
	encoder string
	// theirs names a scenario whose figures of llama-server stand here as well, if it runs too.
	theirs string
}

// row is a figure of a scenario.
type row struct {
	title string
	unit  string
	bar   bar
}

// repeats is how often the short waits are measured in a turn.
const repeats = 5

// scenarios are in the order in which they run: the first four go on from one another's picture.
var scenarios = []scenario{
	{name: "new-picture", run: newPicture, rows: []row{{"new picture, one client, TTFT", "s", timesFaster(2.5)}}},
	{name: "follow-up", run: followUp, rows: []row{{"follow-up in the conversation, TTFT", "s", atMost(1.05)}}},
	{name: "same-words", run: sameWords, rows: []row{{"same picture, new client, same words before it, TTFT", "s", atMost(1.05)}}},
	{name: "other-words", run: otherWords, rows: []row{{"same picture, new client, other words before it, TTFT", "s", timesFaster(2)}}},
	{name: "one-picture", run: onePicture, rows: []row{
		{"4 clients, one new picture, wall", "s", timesFaster(5)}, {"4 clients, one new picture, mean TTFT", "s", bar{}}}},
	{name: "four-pictures", run: fourPictures, rows: []row{
		{"4 clients, 4 new pictures, wall", "s", timesFaster(2)}, {"4 clients, 4 new pictures, mean TTFT", "s", bar{}}}},
	{name: "gap", run: gap, rows: []row{
		{"a text answer is running when a new picture arrives, longest gap", "s", below(0.3)}, {"the picture's TTFT meanwhile", "s", bar{}}}},
	{name: "gap-mtmd", run: gap, encoder: engine.EncoderMtmd, theirs: "gap", rows: []row{
		{"the same with libmtmd as our encoder, longest gap", "s", below(0.3)}, {"the picture's TTFT meanwhile", "s", bar{}}}},
	{name: "restart", run: restart, rows: []row{
		{"follow-up after a restart with saved state, TTFT", "s", bar{}}, {"the same, of the picture's first TTFT", "", below(0.1)}}},
	{name: "text", run: textOnly, rows: []row{{"text only, 8 clients, all tokens", "tok/s", atLeast(0.98)}}},
}

func scenarioNames() []string {
	var names []string
	for _, s := range scenarios {
		names = append(names, s.name)
	}
	return names
}

const firstQuestion = "What is in this picture?"

// questions are what is asked next. They are of much the same length.
var questions = []string{
	"How many round things are there?", "What colors can you see there?", "What is on the left side of it?", "Is it a photo or a drawing?",
	"What is the largest thing in it?", "Is the light soft or is it hard?", "What would you call this picture?", "Which part of it is the darkest?",
}

func newPicture(ctx context.Context, t *turnOf) ([][]float64, error) {
	c, err := t.conversation(ctx)
	if err != nil {
		return nil, err
	}
	return [][]float64{{c.first}}, nil
}

// followUp goes on and on in one conversation.
func followUp(ctx context.Context, t *turnOf) ([][]float64, error) {
	c, err := t.conversation(ctx)
	if err != nil {
		return nil, err
	}
	q, answer := c.question, c.answer
	var waits []float64
	for i := range repeats {
		q = q.then(answer, questions[i])
		r, err := t.ask(ctx, q, nil)
		if err != nil {
			return nil, err
		}
		waits, answer = append(waits, r.first()), r.text
	}
	return [][]float64{waits}, nil
}

func sameWords(ctx context.Context, t *turnOf) ([][]float64, error) {
	c, err := t.conversation(ctx)
	if err != nil {
		return nil, err
	}
	var waits []float64
	for i := range repeats {
		r, err := t.ask(ctx, ask(c.picture, questions[i]), nil)
		if err != nil {
			return nil, err
		}
		waits = append(waits, r.first())
	}
	return [][]float64{waits}, nil
}

func otherWords(ctx context.Context, t *turnOf) ([][]float64, error) {
	c, err := t.conversation(ctx)
	if err != nil {
		return nil, err
	}
	q := ask(c.picture, firstQuestion)
	q.system = "You look at pictures with care and answer in a few short words, and you say so when you are not sure of what you see."
	r, err := t.ask(ctx, q, nil)
	if err != nil {
		return nil, err
	}
	return [][]float64{{r.first()}}, nil
}

const clients = 4

func onePicture(ctx context.Context, t *turnOf) ([][]float64, error) {
	p := picture(t.round, "one")
	var list []question
	for i := range clients {
		list = append(list, ask(p, questions[i]))
	}
	return t.crowd(ctx, list)
}

func fourPictures(ctx context.Context, t *turnOf) ([][]float64, error) {
	var list []question
	for i := range clients {
		list = append(list, ask(picture(t.round, "four", i), questions[i]))
	}
	return t.crowd(ctx, list)
}

// crowd asks all questions at once and returns the time until the last answer is complete, and the mean TTFT.
func (t *turnOf) crowd(ctx context.Context, list []question) ([][]float64, error) {
	replies := make([]reply, len(list))
	errs := make([]error, len(list))
	began := time.Now()
	var wg sync.WaitGroup
	for i, q := range list {
		wg.Go(func() { replies[i], errs[i] = t.ask(ctx, q, nil) })
	}
	wg.Wait()
	wall := time.Since(began).Seconds()
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	mean := 0.0
	for _, r := range replies {
		mean += r.first() / float64(len(replies))
	}
	return [][]float64{{wall}, {mean}}, nil
}

// gap lets a long answer run, sends a picture into it, and measures the longest time without a token of the long answer, until the
// picture's answer is complete.
func gap(ctx context.Context, t *turnOf) ([][]float64, error) {
	long := ask(nil, fmt.Sprintf("Tell me story number %d, and make it a long one.", t.round+1))
	long.tokens = 600 // outlasts the picture
	textCtx, stop := context.WithCancel(ctx)
	defer stop()
	running := make(chan struct{})
	done := make(chan struct{})
	var text reply
	var textErr error
	go func() {
		defer close(done)
		n := 0
		text, textErr = t.side.ask(textCtx, long, func() { // not counted: it is cut off sooner or later
			if n++; n == 8 {
				close(running)
			}
		})
	}()
	select {
	case <-running:
	case <-done:
		return nil, fmt.Errorf("the long answer ended before the picture came: %w", textErr)
	}
	arrived := time.Now()
	r, err := t.ask(ctx, ask(picture(t.round, t.scenario), firstQuestion), nil)
	stop()
	<-done
	if err != nil {
		return nil, err
	}
	if textErr != nil && !errors.Is(textErr, context.Canceled) {
		return nil, textErr
	}
	end := r.at[len(r.at)-1]
	if textErr == nil { // it came to its end by itself
		end = text.at[len(text.at)-1]
		if end.Before(r.at[0]) {
			t.failed = "the picture waited until the text had ended"
		}
	}
	return [][]float64{{longestGap(text.at, arrived, end).Seconds()}, {r.first()}}, nil
}

// longestGap is the longest time without a token between from and to, from the last token before from on. The tokens are in order.
func longestGap(tokens []time.Time, from, to time.Time) time.Duration {
	last, longest := from, time.Duration(0)
	for _, at := range tokens {
		if at.After(to) {
			break
		}
		if at.After(from) {
			longest = max(longest, at.Sub(last))
		}
		last = at
	}
	return max(longest, to.Sub(last))
}

// restart asks on after the side was ended and started again.
func restart(ctx context.Context, t *turnOf) ([][]float64, error) {
	q := ask(picture(t.round, "restart"), firstQuestion)
	before, err := t.ask(ctx, q, nil)
	if err != nil {
		return nil, err
	}
	if err := t.side.restart(ctx); err != nil {
		return nil, err
	}
	r, err := t.ask(ctx, q.then(before.text, questions[0]), nil)
	if err != nil {
		return nil, err
	}
	return [][]float64{{r.first()}, {r.first() / before.first()}}, nil
}

// textOnly lets 8 clients ask some questions each, one after the other.
func textOnly(ctx context.Context, t *turnOf) ([][]float64, error) {
	const clients, each = 8, 4
	errs := make([]error, clients)
	began := time.Now()
	var wg sync.WaitGroup
	for client := range clients {
		wg.Go(func() {
			for i := range each {
				text := fmt.Sprintf("Client %d of round %d asks: %s", client, t.round, questions[(client+i)%len(questions)])
				if _, errs[client] = t.ask(ctx, ask(nil, text), nil); errs[client] != nil {
					return
				}
			}
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return [][]float64{{clients * each * answerTokens / time.Since(began).Seconds()}}, nil
}
