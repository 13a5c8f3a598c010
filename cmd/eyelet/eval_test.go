package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/eyelet-engine/eyelet/cgo/peers"
	"github.com/eyelet-engine/eyelet/engine/bench"
)

func TestEvalPrintsScores(t *testing.T) {
	peers.WithoutRaceDetector(t)
	t.Parallel()
	out := filepath.Join(t.TempDir(), "said.jsonl")
	o := eyelet(t, "eval", "--count", "10", "--seed", "3", "--answers", out)
	if o.code != 0 || o.stderr != "" || !strings.Contains(o.stdout, "\nkind ") ||
		!strings.Contains(o.stdout, "\nall ") {
		t.Fatalf("%+v", o)
	}
	said, err := os.ReadFile(out)
	if err != nil || strings.Count(string(said), "\n") != 10 || !strings.Contains(string(said),
		`"said":`) {
		t.Errorf("%v: %s", err, said)
	}
	var e bench.Evaluation
	strictly(t, eyelet(t, "eval", "--count", "10", "--seed", "3", "--json").stdout, &e)
	if e.All.Exact.N != 10 || len(e.Kinds) == 0 || e.All.Literal.High < e.All.Literal.Mean {
		t.Errorf("%+v", e)
	}
}

func TestEvalSaysWhatIsWrong(t *testing.T) {
	peers.WithoutRaceDetector(t)
	t.Parallel()
	dir := t.TempDir()
	broken := writeFile(t, filepath.Join(dir, "broken.jsonl"),
		`{"picture": "a.png", "question": "What?"`)
	mustRefuse(t, "eval", []refusal{
		{[]string{"no-such-model"}, 2, []string{`"no-such-model" is no model`}},
		{[]string{"--model", seedModel}, 4, []string{"--mmproj"}},
		{[]string{"--mmproj", seedProjector}, 2, []string{"without --model"}},
		{[]string{"--count", "-1"}, 2, []string{"--count"}},
		{[]string{"--parallel", "0"}, 2, []string{"--parallel is 0"}},
		{[]string{"--max-tokens", "0"}, 2, []string{"--max-tokens is 0"}},
		{[]string{"--questions", broken}, 3, []string{"line 1"}},
		{[]string{"--questions", filepath.Join(dir, "none")}, 3, []string{"none"}},
	})
}

// setFolder holds tiny copies of public sets.
var setFolder = filepath.Join("..", "..", "engine", "bench", "sets", "testdata")

func TestEvalScoresAPublicSetAndComparesRuns(t *testing.T) {
	peers.WithoutRaceDetector(t)
	t.Parallel()
	out := filepath.Join(t.TempDir(), "a.jsonl")
	args := []string{"eval", "--set", filepath.Join(setFolder, "ocrbench"), "-o", out}
	o := eyelet(t, args...)
	if o.code != 0 || o.stderr != "" || !strings.Contains(o.stdout, "OCRBench accuracy") ||
		!strings.Contains(o.stdout, "\nall ") {
		t.Fatalf("%+v", o)
	}
	var e bench.SetEvaluation
	o = eyelet(t, append(args, "--json")...)
	strictly(t, o.stdout, &e)
	if e.Layout != "ocrbench" || e.All.Scores["ocrbench_accuracy"].N != 6 ||
		!strings.Contains(o.stderr, "6 of 6 answers") {
		t.Errorf("%+v, %s", e, o.stderr)
	}
	o = eyelet(t, "eval", "compare", out, out)
	if o.code != 0 || !strings.Contains(o.stdout, "no difference beyond chance") ||
		!strings.Contains(o.stdout, "B  "+out+" (eyelet-builtin)\n6 questions of both, 100.0 % "+
			"answered alike") {
		t.Errorf("%+v", o)
	}
	var c bench.AnswerComparison
	strictly(t, eyelet(t, "eval", "compare", out, out, "--json").stdout, &c)
	if c.Shared != 6 {
		t.Errorf("%+v", c)
	}
	eyelet(t, append(args, "--max-tokens", "7")...).mustFail(t, 3, "max-tokens 128, not 7",
		"name a new file")
}

// TestEvalTellsWhatASetLacks: rows without an answer are left out, lost pictures count as wrong.
func TestEvalTellsWhatASetLacks(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(setFolder, "chartqa-json",
		"test"))); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, "test_human.json"), `[
		{"imgname": "tables-000.png", "query": "What is the value of corn?", "label": "6"},
		{"imgname": "none.png", "query": "What is the value of corn?", "label": "6"},
		{"imgname": "tables-000.png", "query": "And of the pie?"}]`)
	if err := os.Remove(filepath.Join(dir, "test_augmented.json")); err != nil {
		t.Fatal(err)
	}
	o := eyelet(t, "eval", "--set", dir, "--json")
	var e bench.SetEvaluation
	strictly(t, o.stdout, &e)
	if e.Skipped != 1 || e.Faults != 1 || e.All.Scores["relaxed_accuracy"].N != 2 {
		t.Errorf("%+v", e)
	}
	for _, text := range []string{"1 row is left out",
		"row 3: question test_human.json:3 has no answer",
		"the pictures of 1 question are not in the folder, as none.png"} {
		if !strings.Contains(o.stderr, text) {
			t.Errorf("%q is missing in %s", text, o.stderr)
		}
	}
}

func TestEvalSaysWhatIsWrongWithASet(t *testing.T) {
	peers.WithoutRaceDetector(t)
	t.Parallel()
	mustRefuse(t, "eval", []refusal{
		{[]string{"--layout", "textvqa"}, 2, []string{"want --set"}},
		{[]string{"--set", "x", "--layout", "vizwiz"}, 2, []string{"docvqa"}},
		{[]string{"--set", "x", "--questions", "y"}, 2, []string{"contradict"}},
		{[]string{"--set", filepath.Join(setFolder, "none")}, 3,
			[]string{"eyelet: " + filepath.Join(setFolder, "none") + ": no such file"}},
		{[]string{"--set", t.TempDir()}, 3, []string{"it holds no Parquet or JSON file"}},
		{[]string{"--set", filepath.Dir(writeFile(t, filepath.Join(t.TempDir(), "a.jsonl"),
			`{"question": "What?", "answer": "a", "image": "a.png"}`))}, 3,
			[]string{"name the layout", "--layout"}},
		{[]string{"--set", filepath.Dir(writeFile(t, filepath.Join(t.TempDir(), "a.json"),
			`[{"a": 1}]`))}, 3, []string{"known are textvqa, docvqa"}},
		{[]string{"--set", filepath.Join(setFolder, "textvqa"), "--split", "test"}, 3,
			[]string{"has no answer", "--split"}},
		{[]string{"compare", "a.jsonl"}, 2, []string{"B is missing"}},
		{[]string{"compare", "no-such.jsonl", "no-such.jsonl"}, 3, []string{"no-such.jsonl"}},
	})
}
