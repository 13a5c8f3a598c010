package grammar

import (
	"math/big"
	"slices"
	"unicode/utf8"
)

// certainty says how a value is judged where a normal form does not tell.
type certainty bool

const (
	surely   certainty = true  // valid only if nothing is left open
	possibly certainty = false // valid unless something speaks against it
)

// valid reports whether v surely, or possibly, satisfies s.
func (c *converter) valid(s *spec, v *node, sure certainty) bool {
	c.spend(1)
	t := typeOf(v)
	switch {
	case s.types&t == 0, sure == surely && s.loose:
		return false
	case s.hasEnum || len(s.except) > 0:
		k := v.canonical()
		if s.hasEnum && !s.members[k] || s.except[k] != nil {
			return false
		}
	}
	for _, o := range s.oneOf {
		if !c.validOne(o.branches, v, sure) {
			return false
		}
	}
	switch t {
	case typeInteger, typeFraction:
		r, err := v.rational()
		if err != nil {
			return sure == possibly
		}
		for _, m := range s.multiples {
			if !new(big.Rat).Quo(r, m).IsInt() {
				return false
			}
		}
		for _, m := range s.notMultiples {
			if new(big.Rat).Quo(r, m).IsInt() {
				return false
			}
		}
		return s.num.contains(r)
	case typeString:
		return s.validString(v.text)
	case typeArray:
		return c.validArray(s, v, sure)
	case typeObject:
		return c.validObject(s, v, sure)
	}
	return true
}

func (s *spec) validString(text string) bool {
	n := utf8.RuneCountInString(text)
	if n < s.minLength || s.maxLength >= 0 && n > s.maxLength {
		return false
	}
	for _, p := range s.patterns {
		if p.dfa.match(text) == p.not {
			return false
		}
	}
	has := func(format string) bool { return hasFormat(format, text) }
	lacks := func(format string) bool { return !has(format) }
	return !slices.ContainsFunc(s.formats, lacks) && !slices.ContainsFunc(s.notFormats, has)
}

func (c *converter) validArray(s *spec, v *node, sure certainty) bool {
	if len(v.vals) < s.minItems || s.maxItems >= 0 && len(v.vals) > s.maxItems {
		return false
	}
	seen := map[string]bool{}
	for i, e := range v.vals {
		if !c.validConj(s.element(i), e, sure) {
			return false
		}
		if s.unique {
			k := e.canonical()
			if seen[k] {
				return false
			}
			seen[k] = true
		}
	}
	for _, k := range s.contains {
		certain, possible := 0, 0
		for _, e := range v.vals {
			if c.validConj(conj{k.schema}, e, surely) {
				certain++
			}
			if c.validConj(conj{k.schema}, e, possibly) {
				possible++
			}
		}
		low, high := certain, possible // the bounds on the count
		if sure == possibly {
			low, high = possible, certain
		}
		if low < k.min || k.max >= 0 && high > k.max {
			return false
		}
	}
	return true
}

// validOne reports whether v surely, or possibly, satisfies exactly one of the branches of a oneOf.
func (c *converter) validOne(branches [][]*spec, v *node, sure certainty) bool {
	certain, candidates := 0, 0
	for _, branch := range branches {
		if c.validAny(branch, v, surely) {
			certain++
			candidates++
		} else if c.validAny(branch, v, possibly) {
			candidates++
		}
	}
	if sure == surely {
		return certain == 1 && candidates == 1
	}
	return certain <= 1 && candidates >= 1
}

func (c *converter) validObject(s *spec, v *node, sure certainty) bool {
	if len(v.keys) < s.minProps || s.maxProps >= 0 && len(v.keys) > s.maxProps {
		return false
	}
	for _, r := range s.required {
		if v.byKey[r.text] == nil {
			return false
		}
	}
	for _, cl := range s.clauses {
		met := false
		for _, p := range cl {
			met = met || (v.byKey[p.name] != nil) == p.has
		}
		if !met {
			return false
		}
	}
	for i, k := range v.keys {
		want, _ := s.view(k)
		if !c.validConj(want, v.vals[i], sure) ||
			!c.validConj(s.names, &node{kind: kindString, text: k}, sure) {
			return false
		}
	}
	return true
}

func (c *converter) validAny(alts []*spec, v *node, sure certainty) bool {
	return slices.ContainsFunc(alts, func(s *spec) bool { return c.valid(s, v, sure) })
}

func (c *converter) validConj(want conj, v *node, sure certainty) bool {
	return c.validAny(c.alternatives(want), v, sure)
}
