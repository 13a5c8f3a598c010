package engine

import (
	"errors"
	"math"
	"strings"
	"testing"
)

func TestScoresOfATextAreThoseOfAnAnswer(t *testing.T) {
	m := open(t, textOnly)
	const prompt = "USER: What color is the circle? ASSISTANT:"
	a := mustAsk(t, m, Request{Prompt: prompt, MaxTokens: 12, Logprobs: true, TopLogprobs: 3,
		KeepPrompt: true, Sampling: Sampling{LogitBias: map[Token]float32{2: float32(
			math.Inf(-1))}}})
	if len(a.logprobs) != 12 {
		t.Fatalf("%d tokens", len(a.logprobs))
	}
	tokens := append(append([]Token{}, a.Prompt...), a.tokens...)
	for round := range 2 { // the second time, all is remembered
		s, err := m.Score(t.Context(), ScoreRequest{Tokens: tokens, Top: 3})
		if err != nil {
			t.Fatal(err)
		}
		if len(s.Tokens) != len(tokens) || s.Read != len(tokens) ||
			!math.IsNaN(s.Tokens[0].Logprob) || s.Tokens[0].Top != nil {
			t.Fatalf("%d tokens of %d, the first is %+v", len(s.Tokens), len(tokens), s.Tokens[0])
		}
		for i, want := range a.logprobs {
			got := s.Tokens[len(a.Prompt)+i]
			if got.Token != want.Token || math.Abs(got.Logprob-want.Logprob) > 0.05 ||
				len(got.Top) != 3 {
				t.Errorf("round %d, token %d: %v, want %v", round, i, got, want)
			}
		}
	}
	// Another text with the same beginning finds what is remembered, and the same as without it.
	other := append(append([]Token{}, tokens[:len(tokens)-6]...), 5, 9, 33)
	after, err := m.Score(t.Context(), ScoreRequest{Tokens: other, Top: 3})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Score(t.Context(), ScoreRequest{Tokens: []Token{7}, Top: 3}); err != nil {
		t.Fatal(err) // what is remembered is of this text now
	}
	fresh, err := m.Score(t.Context(), ScoreRequest{Tokens: other, Top: 3})
	if err != nil {
		t.Fatal(err)
	}
	for i := range other[1:] {
		// Activations are rounded to 8 bits in other groups, by kernels that follow from the number
		// of rows and from what was measured on this machine; rare tokens show the most of it.
		if d := math.Abs(after.Tokens[i+1].Logprob - fresh.Tokens[i+1].Logprob); d >
			0.05+0.03*math.Abs(fresh.Tokens[i+1].Logprob) {
			t.Errorf("token %d: %v and %v", i+1, after.Tokens[i+1].Logprob,
				fresh.Tokens[i+1].Logprob)
		}
	}
}

func TestTextsOfScoresAreTheText(t *testing.T) {
	m := open(t, textOnly)
	for _, text := range []string{"one circle", " one  circle", "größer\n\nals €5 — 日本語 🙂",
		"<s>USER: a</s> b", "x"} {
		s, err := m.Score(t.Context(), ScoreRequest{Prompt: text})
		if err != nil {
			t.Fatal(err)
		}
		var all strings.Builder
		for _, x := range s.Tokens {
			all.WriteString(x.Text)
		}
		if s.Text != text || all.String() != text || !math.IsNaN(s.Tokens[0].Logprob) {
			t.Errorf("%q: %q, tokens %q, the first has %v", text, s.Text, all.String(),
				s.Tokens[0].Logprob)
		}
	}
	for name, r := range map[string]ScoreRequest{"nothing": {},
		"both": {Prompt: "a", Tokens: []Token{1}}, "no token": {Tokens: []Token{1, 1 << 20}},
		"negative": {Tokens: []Token{-1}}, "many others": {Prompt: "a", Top: 5000}} {
		if _, err := m.Score(t.Context(), r); !errors.Is(err, ErrRequest) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := m.Score(t.Context(), ScoreRequest{Tokens: make([]Token, m.cells+1)}); !errors.Is(
		err, ErrContextLength) {
		t.Error(err)
	}
}
