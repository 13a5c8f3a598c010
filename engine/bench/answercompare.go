package bench

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"
)

// AnswerComparison says how two runs answered the same questions. It is the document of "eyelet
// eval compare --json".
type AnswerComparison struct {
	A      AnswerHead     `json:"a"`
	B      AnswerHead     `json:"b"`
	Shared int            `json:"shared"` // questions that both answered
	OnlyA  int            `json:"only_a"`
	OnlyB  int            `json:"only_b"`
	Same   Interval       `json:"same_answer"` // share of equal answers, to the letter
	Scores []PairedScores `json:"scores"`      // over all, a line for each metric, then by kind
}

// PairedScores are two runs' scores of the same questions.
type PairedScores struct {
	Metric     string   `json:"metric"`
	Kind       string   `json:"kind,omitempty"`
	A          float64  `json:"a"`
	B          float64  `json:"b"`
	Difference Interval `json:"difference"` // B - A, with the interval of a paired bootstrap
	// that chance alone makes such a difference, from the same draws, two-sided
	BootstrapP float64 `json:"bootstrap_p"`
	// McNemar is the exact test of scores that are all right or wrong; null for others.
	McNemar *McNemar `json:"mcnemar"`
}

// McNemar is the exact test of paired right and wrong answers (McNemar 1947): of the questions that
// one run alone answered rightly, each run should have half.
type McNemar struct {
	OnlyA int     `json:"only_a"` // questions that A alone answered rightly
	OnlyB int     `json:"only_b"`
	P     float64 `json:"p"` // two-sided
}

// Significant reports whether chance would make such a difference in less than one of twenty
// comparisons.
func (s *PairedScores) Significant() bool {
	if s.McNemar != nil {
		return s.McNemar.P < 0.05
	}
	return s.BootstrapP < 0.05
}

// CompareAnswers compares two files of answers to the same set, question by question. Errors wrap
// ErrAnswers.
func CompareAnswers(pathA, pathB string) (*AnswerComparison, error) {
	headA, listA, err := readAnswersTo(pathA)
	if err != nil {
		return nil, err
	}
	headB, listB, err := readAnswersTo(pathB)
	if err != nil {
		return nil, err
	}
	if headA.Layout != headB.Layout || headA.Split != headB.Split {
		return nil, fmt.Errorf(
			"bench: %w: %s answers %s %s, %s answers %s %s; runs of the same set can be compared",
			ErrAnswers, pathA, headA.Layout, headA.Split, pathB, headB.Layout, headB.Split)
	}
	c := &AnswerComparison{A: *headA, B: *headB}
	theirs := map[string]SetAnswer{}
	for _, b := range listB {
		theirs[b.ID] = b
	}
	var a, b []SetAnswer
	for _, x := range listA {
		y, ok := theirs[x.ID]
		if !ok {
			c.OnlyA++
			continue
		}
		if x.Question != y.Question || !slices.Equal(x.Answers, y.Answers) {
			return nil, fmt.Errorf("bench: %w: question %s is not the same in both; runs of the same set can be compared", ErrAnswers, x.ID)
		}
		a, b = append(a, x), append(b, y)
	}
	c.Shared, c.OnlyB = len(a), len(listB)-len(a)
	if c.Shared == 0 {
		return nil, fmt.Errorf("bench: %w: the runs share no question", ErrAnswers)
	}
	same := make([]float64, len(a))
	for i := range a {
		if a[i].Said == b[i].Said {
			same[i] = 1
		}
	}
	c.Same = bootstrap(same)
	c.pair(a, b)
	return c, nil
}

// pair fills in the scores, over all questions and by kind.
func (c *AnswerComparison) pair(a, b []SetAnswer) {
	var metrics, kinds []string
	for name := range a[0].Scores {
		metrics = append(metrics, name)
	}
	slices.Sort(metrics)
	for _, x := range a {
		if !slices.Contains(kinds, x.Kind) {
			kinds = append(kinds, x.Kind)
		}
	}
	if len(kinds) > 1 {
		kinds = append([]string{""}, slices.DeleteFunc(kinds, func(k string) bool {
			return k == ""
		})...)
	} else {
		kinds = []string{""}
	}
	for _, kind := range kinds {
		var x, y []SetAnswer
		for i := range a {
			if kind == "" || a[i].Kind == kind {
				x, y = append(x, a[i]), append(y, b[i])
			}
		}
		for _, name := range metrics {
			c.Scores = append(c.Scores, pairedScores(name, kind, scoresNamed(name, x),
				scoresNamed(name, y)))
		}
	}
}

// pairedScores compares the scores of the same questions.
func pairedScores(metric, kind string, a, b []float64) PairedScores {
	d := differences(b, a)
	s := PairedScores{Metric: metric, Kind: kind, A: stat.Mean(a, nil), B: stat.Mean(b, nil),
		Difference: bootstrap(d), BootstrapP: bootstrapP(d)}
	test := &McNemar{P: 1}
	for i := range a {
		switch {
		case a[i] != 0 && a[i] != 1 || b[i] != 0 && b[i] != 1:
			return s
		case a[i] > b[i]:
			test.OnlyA++
		case b[i] > a[i]:
			test.OnlyB++
		}
	}
	if n := test.OnlyA + test.OnlyB; n > 0 {
		coin := distuv.Binomial{N: float64(n), P: 0.5}
		test.P = math.Min(1, 2*coin.CDF(float64(min(test.OnlyA, test.OnlyB))))
	}
	s.McNemar = test
	return s
}

// bootstrapP is the probability, two-sided, that the mean of differences is as far from zero by
// chance: the share of drawn means on the other side of zero, twice, with one added to both counts
// (Davison and Hinkley 1997, section 4.2).
func bootstrapP(d []float64) float64 {
	r := rand.New(rand.NewPCG(1997, uint64(len(d))))
	low, high := 0, 0
	for range resamples {
		sum := 0.0
		for range d {
			sum += d[r.IntN(len(d))]
		}
		if sum <= 0 {
			low++
		}
		if sum >= 0 {
			high++
		}
	}
	return math.Min(1, 2*float64(min(low, high)+1)/(resamples+1))
}

// readAnswersTo reads a file of answers.
func readAnswersTo(path string) (head *AnswerHead, list []SetAnswer, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, fmt.Errorf("bench: %w", err)
	}
	defer f.Close()
	head, list, _, err = readAnswerFile(f)
	if err == errNoHead || err == nil && len(list) == 0 {
		err = fmt.Errorf("%w: it has no answers yet", ErrAnswers)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("bench: %s: %w", path, err)
	}
	return head, list, nil
}
