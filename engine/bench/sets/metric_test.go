package sets

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"testing"
)

// goldens are the scores that lmms-eval's functions give; scripts/golden/sets.py writes them.
type goldens struct {
	VQA, Document, Chart, Openly, Letter []scored
	OCR                                  []scored
	Normal                               []struct{ Text, Plain string }
	Choice                               []struct {
		Said    string
		Choices []string
		Letter  string
	}
	Boxes []struct {
		Said  string
		Box   Box
		Score float64
	}
}

type scored struct {
	Said    string
	Answers []string
	Formula bool
	Score   float64
}

func readGoldens(t *testing.T) (g goldens) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "metrics.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &g); err != nil {
		t.Fatal(err)
	}
	return g
}

func TestMetricsScoreAsLMMsEvalDoes(t *testing.T) {
	g := readGoldens(t)
	for _, tt := range []struct {
		name  string
		list  []scored
		score func(string, *Question) float64
	}{
		{"VQA accuracy", g.VQA, vqaAccuracy},
		{"ANLS", g.Document, anlsScore},
		{"relaxed accuracy", g.Chart, relaxedAccuracy},
		{"containment", g.OCR, containment},
		{"open answers", g.Openly, choiceAccuracy},
		{"exact match of the letter", g.Letter, plainLetter},
	} {
		t.Run(tt.name, func(t *testing.T) {
			right := 0
			for _, c := range tt.list {
				q := &Question{Answers: c.Answers, formula: c.Formula}
				got := tt.score(c.Said, q)
				if math.Abs(got-c.Score) > 1e-12 {
					t.Errorf("%q for %q: %v, want %v", c.Said, c.Answers, got, c.Score)
				}
				if c.Score > 0 {
					right++
				}
			}
			if len(tt.list) < 100 || right == 0 || right == len(tt.list) {
				t.Errorf("%d of %d goldens score", right, len(tt.list))
			}
		})
	}
}

func TestAnswersAreNormalisedAsEvalAIDoes(t *testing.T) {
	for _, c := range readGoldens(t).Normal {
		if got := evalAI(c.Text); got != c.Plain {
			t.Errorf("%q: %q, want %q", c.Text, got, c.Plain)
		}
	}
}

func TestLettersAreFoundAsMMMUDoes(t *testing.T) {
	named := 0
	for _, c := range readGoldens(t).Choice {
		if got := chosenLetter(c.Said, c.Choices); got != c.Letter {
			t.Errorf("%q of %q: %q, want %q", c.Said, c.Choices, got, c.Letter)
		}
		if c.Letter != "" {
			named++
		}
	}
	if named < 100 {
		t.Errorf("%d goldens name a letter", named)
	}
}

func TestBoxesOverlapAsLMMsEvalComputes(t *testing.T) {
	for _, c := range readGoldens(t).Boxes {
		got := boxMetric(c.Said, &Question{Box: c.Box})
		if math.Abs(got[1]-max(0, c.Score)) > 1e-12 || got[0] != truth(c.Score >= 0.5) {
			t.Errorf("%q for %v: %v, want %v", c.Said, c.Box, got, c.Score)
		}
	}
}

func TestBoxesThatCannotBeMeasuredScoreNothing(t *testing.T) {
	for _, said := range []string{"", "[0, 0, 0, 0]", "[1, 1, 0, 0]", "[-" + nines() + ", 0, " +
		nines() + ", 1]"} {
		for i, s := range boxMetric(said, &Question{Box: Box{0, 0, 1, 1}}) {
			if math.IsNaN(s) || s < 0 || s > 1 {
				t.Errorf("%q: score %d is %v", said, i, s)
			}
		}
	}
}

// nines is a number beyond what a float64 holds.
func nines() string {
	digits := make([]byte, 400)
	for i := range digits {
		digits[i] = '9'
	}
	return string(digits)
}

func FuzzMetrics(f *testing.F) {
	f.Add("The answer is (B).", "b")
	f.Add("[0.1, 0.2, 0.3, 0.4]", "12%")
	f.Add("-1.5e3 1,234.", "1_000")
	f.Fuzz(func(t *testing.T, said, right string) {
		q := &Question{Answers: []string{right}, Box: Box{0.1, 0.1, 0.5, 0.5}}
		open := *q
		q.Choices = []string{right, said}
		for _, l := range Layouts {
			for _, q := range []*Question{q, &open} {
				for i, s := range l.Metric.Score(said, q) {
					if !(s >= 0 && s <= 1) {
						t.Errorf("%s: score %d is %v", l.Name, i, s)
					}
				}
			}
		}
	})
}
