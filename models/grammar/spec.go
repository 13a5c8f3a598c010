package grammar

import (
	"math/big"
	"slices"
	"unicode/utf8"
)

// types is a set of JSON types. Numbers are split, so that "integer" and
// "number" intersect as sets.
type types uint8

const (
	typeNull types = 1 << iota
	typeBool
	typeObject
	typeArray
	typeString
	typeInteger
	typeFraction // numbers that are no integers
	typeNumber   = typeInteger | typeFraction
	allTypes     = 1<<7 - 1
)

var typeNames = map[string]types{
	"null": typeNull, "boolean": typeBool, "object": typeObject, "array": typeArray,
	"string": typeString, "integer": typeInteger, "number": typeNumber,
}

// conj is a conjunction of schemas: a value must be valid under each. Sorted by
// id without repeats; empty admits everything.
type conj []*node

func (a conj) and(b ...*node) conj {
	out := append(slices.Clone(a), b...)
	slices.SortFunc(out, func(x, y *node) int { return x.id - y.id })
	return slices.Compact(out)
}

// spec is one alternative of a schema in normal form: no references, no
// combinations, every keyword at its tightest. Immutable once built.
type spec struct {
	types types // allowed
	typed bool  // some "type" said so
	hints types // types that untyped keywords speak of

	enum    []*node
	members map[string]bool // canonical spellings of enum
	hasEnum bool

	num       bounds
	multiples []*big.Rat

	minLength, maxLength int // characters; maxLength -1 is unbounded
	patterns             []pattern
	formats              []string

	layers             []*layer
	required           []*node // strings
	names              conj    // propertyNames
	minProps, maxProps int     // maxProps -1 is unbounded

	prefix             []conj
	items              conj
	hasItems           bool
	minItems, maxItems int // maxItems -1 is unbounded

	oneOf []choice
}

// choice records which branch of a oneOf this spec took.
type choice struct {
	at       *node // the oneOf list
	taken    int
	branches [][]*spec
}

type pattern struct {
	source string
	dfa    *dfa
}

// layer is what one schema object says of properties. Layers stay apart because
// additionalProperties speaks of the properties of its own schema object alone.
type layer struct {
	names      []string
	props      map[string]*node
	patterns   []pattern
	values     []*node // under patterns
	additional *node
}

// view is what l demands of the value of a property.
func (l *layer) view(name string) (conj, bool) {
	var c conj
	found := false
	if n := l.props[name]; n != nil {
		c, found = c.and(n), true
	}
	for i, p := range l.patterns {
		if p.dfa.match(name) {
			c, found = c.and(l.values[i]), true
		}
	}
	if !found && l.additional != nil {
		return c.and(l.additional), false
	}
	return c, found
}

func newSpec() *spec {
	return &spec{types: allTypes, maxLength: -1, maxProps: -1, maxItems: -1}
}

// effective are the types that are generated: those said, else those the
// keywords speak of.
func (s *spec) effective() types {
	if !s.typed && s.hints != 0 {
		return s.types & s.hints
	}
	return s.types
}

func smaller(a, b int) int {
	if a < 0 || b >= 0 && b < a {
		return b
	}
	return a
}

// merge is the conjunction of a and b; nil if nothing satisfies both.
func merge(a, b *spec) *spec {
	m := &spec{
		types: a.types & b.types, typed: a.typed || b.typed, hints: a.hints | b.hints,
		num:       a.num,
		multiples: slices.Concat(a.multiples, b.multiples),
		minLength: max(a.minLength, b.minLength), maxLength: smaller(a.maxLength, b.maxLength),
		patterns: slices.Concat(a.patterns, b.patterns), formats: slices.Concat(a.formats, b.formats),
		layers: slices.Concat(a.layers, b.layers), required: slices.Concat(a.required, b.required),
		names:    a.names.and(b.names...),
		minProps: max(a.minProps, b.minProps), maxProps: smaller(a.maxProps, b.maxProps),
		items: a.items.and(b.items...), hasItems: a.hasItems || b.hasItems,
		minItems: max(a.minItems, b.minItems), maxItems: smaller(a.maxItems, b.maxItems),
		oneOf: slices.Concat(a.oneOf, b.oneOf),
	}
	if b.num.min != nil {
		m.num.atLeast(b.num.min, b.num.minStrict)
	}
	if b.num.max != nil {
		m.num.atMost(b.num.max, b.num.maxStrict)
	}
	for i := range max(len(a.prefix), len(b.prefix)) {
		m.prefix = append(m.prefix, a.element(i).and(b.element(i)...))
	}
	switch {
	case a.hasEnum && b.hasEnum:
		m.hasEnum = true
		m.members = map[string]bool{}
		for _, v := range a.enum {
			if k := v.canonical(); b.members[k] {
				m.enum = append(m.enum, v)
				m.members[k] = true
			}
		}
	case a.hasEnum:
		m.enum, m.members, m.hasEnum = a.enum, a.members, true
	case b.hasEnum:
		m.enum, m.members, m.hasEnum = b.enum, b.members, true
	}
	if m.hasEnum && len(m.enum) == 0 || m.types == 0 {
		return nil
	}
	return m
}

// element is what s demands of the array element at i.
func (s *spec) element(i int) conj {
	if i < len(s.prefix) {
		return s.prefix[i]
	}
	return s.items
}

// view is what all layers demand of a property; declared if one names it.
func (s *spec) view(name string) (c conj, declared bool) {
	for _, l := range s.layers {
		v, d := l.view(name)
		c, declared = c.and(v...), declared || d
	}
	return c, declared
}

func (s *spec) mustHave(name string) bool {
	return slices.ContainsFunc(s.required, func(n *node) bool { return n.text == name })
}

// declared are the property names of all layers in order, then required ones
// that no layer names.
func (s *spec) declared() []string {
	var out []string
	seen := map[string]bool{}
	add := func(name string) {
		if !seen[name] {
			seen[name] = true
			out = append(out, name)
		}
	}
	for _, l := range s.layers {
		for _, name := range l.names {
			add(name)
		}
	}
	for _, n := range s.required {
		add(n.text)
	}
	return out
}

// typeOf is the type bit of a value.
func typeOf(v *node) types {
	switch v.kind {
	case kindNull:
		return typeNull
	case kindBool:
		return typeBool
	case kindString:
		return typeString
	case kindArray:
		return typeArray
	case kindObject:
		return typeObject
	}
	if r, err := v.rational(); err == nil && r.IsInt() {
		return typeInteger
	}
	return typeFraction
}

// certainty says how a value is judged whose format the patterns of this package, which are narrower than the formats, do not tell.
type certainty bool

const (
	surely   certainty = true  // valid only where a pattern says so
	possibly certainty = false // valid unless something else speaks against it
)

// valid reports whether v surely, or possibly, satisfies s.
func (c *converter) valid(s *spec, v *node, sure certainty) (bool, error) {
	t := typeOf(v)
	if s.types&t == 0 {
		return false, nil
	}
	if s.hasEnum && !s.members[v.canonical()] {
		return false, nil
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
			return false, err
		}
		for _, m := range s.multiples {
			if !new(big.Rat).Quo(r, m).IsInt() {
				return false, nil
			}
		}
		return s.num.contains(r), nil
	case typeString:
		n := utf8.RuneCountInString(v.text)
		if n < s.minLength || s.maxLength >= 0 && n > s.maxLength {
			return false, nil
		}
		for _, p := range s.patterns {
			if !p.dfa.match(v.text) {
				return false, nil
			}
		}
		for _, f := range s.formats {
			d, err := c.compile(formats[f])
			if err != nil {
				return false, err
			}
			if sure == surely && !d.match(v.text) {
				return false, nil
			}
		}
	case typeArray:
		if len(v.vals) < s.minItems || s.maxItems >= 0 && len(v.vals) > s.maxItems {
			return false, nil
		}
		for i, e := range v.vals {
			if ok, err := c.validConj(s.element(i), e, sure); !ok || err != nil {
				return false, err
			}
		}
	case typeObject:
		return c.validObject(s, v, sure)
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
	if sure {
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
	for i, k := range v.keys {
		want, _ := s.view(k)
		if ok, err := c.validConj(want, v.vals[i], sure); !ok || err != nil {
			return false, err
		}
		if ok, err := c.validConj(s.names, &node{kind: kindString, text: k}, sure); !ok || err != nil {
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
