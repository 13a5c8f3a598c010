package engine

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestCountIsWhatGenerateReads(t *testing.T) {
	m := open(t)
	for _, r := range []Request{
		{Messages: []Message{User(Picture(picture(t, "shape-4.png")),
			Text("What is in this picture?"))}, MaxTokens: 1},
		{Messages: question, MaxTokens: 1},
		{Prompt: "USER: What color is it? ASSISTANT:", MaxTokens: 1},
	} {
		n, err := m.Count(t.Context(), r)
		if a := mustAsk(t, m, r); err != nil || n.Prompt != a.Usage.Prompt ||
			n.Image != a.Usage.Image {
			t.Errorf("%+v %v, want %+v", n, err, a.Usage)
		}
	}
	long := Request{Messages: []Message{User(Text(strings.Repeat("word ", 5000)))}}
	if n, err := m.Count(t.Context(), long); err != nil || n.Prompt < 5000 {
		t.Errorf("a prompt longer than the context: %+v %v", n, err)
	}
	if _, err := m.Count(t.Context(),
		Request{Messages: []Message{{Content: long.Messages[0].Content}}}); !errors.Is(err,
		ErrRequest) {
		t.Errorf("a message without a role: %v", err)
	}
}

func TestAPromptContinuesTokens(t *testing.T) {
	m := open(t)
	const text = "USER: What color is the background? ASSISTANT:"
	whole := mustAsk(t, m, Request{Prompt: text, KeepPrompt: true, Fresh: true})
	r := Request{Prompt: " ASSISTANT:", Before: whole.Result.Prompt, KeepPrompt: true, MaxTokens: 1}
	again := mustAsk(t, m, r)
	if n := len(whole.Result.Prompt); n != whole.Usage.Prompt || again.Usage.Prompt <= n ||
		again.Usage.Cached < n-1 || !slices.Equal(again.Result.Prompt[:n], whole.Result.Prompt) {
		t.Errorf("%v after %v, %+v", again.Result.Prompt, whole.Result.Prompt, again.Usage)
	}
	bos := m.lm.Vocab().BOS()
	chat := mustAsk(t, m, Request{Messages: question, KeepPrompt: true, MaxTokens: 1})
	more := mustAsk(t, m, Request{Messages: question, Before: chat.Result.Prompt, KeepPrompt: true,
		MaxTokens: 1})
	n := 0
	for _, token := range more.Result.Prompt {
		if token == bos {
			n++
		}
	}
	if n != 1 || more.Result.Prompt[0] != bos ||
		len(more.Result.Prompt) != 2*len(chat.Result.Prompt)-1 {
		t.Errorf("a conversation after tokens: %v", more.Result.Prompt)
	}
	for _, bad := range []Token{-1, Token(m.lm.Vocab().N())} {
		if _, err := collect(context.Background(), m, Request{Messages: question,
			Before: []Token{bad}}); !errors.Is(err, ErrRequest) {
			t.Errorf("token %d: %v", bad, err)
		}
	}
}
