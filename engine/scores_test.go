package engine

import (
	"archive/zip"
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"strings"
	"testing"
	"text/tabwriter"
)

// scored is a fresh question; written by scripts/golden/questions.py.
type scored struct {
	Kind, Picture, Question string
	Answer                  string  // what is right
	Said                    string  // what the model in PyTorch answers greedily, in float32 on the same (dequantized) weights
	Margin                  float64 // least distance of the two best logits in that answer
	image                   []byte
}

func freshQuestions(t *testing.T) []scored {
	t.Helper()
	archive, err := zip.OpenReader("../models/builtin/testdata/questions.zip")
	if err != nil {
		t.Fatal(err)
	}
	defer archive.Close()
	read := func(name string) []byte {
		f, err := archive.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		data, err := io.ReadAll(f)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	var all []scored
	lines := bufio.NewScanner(strings.NewReader(string(read("questions.jsonl"))))
	for lines.Scan() {
		var q scored
		if err := json.Unmarshal(lines.Bytes(), &q); err != nil {
			t.Fatal(err)
		}
		q.image = read(q.Picture)
		all = append(all, q)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

// tally counts the questions of one kind.
type tally struct {
	asked, right, pytorchRight, same int // same: the answer is PyTorch's, to the letter
}

func (c tally) score() float64   { return float64(c.right) / float64(c.asked) }
func (c tally) pytorch() float64 { return float64(c.pytorchRight) / float64(c.asked) }

// trained holds the exact-match scores of the built-in model as it was trained: 80 questions a kind, float32 weights, PyTorch.
var trained = map[string]float64{"shapes": 0.46, "text": 0.19, "sums": 0.00, "charts": 0.23, "sketches": 0.53}

const (
	trainedAsked    = 80
	scoredMaxTokens = 60 // where scripts/golden/questions.py stops
)

// libllama multiplies Q8_0 weights with activations rounded to 8 bits, and two tokens whose logits are close may change places;
// the widest distance seen to was 0.013. The F16 edition, whose activations are not rounded so, gave PyTorch's answer 250 times
// of 250.
const flipLogits = 0.05

func TestScoresOfTheBuiltInModel(t *testing.T) {
	if testing.Short() {
		t.Skip("asks many questions; run without -short")
	}
	questions := freshQuestions(t)
	if len(questions) != 100*len(trained) {
		t.Fatalf("%d questions", len(questions))
	}
	step := 1
	if os.Getenv("EYELET_SLOW") == "" {
		step = 10
		t.Logf("every %dth question only; all with EYELET_SLOW=1, or make test-slow", step)
	}
	m := open(t)
	kinds := map[string]*tally{}
	var all tally
	clear, near, widest := 0, 0, 0.0
	for i := 0; i < len(questions); i += step {
		q := questions[i]
		said := askScored(t, m, q)
		if kinds[q.Kind] == nil {
			kinds[q.Kind] = &tally{}
		}
		for _, c := range []*tally{kinds[q.Kind], &all} {
			c.asked++
			c.right += count(said == q.Answer)
			c.pytorchRight += count(q.Said == q.Answer)
			c.same += count(said == q.Said)
		}
		switch {
		case q.Margin < flipLogits:
			near++
			if said != q.Said {
				widest = max(widest, q.Margin)
			}
		case said != q.Said:
			t.Errorf("%s %q: %q, PyTorch says %q (margin %.2f)", q.Picture, q.Question, said, q.Said, q.Margin)
		default:
			clear++
		}
	}
	t.Logf("%d answers without near ties, %d with; the widest that fell the other way was %.3f\n%s", clear, near, widest, scoreTable(kinds, all))
	if len(kinds) != len(trained) {
		t.Errorf("%d kinds, want %d", len(kinds), len(trained))
	}
	checkScores(t, kinds, all)
}

// askScored asks a question as questions.py did. The space keeps chat from setting a newline between picture and question: the
// prompt must be PyTorch's to the token.
func askScored(t *testing.T, m *Model, q scored) string {
	t.Helper()
	message := User(Picture(&Image{Name: q.Picture, Data: q.image}), Text(" "+q.Question))
	a := mustAsk(t, m, Request{Messages: []Message{message}, MaxTokens: scoredMaxTokens})
	return strings.TrimSpace(a.text)
}

// What a user of other tools over libmtmd 0.7 gets of the same model: its layout of the tower changes one answer in five. This model is
// too weak for its scores to tell (docs/measurements.md).
func TestAnswersThroughLibmtmdAreOthers(t *testing.T) {
	if os.Getenv("EYELET_SLOW") == "" {
		t.Skip("asks 500 questions; run make test-slow")
	}
	m := open(t)
	other, err := openMtmd(t.Context(), seedProjector, m.lm, m.engine)
	if err != nil {
		t.Fatal(err)
	}
	native := m.vision
	m.vision = other
	defer func() { m.vision = native; other.Close() }()
	kinds := map[string]*tally{}
	var all tally
	for _, q := range freshQuestions(t) {
		said := askScored(t, m, q)
		if kinds[q.Kind] == nil {
			kinds[q.Kind] = &tally{}
		}
		for _, c := range []*tally{kinds[q.Kind], &all} {
			c.asked++
			c.right += count(said == q.Answer)
			c.pytorchRight += count(q.Said == q.Answer)
			c.same += count(said == q.Said)
		}
	}
	t.Logf("through libmtmd:\n%s", scoreTable(kinds, all))
	if all.same > all.asked*9/10 {
		t.Errorf("%d of %d answers are the model's own: libmtmd's tower may be right now, and could be trusted", all.same, all.asked)
	}
}

// checkScores holds the scores against PyTorch's on the same questions and against those of the model as trained.
func checkScores(t *testing.T, kinds map[string]*tally, all tally) {
	t.Helper()
	for kind, c := range kinds {
		// Two draws of n questions from a score p differ by sqrt(2p(1-p)/n) in the standard deviation, at most 0.07 for 100 questions.
		// The questions here are the same, and only near ties may fall the other way: less.
		n := float64(c.asked)
		if d, bound := math.Abs(c.score()-c.pytorch()), 0.6/math.Sqrt(n); d > bound+1e-9 {
			t.Errorf("%s: %.2f right, PyTorch %.2f, want at most %.2f between them", kind, c.score(), c.pytorch(), bound)
		}
		p, ok := trained[kind]
		if !ok {
			t.Errorf("unknown kind %q", kind)
		}
		standardError := math.Sqrt(p * (1 - p) * (1/n + 1.0/trainedAsked))
		if c.score() < p-2*standardError-1e-9 {
			t.Errorf("%s: %.2f right, as trained %.2f, want less than two standard errors (of %.3f) below", kind, c.score(), p, standardError)
		}
	}
	// 11 of 500 answers were seen to differ; another CPU rounds elsewhere and may turn others. Four standard deviations are allowed.
	expected := 11.0 / 500 * float64(all.asked)
	if flips := float64(all.asked - all.same); flips > expected+4*math.Sqrt(expected) {
		t.Errorf("%v of %d answers are not PyTorch's, want at most %.0f", flips, all.asked, expected+4*math.Sqrt(expected))
	}
}

func scoreTable(kinds map[string]*tally, all tally) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "kind\tasked\texact\tPyTorch, same questions\tas trained\tanswers same as PyTorch's")
	for _, kind := range []string{"shapes", "text", "sums", "charts", "sketches"} {
		if c := kinds[kind]; c != nil {
			fmt.Fprintf(w, "%s\t%d\t%.2f\t%.2f\t%.2f\t%d\n", kind, c.asked, c.score(), c.pytorch(), trained[kind], c.same)
		}
	}
	fmt.Fprintf(w, "all\t%d\t%.3f\t%.3f\t\t%d\n", all.asked, all.score(), all.pytorch(), all.same)
	w.Flush()
	return b.String()
}

func count(yes bool) int {
	if yes {
		return 1
	}
	return 0
}
