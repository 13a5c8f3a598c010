package engine

import (
	"strings"
	"testing"
)

func TestTypicalSamplingKnowsNothingOfForbiddenTokens(t *testing.T) {
	m := open(t, textOnly)
	var texts []string
	for seed := range uint32(8) {
		// of all tokens one stays
		s := Sampling{Temperature: 3, TypicalP: 1e-6, Seed: &seed, IgnoreEnd: true}
		texts = append(texts, mustAsk(t, m, Request{Prompt: "USER: What can you do? ASSISTANT:",
			MaxTokens: 6, Fresh: true, Sampling: s}).text)
		s = Sampling{Temperature: 3, TypicalP: 0.5, Seed: &seed}
		if a := mustAsk(t, m, Request{Prompt: "USER: ", MaxTokens: 8,
			Grammar: `root ::= ("a" | "b")+`, Sampling: s}); strings.Trim(a.text, "ab") != "" ||
			a.text == "" {
			t.Errorf("seed %d: %q against the grammar", seed, a.text)
		}
	}
	for _, text := range texts {
		if text != texts[0] {
			t.Errorf("%q and %q, where one token is typical", texts[0], text)
		}
	}
}
