package engine

import (
	"slices"
	"testing"
)

func TestARawPromptBeginsOnce(t *testing.T) {
	m := open(t, textOnly)
	bos := string(m.Piece(m.lm.Vocab().BOS()))
	read := func(prompt string) []Token {
		return mustAsk(t, m, Request{Prompt: prompt, MaxTokens: 1, KeepPrompt: true}).Prompt
	}
	plain, written := read("USER: hello"), read(bos+"USER: hello")
	if !slices.Equal(plain, written) {
		t.Errorf("%v with %s written out, %v without", written, bos, plain)
	}
	if twice := read(bos + bos + "USER: hello"); len(twice) != len(plain)+1 {
		t.Errorf("%v of a prompt that has it twice", twice)
	}
}

func TestATemplateThatWritesTheFirstTokenItselfBeginsOnce(t *testing.T) {
	const template = "{% for m in messages %}USER: {{ m['content'] }} {% endfor %}ASSISTANT:"
	var prompts [2][]Token
	for i, begin := range []string{"", "{{ bos_token }}"} {
		m := open(t, textOnly, func(s *ModelSpec) { s.ChatTemplate = begin + template })
		prompts[i] = mustAsk(t, m, Request{Messages: []Message{User(Text("hello"))}, MaxTokens: 1,
			KeepPrompt: true}).Prompt
	}
	if !slices.Equal(prompts[0], prompts[1]) {
		t.Errorf("%v of a template without it, %v of one that writes it", prompts[0], prompts[1])
	}
}
