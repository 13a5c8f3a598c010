package engine

import (
	"math"
	"slices"
	"testing"
)

// penalised is what a prompt is continued with if each of its last n tokens costs frequency each
// time and presence once, computed here from the probabilities without penalties.
func penalised(t *testing.T, m *Model, r Request, n int, frequency, presence float64) Token {
	t.Helper()
	r.Sampling = Sampling{}
	r.Logprobs, r.TopLogprobs, r.KeepPrompt, r.MaxTokens = true, 1000, true, 1
	r.Sampling.IgnoreEnd = true
	a := mustAsk(t, m, r)
	counts := map[Token]float64{}
	for _, token := range a.Prompt[max(len(a.Prompt)-n, 0):] {
		counts[token]++
	}
	best, at := math.Inf(-1), Token(-1)
	for _, x := range a.logprobs[0].Top {
		l := x.Logprob
		if c := counts[x.Token]; c > 0 {
			l -= c*frequency + presence
		}
		if l > best && !m.lm.Vocab().IsEOG(x.Token) {
			best, at = l, x.Token
		}
	}
	return at
}

func TestPenaltiesSeeThePrompt(t *testing.T) {
	m := open(t)
	circle := picture(t, "shape-4.png")
	ask := "What color is the background?"
	requests := map[string]Request{
		"the answer is in the question": {Messages: []Message{User(Picture(circle),
			Text("Is it cyan? cyan? cyan? "+ask))}},
		"the answer is in a turn before": {Messages: []Message{User(Picture(circle), Text(ask)),
			Assistant("cyan"), User(Text("Again: " + ask))}},
		"the answer's first token before": {Before: []Token{1, 1060, 1060, 1060},
			Messages: []Message{User(Picture(circle), Text(ask))}},
		"a raw prompt": {Prompt: "USER: black black black black ASSISTANT: black black"},
		"tokens before": {Before: []Token{1, 1060, 1082, 1058, 1071, 1060, 1082,
			1058}, Prompt: "cyan cyan"},
	}
	changed := 0
	for name, r := range requests {
		for _, n := range []int{1, 8, 0, 512, -1} {
			for _, cost := range [][2]float32{{0.5, 0}, {0, 3}, {20, 20}} {
				window := map[int]int{0: 64, -1: math.MaxInt32}[n]
				if window == 0 {
					window = n
				}
				want := penalised(t, m, r, window, float64(cost[0]), float64(cost[1]))
				r := r
				r.MaxTokens = 1
				r.Sampling = Sampling{PenaltyLastN: n, FrequencyPenalty: cost[0],
					PresencePenalty: cost[1], IgnoreEnd: true}
				for range 2 { // the second time the prompt is in the cache
					if a := mustAsk(t, m, r); len(a.tokens) != 1 || a.tokens[0] != want {
						t.Errorf("%s, the last %d, %v: token %v, want %v", name, n, cost, a.tokens,
							want)
					}
				}
				if want != penalised(t, m, r, 0, 0, 0) {
					changed++
				}
			}
		}
	}
	if changed < 5 {
		t.Errorf("penalties changed %d first tokens", changed)
	}
}

// What penalties count does not depend on what the cache had, on guessing ahead, or on whether a
// grammar holds the answer.
func TestPenalisedAnswersAreTheSameHoweverTheyAreComputed(t *testing.T) {
	dir := t.TempDir()
	m := open(t, func(s *ModelSpec) { s.StateDir = dir })
	messages := []Message{User(Picture(picture(t, "shape-4.png")), Text("Describe the image.")),
		Assistant("an orange circle on a cyan background"), User(Text("Describe the image."))}
	for _, sampling := range []Sampling{{RepeatPenalty: 1.3},
		{RepeatPenalty: 1.1, PenaltyLastN: -1}, {FrequencyPenalty: 0.7, PresencePenalty: 0.3,
			PenaltyLastN: 16}} {
		r := Request{Messages: messages, Sampling: sampling, MaxTokens: 16, Fresh: true}
		want := mustAsk(t, m, r)
		r.Fresh = false
		for name, change := range map[string]func(*Request){
			"from the cache": func(*Request) {},
			"no guesses":     func(r *Request) { r.NoSpeculation = true },
			"a session":      func(r *Request) { r.Session = "s" },
			"a grammar":      func(r *Request) { r.Grammar = `root ::= [a-z ]*` },
		} {
			x := r
			change(&x)
			if a := mustAsk(t, m, x); !slices.Equal(a.tokens, want.tokens) {
				t.Errorf("%+v, %s: %q, want %q", sampling, name, a.text, want.text)
			}
		}
	}
}
