package prompt

import (
	"strings"
	"testing"

	"github.com/eyelet-engine/eyelet/engine/multimodal"
)

func TestTurnsGoWhole(t *testing.T) {
	image := &multimodal.Image{}
	of := func(words ...string) (messages []Message) {
		for _, w := range words {
			role := map[byte]string{'s': "system", 'u': "user", 'p': "user", 'a': "assistant",
				'c': "assistant", 't': "tool"}[w[0]]
			msg := Message{Role: role, Content: []Content{{Text: w}}}
			if w[0] == 'c' {
				msg.ToolCalls = []ToolCall{{Name: w}}
			}
			if w[0] == 'p' {
				msg.Content = append(msg.Content, Content{Image: image})
			}
			messages = append(messages, msg)
		}
		return messages
	}
	for _, c := range []struct {
		name  string
		words string
		order string
	}{
		{"a conversation", "s u1 a1 u2 a2 u3", "u1+a1 u2+a2"},
		{"calls go with their turn", "u1 c1 t1 t2 a1 u2", "u1+c1+t1+t2+a1"},
		{"calls for the last question go with their results", "s u1 c1 t1 c2 t2 t3 c3 t4",
			"c1+t1 c2+t2+t3"},
		{"an assistant that begins", "s a0 u1 a1 u2", "a0 u1+a1"},
		{"a system prompt in the middle stays", "u1 a1 s u2 a2 u3", "u1+a1 u2+a2"},
		{"messages of one user are one turn", "u1 u2 a1 u3 u4", "u1+u2+a1 u3"},
		{"a picture beside the last question stays", "u1 a1 p2 u3", "u1+a1"},
		{"an answer that has begun stays", "u1 a1 u2 a2", "u1+a1"},
		{"nothing can go", "s u1", ""},
		{"nobody asks", "s a1", ""},
		{"only results", "t1 t2", "t1"},
	} {
		words := strings.Fields(c.words)
		var got []string
		for _, group := range dropOrder(of(words...)) {
			var g []string
			for _, i := range group {
				g = append(g, words[i])
			}
			got = append(got, strings.Join(g, "+"))
		}
		if strings.Join(got, " ") != c.order {
			t.Errorf("%s: %q, want %q", c.name, strings.Join(got, " "), c.order)
		}
	}
}
