package engine

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/eyelet-engine/eyelet/models/chat"
)

// modelWithTemplate writes the built-in model with a part of its chat template replaced by one of
// the same length.
func modelWithTemplate(t *testing.T, from, to string) string {
	t.Helper()
	raw, err := os.ReadFile(seedModel)
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(raw, []byte("tokenizer.chat_template"))
	i := bytes.Index(raw[max(at, 0):], []byte(from))
	if at < 0 || i < 0 || len(from) != len(to) {
		t.Fatalf("the built-in model's template has no %q, or %q is not as long", from, to)
	}
	copy(raw[at+i:], to)
	path := filepath.Join(t.TempDir(), "model.gguf")
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestABrokenTemplateFailsWhatItRenders has a model whose template does not parse do all that needs
// no template of its own.
func TestABrokenTemplateFailsWhatItRenders(t *testing.T) {
	own, err := chat.ParseGo("{{ .Prompt }} ASSISTANT:", chat.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*ModelSpec){
		"Jinja":    func(s *ModelSpec) { s.Model = modelWithTemplate(t, "{% for", "{% fox") },
		"Ollama's": func(s *ModelSpec) { s.GoTemplate = "{{ if }}" },
	} {
		t.Run(name, func(t *testing.T) {
			m := open(t, textOnly, change)
			talk := []Message{User(Text("What is this?"))}
			if _, err := m.Count(t.Context(), Request{Messages: talk}); !errors.Is(err,
				ErrModelFile) || errors.Is(err, ErrRequest) {
				t.Errorf("a conversation: %v; want the file's fault", err)
			}
			if n, err := m.Count(t.Context(), Request{Prompt: "A cat"}); err != nil ||
				n.Prompt == 0 {
				t.Errorf("a raw prompt: %+v %v", n, err)
			}
			if n, err := m.Count(t.Context(), Request{Messages: talk, Template: own}); err != nil ||
				n.Prompt == 0 {
				t.Errorf("a template of the request's own: %+v %v", n, err)
			}
			if m.Thinks() {
				t.Error("a template that does not parse is said to think")
			}
		})
	}
}

func TestATemplateThatRunsOverItsLimitsIsNoFaultOfTheRequest(t *testing.T) {
	if testing.Short() {
		t.Skip("long under the race detector, and nothing in it is concurrent")
	}
	endless := "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
	m := open(t, textOnly, func(s *ModelSpec) { s.ChatTemplate = endless })
	talk := []Message{User(Text("Hello"))}
	_, err := m.Count(context.Background(), Request{Messages: talk})
	if !errors.Is(err, ErrTemplateLimit) || errors.Is(err, ErrRequest) ||
		!strings.Contains(err.Error(), "steps") {
		t.Errorf("the model's template: %v", err)
	}
	other, err := chat.Parse(endless, chat.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Count(context.Background(),
		Request{Messages: talk, Template: other}); !errors.Is(err, ErrRequest) ||
		!errors.Is(err, chat.ErrLimit) {
		t.Errorf("the request's template: %v", err)
	}
}
