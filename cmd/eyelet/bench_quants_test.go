package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/eyelet-engine/eyelet/cgo/peers"
	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/cli"
	"github.com/eyelet-engine/eyelet/engine/bench"
)

func TestBenchQuantsMeasuresReportsAndCompares(t *testing.T) {
	if testing.Short() {
		t.Skip("measures speed")
	}
	t.Parallel()
	dir := t.TempDir()
	projector, out := filepath.Join(dir, "mmproj-q4_0.gguf"), filepath.Join(dir, "out")
	if o := eyelet(t, "quantize", seedProjector, "-o", projector, "--type", "q4_0"); o.code != 0 {
		t.Fatalf("%+v", o)
	}
	args := []string{"bench", "quants", seedModel, "-p", seedProjector, "-p", projector, "--count",
		"8", "--windows", "2", "--reps", "2", "--threads", "1", "-o", out}
	o := eyelet(t, args...)
	if o.code != 0 || o.stderr != "" {
		t.Fatalf("%+v", o)
	}
	for _, text := range []string{"2 combinations, compared with eyelet-builtin-q8_0 and mmproj-eyelet-builtin-q8_0", "\nQuality\n", "\nProjectors\n", "\nSpeed\n", "\nMemory\n", "report.html shows all of it"} {
		if !strings.Contains(o.stdout, text) {
			t.Errorf("%q is missing in %s", text, o.stdout)
		}
	}
	for _, name := range []string{"report.html", "report.md", "results.csv", "results.json",
		"answers-eyelet-builtin-q8_0--mmproj-q4_0--f16.jsonl"} {
		if info, err := os.Stat(filepath.Join(out, name)); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
	before, err := os.Stat(filepath.Join(out,
		"answers-eyelet-builtin-q8_0--mmproj-q4_0--f16.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	o = eyelet(t, append(args, "--json")...)
	var r bench.Results
	strictly(t, o.stdout, &r)
	if !r.Complete || len(r.Cells) != 2 || r.Cells[1].Speed.PeakBytes < 20<<20 ||
		len(r.Commands) != 2 {
		t.Errorf("%+v", r)
	}
	if after, err := os.Stat(filepath.Join(out,
		"answers-eyelet-builtin-q8_0--mmproj-q4_0--f16.jsonl")); err != nil ||
		!after.ModTime().Equal(before.ModTime()) {
		t.Error("a finished matrix was measured again")
	}
	same := eyelet(t, "bench", "compare", out, filepath.Join(out, "results.json"))
	if same.code != 0 || !strings.HasSuffix(same.stdout,
		"\n0 figures changed beyond noise, "+countOf(t, out)+" did not.\n") ||
		!strings.Contains(same.stdout, "4.5 % assumed; bench quants --runs 3") {
		t.Errorf("%+v", same)
	}
	if o := eyelet(t, append(args, "--format", "jsonl")...); o.code != 0 ||
		strings.Count(o.stdout, "\n") != 2 || !strings.Contains(o.stdout, `"n_gen": 128`) {
		t.Errorf("as llama-bench writes it: %+v", o)
	}
	eyelet(t, append(args, "--seed", "9")...).mustFail(t, 3, "they were made with other settings: "+
		"question seed 1, not 9;", "--restart")
}

// countOf is how many figures a comparison of results with themselves has.
func countOf(t *testing.T, dir string) string {
	t.Helper()
	var c bench.Comparison
	strictly(t, eyelet(t, "bench", "compare", dir, dir, "--json").stdout, &c)
	if len(c.Changes) != 0 || c.Same < 15 {
		t.Errorf("%+v", c)
	}
	out := strings.Fields(eyelet(t, "bench", "compare", dir, dir).stdout)
	return out[len(out)-3]
}

func TestBenchQuantsSaysWhatIsWrong(t *testing.T) {
	peers.WithoutRaceDetector(t)
	t.Parallel()
	dir := t.TempDir()
	short := writeFile(t, filepath.Join(dir, "short.txt"), "too short")
	broken := writeFile(t, filepath.Join(dir, "broken.jsonl"),
		`{"picture": "a.png", "question": "What?", "answers": ["x"]`)
	words := writeFile(t, filepath.Join(dir, "words", "results.json"), "words")
	mustRefuse(t, "bench", []refusal{
		{[]string{"quants"}, 2, []string{"MODEL is missing"}},
		{[]string{"quants", seedModel, "--only", "taste"}, 2, []string{"--only is"}},
		{[]string{"quants", seedModel, "--against", "vllm"}, 2, []string{"give llama-bench"}},
		{[]string{"quants", seedModel, "--kv", "q9"}, 2, []string{`unknown type "q9"`}},
		{[]string{"quants", seedModel, "--reps", "0"}, 2, []string{"--reps is 0"}},
		{[]string{"quants", seedModel, "--runs", "0"}, 2, []string{"--runs is 0"}},
		{[]string{"quants", seedModel, "--format", "xml"}, 2,
			[]string{"csv, json, jsonl, md, sql"}},
		{[]string{"quants", seedModel, "--format", "csv", "--json"}, 2, []string{"neither --json"}},
		{[]string{"quants", seedModel, "--restart"}, 2, []string{"--restart wants --out"}},
		{[]string{"quants", seedModel, "--base", filepath.Join(dir, "none.gguf")}, 3,
			[]string{"none.gguf", "check the path"}},
		{[]string{"quants", seedProjector}, 3, []string{"is a projector"}},
		{[]string{"quants", seedModel, "--questions", broken}, 3, []string{"line 1"}},
		{[]string{"quants", seedModel, "--questions", filepath.Join(dir, "none")}, 3,
			[]string{"check the path"}},
		{[]string{"quants", seedModel, "--text", short, "--only", "quality"}, 2,
			[]string{"the text has 5 tokens", "--text"}},
		{[]string{"quants", seedModel, "-o", filepath.Dir(words)}, 3, []string{"--restart"}},
		{[]string{"compare", words, words}, 3, []string{"results.json"}},
		{[]string{"compare", dir, dir}, 3, []string{"check the path"}},
	})
}

func TestBenchQuantsKeepsWhatThereIsWhenInterrupted(t *testing.T) {
	t.Parallel()
	out := filepath.Join(t.TempDir(), "out")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	// Enough repetitions that it cannot end by itself.
	cmd := invocation{args: []string{"bench", "quants", seedModel, "--threads", "1", "--windows",
		"2", "--reps", "1000", "-o", out}}.command(ctx)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(out, "results.json")); err == nil {
			break
		}
		if ctx.Err() != nil {
			t.Fatal("no result came")
		}
		time.Sleep(10 * time.Millisecond)
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if code := exitStatus(t, cmd.Wait()); code != cli.ExitInterrupted ||
		!strings.Contains(stderr.String(), "holds what was measured; the same command goes on") {
		t.Errorf("exit code %d, %s", code, stderr.String())
	}
	r, err := bench.ReadResults(out)
	if err != nil || r.Complete || len(r.Qualities) != 1 || r.Cells[0].Speed != nil {
		t.Errorf("%+v, %v", r, err)
	}
	if _, err := os.Stat(filepath.Join(out, "report.html")); err != nil {
		t.Error(err)
	}
}

func TestBenchSaysWhatItTakes(t *testing.T) {
	peers.WithoutRaceDetector(t)
	t.Parallel()
	out := t.TempDir()
	for _, c := range []struct {
		flag, value, want string
	}{
		{"--threads", "0", "threads is 0; give 1 to 512"},
		{"--batch", "0", "batch is 0; give 1 to 65536"},
		{"--kv", "f17", "q5_1"},
	} {
		eyelet(t, "bench", "quants", seedModel, "-o", out, c.flag, c.value).mustFail(t, 2, c.want)
	}
	for _, text := range []string{"words", "{}"} {
		path := writeFile(t, filepath.Join(t.TempDir(), "x.json"), text)
		for _, args := range [][]string{{"bench", "compare", path, path}, {"advise", path}} {
			eyelet(t, args...).mustFail(t, 3, path, `no results.json of "eyelet bench quants"`)
		}
	}
}

// A default is said once.
func TestTheDefaultOfLayersIsSaidOnce(t *testing.T) {
	peers.WithoutRaceDetector(t)
	t.Parallel()
	if o := eyelet(t, "run", "--help"); strings.Contains(o.stdout,
		"(default: all) (default all)") || !strings.Contains(o.stdout, "(default all)") {
		t.Errorf("%+v", o)
	}
}
