package grammar

import (
	"maps"
	"math/big"
	"slices"
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
	loose bool  // admits values that the schema does not

	enum    []*node
	members map[string]bool // canonical spellings of enum
	hasEnum bool
	except  map[string]*node // values that are not allowed, by their canonical spellings

	num          bounds
	multiples    []*big.Rat
	notMultiples []*big.Rat

	minLength, maxLength int // characters; maxLength -1 is unbounded
	patterns             []pattern
	formats, notFormats  []string

	layers             []*layer
	required           []*node // strings
	clauses            []clause
	names              conj // propertyNames
	minProps, maxProps int  // maxProps -1 is unbounded

	prefix             []conj
	items              conj
	hasItems           bool
	minItems, maxItems int // maxItems -1 is unbounded
	contains           []contains
	unique             bool
	// For unevaluatedItems: how many of prefix are evaluated, which those of negations are not, and
	// whether all elements are.
	evaluated    int
	evaluatesAll bool

	oneOf []choice
}

// clause demands that an object has, or has not, one of some properties.
type clause []presence

type presence struct {
	name string
	has  bool
}

// contains bounds the number of elements that are valid under a schema.
type contains struct {
	schema   *node
	min, max int // max -1 is unbounded
}

// choice records which branch of a oneOf this spec took.
type choice struct {
	at       *node // the oneOf list
	taken    int
	branches [][]*spec
}

// pattern is a regular expression that must match, or must not if not is set.
type pattern struct {
	source string
	dfa    *dfa
	not    bool
}

// layer is what one schema object says of properties. Layers stay apart because
// additionalProperties speaks of the properties of its own schema object alone.
type layer struct {
	names      []string
	props      map[string]*node
	patterns   []pattern
	values     []*node // under patterns
	additional *node
	silent     bool // of the negation of a schema, which declares nothing
	unknown    bool // has patterns that may match any name
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

func smaller(a, b int) int {
	if a < 0 || b >= 0 && b < a {
		return b
	}
	return a
}

// merge is the conjunction of a and b; nil if nothing satisfies both.
func merge(a, b *spec) *spec {
	m := &spec{
		types: a.types & b.types, loose: a.loose || b.loose,
		num:          a.num,
		multiples:    slices.Concat(a.multiples, b.multiples),
		notMultiples: slices.Concat(a.notMultiples, b.notMultiples),
		minLength:    max(a.minLength, b.minLength), maxLength: smaller(a.maxLength, b.maxLength),
		patterns: slices.Concat(a.patterns, b.patterns), formats: slices.Concat(a.formats,
			b.formats),
		notFormats: slices.Concat(a.notFormats, b.notFormats),
		layers:     slices.Concat(a.layers, b.layers), required: slices.Concat(a.required,
			b.required),
		clauses:  slices.Concat(a.clauses, b.clauses),
		names:    a.names.and(b.names...),
		minProps: max(a.minProps, b.minProps), maxProps: smaller(a.maxProps, b.maxProps),
		items: a.items.and(b.items...), hasItems: a.hasItems || b.hasItems,
		minItems: max(a.minItems, b.minItems), maxItems: smaller(a.maxItems, b.maxItems),
		contains: slices.Concat(a.contains, b.contains), unique: a.unique || b.unique,
		evaluated: max(a.evaluated, b.evaluated), evaluatesAll: a.evaluatesAll || b.evaluatesAll,
		oneOf: slices.Concat(a.oneOf, b.oneOf),
	}
	if m.except = a.except; len(m.except) == 0 {
		m.except = b.except
	} else if len(b.except) > 0 {
		m.except = maps.Clone(a.except)
		maps.Copy(m.except, b.except)
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
	if m.hasEnum && len(m.except) > 0 {
		allowed, members := m.enum, map[string]bool{}
		m.enum = nil
		for _, v := range allowed {
			if k := v.canonical(); m.except[k] == nil {
				m.enum, members[k] = append(m.enum, v), true
			}
		}
		m.members, m.except = members, nil
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
	for _, has := range []bool{true, false} { // what others ask for comes before them
		for _, cl := range s.clauses {
			for _, p := range cl {
				if p.has == has {
					add(p.name)
				}
			}
		}
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
