package grammar

import (
	"math/big"
	"unicode/utf8"
)

// certainty says how a value is judged where a normal form does not tell.
type certainty bool

const (
	surely   certainty = true  // valid only if nothing is left open
	possibly certainty = false // valid unless something speaks against it
)

// valid reports whether v surely, or possibly, satisfies s.
func (c *converter) valid(s *spec, v *node, sure certainty) (bool, error) {
	if err := c.spend(1, v); err != nil {
		return false, err
	}
	t := typeOf(v)
	switch {
	case s.types&t == 0, sure == surely && s.loose:
		return false, nil
	case s.hasEnum || len(s.except) > 0:
		k := v.canonical()
		if s.hasEnum && !s.members[k] || s.except[k] != nil {
			return false, nil
		}
	}
	for _, o := range s.oneOf {
		if ok, err := c.validOne(o.branches, v, sure); !ok || err != nil {
			return false, err
		}
	}
	switch t {
	case typeInteger, typeFraction:
		r, err := v.rational()
		if err != nil {
			return sure == possibly, nil
		}
		for _, m := range s.multiples {
			if !new(big.Rat).Quo(r, m).IsInt() {
				return false, nil
			}
		}
		for _, m := range s.notMultiples {
			if new(big.Rat).Quo(r, m).IsInt() {
				return false, nil
			}
		}
		return s.num.contains(r), nil
	case typeString:
		return s.validString(v.text), nil
	case typeArray:
		return c.validArray(s, v, sure)
	case typeObject:
		return c.validObject(s, v, sure)
	}
	return true, nil
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
	for _, f := range s.formats {
		if !hasFormat(f, text) {
			return false
		}
	}
	for _, f := range s.notFormats {
		if hasFormat(f, text) {
			return false
		}
	}
	return true
}

func (c *converter) validArray(s *spec, v *node, sure certainty) (bool, error) {
	if len(v.vals) < s.minItems || s.maxItems >= 0 && len(v.vals) > s.maxItems {
		return false, nil
	}
	seen := map[string]bool{}
	for i, e := range v.vals {
		if ok, err := c.validConj(s.element(i), e, sure); !ok || err != nil {
			return false, err
		}
		if s.unique {
			k := e.canonical()
			if seen[k] {
				return false, nil
			}
			seen[k] = true
		}
	}
	for _, k := range s.contains {
		certain, possible := 0, 0
		for _, e := range v.vals {
			for _, how := range []certainty{surely, possibly} {
				ok, err := c.validConj(conj{k.schema}, e, how)
				if err != nil {
					return false, err
				}
				if ok && how == surely {
					certain++
				} else if ok {
					possible++
				}
			}
		}
		low, high := certain, possible // the bounds on the count
		if sure == possibly {
			low, high = possible, certain
		}
		if low < k.min || k.max >= 0 && high > k.max {
			return false, nil
		}
	}
	return true, nil
}

// validOne reports whether v surely, or possibly, satisfies exactly one of the branches of a oneOf.
func (c *converter) validOne(branches [][]*spec, v *node, sure certainty) (bool, error) {
	certain, candidates := 0, 0
	for _, branch := range branches {
		ok, err := c.validAny(branch, v, surely)
		if err != nil {
			return false, err
		}
		if ok {
			certain++
			candidates++
			continue
		}
		if ok, err = c.validAny(branch, v, possibly); err != nil {
			return false, err
		}
		if ok {
			candidates++
		}
	}
	if sure == surely {
		return certain == 1 && candidates == 1, nil
	}
	return certain <= 1 && candidates >= 1, nil
}

func (c *converter) validObject(s *spec, v *node, sure certainty) (bool, error) {
	if len(v.keys) < s.minProps || s.maxProps >= 0 && len(v.keys) > s.maxProps {
		return false, nil
	}
	for _, r := range s.required {
		if v.byKey[r.text] == nil {
			return false, nil
		}
	}
	for _, cl := range s.clauses {
		met := false
		for _, p := range cl {
			met = met || (v.byKey[p.name] != nil) == p.has
		}
		if !met {
			return false, nil
		}
	}
	for i, k := range v.keys {
		want, _ := s.view(k)
		if ok, err := c.validConj(want, v.vals[i], sure); !ok || err != nil {
			return false, err
		}
		if ok, err := c.validConj(s.names, &node{kind: kindString, text: k}, sure); !ok ||
			err != nil {
			return false, err
		}
	}
	return true, nil
}

func (c *converter) validAny(alts []*spec, v *node, sure certainty) (bool, error) {
	for _, s := range alts {
		if ok, err := c.valid(s, v, sure); ok || err != nil {
			return ok, err
		}
	}
	return false, nil
}

func (c *converter) validConj(want conj, v *node, sure certainty) (bool, error) {
	alts, err := c.alternatives(want)
	if err != nil {
		return false, err
	}
	return c.validAny(alts, v, sure)
}
