package grammar

// exclusive makes sure that no value made for s, which took one branch of a
// oneOf, is valid under another branch as well.
func (c *converter) exclusive(s *spec, o choice) error {
	for i, branch := range o.branches {
		if i == o.taken {
			continue
		}
		for _, other := range branch {
			apart, err := c.apart(s, other, 0)
			if err != nil {
				return err
			}
			if !apart {
				return o.at.errorf("a value may match both branch %d and branch %d: use anyOf, or give the branches a required property with different const values", o.taken, i)
			}
		}
	}
	return nil
}

// apart reports whether it is certain that no value generated for a is valid
// under b. Depth bounds the search; doubt is false.
func (c *converter) apart(a, b *spec, depth int) (bool, error) {
	if a == b || depth > 6 {
		return false, nil
	}
	if c.work++; c.work > c.limits.MaxWork {
		return false, c.root.errorf("schema combines too many parts: simplify it")
	}
	if a.hasEnum {
		for _, v := range a.enum {
			if made, err := c.valid(a, v, surely); err != nil || !made {
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
	common := a.effective() & b.types
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
	if common&typeString != 0 && !(b.maxLength >= 0 && a.minLength > b.maxLength || a.maxLength >= 0 && b.minLength > a.maxLength) {
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
		made := declared || a.mustHave(r.text) || len(a.layers) == 0
		for _, l := range a.layers {
			made = made || l.additional != nil
		}
		if !made {
			return true, nil
		}
		if alts, err := c.alternatives(mine); err != nil || len(alts) == 0 {
			return err == nil, err
		}
	}
	return false, nil
}
