package engine

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/eyelet-engine/eyelet/engine/sched"
)

// mustEnd asks and returns the last event's result and the text.
func mustEnd(t *testing.T, m *Model, r Request) (string, Result) {
	t.Helper()
	var text strings.Builder
	var result *Result
	for e, err := range m.Generate(t.Context(), r) {
		if err != nil {
			t.Fatal(err)
		}
		text.WriteString(e.Text)
		if e.Done != nil {
			result = e.Done
		}
	}
	if result == nil {
		t.Fatal("the answer had no end")
	}
	return text.String(), *result
}

func TestAnAnswerOutlivesASessionThatCannotBeSaved(t *testing.T) {
	dir := t.TempDir()
	m := open(t, func(s *ModelSpec) { s.StateDir = dir })
	r := Request{Messages: []Message{User(Picture(picture(t, "shape-4.png")),
		Text("What is in this picture?"))}, Session: "x"}
	want, result := mustEnd(t, m, r)
	if result.SessionError != nil || want == "" {
		t.Fatal(want, result.SessionError)
	}
	if err := os.RemoveAll(filepath.Join(dir, "sequences")); err != nil {
		t.Fatal(err)
	}
	got, result := mustEnd(t, m, r)
	if got != want || result.SessionError == nil {
		t.Errorf("got %q and %v, want %q and an error", got, result.SessionError, want)
	}
}

func TestASessionThatWasShiftedIsNotSaved(t *testing.T) {
	m := open(t, textOnly, func(s *ModelSpec) { s.StateDir, s.Context = t.TempDir(), 256 })
	r := endless(m)
	r.Session, r.ContextShift, r.MaxTokens = "x", true, 400
	if _, result := mustEnd(t, m, r); !errors.Is(result.SessionError, sched.ErrShifted) {
		t.Errorf("got %v", result.SessionError)
	}
}

func TestSpellingsOfTheCacheTypeAreOneIdentity(t *testing.T) {
	m := open(t, textOnly)
	seen := map[string]bool{}
	for _, spelling := range []string{"", "f16", "F16"} {
		id, err := m.stateIdentity(ModelSpec{Model: seedModel, CacheType: spelling})
		if err != nil {
			t.Fatal(err)
		}
		seen[id] = true
	}
	other, err := m.stateIdentity(ModelSpec{Model: seedModel, CacheType: "q8_0"})
	if err != nil || len(seen) != 1 || seen[other] {
		t.Errorf("%d identities of one type, %v", len(seen), err)
	}
}
