package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/eyelet-engine/eyelet/engine/bench"
)

func TestEvalPrintsScores(t *testing.T) {
	t.Parallel()
	out := filepath.Join(t.TempDir(), "said.jsonl")
	o := eyelet(t, "eval", "--count", "10", "--seed", "3", "--answers", out)
	if o.code != 0 || o.stderr != "" || !strings.Contains(o.stdout, "\nkind ") || !strings.Contains(o.stdout, "\nall ") {
		t.Fatalf("%+v", o)
	}
	said, err := os.ReadFile(out)
	if err != nil || strings.Count(string(said), "\n") != 10 || !strings.Contains(string(said), `"said":`) {
		t.Errorf("%v: %s", err, said)
	}
	var e bench.Evaluation
	strictly(t, eyelet(t, "eval", "--count", "10", "--seed", "3", "--json").stdout, &e)
	if e.All.Exact.N != 10 || len(e.Kinds) == 0 || e.All.Literal.High < e.All.Literal.Mean {
		t.Errorf("%+v", e)
	}
}

func TestEvalSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	broken := writeFile(t, filepath.Join(dir, "broken.jsonl"), `{"picture": "a.png", "question": "What?"`)
	for _, tt := range []struct {
		args  []string
		code  int
		texts []string
	}{
		{[]string{"no-such-model"}, 2, []string{`"no-such-model" is no model`}},
		{[]string{"--model", seedModel}, 4, []string{"--mmproj"}},
		{[]string{"--mmproj", seedProjector}, 2, []string{"without --model"}},
		{[]string{"--count", "-1"}, 2, []string{"--count"}},
		{[]string{"--parallel", "0"}, 2, []string{"--parallel is 0"}},
		{[]string{"--max-tokens", "0"}, 2, []string{"--max-tokens is 0"}},
		{[]string{"--questions", broken}, 3, []string{"line 1"}},
		{[]string{"--questions", filepath.Join(dir, "none")}, 3, []string{"none"}},
	} {
		eyelet(t, append([]string{"eval"}, tt.args...)...).mustFail(t, tt.code, tt.texts...)
	}
}
