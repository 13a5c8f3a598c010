package grammar

import "slices"

// settle returns alts in which a branch of a oneOf excludes the values that are valid under
// another.
func (c *converter) settle(alts []*spec) []*spec {
	var out []*spec
	for _, s := range alts {
		list := []*spec{s}
		for _, o := range s.oneOf {
			var next []*spec
			for _, t := range list {
				next = append(next, c.exclude(t, o)...)
			}
			list = next
		}
		out = append(out, list...)
	}
	return out
}

// exclude returns s, which stands for one branch of a oneOf, without the values that are valid
// under another branch as well.
func (c *converter) exclude(s *spec, o choice) []*spec {
	t := *s
	t.oneOf = slices.DeleteFunc(slices.Clone(s.oneOf), func(x choice) bool { return x.at == o.at })
	out := []*spec{&t}
	for i, branch := range o.branches {
		if i == o.taken {
			continue
		}
		for _, other := range branch {
			// s itself takes for granted what is to be made sure of
			if !c.apart(&t, other, 0) {
				out = c.product(o.at, out, c.negateOne(o.at, other))
			}
		}
	}
	return out
}

// apart reports whether it is certain that no value generated for a is valid
// under b. Depth bounds the search; doubt is false.
func (c *converter) apart(a, b *spec, depth int) bool {
	if a == b || depth > 6 {
		return false
	}
	c.spend(1)
	if a.hasEnum {
		return !slices.ContainsFunc(a.enum, func(v *node) bool {
			return c.valid(a, v, possibly) && c.valid(b, v, possibly)
		})
	}
	if b.hasEnum {
		// What a took of a oneOf is what is being proved: not to be assumed.
		assumed := *a
		assumed.oneOf = nil
		return !slices.ContainsFunc(b.enum, func(v *node) bool {
			return c.valid(&assumed, v, possibly)
		})
	}
	common := a.types & b.types
	if common&(typeNull|typeBool) != 0 {
		return false
	}
	if common&typeNumber != 0 {
		both := a.num
		if b.num.min != nil {
			both.atLeast(b.num.min, b.num.minStrict)
		}
		if b.num.max != nil {
			both.atMost(b.num.max, b.num.maxStrict)
		}
		if !both.empty() {
			return false
		}
	}
	if common&typeString != 0 && !(b.maxLength >= 0 && a.minLength > b.maxLength ||
		a.maxLength >= 0 && b.minLength > a.maxLength) &&
		!stringsApart(a, b) {
		return false
	}
	if common&typeArray != 0 && !c.arraysApart(a, b, depth) {
		return false
	}
	return common&typeObject == 0 || c.objectsApart(a, b, depth)
}

func (c *converter) conjApart(a, b conj, depth int) bool {
	x, y := c.alternatives(a), c.alternatives(b)
	for _, p := range x {
		for _, q := range y {
			if !c.apart(p, q, depth+1) {
				return false
			}
		}
	}
	return true
}

// stringsApart reports whether a pattern or format of a and one of b have no text in common.
func stringsApart(a, b *spec) bool {
	list := func(s *spec) []*dfa {
		var out []*dfa
		for _, p := range s.patterns {
			if !p.not {
				out = append(out, p.dfa)
			}
		}
		for _, f := range s.formats {
			out = append(out, automata[f]())
		}
		return out
	}
	for _, p := range list(a) {
		for _, q := range list(b) {
			if both, err := p.combine(q, false); err == nil && both.empty() {
				return true
			}
		}
	}
	return false
}

func (c *converter) arraysApart(a, b *spec, depth int) bool {
	if b.maxItems >= 0 && a.minItems > b.maxItems || a.maxItems >= 0 && b.minItems > a.maxItems {
		return true
	}
	for i := range min(a.minItems, max(len(a.prefix), len(b.prefix))+1) {
		if c.conjApart(a.element(i), b.element(i), depth) {
			return true
		}
	}
	return false
}

func (c *converter) objectsApart(a, b *spec, depth int) bool {
	// A required property whose values differ, or that b forbids.
	for _, r := range a.required {
		mine, _ := a.view(r.text)
		theirs, _ := b.view(r.text)
		if c.conjApart(mine, theirs, depth) {
			return true
		}
	}
	// A property that b requires and that is never made for a.
	for _, r := range b.required {
		mine, declared := a.view(r.text)
		if !declared && !a.mustHave(r.text) && !a.open() && !a.speaksOf(r.text) {
			return true
		}
		if len(c.alternatives(mine)) == 0 {
			return true
		}
	}
	return false
}
