package engine

import (
	"strings"
	"testing"
)

func TestASparedNewlineIsNotPenalised(t *testing.T) {
	m := open(t, textOnly)
	nl := m.lm.Vocab().NL()
	lines := strings.Repeat("\n", 20)
	for name, s := range map[string]Sampling{
		"repeat":    {RepeatPenalty: 100},
		"frequency": {FrequencyPenalty: 5},
		"presence":  {PresencePenalty: 60},
	} {
		s.LogitBias, s.IgnoreEnd = map[Token]float32{nl: 30}, true
		r := Request{Prompt: "USER: " + lines, MaxTokens: 12, Sampling: s}
		if a := mustAsk(t, m, r); strings.Count(a.text, "\n") == 12 {
			t.Errorf("%s: newlines are not penalised: %q", name, a.text)
		}
		r.Sampling.SpareNewline = true
		if a := mustAsk(t, m, r); a.text != strings.Repeat("\n", 12) {
			t.Errorf("%s: spared newlines are penalised: %q", name, a.text)
		}
	}
	// Log probabilities are those of the model.
	r := Request{Prompt: "USER: " + lines, MaxTokens: 3, Logprobs: true}
	want := mustAsk(t, m, r).logprobs
	r.Sampling = Sampling{RepeatPenalty: 1.0001, SpareNewline: true}
	for i, got := range mustAsk(t, m, r).logprobs {
		if d := got.Logprob - want[i].Logprob; d > 1e-3 || d < -1e-3 {
			t.Errorf("token %d: %v, plain %v", i, got.Logprob, want[i].Logprob)
		}
	}
}

func TestTheLogitBeforePenaltiesIsTheirInverse(t *testing.T) {
	for _, n := range []newlines{{repeat: 1.1}, {repeat: 0.5, frequency: 0.3, presence: -2},
		{repeat: 2, presence: 1}} {
		for _, x := range []float32{-7, -0.1, 0, 0.1, 3} {
			for count := 1; count < 4; count++ {
				y := n.before(x, count)
				if y <= 0 {
					y *= n.repeat
				} else {
					y /= n.repeat
				}
				if y -= float32(count)*n.frequency + n.presence; y-x > 1e-5 || x-y > 1e-5 {
					t.Errorf("%+v: %v becomes %v after %d", n, x, y, count)
				}
			}
		}
	}
}
