package grammar

import "slices"

// settle makes the branches of oneOf that were taken exclude the others.
func (c *converter) settle(alts []*spec) ([]*spec, error) {
	var out []*spec
	for _, s := range alts {
		list := []*spec{s}
		for _, o := range s.oneOf {
			var next []*spec
			for _, t := range list {
				more, err := c.exclude(t, o)
				if err != nil {
					return nil, err
				}
				next = append(next, more...)
			}
			list = next
		}
		out = append(out, list...)
	}
	return out, nil
}

// exclude is s, which took one branch of a oneOf, without the values that are
// valid under another branch as well.
func (c *converter) exclude(s *spec, o choice) ([]*spec, error) {
	t := *s
	t.oneOf = slices.DeleteFunc(slices.Clone(s.oneOf), func(x choice) bool { return x.at == o.at })
	out := []*spec{&t}
	for i, branch := range o.branches {
		if i == o.taken {
			continue
		}
		for _, other := range branch {
			// s itself takes for granted what is to be made sure of
			apart, err := c.apart(&t, other, 0)
			if err != nil {
				return nil, err
			}
			if apart {
				continue
			}
			not, err := c.negateOne(o.at, other)
			if err == nil {
				out, err = c.product(o.at, out, not)
			}
			if err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

// apart reports whether it is certain that no value generated for a is valid
// under b. Depth bounds the search; doubt is false.
func (c *converter) apart(a, b *spec, depth int) (bool, error) {
	if a == b || depth > 6 {
		return false, nil
	}
	if err := c.spend(1, c.root); err != nil {
		return false, err
	}
	if a.hasEnum {
		for _, v := range a.enum {
			if made, err := c.valid(a, v, possibly); err != nil || !made {
				if err != nil {
					return false, err
				}
				continue
			}
			if both, err := c.valid(b, v, possibly); both || err != nil {
				return false, err
			}
		}
		return true, nil
	}
	if b.hasEnum {
		// What a took of a oneOf is what is being proved: not to be assumed.
		assumed := *a
		assumed.oneOf = nil
		for _, v := range b.enum {
			if both, err := c.valid(&assumed, v, possibly); both || err != nil {
				return false, err
			}
		}
		return true, nil
	}
	common := a.types & b.types
	if common&(typeNull|typeBool) != 0 {
		return false, nil
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
			return false, nil
		}
	}
	if common&typeString != 0 && !(b.maxLength >= 0 && a.minLength > b.maxLength ||
		a.maxLength >= 0 && b.minLength > a.maxLength) &&
		!stringsApart(a, b) {
		return false, nil
	}
	if common&typeArray != 0 {
		if apart, err := c.arraysApart(a, b, depth); !apart || err != nil {
			return false, err
		}
	}
	if common&typeObject != 0 {
		return c.objectsApart(a, b, depth)
	}
	return true, nil
}

func (c *converter) conjApart(a, b conj, depth int) (bool, error) {
	x, err := c.alternatives(a)
	if err != nil {
		return false, err
	}
	y, err := c.alternatives(b)
	if err != nil {
		return false, err
	}
	for _, p := range x {
		for _, q := range y {
			if apart, err := c.apart(p, q, depth+1); !apart || err != nil {
				return false, err
			}
		}
	}
	return true, nil
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

func (c *converter) arraysApart(a, b *spec, depth int) (bool, error) {
	if b.maxItems >= 0 && a.minItems > b.maxItems || a.maxItems >= 0 && b.minItems > a.maxItems {
		return true, nil
	}
	for i := range min(a.minItems, max(len(a.prefix), len(b.prefix))+1) {
		if apart, err := c.conjApart(a.element(i), b.element(i), depth); apart || err != nil {
			return apart, err
		}
	}
	return false, nil
}

func (c *converter) objectsApart(a, b *spec, depth int) (bool, error) {
	// A required property whose values differ, or that b forbids.
	for _, r := range a.required {
		mine, _ := a.view(r.text)
		theirs, _ := b.view(r.text)
		if apart, err := c.conjApart(mine, theirs, depth); apart || err != nil {
			return apart, err
		}
	}
	// A property that b requires and that is never made for a.
	for _, r := range b.required {
		mine, declared := a.view(r.text)
		if !declared && !a.mustHave(r.text) && !a.open() && !a.speaksOf(r.text) {
			return true, nil
		}
		if alts, err := c.alternatives(mine); err != nil || len(alts) == 0 {
			return err == nil, err
		}
	}
	return false, nil
}
