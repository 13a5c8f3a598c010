package chat

import (
	"strings"
	"testing"

	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/pictures"
	"github.com/eyelet-engine/eyelet/engine"
)

// The same requests that a conversation sends, with their figures.
func TestAFollowUpDoesNotLookAtThePictureAgain(t *testing.T) {
	t.Parallel()
	const (
		builtin     = "../../../../models/builtin/"
		orange      = builtin + "demo/orange-circle.png" // on cyan
		imageTokens = 64
	)
	e, err := engine.New(engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	m, err := e.Load(t.Context(), engine.ModelSpec{Model: builtin + "eyelet-builtin-q8_0.gguf",
		Projector: builtin + "mmproj-eyelet-builtin-q8_0.gguf"})
	if err != nil {
		t.Fatal(err)
	}
	picture, err := pictures.ReadFile(t.Context(), orange)
	if err != nil {
		t.Fatal(err)
	}
	var out, errs strings.Builder
	c := &conversation{Session: &Session{Context: t.Context(), o: &Options{}, engine: e, Model: m,
		Stdout: &out, Stderr: &errs}, pictures: []pictures.Labelled{{Image: picture}}}
	for _, question := range []string{"What color is the background?",
		"What color is the circle?"} {
		if err := c.say(question); err != nil {
			t.Fatal(err)
		}
	}
	if out.String() != "cyan\norange\n" || errs.Len() > 0 {
		t.Errorf("%q, %q", out.String(), errs.String())
	}
	third := input{question: "What color is the background?"}
	a, err := c.ask(t.Context(), engine.Request{Messages: append(c.messages, third.message())}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if u := a.result.Usage; u.Image != imageTokens || u.Cached <= imageTokens ||
		a.result.Timings.Encode != 0 {
		t.Errorf("usage %+v, encode %v", u, a.result.Timings.Encode)
	}
}

func TestTypedPath(t *testing.T) {
	t.Setenv("HOME", "/home/me")
	for in, want := range map[string]string{
		" a b.png ": "a b.png", `"a b.png"`: "a b.png", "'a.png'": "a.png", `'a"`: `'a"`, "'": "'",
		"~/x.png": "/home/me/x.png", "~": "~", "": "",
	} {
		if got := typedPath(in); got != want {
			t.Errorf("typedPath(%q) = %q, want %q", in, got, want)
		}
	}
}
