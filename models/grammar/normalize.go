package grammar

import (
	"errors"
	"fmt"
	"math/big"
	"math/bits"
	"slices"
	"strings"
)

// maxAlternatives bounds the disjunctive normal form of one schema: allOf of
// anyOfs multiplies.
const maxAlternatives = 512

// maxProduct bounds the product of two disjunctions, where dropping one of them
// and checking the answer instead is better than a grammar of all their pairs.
const maxProduct = 64

// keywordTypes says which types a keyword speaks of. Values of others satisfy it.
var keywordTypes = map[string]types{
	"properties": typeObject, "required": typeObject, "additionalProperties": typeObject,
	"patternProperties": typeObject,
	"propertyNames":     typeObject, "minProperties": typeObject, "maxProperties": typeObject,
	"unevaluatedProperties": typeObject,
	"items":                 typeArray, "prefixItems": typeArray, "additionalItems": typeArray,
	"minItems": typeArray, "maxItems": typeArray, "uniqueItems": typeArray,
	"contains":  typeArray,
	"minLength": typeString, "maxLength": typeString, "pattern": typeString, "format": typeString,
	"minimum": typeNumber, "maximum": typeNumber, "exclusiveMinimum": typeNumber,
	"exclusiveMaximum": typeNumber, "multipleOf": typeNumber,
}

// Loose is a part of a schema that a grammar does not carry.
type Loose struct {
	At  string // JSON pointer of the keyword, as a fragment
	Why string
}

func (l Loose) String() string { return l.At + ": " + l.Why }

// loosen notes that what stands at n is left to the check of the answer.
func (c *converter) loosen(n *node, why string) {
	if !c.loosened[n] {
		c.loosened[n] = true
		c.loose = append(c.loose, Loose{n.pointer(), why})
	}
}

// loosely is a spec that admits everything where the schema does not.
func loosely() *spec {
	s := newSpec()
	s.loose = true
	return s
}

// spend counts steps of work at n and looks up from it now and then.
func (c *converter) spend(steps int, n *node) {
	before := c.work
	if c.work += steps; c.work > c.limits.MaxWork {
		panic(faultf("%w: it combines too many parts: simplify it", errTooLarge))
	}
	if before>>10 != c.work>>10 {
		c.goOn()
	}
}

// goOn ends the conversion once its context has ended.
func (c *converter) goOn() {
	if err := c.ctx.Err(); err != nil {
		panic(fault{err})
	}
}

// alternatives is the normal form of a conjunction; none means unsatisfiable.
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

// product merges each of a with each of b.
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
			c.spend(1+x.size()+y.size(), at)
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

// without is alts where a further condition, which stands at a node, is left out.
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

// normalize is the normal form of one schema, remembered.
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

// seal holds properties that none of its layers evaluates to a schema.
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

// direct reads the keywords of n that are no combinations.
func (c *converter) direct(n *node) *spec {
	s := newSpec()
	var l layer
	for i, key := range n.keys {
		v := n.vals[i]
		switch keywordTypes[key] {
		case typeObject:
			c.objectKeyword(s, &l, key, v)
		case typeArray:
			c.arrayKeyword(s, n, key, v)
		case typeString:
			c.stringKeyword(s, key, v)
		case typeNumber:
			c.numberKeyword(s, n, key, v)
		default:
			anyKeyword(s, key, v)
		}
	}
	if l.props != nil || l.additional != nil || l.patterns != nil {
		s.layers = []*layer{&l}
	}
	// A type whose bounds exclude each other has no values.
	if s.num.empty() {
		s.types &^= typeNumber
	}
	if s.maxLength >= 0 && s.minLength > s.maxLength {
		s.types &^= typeString
	}
	if s.maxItems >= 0 && s.minItems > s.maxItems {
		s.types &^= typeArray
	}
	if s.maxProps >= 0 && s.minProps > s.maxProps {
		s.types &^= typeObject
	}
	return s
}

func anyKeyword(s *spec, key string, v *node) {
	switch key {
	case "type":
		named := []*node{v}
		if v.kind == kindArray {
			named = v.vals
		}
		var set types
		for _, t := range named {
			if t.kind == kindString && t.text == "any" { // of draft-03, and still written
				set = allTypes
				continue
			}
			if t.kind != kindString || typeNames[t.text] == 0 {
				panic(t.errorf("unknown type: string, number, integer, boolean, null, array and " +
					"object are known"))
			}
			set |= typeNames[t.text]
		}
		s.types &= set
	case "enum", "const":
		values := []*node{v}
		if key == "enum" {
			if v.kind != kindArray {
				panic(v.errorf("must be a list of values"))
			}
			values = v.vals
		}
		e := newSpec()
		e.hasEnum = true
		e.members = map[string]bool{}
		for _, x := range values {
			if k := x.canonical(); !e.members[k] {
				e.members[k] = true
				e.enum = append(e.enum, x)
			}
		}
		if m := merge(s, e); m != nil {
			*s = *m
		} else {
			s.types = 0
		}
	}
}

func (c *converter) numberKeyword(s *spec, n *node, key string, v *node) {
	// draft-04: the bound itself is outside
	if v.kind == kindBool && strings.HasPrefix(key, "exclusive") {
		if bound := n.get(map[string]string{"exclusiveMinimum": "minimum",
			"exclusiveMaximum": "maximum"}[key]); bound != nil && v.yes {
			c.numberKeyword(s, n, key, bound)
		}
		return
	}
	if v.kind != kindNumber {
		panic(v.errorf("must be a number"))
	}
	r, err := v.rational()
	if err != nil {
		c.loosen(v, "a number this large or long")
		s.loose = true
		return
	}
	switch key {
	case "minimum", "exclusiveMinimum":
		s.num.atLeast(r, key != "minimum")
	case "maximum", "exclusiveMaximum":
		s.num.atMost(r, key != "maximum")
	case "multipleOf":
		if r.Sign() <= 0 {
			panic(v.errorf("must be greater than zero"))
		}
		s.multiples = []*big.Rat{r}
	}
}

func (c *converter) stringKeyword(s *spec, key string, v *node) {
	switch key {
	case "minLength":
		s.minLength = v.natural()
	case "maxLength":
		s.maxLength = v.natural()
	case "pattern":
		d := c.pattern(v, v.text, narrow)
		if d != nil {
			s.patterns = append(s.patterns, pattern{source: v.text, dfa: d})
			if d.empty() {
				s.types &^= typeString
			}
		}
		s.loose = s.loose || d == nil
	case "format":
		if v.kind != kindString {
			panic(v.errorf("must be a string"))
		}
		if f, known := formats[v.text]; known {
			s.formats = append(s.formats, v.text)
			if f.check != nil {
				c.loosen(v, f.why)
			}
		}
	}
}

// maxAutomata bounds the automata of one schema together, in states.
const maxAutomata = 30000

// pattern compiles the regular expression at v. The outcome is nil where no
// automaton follows it, which is noted.
func (c *converter) pattern(v *node, source string, read reading) *dfa {
	if v.kind != kindString && v.parent.kind != kindObject {
		panic(v.errorf("must be a string"))
	}
	d, err := c.compile(source, read)
	switch {
	case errors.Is(err, errPatternSize), errors.Is(err, errLookaround):
		c.loosen(v, fmt.Sprintf("pattern %.80q: %v", source, err))
		return nil
	case err != nil:
		panic(v.errorf("%v", err))
	}
	return d
}

func (c *converter) compile(source string, read reading) (*dfa, error) {
	if !strings.Contains(source, ".") && !strings.Contains(source, `\s`) &&
		!strings.Contains(source, `\S`) {
		read = narrow // all readings are the same
	}
	key := string(rune(read)) + source
	if d := c.compiled[key]; d != nil {
		return d, nil
	}
	if len(source) > 4096 {
		return nil, errPatternSize
	}
	c.goOn()
	d, err := compilePattern(source, read)
	if err != nil {
		return nil, err
	}
	if c.automata += len(d.edges); c.automata > maxAutomata {
		return nil, errPatternSize
	}
	c.compiled[key] = d
	return d, nil
}

func (c *converter) objectKeyword(s *spec, l *layer, key string, v *node) {
	switch key {
	case "properties", "patternProperties":
		if v.kind != kindObject {
			panic(v.errorf("must be an object"))
		}
		if l.props == nil {
			l.props = map[string]*node{}
		}
		for i, name := range v.keys {
			if key == "properties" {
				l.names = append(l.names, name)
				l.props[name] = v.vals[i]
				continue
			}
			d := c.pattern(v.vals[i], name, narrow)
			if d == nil { // may be about any name
				s.loose, l.unknown = true, true
				continue
			}
			l.patterns = append(l.patterns, pattern{source: name, dfa: d})
			l.values = append(l.values, v.vals[i])
		}
	case "additionalProperties":
		l.additional = v
	case "propertyNames":
		s.names = conj{v}
	case "required":
		// draft-03, and still written in schemas of properties, where it says nothing
		if v.kind == kindBool {
			return
		}
		if v.kind != kindArray {
			panic(v.errorf("must be a list of property names"))
		}
		for _, name := range v.vals {
			if name.kind != kindString {
				panic(name.errorf("must be a property name"))
			}
			s.required = append(s.required, name)
		}
	case "minProperties":
		s.minProps = v.natural()
	case "maxProperties":
		s.maxProps = v.natural()
	}
}

func (c *converter) arrayKeyword(s *spec, n *node, key string, v *node) {
	switch key {
	case "prefixItems", "items":
		if v.kind != kindArray {
			if key == "prefixItems" {
				panic(v.errorf("must be a list of schemas"))
			}
			s.items, s.hasItems, s.evaluatesAll = conj{v}, true, true
			break
		}
		if n.get("prefixItems") != nil && key == "items" {
			panic(v.errorf("a list beside prefixItems: give one schema for the further elements"))
		}
		for _, e := range v.vals {
			s.prefix = append(s.prefix, conj{e})
		}
		s.evaluated = len(s.prefix)
	case "additionalItems":
		if list := n.get("items"); list != nil && list.kind == kindArray {
			s.items, s.hasItems, s.evaluatesAll = conj{v}, true, true
		}
	case "minItems":
		s.minItems = v.natural()
	case "maxItems":
		s.maxItems = v.natural()
	case "uniqueItems":
		if v.kind != kindBool {
			panic(v.errorf("must be true or false"))
		}
		s.unique = v.yes
	case "contains":
		k := contains{v, 1, -1}
		if least := n.get("minContains"); least != nil {
			k.min = least.natural()
		}
		if most := n.get("maxContains"); most != nil {
			k.max = most.natural()
		}
		s.contains = append(s.contains, k)
	}
}
