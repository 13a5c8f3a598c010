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
