package grammar

import (
	"errors"
	"slices"
	"strings"

	"github.com/eyelet-engine/eyelet/models/internal/fault"
)

// open reports whether s lets objects have properties that it does not declare:
// it declares none, or says so.
func (s *spec) open() bool {
	open := true
	for _, l := range s.layers {
		if l.silent {
			continue
		}
		if l.additional != nil || l.unknown {
			return true
		}
		open = false
	}
	return open
}

// closed reports whether s forbids properties that it does not declare, and does not only leave
// them out.
func (s *spec) closed() bool {
	return slices.ContainsFunc(s.layers, func(l *layer) bool {
		return l.additional != nil && !l.unknown
	})
}

// speaksOf reports whether a clause of s names a property.
func (s *spec) speaksOf(name string) bool {
	return slices.ContainsFunc(s.clauses, func(cl clause) bool {
		return slices.ContainsFunc(cl, func(p presence) bool { return p.name == name })
	})
}

func (c *converter) object(s *spec, want conj, hint string) string {
	g := c.rules
	for _, b := range []string{"ws", "colon"} {
		g.base(b)
	}
	if s.maxProps >= 0 && s.minProps > s.maxProps {
		return ""
	}
	at := c.place(want)
	if s.exceptOf(kindObject) != nil {
		c.loosen(at, "objects that are not allowed by name")
	}
	names := s.declared()
	if c.orders != nil && len(names) > 0 {
		c.orders(names)
	}
	if len(names) == 0 && len(s.layers) == 0 && len(s.names) == 0 && s.minProps == 0 &&
		s.maxProps < 0 {
		return g.base("object")
	}
	ch := &chain{c: c, g: g, hint: hint, lo: s.minProps, hi: s.maxProps,
		names: map[chainState]string{}}
	possible := 0
	for _, name := range names {
		member, required := c.member(s, name, hint), s.mustHave(name)
		switch {
		case member != "":
			possible++
		case required:
			return ""
		case !s.speaksOf(name):
			continue // never there
		}
		ch.props = append(ch.props, property{name, member, required})
	}
	// An object that declares properties is closed, unless it could not have as many as are asked
	// for.
	open := s.open() || c.open || possible < s.minProps && !s.closed()
	ch.extra = c.extra(s, want, open, names, hint)
	ch.hi = min(ch.hi, maxCount)
	ch.lo = min(ch.lo, maxCount)
	ch.cap = max(1, min(max(ch.lo, ch.hi), len(ch.props)))
	if ch.cap*len(ch.props) > maxChain {
		c.loosen(at, "minProperties or maxProperties with this many properties")
		ch.lo, ch.hi, ch.cap = 0, -1, 1
	}
	asked := s.literals(ch.props)
	var body string
	var ok bool
	err := fault.Try(func() { body, ok = ch.body(0, 0, asked) })
	if errors.Is(err, errChain) {
		c.loosen(at, err.Error())
		ch.names = map[chainState]string{}
		ch.lo, ch.hi, ch.cap = 0, -1, 1
		err = fault.Try(func() { body, ok = ch.body(0, 0, nil) })
	}
	fault.Check(err)
	if ch.short {
		c.loosen(at, "minProperties: undeclared ones may repeat")
	}
	if !ok {
		return ""
	}
	return `"{" ws ` + group(body)
}

// literals are the clauses of s over the places of properties.
func (s *spec) literals(props []property) [][]int {
	if len(s.clauses) == 0 {
		return nil
	}
	place := map[string]int{}
	for i, p := range props {
		place[p.name] = i + 1
	}
	var out [][]int
	for _, cl := range s.clauses {
		var literals []int
		for _, p := range cl {
			if p.has {
				literals = append(literals, place[p.name])
			} else {
				literals = append(literals, -place[p.name])
			}
		}
		slices.Sort(literals)
		literals = slices.Compact(literals)
		if !slices.ContainsFunc(literals, func(l int) bool {
			return slices.Contains(literals, -l)
		}) {
			out = append(out, literals)
		}
	}
	return out
}

// member returns the rule of a declared property with its name, "" if it has no value.
func (c *converter) member(s *spec, name, hint string) string {
	text := &node{kind: kindString, text: name}
	if !c.validConj(s.names, text, possibly) {
		return ""
	} else if !c.validConj(s.names, text, surely) {
		c.loosen(c.place(s.names), "property names")
	}
	want, _ := s.view(name)
	value := c.value(want, strings.TrimPrefix(hint+"-"+name, "start-"))
	if value == "" {
		return ""
	}
	return c.rules.share(name+"-member", literal(quoteJSON(name))+" colon "+value)
}

// extra returns the rule of a member that no layer declares, "" if there is none.
func (c *converter) extra(s *spec, want conj, open bool, declared []string,
	hint string) string {
	var patterns []pattern
	for _, l := range s.layers {
		patterns = append(patterns, l.patterns...)
	}
	var members []string
	add := func(only *dfa, other []pattern, value conj) {
		rule := c.value(value, hint+"-value")
		if rule == "" {
			return
		}
		if key := c.key(s, want, only, other, declared, hint); key != "" {
			members = append(members, key+" colon "+rule)
		}
	}
	if open {
		var value conj
		for _, l := range s.layers {
			if l.additional != nil && !l.unknown {
				value = value.and(l.additional)
			}
		}
		add(nil, patterns, value)
	}
	// Names that match a set of the patterns, and none of the others.
	var sources []string
	for _, p := range patterns {
		if !slices.Contains(sources, p.source) {
			sources = append(sources, p.source)
		}
	}
	var split func(i int, matched []string, names *dfa)
	split = func(i int, matched []string, names *dfa) {
		if names != nil && names.empty() {
			return
		}
		if i < len(sources) {
			// Names that match two patterns are left out where there are many.
			if len(matched) == 0 || len(sources) <= maxSplit {
				p := c.compiled[string(rune(narrow))+sources[i]]
				both := p
				if names != nil {
					var err error
					if both, err = names.combine(p, false); err != nil {
						both = nil
						c.loosen(c.place(want), "names of properties that match several patterns")
					}
				}
				if both != nil {
					split(i+1, append(slices.Clone(matched), sources[i]), both)
				}
			}
			split(i+1, matched, names)
			return
		}
		if len(matched) == 0 {
			return // done above
		}
		var value conj
		var other []pattern
		for _, l := range s.layers {
			own := false
			for j, q := range l.patterns {
				if slices.Contains(matched, q.source) {
					value, own = value.and(l.values[j]), true
				} else {
					other = append(other, q)
				}
			}
			if !own && l.additional != nil && !l.unknown {
				value = value.and(l.additional)
			}
		}
		add(names, other, value)
	}
	split(0, nil, nil)
	if len(members) == 0 {
		return ""
	}
	return c.rules.share(hint+"-extra", strings.Join(members, " | "))

}

// maxSplit is the number of patterns up to which names may match several of them.
const maxSplit = 4

// key spells, with its quotes, a name that matches only (nil: any) and none of
// other, is not declared and satisfies propertyNames; "" if there is none.
func (c *converter) key(s *spec, want conj, only *dfa, other []pattern, declared []string,
	hint string) string {
	if only == nil && len(other) == 0 && len(declared) == 0 && len(s.names) == 0 {
		return c.rules.base("string")
	}
	at := c.place(want)
	d := only
	if d == nil {
		d, _ = anyText(0, -1)
	}
	narrowTo := func(d, e *dfa, except bool, err error) *dfa {
		if err == nil {
			var both *dfa
			if both, err = d.combine(e, except); err == nil {
				return both
			}
		}
		c.loosen(at, "which names further properties may have")
		return d
	}
	switch {
	case len(declared) == 0:
	case only == nil:
		if other, err := otherThan(declared); err == nil {
			d = other
			break
		}
		c.loosen(at, "which names further properties may have")
	default:
		except, err := exactly(declared)
		d = narrowTo(d, except, true, err)
	}
	for _, p := range other {
		e, err := c.compile(p.source, wide)
		d = narrowTo(d, e, true, err)
	}
	var parts []string
	if len(s.names) == 0 {
		return strings.Join(c.keyPart(parts, d, hint), "")
	}
	for _, a := range c.settle(c.alternatives(s.names)) {
		if a.types&typeString == 0 {
			continue
		}
		e, err := (*dfa)(nil), error(nil)
		if a.hasEnum {
			var texts []string
			for _, v := range a.enum {
				if c.valid(a, v, possibly) && v.kind == kindString {
					texts = append(texts, v.text)
				}
			}
			e, err = exactly(texts)
		} else {
			e = c.strDFA(a, s.names)
		}
		parts = c.keyPart(parts, narrowTo(d, e, false, err), hint)
	}
	if len(parts) > 1 {
		return "( " + strings.Join(parts, " | ") + " )"
	}
	return strings.Join(parts, "")

}

func (c *converter) keyPart(parts []string, d *dfa, hint string) []string {
	if d.empty() {
		return parts
	}
	return append(parts, `"\"" `+c.automaton(hint+"-key", d)+` "\""`)
}
