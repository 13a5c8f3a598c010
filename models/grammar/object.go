package grammar

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// property is a declared property that values may have.
type property struct {
	name     string
	member   string // rule of "name": value; empty for one that is never there
	required bool
}

// chain builds the rules of an object's members. Its states are declared
// properties decided on, members written so far, counted up to a cap, and what
// is still asked of the properties to come. Every subset of optional properties
// is a path, and the rules are as many as the properties times the cap, which is
// one unless the schema counts properties, times the ways in which properties
// that speak of others may have gone.
type chain struct {
	c      *converter
	g      *rules
	hint   string
	props  []property
	extra  string // rule of an undeclared member, empty if there is none
	lo, hi int    // bounds on the number of members; hi -1 is none
	cap    int
	names  map[chainState]string // state to rule, "" if it leads nowhere
	short  bool                  // undeclared members that may repeat are counted
}

type chainState struct {
	next, members int
	asked         string // clauses over properties to come
}

// maxChain bounds the states of one object.
const maxChain = 4000

// ask drops from the clauses what is known once a property is there, or is not; false if one of
// them does not hold any more. A literal is the place of a property, from one, below zero for its
// absence.
func ask(clauses [][]int, prop int, has bool) ([][]int, bool) {
	met, unmet := prop+1, -prop-1
	if !has {
		met, unmet = unmet, met
	}
	out := clauses[:0:0]
	for _, cl := range clauses {
		if slices.Contains(cl, met) {
			continue
		}
		if slices.Contains(cl, unmet) {
			cl = slices.DeleteFunc(slices.Clone(cl), func(l int) bool { return l == unmet })
		}
		if len(cl) == 0 {
			return nil, false
		}
		out = append(out, cl)
	}
	return out, true
}

func packClauses(clauses [][]int) string {
	if len(clauses) == 0 {
		return ""
	}
	parts := make([]string, len(clauses))
	for i, cl := range clauses {
		parts[i] = packInts(append([]int{len(cl)}, cl...))
	}
	slices.Sort(parts)
	return strings.Join(slices.Compact(parts), "")
}

// state returns the rule of a state, false if no object comes of it.
func (ch *chain) state(i, k int, asked [][]int) (string, bool) {
	at := chainState{i, k, packClauses(asked)}
	if name, done := ch.names[at]; done {
		return name, name != ""
	}
	if len(ch.names) > maxChain {
		panic(fault{errChain})
	}
	body, ok := ch.body(i, k, asked)
	name := ""
	if ok {
		name = ch.g.share(ch.hint+"-rest", body)
	}
	ch.names[at] = name
	return name, ok
}

var errChain = errors.New("too many ways in which its properties may go together")

func (ch *chain) separator(k int) string {
	if k == 0 {
		return ""
	}
	return `"," ws `
}

// body spells what follows in a state, to the closing brace.
func (ch *chain) body(i, k int, asked [][]int) (string, bool) {
	ch.c.goOn()
	var run strings.Builder
	for ; i < len(ch.props) && ch.props[i].required; i++ {
		var ok bool
		if asked, ok = ask(asked, i, true); !ok || ch.hi >= 0 && k >= ch.hi {
			return "", false
		}
		run.WriteString(ch.separator(k) + ch.props[i].member + " ")
		k = min(k+1, ch.cap)
	}
	if i == len(ch.props) {
		end, ok := ch.end(k)
		return run.String() + end, ok && len(asked) == 0
	}
	skip, canSkip := "", false
	if without, ok := ask(asked, i, false); ok {
		skip, canSkip = ch.state(i+1, k, without)
	}
	take, canTake := "", false
	if with, ok := ask(asked, i, true); ok && (ch.hi < 0 || k < ch.hi) && ch.props[i].member != "" {
		take, canTake = ch.state(i+1, min(k+1, ch.cap), with)
		take = ch.separator(k) + ch.props[i].member + " " + take
	}
	switch {
	case canTake && canSkip:
		both := take + " | " + skip
		if run.Len() > 0 {
			both = group(both)
		}
		return run.String() + both, true
	case canTake:
		return run.String() + take, true
	}
	return run.String() + skip, canSkip
}

// end spells the undeclared members and the closing brace.
func (ch *chain) end(k int) (string, bool) {
	brace := `ws "}"`
	if k == 0 {
		brace = `"}"`
	}
	need, room := max(0, ch.lo-k), -1
	if ch.hi >= 0 {
		room = ch.hi - k
	}
	if ch.extra == "" || room == 0 {
		return brace, need == 0
	}
	ch.short = ch.short || need > 1 // two undeclared members may be the same one twice
	next := ch.g.share(ch.hint+"-next", `"," ws `+ch.extra)
	if k > 0 {
		return ch.g.repeat(ch.hint+"-next", next, need, room) + " " + brace, true
	}
	if room > 0 {
		room--
	}
	more := ch.g.repeat(ch.hint+"-next", next, max(0, need-1), room)
	// A rule of its own: llama.cpp counts the rules inside a group that may be left out.
	first := ch.g.share(ch.hint+"-members", fmt.Sprintf(`%s %s ws`, ch.extra, more))
	if need == 0 {
		first += "?"
	}
	return first + ` "}"`, true
}

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
	err := try(func() { body, ok = ch.body(0, 0, asked) })
	if errors.Is(err, errChain) {
		c.loosen(at, err.Error())
		ch.names = map[chainState]string{}
		ch.lo, ch.hi, ch.cap = 0, -1, 1
		body, ok = ch.body(0, 0, nil)
	} else if err != nil {
		panic(fault{err})
	}
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
