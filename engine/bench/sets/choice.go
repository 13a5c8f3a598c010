package sets

import (
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// choiceAccuracy is MMMU's (Yue et al. 2024): of a question with choices, the letter that the
// answer names must be the right one; of an open question, a right answer must stand in the
// decisive part of what was said. Rules and their order are those of MMMU's eval_utils.py, which
// draws a letter by lot where the answer names none; here that is wrong.
func choiceAccuracy(said string, q *Question) float64 {
	if len(q.Choices) == 0 {
		return truth(openRight(said, q.Answers))
	}
	return truth(slices.Contains(q.Answers, chosenLetter(said, q.Choices)))
}

// letterOf is the letter of a choice.
func letterOf(i int) string { return string(rune('A' + i)) }

// chosenLetter is the letter of the choice that an answer names, "" for none. It looks for "(A)",
// then "A ", then "A.", and in longer answers for the words of a choice; of several the last one
// counts.
func chosenLetter(said string, choices []string) string {
	for _, mark := range []string{",", ".", "!", "?", ";", ":", "'"} {
		said = strings.Trim(said, mark)
	}
	said = " " + said + " "
	type form struct{ found, place string }
	for _, f := range []form{{"(%)", "(%)"}, {"% ", " % "}, {"%.", " % "}} {
		var found []string
		for i := range choices {
			if strings.Contains(said, strings.ReplaceAll(f.found, "%", letterOf(i))) {
				found = append(found, letterOf(i))
			}
		}
		if len(found) > 0 {
			return lastOf(found, func(letter string) int {
				return strings.LastIndex(said, strings.ReplaceAll(f.place, "%", letter))
			})
		}
	}
	if len(strings.Fields(said)) <= 5 {
		return ""
	}
	var found []string
	text := lower(said)
	for i, choice := range choices {
		if strings.Contains(text, lower(choice)) {
			found = append(found, letterOf(i))
		}
	}
	return lastOf(found, func(letter string) int {
		return strings.LastIndex(text, lower(choices[letter[0]-'A']))
	})
}

// lastOf is the element whose place is the farthest, the first of those in one place; "" for none.
func lastOf(list []string, place func(string) int) (last string) {
	far := -2
	for _, x := range list {
		if p := place(x); p > far {
			last, far = x, p
		}
	}
	return last
}

// plainLetter is AI2D's exact match of the letter in lmms-eval: a letter with a full stop at the
// start of the answer, or the answer as a whole, but for case and punctuation.
func plainLetter(said string, q *Question) float64 {
	if m := leadingLetter.FindStringSubmatch(said); m != nil {
		said = m[1]
	}
	clean := func(s string) string {
		return strings.Map(func(r rune) rune {
			if strings.ContainsRune(asciiPunctuation, r) {
				return -1
			}
			return r
		}, lower(s))
	}
	return truth(slices.ContainsFunc(q.Answers, func(right string) bool {
		return clean(said) == clean(right)
	}))
}

var leadingLetter = regexp.MustCompile(`^\s*([A-Z])\.`)

const asciiPunctuation = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"

// openRight reports whether a right answer is among what an answer to an open question comes to.
func openRight(said string, answers []string) bool {
	right := map[string]bool{} // texts; numbers under a mark that texts do not begin with
	for _, a := range answers {
		for _, n := range plainForms(a) {
			right[n] = true
		}
	}
	for _, got := range decisive(said) {
		if strings.HasPrefix(got, numberMark) {
			if right[got] {
				return true
			}
			continue
		}
		for want := range right {
			if !strings.HasPrefix(want, numberMark) && strings.Contains(got, want) {
				return true
			}
		}
	}
	return false
}

// numberMark begins the form of a number, so that it equals no text.
const numberMark = "\x00"

// plainForms are what a text is compared as: a number with two decimals, a text in small letters, a
// single character with a space before or after it.
func plainForms(s string) []string {
	s = strings.TrimSpace(s)
	if x, ok := pythonFloat(strings.ReplaceAll(s, ",", "")); ok {
		if math.IsNaN(x) {
			return nil // it equals nothing
		}
		rounded, _ := strconv.ParseFloat(strconv.FormatFloat(x, 'f', 2, 64), 64)
		return []string{numberMark + strconv.FormatFloat(rounded+0, 'g', -1, 64)}
	}
	s = lower(s)
	if len([]rune(s)) == 1 {
		return []string{" " + s, s + " "}
	}
	return []string{s}
}

// keyWords announce the answer in a sentence; in the last one an equals sign does so too.
var keyWords = []string{"could be ", "so ", "is ", "thus ", "therefore ", "final ", "answer ",
	"result "}

// The three forms of numbers: with commas, scientific, plain.
var (
	commaNumber      = regexp.MustCompile(`-?\b\d{1,3}(?:,\d{3})+\b`)
	scientificNumber = regexp.MustCompile(`-?\d+(?:\.\d+)?[eE][+-]?\d+`)
)

// decisive are the parts of an answer that decide, in their plain forms: what follows the last key
// word of each sentence, or all of it, and the numbers in them.
func decisive(said string) (list []string) {
	text := lower(strings.Trim(strings.TrimSpace(said), "."))
	var keys []string
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		shortest := ""
		words := keyWords
		if i == len(lines)-1 {
			words = append(slices.Clone(keyWords), "=")
		}
		for _, word := range words {
			at := strings.LastIndex(line, word)
			if at < 0 {
				continue
			}
			if tail := strings.TrimSpace(line[at+len(word):]); shortest == "" ||
				len([]rune(tail)) < len([]rune(shortest)) {
				shortest = tail
			}
		}
		if shortest != "" && !(len(shortest) == 1 && strings.Contains(":,.!?;'", shortest)) {
			keys = append(keys, shortest)
		}
	}
	if len(keys) == 0 {
		keys = []string{text}
	}
	for _, key := range keys {
		list = append(list, plainForms(key)...)
	}
	for _, key := range keys {
		for _, n := range numbersIn(key) {
			list = append(list, plainForms(n)...)
		}
	}
	return list
}

// numbersIn are the numbers of a text, some in several forms.
func numbersIn(s string) (list []string) {
	list = append(list, commaNumber.FindAllString(s, -1)...)
	list = append(list, scientificNumber.FindAllString(s, -1)...)
	return append(list, plainNumbers(s)...)
}
