package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"image/jpeg"
	"io"
	"math"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/cgo/peers"
)

const (
	seedModel     = "../../models/builtin/eyelet-builtin-q8_0.gguf"
	seedProjector = "../../models/builtin/mmproj-eyelet-builtin-q8_0.gguf"
)

// builtEyelet is the program as it is.
func builtEyelet(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "eyelet")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-ldflags=-s -w", "-o",
		program, "../../cmd/eyelet").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return program
}

func TestEveryScenarioWithTheBuiltInModel(t *testing.T) {
	peers.Require(t, "llama-server")
	t.Run("over HTTP", func(t *testing.T) {
		runScenarios(t, options{eyelet: builtEyelet(t)}, "all")
	})
	t.Run("in this process", func(t *testing.T) {
		runScenarios(t, options{engine: true}, "follow-up,gap,gap-mtmd")
	})
}

// runScenarios wants both sides to have done the same work, and a figure for each row.
func runScenarios(t *testing.T, o options, names string) {
	o.model, o.projector, o.threads, o.rounds, o.context, o.slots, o.dir = seedModel, seedProjector,
		1, 1, 6144, 6, t.TempDir()
	if err := o.check(names, nil); err != nil {
		t.Fatal(err)
	}
	chosen, err := words(t.Context(), o.model)
	if err != nil {
		t.Fatal(err)
	}
	us, err := openSide(t.Context(), o, chosen)
	if err != nil {
		t.Fatal(err)
	}
	defer us.close()
	them, err := startServer(t.Context(), o, llamaServer(o, chosen))
	if err != nil {
		t.Fatal(err)
	}
	r := &runner{o: o, us: us, them: them}
	if err := r.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	them.stop()
	if err := them.wait(t.Context()); err == nil {
		t.Error("the server answers after it was stopped")
	}
	report := r.report(describe(o, us, "test", len(chosen)))
	for _, l := range report.Rows {
		// Over HTTP our answers come without the blank that they begin with, a token less in each
		// turn that follows.
		if a, b := l.OurTokens.Prompt, l.TheirTokens.Prompt; l.Scenario != "gap-mtmd" && (a > b ||
			b-a > b/50 || o.engine && a != b) {
			t.Errorf("%s: prompts of %d tokens here, %d in llama-server", l.Scenario, a, b)
		}
		if l.Theirs == nil || *l.Theirs <= 0 {
			t.Errorf("%s: no figure of llama-server", l.Title)
		}
		if l.Ours == nil || *l.Ours <= 0 {
			t.Errorf("%s: our figure is %v, note %q", l.Title, l.Ours, l.Note)
		}
		if (l.Met == nil) != (l.Bar == "" || l.Ours == nil) {
			t.Errorf("%s: no verdict", l.Title)
		}
	}
	var table, data bytes.Buffer
	if err := errors.Join(report.writeTable(&table), report.writeJSON(&data)); err != nil {
		t.Fatal(err)
	}
	if !json.Valid(data.Bytes()) {
		t.Error("what -json writes is no JSON")
	}
	if n := strings.Count(table.String(), "\n"); n < len(report.Rows)+8 {
		t.Errorf("a table of %d lines for %d rows:\n%s", n, len(report.Rows), table.String())
	}
}

func TestServerThatCannotStartIsReported(t *testing.T) {
	peers.Require(t, "llama-server")
	o := options{model: "none.gguf", projector: seedProjector, threads: 1, context: 512, slots: 1,
		dir: t.TempDir()}
	if _, err := startServer(t.Context(), o, llamaServer(o, nil)); err == nil ||
		!strings.Contains(err.Error(), "llama-server.log") {
		t.Errorf("%v, want an error that names the log", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	o.model = seedModel
	if _, err := startServer(ctx, o, llamaServer(o, nil)); !errors.Is(err, context.Canceled) {
		t.Errorf("with a cancelled context: %v", err)
	}
}

// What HTTP adds is measured on one loaded model.
func TestCost(t *testing.T) {
	o := options{model: seedModel, projector: seedProjector, threads: 1, rounds: 1, context: 4096,
		slots: 4}
	chosen, err := words(t.Context(), o.model)
	if err != nil {
		t.Fatal(err)
	}
	var table strings.Builder
	if err := compareCost(t.Context(), o, chosen, &table); err != nil {
		t.Fatal(err)
	}
	if text := table.String(); strings.Count(text, "tok/s") != 2 ||
		!strings.Contains(text, "TTFT") {
		t.Error(text)
	}
}

func TestWordsComeBackAsTheSameTokens(t *testing.T) {
	list, err := words(t.Context(), seedModel)
	if err != nil {
		t.Fatal(err)
	}
	lm, err := llama.LoadModel(t.Context(), seedModel, llama.ModelParams{VocabOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer lm.Close()
	var text strings.Builder
	for _, w := range list {
		text.Write(lm.Vocab().Piece(w, false))
	}
	again, err := lm.Vocab().Tokenize("x"+text.String(), false, false)
	if err != nil || len(again) < len(list) || !slices.Equal(again[len(again)-len(list):], list) {
		t.Errorf("%d words in a row come back as %d tokens, %v", len(list), len(again), err)
	}
}

func TestPicturesDifferByLabelAlone(t *testing.T) {
	a := picture(1, "four", 2)
	if !bytes.Equal(a, picture(1, "four", 2)) {
		t.Error("the same labels give two pictures")
	}
	if bytes.Equal(a, picture(1, "four", 3)) || bytes.Equal(a, picture(2, "four", 2)) {
		t.Error("other labels give the same picture")
	}
	img, err := jpeg.Decode(bytes.NewReader(a))
	if err != nil || img.Bounds().Dx() != 640 || img.Bounds().Dy() != 480 {
		t.Errorf("%v, %v", img.Bounds(), err)
	}
}

func TestLongestGap(t *testing.T) {
	start := time.Now()
	at := func(ms ...int) (list []time.Time) {
		for _, m := range ms {
			list = append(list, start.Add(time.Duration(m)*time.Millisecond))
		}
		return list
	}
	for _, c := range []struct {
		name     string
		tokens   []time.Time
		from, to int
		want     int
	}{
		{"between two tokens", at(0, 10, 50, 60), 5, 60, 40},
		{"begins with the last token before", at(0, 30, 40), 5, 40, 30},
		{"not with those earlier", at(0, 90, 100, 110), 95, 110, 10},
		{"a gap that is still open", at(0, 10), 5, 80, 70},
		{"tokens after the end do not count", at(0, 10, 500), 5, 20, 10},
		{"no token at all", nil, 5, 25, 20},
	} {
		if got := longestGap(c.tokens, at(c.from)[0],
			at(c.to)[0]); got != time.Duration(c.want)*time.Millisecond {
			t.Errorf("%s: %v, want %d ms", c.name, got, c.want)
		}
	}
}

func TestStreamsThatBreakAreErrors(t *testing.T) {
	text := `data: {"choices":[{"delta":{"role":"assistant","content":null}}]}` + "\n\n" +
		`data: {"choices":[{"delta":{"content":" red"}}]}` + "\n\n" +
		`data: {"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":1,"prompt_tokens_details":{"cached_tokens":3}}}` + "\n\n"
	seen := 0
	r, err := readStream(strings.NewReader(text+"data: [DONE]\n\n"), func() { seen++ })
	if err != nil || r.text != " red" || r.tokens != 1 || r.prompt != 7 || r.cached != 3 ||
		len(r.at) != 1 || seen != 1 {
		t.Errorf("%+v, %v, %d seen", r, err, seen)
	}
	if _, err := readStream(strings.NewReader(text), nil); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("cut off: %v", err)
	}
	if _, err := readStream(strings.NewReader(text+"data: {\"error\":{\"message\":\"no room\"}}\n"),
		nil); err == nil || !strings.Contains(err.Error(), "no room") {
		t.Errorf("an error event: %v", err)
	}
	if _, err := readStream(strings.NewReader("data: {\n"), nil); err == nil {
		t.Error("an event that is no JSON is taken")
	}
}

func TestFiguresAreMediansOfAllRounds(t *testing.T) {
	l := newLine("", row{"", "s", timesFaster(2)}, 1,
		&measured{samples: [][]float64{{9}, {4, 1, 100, 2}}},
		&measured{samples: [][]float64{{1}, {50, 6, 7}}})
	if *l.Ours != 3 || *l.Theirs != 7 || math.Abs(*l.Ratio-3.0/7) > 1e-15 || !*l.Met {
		t.Errorf("%v against %v, ratio %v, %s", *l.Ours, *l.Theirs, *l.Ratio, verdict(l.Met))
	}
	if got, want := figure(l.OurAll, l.Unit), "3.000 s (1.000 to 100.000)"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestWhatHTTPAddsIsTheDifferenceOfMedians(t *testing.T) {
	for _, c := range []struct {
		firsts, rates [2][]float64
		want          []string
	}{
		{[2][]float64{{10, 10, 90}, {11.5, 11.5, 11.5}}, [2][]float64{{100, 100}, {97, 99}},
			[]string{"10.00 ms", "11.50 ms", "1.50 ms", "yes", "100.0 tok/s", "98.0 tok/s", "2.0 %",
				"yes"}},
		{[2][]float64{{10}, {12}}, [2][]float64{{100}, {97}},
			[]string{"10.00 ms", "12.00 ms", "2.00 ms", "NO", "100.0 tok/s", "97.0 tok/s", "3.0 %",
				"NO"}},
	} {
		var out strings.Builder
		if err := writeCost(&out, options{}, c.firsts, c.rates); err != nil {
			t.Fatal(err)
		}
		_, rest, _ := strings.Cut(out.String(), "met")
		for _, want := range c.want {
			var found bool
			if _, rest, found = strings.Cut(rest, want); !found {
				t.Errorf("%v, %v: no %s in its place: %s", c.firsts, c.rates, want, out.String())
			}
		}
	}
}

func TestVerdicts(t *testing.T) {
	for _, c := range []struct {
		bar          bar
		ours, theirs float64
		want         bool
	}{
		{timesFaster(2.5), 4, 10, true}, {timesFaster(2.5), 4.1, 10, false},
		{atMost(1.05), 1.04, 1, true}, {atMost(1.05), 1.06, 1, false},
		{atLeast(0.98), 0.99, 1, true}, {atLeast(0.98), 0.97, 1, false},
		{below(0.3), 0.3, 0, true}, {below(0.3), 0.31, 9, false},
	} {
		l := newLine("", row{"", "", c.bar}, 0, &measured{samples: [][]float64{{c.ours}}},
			&measured{samples: [][]float64{{c.theirs}}})
		if l.Met == nil || *l.Met != c.want {
			t.Errorf("%s: %v against %v: %s", c.bar.text, c.ours, c.theirs, verdict(l.Met))
		}
	}
	failed := newLine("", row{"", "", below(1)}, 0, &measured{samples: [][]float64{{0}},
		failed: "waited"}, &measured{})
	if failed.Met == nil || *failed.Met || failed.Note != "waited" {
		t.Errorf("%+v: a figure that must not count passes", failed)
	}
	alone := newLine("", row{"", "", atMost(1)}, 0, &measured{samples: [][]float64{{0}}},
		&measured{})
	if alone.Met != nil || alone.Ratio != nil {
		t.Errorf("%+v: a verdict without the other side", alone)
	}
}

func TestFlags(t *testing.T) {
	good := options{threads: 1, rounds: 1, slots: 6, context: 512}
	o := good
	if err := o.check("text, gap", nil); err != nil || len(o.scenarios) != 2 ||
		o.scenarios[0].name != "text" {
		t.Errorf("%v, %v", o.scenarios, err)
	}
	if err := o.check("all", nil); err != nil || len(o.scenarios) != len(scenarios) {
		t.Errorf("all: %d scenarios, %v", len(o.scenarios), err)
	}
	o.slots = 4
	if err := o.check("all", nil); err != nil || len(o.scenarios) != len(scenarios)-1 {
		t.Errorf("all that 4 slots are enough for: %d scenarios, %v", len(o.scenarios), err)
	}
	o = good
	o.before = "eyelet"
	if err := o.check("text,gap", nil); err != nil ||
		o.scenarios[0].rows[0].bar.text != atLeast(0.97).text ||
		o.scenarios[1].rows[0].bar.text != below(0.3).text {
		t.Errorf("bars beside another commit: %+v %v", o.scenarios, err)
	}
	if scenarios[len(scenarios)-1].rows[0].bar.text == atLeast(0.97).text {
		t.Error("the bars beside llama-server have changed")
	}
	o.oursOnly = true
	if err := o.check("text", nil); err == nil || !strings.Contains(err.Error(), "-before") {
		t.Errorf("another commit, and ours only: %v", err)
	}
	o = good
	o.slots = 5
	if err := o.check("gap-four", nil); err == nil || !strings.Contains(err.Error(), "-slots 6") {
		t.Errorf("too few slots: %v", err)
	}
	o = good
	if err := o.check("txet", nil); err == nil || !strings.Contains(err.Error(), "txet") {
		t.Errorf("unknown scenario: %v", err)
	}
	if err := o.check("all", []string{"more"}); err == nil {
		t.Error("an argument is taken")
	}
	o.rounds = 0
	if err := o.check("all", nil); err == nil {
		t.Error("no rounds are taken")
	}
}
