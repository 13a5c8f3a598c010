package bench

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/eyelet-engine/eyelet/engine"
)

// evalModel loads the built-in model.
func evalModel(t *testing.T) *engine.Model {
	t.Helper()
	e, err := engine.New(engine.Options{Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	m, err := e.Load(t.Context(), engine.ModelSpec{Model: seedModel, Projector: seedProjector,
		Parallel: 4})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestEvalScoresByKind(t *testing.T) {
	m := evalModel(t)
	all, err := BuiltinQuestions()
	if err != nil {
		t.Fatal(err)
	}
	set := all.Sample(12, 3)
	seen := 0
	e, err := Eval(t.Context(), m, set, EvalOptions{Parallel: 4, Progress: func(done, total int) {
		if seen++; done != seen || total != 12 {
			t.Errorf("%d of %d after %d answers", done, total, seen)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	if e.All.Exact.N != 12 || seen != 12 || e.Model == "" || e.Questions != set.Name {
		t.Errorf("%+v", e)
	}
	asked, right := 0, 0.0
	for _, k := range e.Kinds {
		asked += k.Exact.N
		right += k.Exact.Mean * float64(k.Exact.N)
		if k.Literal.Mean > k.Exact.Mean || k.Exact.Mean > k.F1.Mean+1e-9 ||
			k.Exact.Low > k.Exact.Mean || k.Exact.High < k.Exact.Mean {
			t.Errorf("%+v", k)
		}
	}
	if asked != 12 || len(e.Kinds) < 2 || right < e.All.Exact.Mean*12-1e-6 ||
		right > e.All.Exact.Mean*12+1e-6 {
		t.Errorf("kinds do not add up: %+v", e)
	}
	path := filepath.Join(t.TempDir(), "said.jsonl")
	if err := e.WriteAnswers(path); err != nil {
		t.Fatal(err)
	}
	list, err := readAnswers(path)
	if err != nil {
		t.Fatal(err)
	}
	for i, q := range set.Questions {
		if s := list[i]; s.Kind != q.Kind || s.Picture != q.Picture || s.Question != q.Question ||
			s.Exact != best(exactMatch, s.Said, q.Answers) {
			t.Errorf("line %d: %+v for %+v", i+1, s, q)
		}
	}
}

func TestEvalEndsAtTheFirstError(t *testing.T) {
	m := evalModel(t)
	dir := t.TempDir()
	writeTo(t, dir, "a.png", "no picture")
	writeTo(t, dir, "questions.jsonl",
		strings.Repeat(`{"picture": "a.png", "question": "What?", "answers": ["this"]}`+"\n", 20))
	set, err := OpenQuestions(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	if _, err := Eval(t.Context(), m, set, EvalOptions{Parallel: 3}); !errors.Is(err,
		engine.ErrImage) || !strings.Contains(err.Error(), "a.png") {
		t.Errorf("no picture: %v", err)
	}
	if err := os.Remove(filepath.Join(dir, "a.png")); err != nil {
		t.Fatal(err)
	}
	if _, err := Eval(t.Context(), m, set, EvalOptions{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the picture is gone: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Eval(ctx, m, set, EvalOptions{Parallel: 2}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}
