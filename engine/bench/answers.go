package bench

import (
	"strings"
	"unicode"
)

// plainAnswer is an answer without what does not count: case, spaces at the ends and repeated ones,
// a full stop at the end.
func plainAnswer(s string) string {
	return strings.TrimSuffix(strings.Join(strings.Fields(strings.ToLower(s)), " "), ".")
}

// best returns the highest score that a right answer gives.
func best(score func(said, right string) float64, said string, answers []string) (most float64) {
	for _, right := range answers {
		most = max(most, score(said, right))
	}
	return most
}

// exactMatch is 1 for an answer that is right to the letter, but for case, spaces and a full stop
// at its end.
func exactMatch(said, right string) float64 {
	if plainAnswer(said) == plainAnswer(right) {
		return 1
	}
	return 0
}

// literalMatch is 1 for an answer that is right to the letter, but for spaces around it.
func literalMatch(said, right string) float64 {
	if strings.TrimSpace(said) == strings.TrimSpace(right) {
		return 1
	}
	return 0
}

// words are what F1 compares, as in SQuAD's evaluation (Rajpurkar et al. 2016): small letters
// without punctuation and articles.
func words(s string) (list []string) {
	clean := strings.Map(func(r rune) rune {
		if unicode.IsPunct(r) {
			return -1
		}
		return unicode.ToLower(r)
	}, s)
	for _, w := range strings.Fields(clean) {
		if w != "a" && w != "an" && w != "the" {
			list = append(list, w)
		}
	}
	return list
}

// f1 is the harmonic mean of the share of said words that are right and of right words that were
// said.
func f1(said, right string) float64 {
	a, b := words(said), words(right)
	if len(a) == 0 || len(b) == 0 {
		return exactMatch(strings.Join(a, " "), strings.Join(b, " "))
	}
	count := map[string]int{}
	for _, w := range b {
		count[w]++
	}
	common := 0
	for _, w := range a {
		if count[w] > 0 {
			count[w]--
			common++
		}
	}
	return 2 * float64(common) / float64(len(a)+len(b))
}

// anls is the normalised Levenshtein similarity of document questions (Biten et al. 2019): 1 -
// distance / length of the longer one, and 0 where that is below a half.
func anls(said, right string) float64 {
	a, b := []rune(plainAnswer(said)), []rune(plainAnswer(right))
	longest := max(len(a), len(b))
	if longest == 0 {
		return 1
	}
	if s := 1 - float64(levenshtein(a, b))/float64(longest); s >= 0.5 {
		return s
	}
	return 0
}

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
			above := row[k+1]
			cost := 1
			if x == y {
				cost = 0
			}
			row[k+1] = min(above+1, row[k]+1, diagonal+cost)
			diagonal = above
		}
	}
	return row[len(b)]
}
