package engine

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
)

func TestGuidanceMovesProbabilitiesAwayFromTheNegativePrompt(t *testing.T) {
	m := open(t, textOnly)
	const here, there = "USER: What can you do? ASSISTANT:",
		"USER: What color is the sky? ASSISTANT:"
	first := func(prompt string, scale float32, negative string) []TokenLogprob {
		r := Request{Prompt: prompt, MaxTokens: 1, Logprobs: true, TopLogprobs: 1000,
			Guidance: scale, NegativePrompt: negative, Sampling: Sampling{IgnoreEnd: true}}
		return mustAsk(t, m, r).logprobs[0].Top
	}
	a, b := first(here, 0, ""), first(there, 0, "")
	in := func(list []TokenLogprob, token Token) (float64, bool) {
		i := slices.IndexFunc(list, func(x TokenLogprob) bool { return x.Token == token })
		if i < 0 {
			return 0, false
		}
		return list[i].Logprob, true
	}
	for _, scale := range []float32{0.5, 1.5, 3} {
		guided := first(here, scale, there)
		// Up to a constant, a guided logarithm is that of the negative prompt plus scale times the
		// difference.
		var constants []float64
		for _, x := range guided[:200] {
			p, ok1 := in(a, x.Token)
			q, ok2 := in(b, x.Token)
			if ok1 && ok2 {
				constants = append(constants, x.Logprob-(q+float64(scale)*(p-q)))
			}
		}
		if len(constants) < 20 {
			t.Fatalf("only %d tokens to compare", len(constants))
		}
		if spread := slices.Max(constants) - slices.Min(constants); spread > 0.05 {
			t.Errorf("scale %v: guided logarithms are off by up to %v", scale, spread)
		}
	}
	on := Sampling{IgnoreEnd: true}
	plain := mustAsk(t, m, Request{Prompt: here, MaxTokens: 30, Sampling: on}).text
	if same := mustAsk(t, m, Request{Prompt: here, MaxTokens: 30, Sampling: on, Guidance: 2,
		NegativePrompt: here}).text; same != plain || plain == "" {
		t.Errorf("away from itself: %q, plain %q", same, plain)
	}
	if _, err := collect(t.Context(), m,
		Request{Prompt: here, Guidance: float32(math.NaN())}); !errors.Is(err, ErrRequest) {
		t.Error(err)
	}
}

func TestGuidanceGoesOnBeyondItsContext(t *testing.T) {
	m := open(t, textOnly, func(s *ModelSpec) { s.Context = 256 })
	r := endless(m)
	r.Sampling.IgnoreEnd = true
	r.Guidance, r.NegativePrompt, r.ContextShift, r.MaxTokens = 1.5, "USER: no ", true, 600
	if a := mustAsk(t, m, r); a.Usage.Completion != 600 {
		t.Errorf("%d tokens", a.Usage.Completion)
	}
}

func TestIgnoreEndGoesOnToTheLimit(t *testing.T) {
	m := open(t, textOnly)
	r := Request{Messages: []Message{User(Text("What can you do?"))}, MaxTokens: 300}
	if a := mustAsk(t, m, r); a.Finish != FinishStop {
		t.Fatalf("the answer does not end by itself: %+v", a.Result)
	}
	r.Sampling.IgnoreEnd = true
	if a := mustAsk(t, m, r); a.Finish != FinishLength || a.Usage.Completion != 300 {
		t.Errorf("%s after %d tokens", a.Finish, a.Usage.Completion)
	}
}

func TestMirostatHoldsTheSurprise(t *testing.T) {
	m := open(t, textOnly)
	seed := uint32(7)
	mean := func(version int, tau float32) float64 {
		s := Sampling{Temperature: 1, Seed: &seed, Mirostat: version, MirostatTau: tau,
			IgnoreEnd: true}
		a := mustAsk(t, m, Request{Prompt: "USER: ", MaxTokens: 200, Sampling: s, Logprobs: true})
		sum := 0.0
		for _, x := range a.logprobs {
			sum -= x.Logprob / math.Ln2
		}
		return sum / float64(len(a.logprobs))
	}
	for version := 1; version <= 2; version++ {
		low, high := mean(version, 1), mean(version, 6)
		if low >= high-0.5 {
			t.Errorf("version %d: %.2f bits a token at 1, %.2f at 6", version, low, high)
		}
	}
	if _, err := collect(t.Context(), m,
		Request{Prompt: "x", Sampling: Sampling{Mirostat: 3}}); !errors.Is(err, ErrRequest) {
		t.Error(err)
	}
}

func TestARawPromptHasPicturesAtItsMarkers(t *testing.T) {
	m := open(t)
	shape, other := picture(t, "shape-4.png"), picture(t, "shape-1.png")
	chat := mustAsk(t, m,
		Request{Messages: []Message{User(Picture(shape), Text("What is in this picture?"))},
			KeepPrompt: true})
	var text strings.Builder
	for _, x := range chat.Prompt {
		text.Write(m.Piece(x))
	}
	at := strings.Index(text.String(), "What is in")
	if at < 0 {
		t.Fatal(text.String())
	}
	prompt := strings.TrimPrefix(text.String(), string(m.Piece(m.lm.Vocab().BOS())))
	at = strings.Index(prompt, "What is in")
	for at > 0 && prompt[at-1] != ':' && prompt[at-1] != '>' && prompt[at-1] != '\n' {
		at--
	}
	raw := func(prompt string, images ...*Image) (wholeAnswer, error) {
		return collect(t.Context(), m, Request{Prompt: prompt, Images: images})
	}
	marked := prompt[:at] + "[img-1]" + prompt[at:]
	a, err := raw(marked, other, shape)
	if err != nil {
		t.Fatal(err)
	}
	if a.Usage.Image != 2*chat.Usage.Image { // the one without a place comes first
		t.Errorf("%d image tokens, of one picture %d", a.Usage.Image, chat.Usage.Image)
	}
	b, err := raw(prompt[:at]+"[img-0]"+prompt[at:], shape)
	if err != nil {
		t.Fatal(err)
	}
	if b.text != chat.text {
		t.Errorf("raw %q, with the template %q (%q)", b.text, chat.text, prompt)
	}
	if _, err := raw("[img-2] what?", shape); !errors.Is(err, ErrRequest) {
		t.Errorf("a marker without a picture: %v", err)
	}
	if _, err := raw("what? [img-0]", shape); !errors.Is(err, ErrRequest) {
		t.Errorf("a picture at the end: %v", err)
	}
	if _, err := collect(t.Context(), open(t, textOnly), Request{Prompt: "what?",
		Images: []*Image{shape}}); !errors.Is(err, ErrNoVision) {
		t.Error(err)
	}
}

func TestKeepSaysWhatAContextShiftLeaves(t *testing.T) {
	m := open(t, textOnly, func(s *ModelSpec) { s.Context = 256 })
	for keep, want := range map[int]int{0: 64, 5: 5, -1: 0} {
		var c Conversation
		r := Request{Prompt: strings.Repeat("USER: one two three ", 12), MaxTokens: 256,
			ContextShift: true, Keep: keep, Conversation: &c, KeepPrompt: true}
		r.Sampling.IgnoreEnd = true
		a := mustAsk(t, m, r)
		if keep < 0 {
			want = a.Usage.Prompt
		}
		all := append(slices.Clone(a.Prompt), a.tokens...)
		n := 0
		for n < len(c.Tokens()) && c.Tokens()[n] == all[n] {
			n++
		}
		if !c.shifted || n < want || n > want+40 {
			t.Errorf("Keep %d leaves %d of %d prompt tokens, want %d", keep, n, a.Usage.Prompt,
				want)
		}
	}
}
