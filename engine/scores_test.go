package engine

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"

	"github.com/eyelet-engine/eyelet/models/builtin"
)

// scored is a fresh question, written by scripts/builtin/questions.py, and what
// scripts/golden/said.py says of it.
type scored struct {
	Kind, Picture, Question string
	Answers                 []string // what is right
	// what the model in PyTorch answers greedily, in float32 on the same (dequantized) weights
	Said   string
	Margin float64 // least distance of the two best logits in that answer
	image  []byte
}

func freshQuestions(t *testing.T) []scored {
	t.Helper()
	archive, err := builtin.Questions()
	if err != nil {
		t.Fatal(err)
	}
	read := func(fsys fs.FS, name string) []byte {
		data, err := fs.ReadFile(fsys, name)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	var pytorch struct {
		Said []struct {
			Said   string
			Margin float64
		}
	}
	if err := json.Unmarshal(read(os.DirFS("../models/builtin/testdata"), "said.json"),
		&pytorch); err != nil {
		t.Fatal(err)
	}
	var all []scored
	for line := range bytes.Lines(read(archive, "questions.jsonl")) {
		var q scored
		if err := json.Unmarshal(line, &q); err != nil {
			t.Fatal(err)
		}
		q.image = read(archive, q.Picture)
		all = append(all, q)
	}
	if len(all) != len(pytorch.Said) {
		t.Fatalf("%d questions, PyTorch answers %d", len(all), len(pytorch.Said))
	}
	for i, p := range pytorch.Said {
		all[i].Said, all[i].Margin = p.Said, p.Margin
	}
	return all
}

// tally counts the questions of one kind.
type tally struct {
	asked, right, pytorchRight, same int // same: the answer is PyTorch's, to the letter
}

func (c tally) score() float64   { return float64(c.right) / float64(c.asked) }
func (c tally) pytorch() float64 { return float64(c.pytorchRight) / float64(c.asked) }

// trained holds the scores of the built-in model in docs/builtin-model.md: 300 questions a kind of
// another seed, right to the letter.
var trained = map[string]float64{"shapes": 0.987, "captions": 0.967, "text": 0.927, "sums": 0.970,
	"charts": 0.990, "sketches": 0.983, "tables": 0.993, "refusals": 0.990}

const (
	trainedAsked    = 300
	scoredMaxTokens = 100 // where scripts/golden/said.py stops
)

// libllama multiplies Q8_0 weights with activations rounded to 8 bits, and two tokens whose logits
// are close may change places; the widest distance seen to was 0.013. The F16 edition, whose
// activations are not rounded so, gave PyTorch's answer 250 times of 250.
const flipLogits = 0.05

func TestScoresOfTheBuiltInModel(t *testing.T) {
	if testing.Short() {
		t.Skip("asks many questions; run without -short")
	}
	questions := freshQuestions(t)
	if len(questions) != 50*len(trained) {
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
		tallyAnswer(kinds, &all, q, said)
		switch {
		case q.Margin < flipLogits:
			near++
			if said != q.Said {
				widest = max(widest, q.Margin)
			}
		case said != q.Said:
			t.Errorf("%s %q: %q, PyTorch says %q (margin %.2f)", q.Picture, q.Question, said,
				q.Said, q.Margin)
		default:
			clear++
		}
	}
	t.Logf("%d answers without near ties, %d with; the widest that fell the other way was %.3f\n%s",
		clear, near, widest, scoreTable(kinds, all))
	if len(kinds) != len(trained) {
		t.Errorf("%d kinds, want %d", len(kinds), len(trained))
	}
	checkScores(t, kinds, all)
}

// tallyAnswer counts an answer among those of its kind and among all.
func tallyAnswer(kinds map[string]*tally, all *tally, q scored, said string) {
	if kinds[q.Kind] == nil {
		kinds[q.Kind] = &tally{}
	}
	for _, c := range []*tally{kinds[q.Kind], all} {
		c.asked++
		c.right += count(slices.Contains(q.Answers, said))
		c.pytorchRight += count(slices.Contains(q.Answers, q.Said))
		c.same += count(said == q.Said)
	}
}

// askScored asks a question as said.py did. The space keeps chat from setting a newline between
// picture and question: the prompt must be PyTorch's to the token.
func askScored(t *testing.T, m *Model, q scored) string {
	t.Helper()
	message := User(Picture(&Image{Name: q.Picture, Data: q.image}), Text(" "+q.Question))
	a := mustAsk(t, m, Request{Messages: []Message{message}, MaxTokens: scoredMaxTokens})
	return a.text
}

// What a user of other tools over libmtmd 0.7 gets of the same model: its layout of the tower
// changes one answer in five. This model is too weak for its scores to tell (docs/measurements.md).
func TestAnswersThroughLibmtmdAreOthers(t *testing.T) {
	if os.Getenv("EYELET_SLOW") == "" {
		t.Skip("asks 400 questions; run make test-slow")
	}
	m := open(t)
	other := openMtmd(t, m, seedProjector)
	native := m.vision
	m.vision = other
	defer func() { m.vision = native; other.Close() }()
	kinds := map[string]*tally{}
	var all tally
	for _, q := range freshQuestions(t) {
		said := askScored(t, m, q)
		tallyAnswer(kinds, &all, q, said)
	}
	t.Logf("through libmtmd:\n%s", scoreTable(kinds, all))
	if all.same > all.asked*9/10 {
		t.Errorf("%d of %d answers are the model's own: libmtmd's tower may be right now, and could be trusted", all.same, all.asked)
	}
}

// checkScores holds the scores against PyTorch's on the same questions and against those of the
// model as trained.
func checkScores(t *testing.T, kinds map[string]*tally, all tally) {
	t.Helper()
	for kind, c := range kinds {
		// Two draws of n questions from a score p differ by sqrt(2p(1-p)/n) in the standard
		// deviation, at most 0.07 for 100 questions. The questions here are the same, and only near
		// ties may fall the other way: less.
		n := float64(c.asked)
		if d, bound := math.Abs(c.score()-c.pytorch()), 0.6/math.Sqrt(n); d > bound+1e-9 {
			t.Errorf("%s: %.2f right, PyTorch %.2f, want at most %.2f between them", kind,
				c.score(), c.pytorch(), bound)
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
	// 11 of 500 answers were seen to differ; another CPU rounds elsewhere and may turn others. Four
	// standard deviations are allowed.
	expected := 11.0 / 500 * float64(all.asked)
	if flips := float64(all.asked - all.same); flips > expected+4*math.Sqrt(expected) {
		t.Errorf("%v of %d answers are not PyTorch's, want at most %.0f", flips, all.asked,
			expected+4*math.Sqrt(expected))
	}
}

func scoreTable(kinds map[string]*tally, all tally) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "kind\tasked\texact\tPyTorch, same questions\tas trained\tanswers same as PyTorch's")
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		c := kinds[kind]
		fmt.Fprintf(w, "%s\t%d\t%.2f\t%.2f\t%.2f\t%d\n", kind, c.asked, c.score(), c.pytorch(),
			trained[kind], c.same)
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
