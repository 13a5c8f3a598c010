package engine

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestASavedConversationIsFoundAgainByAnotherProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "talk.kv")
	var c Conversation
	r := Request{Prompt: "USER: What can you do? Tell me in many words, and leave nothing out. ASSISTANT:",
		MaxTokens: 12, Conversation: &c}
	first := open(t, textOnly)
	a := mustAsk(t, first, r)
	if len(c.Tokens()) != a.Usage.Prompt+a.Usage.Completion {
		t.Fatalf("the conversation has %d tokens, prompt and answer %d and %d", c.Len(),
			a.Usage.Prompt, a.Usage.Completion)
	}
	if err := first.SaveConversation(t.Context(), c.Prompt(), path); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}

	second := open(t, textOnly)
	got, err := second.LoadConversation(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got.Tokens(), c.Prompt().Tokens()) || got.Common(&c) != got.Len() {
		t.Errorf("the file has %v", got.Tokens())
	}
	if b := mustAsk(t, second, r); b.text != a.text || b.Usage.Cached < a.Usage.Prompt-1 {
		t.Errorf("%q with %d of %d tokens from the file, %q before", b.text, b.Usage.Cached,
			b.Usage.Prompt, a.text)
	}
	if err := second.SaveConversation(t.Context(), &c, path); err != nil { // answer included
		t.Error(err)
	}

	third := open(t, textOnly, func(s *ModelSpec) { s.CacheType = "f32" })
	if _, err := third.LoadConversation(t.Context(), path); !errors.Is(err, ErrRequest) {
		t.Errorf("cells of another type: %v", err)
	}
	for _, bad := range []string{seedModel, t.TempDir(), damaged(t, path, 3000), "nonesuch"} {
		if _, err := second.LoadConversation(t.Context(), bad); err == nil {
			t.Errorf("%s was loaded", bad)
		}
	}
}

func TestACallerThatLeavesHasAConversationToo(t *testing.T) {
	m := open(t, textOnly)
	var c Conversation
	r := endless(m)
	r.Conversation = &c
	for range m.Generate(t.Context(), r) {
		break
	}
	if c.Len() < 2 {
		t.Fatalf("%d items", c.Len())
	}
	if err := m.SaveConversation(t.Context(), &c, filepath.Join(t.TempDir(), "left.kv")); err !=
		nil {
		t.Error(err)
	}
	if err := m.SaveConversation(t.Context(), &Conversation{}, "nowhere"); !errors.Is(err,
		ErrRequest) {
		t.Error(err)
	}
}

func TestWhatHasOutgrownTheContextIsNotSaved(t *testing.T) {
	m := open(t, textOnly, func(s *ModelSpec) { s.Context = 256 })
	var c Conversation
	r := endless(m)
	r.Conversation, r.ContextShift, r.MaxTokens = &c, true, 400
	mustAsk(t, m, r)
	path := filepath.Join(t.TempDir(), "long.kv")
	if err := m.SaveConversation(t.Context(), &c, path); err == nil {
		t.Error("it was saved")
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("something was written")
	}
}

func TestACallerThatPanicsLeavesTheModelWhole(t *testing.T) {
	m := open(t, textOnly)
	func() {
		defer func() { _ = recover() }()
		for range m.Generate(t.Context(), endless(m)) {
			panic("the caller's")
		}
	}()
	mustAsk(t, m, Request{Prompt: "USER: ", MaxTokens: 1})
}
