package prompt

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sort"

	"github.com/eyelet-engine/eyelet/engine/internal/fault"
)

// Fitting says what of a request may be left out to make it fit its context.
type Fitting struct {
	// Cut allows, beyond whole turns, to cut text: of Before and of a raw prompt the tokens that
	// follow the first Keep, of a conversation the middle of its longest texts from the last
	// question on.
	Cut bool
	// Keep is how many of the first tokens of Before and of a raw prompt stay when they are cut.
	Keep int
}

// Fit returns a request without as few of the oldest turns of its conversation as make it fit a
// context of so many tokens, as engine's Model.Fit describes it.
func (c *Composer) Fit(ctx context.Context, r Request, f Fitting, limit int) (Request, error) {
	return (&shortening{c, ctx, limit}).fit(r, f)
}

// shortening is the search for the least that must go.
type shortening struct {
	*Composer
	ctx   context.Context
	limit int // tokens of the context
}

// length is how many tokens the prompt of a request has.
func (s *shortening) length(r *Request) (int, error) {
	p, err := s.Compose(s.ctx, r)
	if err != nil {
		return 0, err
	}
	return p.N, nil
}

// fits reports whether a request leaves room for an answer.
func (s *shortening) fits(r *Request) (bool, error) {
	n, err := s.length(r)
	return n < s.limit, err
}

// least is the smallest n from 1 to most for which change(n) fits; ok is false if there is none.
// More is shorter.
func (s *shortening) least(most int, change func(n int) Request) (r Request, ok bool, err error) {
	n := 1 + sort.Search(most, func(i int) bool {
		if err != nil {
			return true
		}
		x := change(i + 1)
		var fits bool
		fits, err = s.fits(&x)
		return fits
	})
	if err != nil || n > most {
		return r, false, err
	}
	return change(n), true, nil
}

func (s *shortening) fit(r Request, f Fitting) (Request, error) {
	n, err := s.length(&r)
	if err != nil || n < s.limit {
		return r, err
	}
	tooLong := fmt.Errorf(
		"%w: what must stay of it has more than %d tokens; shorten it or give a larger context",
		fault.ErrContextLength, s.limit-1)
	if len(r.Messages) > 0 {
		whole, order := r.Messages, dropOrder(r.Messages)
		shorter, ok, err := s.least(len(order), func(n int) Request {
			x := r
			x.Messages = without(whole, order[:n])
			return x
		})
		if err != nil || ok {
			return shorter, err
		}
		r.Messages = without(whole, order)
	}
	if !f.Cut {
		return r, tooLong
	}
	if r, err = s.cutTokens(r, f.Keep); err != nil {
		return r, err
	}
	for range maxCuts {
		if fits, err := s.fits(&r); err != nil || fits {
			return r, err
		}
		shorter, more, err := s.cutLongest(r)
		if err != nil {
			return r, err
		}
		if !more {
			break
		}
		r = shorter
	}
	return r, tooLong
}

// maxCuts bounds the texts that are cut.
const maxCuts = 16

// cutTokens cuts what comes before the conversation, and a raw prompt, behind the first keep
// tokens.
func (s *shortening) cutTokens(r Request, keep int) (Request, error) {
	if len(r.Messages) == 0 && len(r.Images) > 0 {
		return r, nil // where a picture stands in the text is not known to tokens
	}
	if len(r.Messages) == 0 {
		tokens, err := s.Dialogue.vocab.Tokenize(r.Text, len(r.Before) == 0, true)
		if err != nil {
			return r, err
		}
		if s.Dialogue.vocab.AddBOS() {
			keep = min(keep, math.MaxInt32-1) + 1
		}
		r.Before, r.Text = slices.Concat(r.Before, tokens), ""
	}
	if len(r.Before) == 0 {
		return r, nil
	}
	n, err := s.length(&r)
	if err != nil {
		return r, err
	}
	excess := n - s.limit + 1
	keep = min(max(keep, 0), s.limit/2, len(r.Before))
	if excess > 0 {
		excess = min(excess, len(r.Before)-keep)
		r.Before = slices.Concat(r.Before[:keep], r.Before[keep+excess:])
	}
	return r, nil
}

// cutLongest cuts the middle out of the longest text from the last question on, by as much as makes
// the request fit, or by all but its ends. It returns false if there is nothing to cut.
func (s *shortening) cutLongest(r Request) (Request, bool, error) {
	at, part := -1, 0
	begin, _ := lastQuestion(r.Messages)
	for i := begin; i < len(r.Messages); i++ {
		if r.Messages[i].Role == "system" {
			continue
		}
		for k, c := range r.Messages[i].Content {
			if c.Image == nil && len(c.Text) > 2*leastEnd && (at < 0 ||
				len(c.Text) > len(r.Messages[at].Content[part].Text)) {
				at, part = i, k
			}
		}
	}
	if at < 0 {
		return r, false, nil
	}
	text := []rune(r.Messages[at].Content[part].Text)
	change := func(n int) Request {
		x := r
		x.Messages = slices.Clone(r.Messages)
		x.Messages[at].Content = slices.Clone(r.Messages[at].Content)
		x.Messages[at].Content[part].Text = withoutMiddle(text, n)
		return x
	}
	most := len(text) - min(leastEnd, len(text)-1)
	shorter, ok, err := s.least(most, change)
	if err == nil && !ok {
		shorter = change(most)
	}
	return shorter, true, err
}

// leastEnd is how many characters of a text that is cut stay at least.
const leastEnd = 8

// withoutMiddle leaves n characters out: a quarter of what stays is the beginning, and the rest the
// end, where questions mostly are.
func withoutMiddle(text []rune, n int) string {
	head := (len(text) - n) / 4
	return string(text[:head]) + string(text[head+n:])
}

// lastQuestion is the stretch of messages that a user said last, from begin up to end. Without a
// user it is the last message.
func lastQuestion(messages []Message) (begin, end int) {
	end = len(messages)
	for end > 0 && messages[end-1].Role != "user" {
		end--
	}
	if end == 0 {
		return len(messages) - 1, len(messages)
	}
	begin = end - 1
	for begin > 0 && messages[begin-1].Role == "user" {
		begin--
	}
	return begin, end
}

// dropOrder lists what can go of a conversation, first what goes first. Each entry are the indexes
// of messages that go together.
func dropOrder(messages []Message) (order [][]int) {
	begin, end := lastQuestion(messages)
	var group []int
	flush := func() {
		if len(group) > 0 {
			order = append(order, group)
			group = nil
		}
	}
	// Whole turns before the last question.
	previous := ""
	for i := range begin {
		role := messages[i].Role
		if role == "system" {
			continue
		}
		if role == "user" && previous != "user" {
			flush()
		}
		group, previous = append(group, i), role
	}
	flush()
	// Calls that were made for the last question, with their results; the last ones stay.
	last := len(order)
	for i := end; i < len(messages); i++ {
		role := messages[i].Role
		if role == "system" {
			continue
		}
		if role == "assistant" && previous != "assistant" {
			flush()
		}
		group, previous = append(group, i), role
	}
	flush()
	if len(order) > last {
		order = order[:len(order)-1]
	}
	// What the user said just before the last message, as long as it is text alone.
	for i := begin; i < end-1; i++ {
		if !slices.ContainsFunc(messages[i].Content, func(c Content) bool {
			return c.Image != nil
		}) {
			order = append(order, []int{i})
		}
	}
	return order
}

// without are the messages but those whose indexes are listed.
func without(messages []Message, groups [][]int) []Message {
	gone := map[int]bool{}
	for _, g := range groups {
		for _, i := range g {
			gone[i] = true
		}
	}
	var out []Message
	for i, msg := range messages {
		if !gone[i] {
			out = append(out, msg)
		}
	}
	return out
}
