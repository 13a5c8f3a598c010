package grammar

import (
	"fmt"
	"slices"
	"strings"
)

func (c *converter) str(s *spec, want conj, hint string) string {
	g := c.rules
	if s.maxLength >= 0 && s.minLength > s.maxLength {
		return ""
	}
	if s.minLength > maxCount {
		panic(c.place(want).errorf("minLength above %d is not supported", maxCount))
	}
	excepted := s.exceptOf(kindString)
	if len(s.patterns) == 0 && len(s.formats) == 0 && len(s.notFormats) == 0 && excepted == nil {
		body := g.base("string")
		if s.minLength == 0 && s.maxLength < 0 {
			return body
		}
		text := g.repeat("char", "char", s.minLength, min(s.maxLength, maxCount))
		return `"\"" ` + text + ` "\""`
	}
	d := c.strDFA(s, want)
	if d.empty() {
		return ""
	}
	return `"\"" ` + c.automaton(hint, d) + ` "\""`
}

// exceptOf returns the texts of the values of a kind that s forbids one by one; nil if none.
func (s *spec) exceptOf(kind nodeKind) []string {
	var out []string
	for _, v := range s.except {
		if v.kind == kind {
			out = append(out, v.text)
		}
	}
	slices.Sort(out)
	return out
}

// automaton returns the rule that d starts with; its rules are written once.
func (c *converter) automaton(hint string, d *dfa) string {
	if name := c.starts[d]; name != "" {
		return name
	}
	key := d.key()
	name := c.spelled[key]
	if name == "" {
		name = c.rules.automaton(hint, d)
		c.spelled[key] = name
	}
	c.starts[d] = name
	return name
}

// maxLengthProduct bounds the states of a pattern times those of the lengths
// beside it, of which the automaton of both has a part.
const maxLengthProduct = 8000

// strDFA returns the automaton of the strings that s admits. What would make it too large is left
// to the check of the answer.
func (c *converter) strDFA(s *spec, want conj) *dfa {
	if len(s.except) > 0 {
		return c.joinedDFA(s, want)
	}
	var b strings.Builder
	for _, p := range s.patterns {
		fmt.Fprintf(&b, "%v %q ", p.not, p.source)
	}
	fmt.Fprint(&b, s.formats, s.notFormats, s.minLength, s.maxLength)
	key := b.String()
	if d := c.joined[key]; d != nil {
		return d
	}
	before := len(c.loose)
	d := c.joinedDFA(s, want)
	if len(c.loose) == before { // what is loosened is noted for each place
		c.joined[key] = d
	}
	return d
}

// joinedDFA computes what strDFA remembers.
func (c *converter) joinedDFA(s *spec, want conj) *dfa {
	at := c.place(want)
	var d *dfa
	join := func(e *dfa, except bool, what string) {
		if e == nil {
			c.loosen(at, what+": too large beside the others")
			return
		}
		if d == nil && !except {
			d = e
			return
		}
		if d == nil {
			d, _ = anyText(0, -1)
		}
		both, err := d.combine(e, except)
		if err != nil || c.automata+len(both.edges) > maxAutomata {
			c.loosen(at, what+": too large beside the others")
			return
		}
		c.automata += len(both.edges)
		d = both
	}
	for _, p := range s.patterns {
		join(p.dfa, p.not, "pattern")
	}
	for _, f := range s.formats {
		join(automata[f](), false, "format")
	}
	for _, f := range s.notFormats {
		join(automata[f](), true, "format")
	}
	if excepted := s.exceptOf(kindString); excepted != nil {
		e, err := exactly(excepted)
		if err != nil {
			e = nil
		}
		join(e, true, "values that are not allowed")
	}
	if d != nil && d.empty() {
		return d
	}
	if d != nil {
		short, long := d.lengths()
		if short >= s.minLength && (s.maxLength < 0 || long >= 0 && long <= s.maxLength) {
			return d
		}
	}
	if s.minLength == 0 && s.maxLength < 0 && d != nil {
		return d
	}
	e, err := anyText(s.minLength, s.maxLength)
	if err == nil && d != nil && len(d.edges)*len(e.edges) > maxLengthProduct {
		err = errPatternSize
	}
	if err != nil && s.maxLength >= 0 { // the lower bound alone, if that is small
		c.loosen(at, "maxLength: too large beside a pattern or format")
		if e, err = anyText(s.minLength, -1); s.minLength == 0 {
			e = nil
		}
	}
	if err != nil {
		c.loosen(at, "minLength: too large beside a pattern or format")
		e = nil
	}
	if e != nil {
		join(e, false, "length")
	}
	if d == nil {
		d, _ = anyText(0, -1)
	}
	c.goOn()
	return d
}
