package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/eyelet-engine/eyelet/engine/bench/sets"
	"github.com/eyelet-engine/eyelet/models/atomicfile"
)

func openSetOf(t *testing.T, name string) *sets.Set {
	t.Helper()
	set, err := sets.Open(t.Context(), filepath.Join("sets", "testdata", name), "", "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { set.Close() })
	return set
}

func TestASetIsScoredAndGoneOnWithWhereItWasStopped(t *testing.T) {
	m := evalModel(t)
	set := openSetOf(t, "ocrbench")
	path := filepath.Join(t.TempDir(), "answers.jsonl")
	head := AnswerHead{Model: "seed", Layout: "ocrbench", Questions: len(set.Questions)}
	open := func() *AnswerFile {
		t.Helper()
		f, err := OpenAnswers(path, head)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	ctx, cancel := context.WithCancel(t.Context())
	f := open()
	_, err := EvalSet(ctx, m, set, EvalOptions{Progress: func(done, total int) {
		if done == 2 {
			cancel()
		}
	}}, f)
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("a stopped run: %v", err)
	}
	f.Close()
	data, err := os.ReadFile(path)
	if err != nil || bytes.Count(data, []byte("\n")) < 3 {
		t.Fatalf("%v: %s", err, data)
	}
	// A crash can leave part of a line.
	if err := os.WriteFile(path, append(data, `{"id": "x", "sc`...), 0o644); err != nil {
		t.Fatal(err)
	}
	f = open()
	first := -1
	e, err := EvalSet(t.Context(), m, set, EvalOptions{Parallel: 2,
		Progress: func(done, total int) {
			if first < 0 {
				first = done
			}
		}}, f)
	f.Close()
	if err != nil || first < 2 || first == len(set.Questions) {
		t.Fatalf("%v, from answer %d", err, first)
	}
	again, err := EvalSet(t.Context(), m, set, EvalOptions{}, nil)
	if err != nil || e.All.Scores["ocrbench_accuracy"].N != 6 ||
		fmt.Sprint(e) != fmt.Sprint(again) {
		t.Errorf("%+v after a stop, %+v at once: %v", e, again, err)
	}
	if e.All.Scores["ocrbench_accuracy"].Mean < 0.5 || len(e.Kinds) != 2 || e.Faults != 0 {
		t.Errorf("%+v", e)
	}
	f = open()
	if f.Done() != 6 {
		t.Errorf("%d answers in the end", f.Done())
	}
	f.Close()
	for _, change := range []struct {
		head AnswerHead
		text string
	}{
		{AnswerHead{Model: "other", Layout: "ocrbench", Questions: 6}, "model seed, not other"},
		{AnswerHead{Model: "seed", Layout: "ocrbench", Questions: 6,
			Settings: map[string]string{"cache-type": "q8_0"}}, "cache-type"},
	} {
		if _, err := OpenAnswers(path, change.head); !errors.Is(err, ErrAnswers) ||
			!strings.Contains(err.Error(), change.text) {
			t.Errorf("%v, want %q", err, change.text)
		}
	}
}

func TestAPictureThatCannotBeReadCountsAsWrong(t *testing.T) {
	m := evalModel(t)
	dir := t.TempDir()
	writeTo(t, dir, "good.png", "no picture")
	writeTo(t, dir, "test_human.json",
		`[{"imgname": "good.png", "query": "What?", "label": "this"}]`)
	set, err := sets.Open(t.Context(), dir, "", "")
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	path := filepath.Join(t.TempDir(), "answers.jsonl")
	f, err := OpenAnswers(path, AnswerHead{Layout: "chartqa"})
	if err != nil {
		t.Fatal(err)
	}
	e, err := EvalSet(t.Context(), m, set, EvalOptions{}, f)
	f.Close()
	data, _ := os.ReadFile(path)
	if err != nil || e.Faults != 1 || e.All.Scores["relaxed_accuracy"].Mean != 0 ||
		!strings.Contains(string(data), `"fault":`) {
		t.Errorf("%v: %+v: %s", err, e, data)
	}
	if f, err = OpenAnswers(path, AnswerHead{Layout: "chartqa"}); err != nil || f.Done() != 0 {
		t.Errorf("a later run does not ask again: %v", err)
	}
	f.Close()
}

func TestAFileOfOtherThingsIsLeftAlone(t *testing.T) {
	for _, text := range []string{"my diary\n", "my diary", `{"picture": "a.png", "said": "b"}` +
		"\n", `{"eyelet_eval":1,"model":"a","layout":"anls"}` + "\n{}\n"} {
		path := filepath.Join(t.TempDir(), "answers.jsonl")
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenAnswers(path, AnswerHead{Layout: "anls"}); !errors.Is(err, ErrAnswers) {
			t.Errorf("%q: %v", text, err)
		}
		if data, _ := os.ReadFile(path); string(data) != text {
			t.Errorf("%q became %q", text, data)
		}
	}
	path := filepath.Join(t.TempDir(), "answers.jsonl")
	if err := os.WriteFile(path, []byte(`{"eyelet_`), 0o644); err != nil {
		t.Fatal(err)
	}
	f, err := OpenAnswers(path, AnswerHead{Layout: "anls"})
	if err != nil {
		t.Fatalf("just begun: %v", err)
	}
	if _, err := OpenAnswers(path, AnswerHead{Layout: "anls"}); !errors.Is(err,
		atomicfile.ErrClaimed) {
		t.Errorf("two runs write one file: %v", err)
	}
	f.Close()
}

// answersTo writes a file of answers with these scores.
func answersTo(t *testing.T, kinds []string, scores []float64) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "answers.jsonl")
	f, err := OpenAnswers(path, AnswerHead{Model: "m", Layout: "anls", Questions: len(scores)})
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range scores {
		a := SetAnswer{ID: fmt.Sprint(i), Question: "What?", Answers: []string{"this"},
			Said: fmt.Sprint(s), Scores: map[string]float64{"anls": s}}
		if kinds != nil {
			a.Kind = kinds[i]
		}
		if err := f.append(a); err != nil {
			t.Fatal(err)
		}
	}
	f.Close()
	return path
}

func TestPairedAnswersAreTestedAsSciPyDoes(t *testing.T) {
	// P-values are scipy.stats.binomtest(k, n, 0.5).pvalue of SciPy 1.17.1.
	for _, tt := range []struct {
		onlyA, onlyB, both int
		p                  float64
	}{{3, 12, 40, 0.03515625}, {0, 5, 10, 0.0625}, {8, 8, 0, 1}, {0, 0, 7, 1},
		{40, 75, 500, 0.001412957498607674}} {
		var a, b []float64
		for _, x := range []struct {
			n    int
			a, b float64
		}{{tt.onlyA, 1, 0}, {tt.onlyB, 0, 1}, {tt.both, 1, 1}} {
			for range x.n {
				a, b = append(a, x.a), append(b, x.b)
			}
		}
		c, err := CompareAnswers(answersTo(t, nil, a), answersTo(t, nil, b))
		if err != nil {
			t.Fatal(err)
		}
		s := c.Scores[0]
		if s.McNemar == nil || s.McNemar.OnlyA != tt.onlyA || s.McNemar.OnlyB != tt.onlyB ||
			math.Abs(s.McNemar.P-tt.p) > 1e-9 {
			t.Errorf("%+v: %+v", tt, s.McNemar)
		}
		if s.Significant() != (tt.p < 0.05) || c.Shared != len(a) ||
			math.Abs(s.Difference.Mean-float64(tt.onlyB-tt.onlyA)/float64(len(a))) > 1e-12 {
			t.Errorf("%+v: %+v", tt, s)
		}
		if tt.p < 0.01 && (s.BootstrapP > 0.01 || s.Difference.Low <= 0) ||
			tt.p == 1 && s.BootstrapP < 0.5 {
			t.Errorf("%+v: bootstrap says %v, %+v", tt, s.BootstrapP, s.Difference)
		}
	}
}

func TestComparisonsByKindAndOfSharedQuestionsAlone(t *testing.T) {
	c, err := CompareAnswers(answersTo(t, []string{"x", "y", "x", "y"}, []float64{0.5, 1, 0.5, 1}),
		answersTo(t, []string{"x", "y", "x"}, []float64{0.75, 1, 0.75}))
	if err != nil || c.Shared != 3 || c.OnlyA != 1 || c.OnlyB != 0 || len(c.Scores) != 3 {
		t.Fatalf("%v: %+v", err, c)
	}
	if x := c.Scores[1]; x.Kind != "x" || x.McNemar != nil ||
		math.Abs(x.Difference.Mean-0.25) > 1e-12 {
		t.Errorf("%+v", x)
	}
	empty := filepath.Join(t.TempDir(), "empty.jsonl")
	if err := os.WriteFile(empty, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := CompareAnswers(empty, empty); !errors.Is(err, ErrAnswers) {
		t.Errorf("%v", err)
	}
}

func FuzzAnswerFile(f *testing.F) {
	f.Add([]byte(`{"eyelet_eval":1,"model":"m","layout":"anls","questions":1}` + "\n" +
		`{"id":"1","scores":{"anls":1}}` + "\n{"))
	f.Add([]byte("\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		head, list, whole, err := parseAnswers(bytes.NewReader(data))
		if err != nil {
			return
		}
		if head == nil || whole > int64(len(data)) || data[whole-1] != '\n' {
			t.Fatalf("%d bytes of %q", whole, data)
		}
		again, same, _, err := parseAnswers(bytes.NewReader(data[:whole]))
		if err != nil || len(again.differences(head)) > 0 || len(same) != len(list) {
			t.Errorf("the whole lines read otherwise: %v", err)
		}
	})
}
