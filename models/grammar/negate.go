package grammar

import (
	"maps"
	"math/big"
	"slices"
)

// negate returns the complement of the union of alts. Where no grammar can express it, the result
// admits more, which the converter records.
func (c *converter) negate(at *node, alts []*spec) []*spec {
	out := []*spec{newSpec()}
	for _, s := range alts {
		out = c.product(at, out, c.negateOne(at, s))
	}
	return out
}

// negateOne returns the complement of s: the union, over its keywords, of what one of them refuses.
func (c *converter) negateOne(at *node, s *spec) []*spec {
	if s.loose || len(s.oneOf) > 0 || len(s.names) > 0 || s.unique {
		c.loosen(at, "no grammar states the opposite of this schema")
		return []*spec{loosely()}
	}
	var out []*spec
	add := func(t types, set func(*spec)) {
		if t &= s.types; t != 0 {
			n := newSpec()
			n.types = t
			set(n)
			out = append(out, n)
		}
	}
	if other := allTypes &^ s.types; other != 0 {
		n := newSpec()
		n.types = other
		out = append(out, n)
	}
	if s.hasEnum { // values that are listed say it all
		return []*spec{c.negateEnum(at, s)}
	}
	for _, k := range slices.Sorted(maps.Keys(s.except)) {
		v := s.except[k]
		add(typeOf(v), func(n *spec) {
			n.hasEnum, n.enum, n.members = true, []*node{v}, map[string]bool{k: true}
		})
	}
	if s.num.min != nil {
		add(typeNumber, func(n *spec) { n.num.atMost(s.num.min, !s.num.minStrict) })
	}
	if s.num.max != nil {
		add(typeNumber, func(n *spec) { n.num.atLeast(s.num.max, !s.num.maxStrict) })
	}
	for _, m := range s.multiples {
		add(typeNumber, func(n *spec) { n.notMultiples = []*big.Rat{m} })
	}
	for _, m := range s.notMultiples {
		add(typeNumber, func(n *spec) { n.multiples = []*big.Rat{m} })
	}
	if s.minLength > 0 {
		add(typeString, func(n *spec) { n.maxLength = s.minLength - 1 })
	}
	if s.maxLength >= 0 {
		add(typeString, func(n *spec) { n.minLength = s.maxLength + 1 })
	}
	for _, p := range s.patterns {
		read := wide
		if p.not {
			read = narrow
		}
		d, err := c.compile(p.source, read)
		if err != nil {
			c.loosen(at, "no grammar states the opposite of its pattern")
			return []*spec{loosely()}
		}
		add(typeString, func(n *spec) { n.patterns = []pattern{{p.source, d, !p.not}} })
	}
	for _, f := range s.formats {
		if formats[f].check != nil {
			c.loosen(at, "no grammar states the opposite of format "+f)
			return []*spec{loosely()}
		}
		add(typeString, func(n *spec) { n.notFormats = []string{f} })
	}
	for _, f := range s.notFormats {
		add(typeString, func(n *spec) { n.formats = []string{f} })
	}
	if s.types&typeArray != 0 && !c.negateArray(s, add) || s.types&typeObject != 0 &&
		!c.negateObject(s, add) {
		c.loosen(at, "no grammar states the opposite of this schema")
		return []*spec{loosely()}
	}
	return out
}

// negateEnum returns the spec of all values but those that s lists and that are valid under it.
func (c *converter) negateEnum(at *node, s *spec) *spec {
	n := newSpec()
	n.except = map[string]*node{}
	for _, v := range s.enum {
		switch ok, sure := c.valid(s, v, possibly), c.valid(s, v, surely); {
		case ok && !sure:
			c.loosen(at, "no grammar states the opposite of this schema")
			n.loose = true
		case ok:
			n.except[v.canonical()] = v
		}
	}
	return n
}

// negateArray adds the cases of arrays, false if some cannot be told.
func (c *converter) negateArray(s *spec, add func(types, func(*spec))) bool {
	if s.minItems > 0 {
		add(typeArray, func(n *spec) { n.maxItems = s.minItems - 1 })
	}
	if s.maxItems >= 0 {
		add(typeArray, func(n *spec) { n.minItems = s.maxItems + 1 })
	}
	for i, want := range s.prefix {
		if len(want) > 1 {
			return false
		}
		if len(want) == 1 {
			add(typeArray, func(n *spec) {
				n.minItems = i + 1 // and evaluates nothing
				n.prefix = append(make([]conj, i), conj{c.not(want[0])})
			})
		}
	}
	if s.hasItems && len(s.items) > 0 {
		if len(s.prefix) > 0 || len(s.items) > 1 {
			return false
		}
		add(typeArray, func(n *spec) { n.contains = []contains{{c.not(s.items[0]), 1, -1}} })
	}
	for _, k := range s.contains {
		if k.min != 1 || k.max >= 0 {
			return false
		}
		add(typeArray, func(n *spec) { n.items, n.hasItems = conj{c.not(k.schema)}, true })
	}
	return true
}

// negateObject adds the cases of objects, false if some cannot be told.
func (c *converter) negateObject(s *spec, add func(types, func(*spec))) bool {
	if s.minProps > 0 {
		add(typeObject, func(n *spec) { n.maxProps = s.minProps - 1 })
	}
	if s.maxProps >= 0 {
		add(typeObject, func(n *spec) { n.minProps = s.maxProps + 1 })
	}
	for _, r := range s.required {
		add(typeObject, func(n *spec) { n.clauses = []clause{{{r.text, false}}} })
	}
	for _, cl := range s.clauses {
		add(typeObject, func(n *spec) {
			for _, p := range cl {
				n.clauses = append(n.clauses, clause{{p.name, !p.has}})
			}
		})
	}
	for _, l := range s.layers {
		if len(l.patterns) > 0 || l.unknown || l.additional != nil &&
			!(l.additional.kind == kindBool && l.additional.yes) {
			return false
		}
		for _, name := range l.names {
			value := l.props[name]
			if value.kind == kindBool && value.yes {
				continue
			}
			add(typeObject, func(n *spec) {
				n.required = []*node{{kind: kindString, text: name}}
				n.layers = []*layer{{names: []string{name},
					props: map[string]*node{name: c.not(value)}, silent: true}}
			})
		}
	}
	return true
}

// not returns the schema of the values that are not valid under n.
func (c *converter) not(n *node) *node {
	if made := c.opposites[n]; made != nil {
		return made
	}
	c.made++
	made := &node{kind: kindObject, keys: []string{"not"}, vals: []*node{n},
		byKey:  map[string]*node{"not": n},
		parent: n.parent, key: n.key, id: -3 - c.made}
	c.opposites[n] = made
	return made
}

// conditions applies the conditional keywords of n: not, if, and those of dependencies.
func (c *converter) conditions(n *node, alts []*spec) []*spec {
	parse := func(at *node) []*spec {
		if at == nil {
			return []*spec{newSpec()}
		}
		return c.normalize(at)
	}
	if not := n.get("not"); not != nil {
		alts = c.product(not, alts, c.negate(not, c.normalize(not)))
	}
	then, other := n.get("then"), n.get("else")
	if when := n.get("if"); when != nil && (then != nil || other != nil ||
		n.get("unevaluatedProperties") != nil || n.get("unevaluatedItems") != nil) &&
		c.doc.cases() {
		yes := c.normalize(when)
		no := c.negate(when, yes)
		pass := c.product(when, yes, parse(then))
		fail := c.product(when, no, parse(other))
		alts = c.product(when, alts, append(slices.Clone(pass), fail...))
	}
	for _, key := range []string{"dependentRequired", "dependentSchemas", "dependencies"} {
		cases := n.get(key)
		if cases == nil {
			continue
		}
		if cases.kind != kindObject {
			panic(cases.errorf("must be an object"))
		}
		for i, name := range cases.keys {
			v := cases.vals[i]
			switch {
			case v.kind == kindArray && key != "dependentSchemas", v.kind == kindString &&
				key == "dependencies":
				names := v.vals
				if v.kind == kindString { // draft-03
					names = []*node{v}
				}
				s := newSpec()
				for _, needs := range names {
					if needs.kind != kindString {
						panic(needs.errorf("must be a property name"))
					}
					s.clauses = append(s.clauses, clause{{name, false}, {needs.text, true}})
				}
				alts = c.product(v, alts, []*spec{s})
			case key == "dependentRequired":
				panic(v.errorf("must be a list of property names"))
			default:
				alts = c.product(v, alts, c.dependent(v, name, c.normalize(v)))
			}
		}
	}
	return alts
}

// dependent returns the normal form of a schema that applies to objects with a certain property.
func (c *converter) dependent(at *node, name string, want []*spec) []*spec {
	absent := newSpec()
	absent.clauses = []clause{{{name, false}}}
	// the property asks for others
	if len(want) == 1 && want[0].presence() && want[0].types == allTypes {
		s := newSpec()
		for _, cl := range want[0].demands() {
			s.clauses = append(s.clauses, append(clause{{name, false}}, cl...))
		}
		return []*spec{s}
	}
	present := newSpec()
	present.types = typeObject
	present.required = []*node{{kind: kindString, text: name}}
	return append([]*spec{absent}, c.product(at, []*spec{present}, want)...)
}

// everything reports whether s admits every JSON value.
func (s *spec) everything() bool {
	return s.types == allTypes && !s.loose && s.presence() && len(s.required) == 0 &&
		len(s.clauses) == 0
}

// presence reports whether s says nothing but types and which properties there are.
func (s *spec) presence() bool {
	return !s.loose && !s.hasEnum && len(s.except) == 0 && s.num == (bounds{}) &&
		len(s.multiples) == 0 && len(s.notMultiples) == 0 &&
		s.minLength == 0 && s.maxLength < 0 && len(s.patterns) == 0 && len(s.formats) == 0 &&
		len(s.notFormats) == 0 &&
		len(s.layers) == 0 && len(s.names) == 0 && s.minProps == 0 && s.maxProps < 0 &&
		len(s.prefix) == 0 && !s.hasItems &&
		s.minItems == 0 && s.maxItems < 0 && len(s.contains) == 0 && !s.unique && len(s.oneOf) == 0
}

// demands returns the clauses of s, its required properties among them.
func (s *spec) demands() []clause {
	var out []clause
	for _, r := range s.required {
		out = append(out, clause{{r.text, true}})
	}
	return append(out, s.clauses...)
}

const maxClauses = 64

// presences returns a single spec for an anyOf, or a oneOf, whose branches say nothing but which
// properties there are; nil if no single spec states it.
func presences(branches [][]*spec, exclusive bool) *spec {
	for _, b := range branches {
		if len(b) != 1 || !b[0].presence() || len(branches[0]) != 1 ||
			b[0].types != branches[0][0].types {
			return nil
		}
	}
	out := newSpec()
	all := []clause{nil} // one of the branches: the product of their clauses
	for i, b := range branches {
		demands := b[0].demands()
		if len(demands) == 0 { // holds for every object
			if exclusive {
				return nil
			}
			out.types = b[0].types
			return out
		}
		var next []clause
		for _, so := range all {
			for _, d := range demands {
				next = append(next, append(slices.Clone(so), d...))
			}
		}
		if all = next; len(all) > maxClauses {
			return nil
		}
		if !exclusive {
			continue
		}
		for _, o := range branches[:i] { // not both
			both := clause{}
			for _, d := range append(slices.Clone(demands), o[0].demands()...) {
				if len(d) > 1 {
					return nil
				}
				both = append(both, presence{d[0].name, !d[0].has})
			}
			out.clauses = append(out.clauses, both)
		}
	}
	out.types = branches[0][0].types
	if exclusive && len(branches) > 1 {
		out.types &= typeObject // other values satisfy every branch that lets them be
	}
	out.clauses = append(out.clauses, all...)
	if len(out.clauses) > 2*maxClauses || out.types == 0 {
		return nil
	}
	return out
}
