package sets

import (
	"strings"

	"golang.org/x/text/cases"
	"golang.org/x/text/language"
)

// A Metric scores an answer. Scores are from 0 to 1, in the order of Names; the first is what the
// set is known by.
type Metric struct {
	Names  []string
	Source string // where it is defined
	score  func(said string, q *Question) []float64
}

// Score scores what a model said to a question.
func (m *Metric) Score(said string, q *Question) []float64 { return m.score(said, q) }

// single is a metric of one score.
func single(name, source string, score func(said string, q *Question) float64) Metric {
	return Metric{Names: []string{name}, Source: source, score: func(said string,
		q *Question) []float64 {
		return []float64{score(said, q)}
	}}
}

// lower and upper change case as Python's str does, special cases of Unicode included.
func lower(s string) string { return cases.Lower(language.Und).String(s) }
func upper(s string) string { return cases.Upper(language.Und).String(s) }

// truth is 1 for true.
func truth(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}

// anlsScore is the normalised Levenshtein similarity to the nearest right answer, and 0 where that
// is below a half (Biten et al. 2019, "Scene Text Visual Question Answering"). As in the set's own
// script, the distance is that of small letters with single spaces, and its divisor the length of
// the longer text as it stands.
func anlsScore(said string, q *Question) float64 {
	least := 1.0
	for i, right := range q.Answers {
		longest := max(len([]rune(upper(right))), len([]rune(upper(said))))
		share := 0.0
		if longest > 0 {
			share = float64(levenshtein([]rune(plainSpaces(right)), []rune(plainSpaces(said)))) /
				float64(longest)
		}
		if i == 0 || share < least {
			least = share
		}
	}
	if s := 1 - least; s >= 0.5 {
		return s
	}
	return 0
}

// plainSpaces is a text in small letters with single spaces.
func plainSpaces(s string) string { return strings.Join(strings.Fields(lower(s)), " ") }

// levenshtein counts the insertions, deletions and exchanges that lead from a to b.
func levenshtein(a, b []rune) int {
	row := make([]int, len(b)+1)
	for k := range row {
		row[k] = k
	}
	for i, x := range a {
		diagonal := row[0]
		row[0] = i + 1
		for k, y := range b {
			above, cost := row[k+1], 1
			if x == y {
				cost = 0
			}
			row[k+1] = min(above+1, row[k]+1, diagonal+cost)
			diagonal = above
		}
	}
	return row[len(b)]
}

// relaxedAccuracy allows a number to be off by a twentieth of the right one; other answers must be
// equal but for case (Masry et al. 2022, "ChartQA", section 5.1, after Methani et al. 2020,
// "PlotQA").
func relaxedAccuracy(said string, q *Question) float64 {
	for _, right := range q.Answers {
		x, isNumber := percentOrNumber(said)
		y, wantsNumber := percentOrNumber(right)
		if isNumber && wantsNumber && y != 0 {
			if far := abs(x-y) / abs(y); far <= 0.05 {
				return 1
			}
		} else if lower(said) == lower(right) {
			return 1
		}
	}
	return 0
}

func abs(x float64) float64 {
	if x < 0 {
		return -x
	}
	return x
}

// percentOrNumber reads a number, or a percentage as a hundredth of it.
func percentOrNumber(s string) (float64, bool) {
	if strings.HasSuffix(s, "%") {
		x, ok := pythonFloat(strings.TrimRight(s, "%"))
		return x / 100, ok
	}
	return pythonFloat(s)
}

// containment asks whether a right answer stands in what was said (Liu et al. 2023, "OCRBench"): in
// small letters with line breaks as spaces, and for formulas (HME100k) without any spaces. Letters
// of full width count as plain ones.
func containment(said string, q *Question) float64 {
	clean := func(s string) string {
		return strings.ReplaceAll(strings.TrimSpace(lower(strings.Map(halfWidth, s))), "\n", " ")
	}
	if q.formula {
		clean = func(s string) string {
			return strings.ReplaceAll(strings.ReplaceAll(strings.TrimSpace(s), "\n", " "), " ", "")
		}
	}
	text := clean(said)
	for _, right := range q.Answers {
		if strings.Contains(text, clean(right)) {
			return 1
		}
	}
	return 0
}

// halfWidth is the plain form of an ASCII character of full width.
func halfWidth(r rune) rune {
	switch {
	case r >= 0xFF01 && r <= 0xFF5E:
		return r - 0xFEE0
	case r == 0x3000:
		return ' '
	}
	return r
}
