package grammar

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Combine makes one grammar of several: root is the body of its start rule, in which the start rule
// of each part goes by the part's name (letters, digits and '-'). Rules of the parts are renamed,
// so that they do not meet. The outcome has passed [Check].
func Combine(root string, parts map[string]string) (string, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "root ::= %s\n", root)
	for _, name := range slices.Sorted(maps.Keys(parts)) {
		text, err := renamed(parts[name], name)
		if err != nil {
			return "", err
		}
		b.WriteString(text)
		b.WriteByte('\n')
	}
	text := b.String()
	if err := Check(text); err != nil {
		return "", err
	}
	return text, nil
}

// renamed puts a name before those of all rules, and in place of that of the start rule.
func renamed(gbnf, name string) (string, error) {
	g, err := parseGBNF(gbnf)
	if err != nil {
		return "", err
	}
	places := map[int]string{} // offset to the rule that is named there
	for _, r := range g.rules {
		places[r.at.offset] = r.name
		for it := range references(r.alts) {
			places[it.at.offset] = it.text
		}
	}
	var b strings.Builder
	from := 0
	for _, at := range slices.Sorted(maps.Keys(places)) {
		old := places[at]
		b.WriteString(gbnf[from:at])
		b.WriteString(name)
		if old != "root" {
			b.WriteString("-" + old)
		}
		from = at + len(old)
	}
	b.WriteString(gbnf[from:])
	return b.String(), nil
}

// Literal spells a text as an item of a grammar.
func Literal(text string) string { return literal(text) }

// Before is the body of rules for any text that ends with the first appearance of end, which is not
// empty. Their start rule is "root".
func Before(end string) string {
	marks := []rune(end)
	// fail[i] is the longest proper end of marks[:i] that is also its beginning (Knuth, Morris and
	// Pratt 1977).
	fail := make([]int, len(marks)+1)
	next := func(state int, r rune) int {
		for state > 0 && (state == len(marks) || marks[state] != r) {
			state = fail[state]
		}
		if marks[state] == r {
			return state + 1
		}
		return 0
	}
	for i := 1; i < len(marks); i++ {
		fail[i+1] = next(fail[i], marks[i])
	}
	state := func(i int) string {
		if i == 0 {
			return "root"
		}
		return fmt.Sprintf("after-%d", i)
	}
	letters := slices.Compact(slices.Sorted(slices.Values(marks)))
	var set runeSet
	for _, r := range letters {
		set = append(set, runeRange{r, r})
	}
	others := "[^" + class(set)[1:]
	var b strings.Builder
	for i := range marks {
		fmt.Fprintf(&b, "%s ::= ", state(i))
		for _, r := range letters {
			if to := next(i, r); to == len(marks) {
				fmt.Fprintf(&b, "%s | ", literal(string(r)))
			} else {
				fmt.Fprintf(&b, "%s %s | ", literal(string(r)), state(to))
			}
		}
		fmt.Fprintf(&b, "%s root\n", others)
	}
	return b.String()
}
