package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
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
	// slots is how many requests at a time it needs, where those are more than usual.
	slots int
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
	{name: "new-picture", run: newPicture, rows: []row{{"new picture, one client, TTFT", "s",
		timesFaster(2.5)}}},
	{name: "follow-up", run: followUp, rows: []row{{"follow-up in the conversation, TTFT", "s",
		atMost(1.05)}}},
	{name: "same-words", run: sameWords,
		rows: []row{{"same picture, new client, same words before it, TTFT", "s", atMost(1.05)}}},
	{name: "other-words", run: otherWords,
		rows: []row{{"same picture, new client, other words before it, TTFT", "s",
			timesFaster(2)}}},
	{name: "one-picture", run: onePicture, rows: []row{
		{"4 clients, one new picture, wall", "s", timesFaster(5)},
		{"4 clients, one new picture, mean TTFT", "s", bar{}}}},
	{name: "four-pictures", run: fourPictures, rows: []row{
		{"4 clients, 4 new pictures, wall", "s", timesFaster(2)},
		{"4 clients, 4 new pictures, mean TTFT", "s", bar{}}}},
	{name: "gap", run: gap(1, 1, false),
		rows: gapRows("a text answer is running when a new picture arrives", 0.3, 1.6)},
	{name: "gap-mtmd", run: gap(1, 1, false), encoder: engine.EncoderMtmd, theirs: "gap",
		rows: gapRows("the same with libmtmd as our encoder", 0.3, 1.6)},
	{name: "gap-four", run: gap(4, 2, false), slots: 6,
		rows: gapRows("4 text answers are running when 2 new pictures arrive", 0.3, 1.6)},
	{name: "gap-busy", run: gap(1, 1, true),
		rows: gapRows("another program keeps a core busy, and a new picture arrives beside a text answer", 0.6, 3)},
	{name: "restart", run: restart, rows: []row{
		{"follow-up after a restart with saved state, TTFT", "s", bar{}},
		{"the same, of the picture's first TTFT", "", below(0.1)}}},
	{name: "text", run: textOnly, rows: []row{{"text only, 8 clients, all tokens", "tok/s",
		atLeast(0.98)}}},
}

// gapRows are the rows of gap, with the bars of the longest gap in seconds and of the ratio.
func gapRows(title string, longest, ratio float64) []row {
	return []row{
		{title + ", longest gap", "s", below(longest)},
		{"a new picture's TTFT with no answer running", "s", bar{}},
		{"its TTFT beside what is running", "s", bar{}}, {"the one by the other", "", below(ratio)},
	}
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
	"How many round things are there?", "What colors can you see there?",
	"What is on the left side of it?", "Is it a photo or a drawing?",
	"What is the largest thing in it?", "Is the light soft or is it hard?",
	"What would you call this picture?", "Which part of it is the darkest?",
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

// crowd asks all questions at once and returns the time until the last answer is complete, and the
// mean TTFT.
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

// gap sends new pictures while nothing runs, lets long answers run, sends other pictures into them,
// and measures the longest time without a token of a long answer until the last picture's answer is
// complete. Where busy is set, another program computes on one thread all the time.
func gap(answers, pictures int, busy bool) func(context.Context, *turnOf) ([][]float64, error) {
	return func(ctx context.Context, t *turnOf) ([][]float64, error) {
		if busy {
			stop, err := keepBusy(ctx)
			if err != nil {
				return nil, err
			}
			defer stop()
		}
		send := func(name string) (mean float64, err error) {
			var list []question
			for i := range pictures {
				list = append(list, ask(picture(t.round, t.scenario, name, i), questions[i]))
			}
			figures, err := t.crowd(ctx, list)
			if err != nil {
				return 0, err
			}
			return figures[1][0], nil
		}
		alone, err := send("alone")
		if err != nil {
			return nil, err
		}
		long, err := t.startLong(ctx, answers)
		if err != nil {
			return nil, err
		}
		arrived := time.Now()
		meanwhile, err := send("meanwhile")
		end := time.Now()
		longest, errLong := long.stop(t, arrived, end)
		if err = errors.Join(err, errLong); err != nil {
			return nil, err
		}
		return [][]float64{{longest.Seconds()}, {alone}, {meanwhile}, {meanwhile / alone}}, nil
	}
}

// longAnswers are answers that go on until they are stopped.
type longAnswers struct {
	cancel  context.CancelFunc
	done    sync.WaitGroup
	replies []reply
	errs    []error
}

// startLong begins long answers and returns when each has some tokens.
func (t *turnOf) startLong(ctx context.Context, n int) (*longAnswers, error) {
	l := &longAnswers{replies: make([]reply, n), errs: make([]error, n)}
	ctx, l.cancel = context.WithCancel(ctx)
	running := make(chan bool, 2*n)
	for i := range n {
		q := ask(nil, fmt.Sprintf("Tell me story number %d, and make it a long one.",
			n*t.round+i+1))
		q.tokens = 600 // outlasts the pictures
		l.done.Go(func() {
			seen := 0
			// not counted: it is cut off sooner or later
			l.replies[i], l.errs[i] = t.side.ask(ctx, q, func() {
				if seen++; seen == 8 {
					running <- true
				}
			})
			running <- false
		})
	}
	for range n {
		if !<-running {
			l.cancel()
			l.done.Wait()
			return nil, fmt.Errorf("a long answer ended before the pictures came: %w",
				errors.Join(l.errs...))
		}
	}
	return l, nil
}

// stop ends the answers and returns the longest gap in one of them between from and to.
func (l *longAnswers) stop(t *turnOf, from, to time.Time) (longest time.Duration, err error) {
	l.cancel()
	l.done.Wait()
	for i, r := range l.replies {
		end := to
		switch {
		case l.errs[i] == nil: // it came to its end by itself
			if end = r.at[len(r.at)-1]; end.Before(to) {
				t.failed = "a long answer ended before the pictures were answered"
			}
		case !errors.Is(l.errs[i], context.Canceled):
			return 0, l.errs[i]
		}
		longest = max(longest, longestGap(r.at, from, end))
	}
	return longest, nil
}

// keepBusy runs another program that computes on one thread and does nothing else, until stop is
// called.
func keepBusy(ctx context.Context) (stop func(), err error) {
	c := exec.CommandContext(ctx, "sh", "-c", "while :; do :; done")
	if err := c.Start(); err != nil {
		return nil, err
	}
	return func() { _ = c.Process.Kill(); _ = c.Wait() }, nil
}

// longestGap is the longest time without a token between from and to, from the last token before
// from on. The tokens are in order.
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
				text := fmt.Sprintf("Client %d of round %d asks: %s", client, t.round,
					questions[(client+i)%len(questions)])
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
