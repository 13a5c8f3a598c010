package engine

import (
	"bytes"
	"slices"
	"testing"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
	"github.com/eyelet-engine/eyelet/models/builtin"
)

// conversation is questions about a picture.
type conversation struct {
	name      string
	image     *Image
	questions []string
}

// shipped returns the questions that the program ships with, and those whose answers were written down.
func shipped(t *testing.T) (all []conversation) {
	t.Helper()
	for _, d := range builtin.Demos() {
		image, err := ImageReader(d.Name, bytes.NewReader(d.PNG))
		if err != nil {
			t.Fatal(err)
		}
		c := conversation{name: d.Name, image: image}
		for _, turn := range d.Turns {
			c.questions = append(c.questions, turn.Question)
		}
		all = append(all, c)
	}
	for _, c := range goldens(t).Cases {
		all = append(all, conversation{c.Picture, picture(t, c.Picture), c.Questions})
	}
	return all
}

// answers asks them all, and tells how many operations the accelerator computed.
func answers(t *testing.T, all []conversation) (tokens [][]Token, calls uint64) {
	t.Helper()
	m := open(t)
	ggml.ReadAcceleratorCounters(true)
	for _, c := range all {
		messages := []Message{}
		for i, q := range c.questions {
			if i == 0 {
				messages = append(messages, User(Picture(c.image), Text(" "+q)))
			} else {
				messages = append(messages, User(Text(q)))
			}
			a := mustAsk(t, m, Request{Messages: messages, MaxTokens: 100, Fresh: true})
			tokens = append(tokens, a.tokens)
			messages = append(messages, Assistant(a.text))
		}
	}
	return tokens, ggml.ReadAcceleratorCounters(true).Calls
}

func TestTheAcceleratorChangesNoAnswer(t *testing.T) {
	all := shipped(t)
	plain := func() [][]Token {
		ggml.EnableAccelerator(false)
		defer ggml.EnableAccelerator(true)
		tokens, calls := answers(t, all)
		if calls != 0 {
			t.Errorf("%d operations were computed by the accelerator, which was off", calls)
		}
		return tokens
	}()
	if !ggml.AcceleratorState().Loaded {
		t.Skip("no accelerator: " + ggml.AcceleratorState().Reason)
	}
	for _, rows := range []int{0, 8} { // as it decides itself, and every prompt
		ggml.ForceAccelerator(rows)
		defer ggml.ForceAccelerator(0)
		tokens, calls := answers(t, all)
		if calls == 0 {
			t.Error("the accelerator computed nothing")
		}
		differ := 0
		for i := range tokens {
			if !slices.Equal(tokens[i], plain[i]) {
				differ++
				t.Errorf("taking products from %d rows on: answer %d is %v, without the accelerator %v", rows, i, tokens[i], plain[i])
			}
		}
		t.Logf("from %d rows on: %d operations, %d of %d answers differ", rows, calls, differ, len(plain))
	}
}
