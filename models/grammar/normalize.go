package grammar

import (
	"math/bits"
	"slices"

	"github.com/eyelet-engine/eyelet/models/internal/fault"
)

// maxAlternatives bounds the disjunctive normal form of one schema: allOf of
// anyOfs multiplies.
const maxAlternatives = 512

// maxProduct bounds the product of two disjunctions, where dropping one of them
// and checking the answer instead is better than a grammar of all their pairs.
const maxProduct = 64

// Loose is a part of a schema that a grammar does not carry.
type Loose struct {
	At  string // JSON pointer of the keyword, as a fragment
	Why string
}

// String returns the place and the reason.
func (l Loose) String() string { return l.At + ": " + l.Why }

// loosen notes that what stands at n is left to the check of the answer.
func (c *converter) loosen(n *node, why string) {
	if !c.loosened[n] {
		c.loosened[n] = true
		c.loose = append(c.loose, Loose{n.pointer(), why})
	}
}

// loosely returns a spec that admits everything although its schema does not.
func loosely() *spec {
	s := newSpec()
	s.loose = true
	return s
}

// spend counts steps of work. It ends the conversion when they are more than the limits allow, and
// looks at the context every 1024 of them.
func (c *converter) spend(steps int) {
	before := c.work
	if c.work += steps; c.work > c.limits.MaxWork {
		panic(fault.New("%w: it combines too many parts: simplify it", errTooLarge))
	}
	if before>>10 != c.work>>10 {
		c.goOn()
	}
}

// goOn ends the conversion once its context has ended.
func (c *converter) goOn() {
	fault.Check(c.ctx.Err())
}

// alternatives returns the normal form of a conjunction; it is empty if no value satisfies that.
func (c *converter) alternatives(want conj) []*spec {
	if len(want) == 1 {
		return c.normalize(want[0])
	}
	alts := []*spec{newSpec()}
	for _, n := range want {
		alts = c.product(n, alts, c.normalize(n))
	}
	return alts
}

// product returns the normal form of what satisfies both a and b, each of one merged with each of
// the other.
func (c *converter) product(at *node, a, b []*spec) []*spec {
	switch {
	case len(b) == 1 && b[0].everything():
		return a
	case len(a) == 1 && a[0].everything():
		return b
	case len(a) > 1 && len(b) > 1 && len(a)*len(b) > maxProduct || len(a)*len(b) > maxAlternatives:
		return c.without(at, a)
	}
	var out []*spec
	for _, x := range a {
		for _, y := range b {
			// Layers, patterns and enums pile up under allOf of allOf.
			c.spend(1 + x.size() + y.size())
			if m := merge(x, y); m != nil {
				out = append(out, m)
			}
		}
	}
	return out
}

// size is how much a merge of s copies, more or less.
func (s *spec) size() int {
	return len(s.layers) + len(s.enum) + len(s.required) + len(s.prefix) + len(s.except) +
		len(s.clauses)
}

// without returns alts marked loose, as a further condition at a node is left out.
func (c *converter) without(at *node, alts []*spec) []*spec {
	c.loosen(at, "it combines with other parts to too many cases")
	out := make([]*spec, len(alts))
	for i, s := range alts {
		t := *s
		t.loose = true
		out[i] = &t
	}
	return out
}

// normalize returns the normal form of one schema, which it remembers.
func (c *converter) normalize(n *node) []*spec {
	if alts, done := c.normal[n]; done {
		return alts
	}
	if c.active[n] {
		panic(n.errorf("$ref leads back here without a step into a property or element"))
	}
	if len(c.active) > c.limits.MaxDepth {
		panic(n.errorf("$ref and combinations nest deeper than %d", c.limits.MaxDepth))
	}
	c.active[n] = true
	defer delete(c.active, n)
	alts := c.combine(n)
	c.normal[n] = alts
	return alts
}

func (c *converter) combine(n *node) []*spec {
	switch n.kind {
	case kindBool:
		if n.yes {
			return []*spec{newSpec()}
		}
		return nil
	case kindObject:
	default:
		panic(n.errorf("a schema is an object, true or false"))
	}
	alts := []*spec{newSpec()}
	targets := c.references(n)
	for _, target := range targets {
		more := c.normalize(target)
		if target == anyNode {
			more = []*spec{loosely()}
		}
		alts = c.product(n, alts, more)
	}
	if len(targets) > 0 && n.get("$ref") != nil && c.doc.draft <= draft7 {
		return alts // these drafts have everything beside $ref ignored
	}
	own := c.direct(n)
	if own.types == 0 {
		return nil
	}
	// The schema's own properties come before those of what it refers to.
	alts = c.product(n, []*spec{own}, alts)
	for _, keyword := range []string{"allOf", "extends"} {
		all := n.get(keyword)
		if all == nil || keyword == "extends" && c.doc.draft > draft4 {
			continue
		}
		parts := []*node{all}
		if keyword == "allOf" || all.kind == kindArray {
			parts = list(all)
		}
		for _, part := range parts {
			alts = c.product(part, alts, c.normalize(part))
		}
	}
	for _, keyword := range []string{"anyOf", "oneOf"} {
		if any := n.get(keyword); any != nil {
			alts = c.branches(any, alts, keyword == "oneOf")
		}
	}
	return c.unevaluated(n, c.conditions(n, alts))
}

// unevaluated applies the keywords that speak of what the others have not.
func (c *converter) unevaluated(n *node, alts []*spec) []*spec {
	alts = slices.Clone(alts)
	if u := n.get("unevaluatedProperties"); u != nil {
		for i, s := range alts {
			if s.loose { // what is left out may evaluate properties
				c.loosen(u, "beside parts that a grammar does not carry")
				continue
			}
			alts[i] = s.seal(u)
		}
	}
	u := n.get("unevaluatedItems")
	if u == nil {
		return alts
	}
	for i, s := range alts {
		t := *s
		switch {
		case s.evaluatesAll:
			continue
		case s.loose, len(s.contains) > 0: // contains evaluates the elements that match
			c.loosen(u, "beside parts of which it depends which elements it speaks of")
			t.loose = true
		case u.kind == kindBool && !u.yes:
			t.maxItems = smaller(s.maxItems, s.evaluated)
		default:
			t.prefix = slices.Clone(s.prefix)
			for j := s.evaluated; j < len(t.prefix); j++ {
				t.prefix[j] = t.prefix[j].and(u)
			}
			t.items, t.hasItems, t.evaluatesAll = s.items.and(u), true, true
		}
		if t.maxItems >= 0 && t.minItems > t.maxItems {
			t.types &^= typeArray
		}
		alts[i] = &t
	}
	return slices.DeleteFunc(alts, func(s *spec) bool { return s.types == 0 })
}

// seal returns s in which the properties that none of its layers evaluates must satisfy others.
func (s *spec) seal(others *node) *spec {
	t := *s
	l := &layer{props: map[string]*node{}}
	for _, old := range s.layers {
		if old.silent {
			continue
		}
		if old.additional != nil { // evaluates every property
			return &t
		}
		for _, name := range old.names {
			if l.props[name] == nil {
				l.names = append(l.names, name)
				l.props[name] = old.props[name]
			}
		}
		l.patterns = append(l.patterns, old.patterns...)
		l.values = append(l.values, old.values...)
	}
	l.additional = others
	t.layers = append(slices.Clone(s.layers), l)
	return &t
}

func (c *converter) branches(at *node, alts []*spec, exclusive bool) []*spec {
	parts := list(at)
	normal := make([][]*spec, len(parts))
	total := 0
	for i, part := range parts {
		normal[i] = c.normalize(part)
		total += len(normal[i])
	}
	if s := presences(normal, exclusive); s != nil {
		return c.product(at, alts, []*spec{s})
	}
	if len(alts) > 1 && len(alts)*total > maxProduct || len(alts)*total > maxAlternatives {
		return c.without(at, alts)
	}
	// what is evaluated depends on all branches that hold
	if !exclusive && c.doc.unevaluated && len(parts) <= 4 {
		for set := range 1 << len(parts) {
			if bits.OnesCount(uint(set)) < 2 {
				continue
			}
			all := []*spec{newSpec()}
			for i, part := range parts {
				if set>>i&1 == 1 {
					all = c.product(part, all, normal[i])
				}
			}
			parts, normal = append(parts, at), append(normal, all)
		}
	}
	var out []*spec
	for i, part := range parts {
		for _, m := range c.product(part, alts, normal[i]) {
			if exclusive && len(parts) > 1 {
				t := *m
				t.oneOf = append(slices.Clone(m.oneOf), choice{at, i, normal})
				m = &t
			}
			out = append(out, m)
		}
	}
	return out
}

func list(n *node) []*node {
	if n.kind != kindArray || len(n.vals) == 0 {
		panic(n.errorf("must be a list that is not empty"))
	}
	return n.vals
}
