package engine

import (
	"bytes"
	"slices"
	"testing"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
	"github.com/eyelet-engine/eyelet/cgo/peers"
	"github.com/eyelet-engine/eyelet/models/builtin"
)

// conversation is questions about a picture.
type conversation struct {
	name      string
	image     *Image
	questions []string
	// least distances of the two best logits in the answers, as PyTorch has them; nil if every
	// answer is to stay
	margins []float64
}

// shipped returns the questions that the program ships with, and those whose answers were written
// down.
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
		all = append(all, conversation{c.Picture, picture(t, c.Picture), c.Questions, c.Margins})
	}
	return all
}

// answers asks them all, and tells how many operations the accelerator computed. near are those
// that any rounding may turn.
func answers(t *testing.T, all []conversation, change ...func(*ModelSpec)) (tokens [][]Token,
	near []bool, calls uint64) {
	t.Helper()
	m := open(t, change...)
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
			tokens, near = append(tokens, a.tokens),
				append(near, c.margins != nil && c.margins[i] < flipLogits)
			messages = append(messages, Assistant(a.text))
		}
	}
	return tokens, near, ggml.ReadAcceleratorCounters(true).Calls
}

func TestTheAcceleratorChangesNoAnswer(t *testing.T) {
	if testing.Short() {
		t.Skip("asks all questions three times; run without -short")
	}
	peers.RequireAccelerator(t)
	all := shipped(t)
	plain := func() [][]Token {
		ggml.EnableAccelerator(false)
		defer ggml.EnableAccelerator(true)
		tokens, _, calls := answers(t, all)
		if calls != 0 {
			t.Errorf("%d operations were computed by the accelerator, which was off", calls)
		}
		return tokens
	}()
	for _, rows := range []int{0, 8} { // as it decides itself, and every prompt
		ggml.ForceAccelerator(rows, "")
		defer ggml.ForceAccelerator(0, "")
		tokens, near, calls := answers(t, all)
		if calls == 0 {
			t.Error("the accelerator computed nothing")
		}
		differ := 0
		for i := range tokens {
			if !slices.Equal(tokens[i], plain[i]) {
				differ++
				report := t.Errorf
				if near[i] {
					report = t.Logf
				}
				report("taking products from %d rows on: answer %d is %v, without the accelerator %v", rows, i, tokens[i], plain[i])
			}
		}
		if differ > 2 {
			t.Errorf("%d answers differ, more than near ties explain", differ)
		}
		t.Logf("from %d rows on: %d operations, %d of %d answers differ", rows, calls, differ,
			len(plain))
	}
}
