package grammar

import (
	"fmt"
	"math/big"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// maxAlternatives bounds the disjunctive normal form of one schema: allOf of
// anyOfs multiplies.
const maxAlternatives = 512

// refused are keywords that restrict values in a way a grammar here does not follow.
var refused = map[string]string{
	"not":               "state what is allowed instead, with enum, pattern or anyOf",
	"if":                "write the cases as anyOf",
	"dependentSchemas":  "write the cases as anyOf",
	"dependentRequired": "write the cases as anyOf",
	"dependencies":      "write the cases as anyOf",
	"contains":          "give the element its own place with prefixItems",
	"unevaluatedItems":  "use items",
	"$dynamicRef":       "use $ref",
	"$recursiveRef":     "use $ref",
	"extends":           "use allOf",
	"disallow":          "state what is allowed instead",
}

// keywordTypes says which types an untyped schema with this keyword speaks of.
var keywordTypes = map[string]types{
	"properties": typeObject, "required": typeObject, "additionalProperties": typeObject, "patternProperties": typeObject,
	"propertyNames": typeObject, "minProperties": typeObject, "maxProperties": typeObject, "unevaluatedProperties": typeObject,
	"items": typeArray, "prefixItems": typeArray, "additionalItems": typeArray, "minItems": typeArray, "maxItems": typeArray, "uniqueItems": typeArray,
	"minLength": typeString, "maxLength": typeString, "pattern": typeString, "format": typeString,
	"minimum": typeNumber, "maximum": typeNumber, "exclusiveMinimum": typeNumber, "exclusiveMaximum": typeNumber, "multipleOf": typeNumber,
}

// alternatives is the normal form of a conjunction; none means unsatisfiable.
func (c *converter) alternatives(want conj) ([]*spec, error) {
	alts := []*spec{newSpec()}
	for _, n := range want {
		own, err := c.normalize(n)
		if err != nil {
			return nil, err
		}
		if alts, err = c.product(n, alts, own); err != nil {
			return nil, err
		}
	}
	return alts, nil
}

// product merges each of a with each of b.
func (c *converter) product(at *node, a, b []*spec) ([]*spec, error) {
	if len(a)*len(b) > maxAlternatives {
		return nil, at.errorf("combines to more than %d alternatives: split it up", maxAlternatives)
	}
	var out []*spec
	for _, x := range a {
		for _, y := range b {
			// Layers, patterns and enums pile up under allOf of allOf.
			if c.work += 1 + len(x.layers) + len(y.layers) + len(x.enum) + len(y.enum) + len(x.required) + len(y.required) + len(x.prefix) + len(y.prefix); c.work > c.limits.MaxWork {
				return nil, at.errorf("schema combines too many parts: simplify it")
			}
			if m := merge(x, y); m != nil {
				out = append(out, m)
			}
		}
	}
	return out, nil
}

// normalize is the normal form of one schema, remembered.
func (c *converter) normalize(n *node) ([]*spec, error) {
	if alts, done := c.normal[n]; done {
		return alts, nil
	}
	if c.active[n] {
		return nil, n.errorf("$ref leads back here without a step into a property or element")
	}
	if len(c.active) > c.limits.MaxDepth {
		return nil, n.errorf("$ref and combinations nest deeper than %d", c.limits.MaxDepth)
	}
	c.active[n] = true
	defer delete(c.active, n)
	alts, err := c.combine(n)
	if err == nil {
		c.normal[n] = alts
	}
	return alts, err
}

func (c *converter) combine(n *node) ([]*spec, error) {
	switch n.kind {
	case kindBool:
		if n.yes {
			return []*spec{newSpec()}, nil
		}
		return nil, nil
	case kindObject:
	default:
		return nil, n.errorf("a schema is an object, true or false")
	}
	own, err := c.direct(n)
	if err != nil {
		return nil, err
	}
	alts := []*spec{own}
	and := func(part *node) error {
		more, err := c.normalize(part)
		if err == nil {
			alts, err = c.product(part, alts, more)
		}
		return err
	}
	if ref := n.get("$ref"); ref != nil {
		target, err := c.resolve(ref)
		if err != nil {
			return nil, err
		}
		if err := and(target); err != nil {
			return nil, err
		}
	}
	if all := n.get("allOf"); all != nil {
		parts, err := list(all)
		if err != nil {
			return nil, err
		}
		for _, part := range parts {
			if err := and(part); err != nil {
				return nil, err
			}
		}
	}
	for _, keyword := range []string{"anyOf", "oneOf"} {
		if any := n.get(keyword); any != nil {
			if alts, err = c.branches(any, alts, keyword == "oneOf"); err != nil {
				return nil, err
			}
		}
	}
	if u := n.get("unevaluatedProperties"); u != nil {
		switch {
		case u.kind != kindBool:
			return nil, u.errorf("only true and false are supported: use additionalProperties")
		case !u.yes:
			for i, s := range alts {
				alts[i] = s.seal(u)
			}
		}
	}
	return alts, nil
}

// seal closes s against properties that none of its layers evaluates.
func (s *spec) seal(never *node) *spec {
	t := *s
	l := &layer{props: map[string]*node{}}
	for _, old := range s.layers {
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
	l.additional = never
	t.layers = append(slices.Clone(s.layers), l)
	return &t
}

func (c *converter) branches(at *node, alts []*spec, exclusive bool) ([]*spec, error) {
	parts, err := list(at)
	if err != nil {
		return nil, err
	}
	normal := make([][]*spec, len(parts))
	for i, part := range parts {
		if normal[i], err = c.normalize(part); err != nil {
			return nil, err
		}
	}
	var out []*spec
	for i, part := range parts {
		merged, err := c.product(part, alts, normal[i])
		if err != nil {
			return nil, err
		}
		for _, m := range merged {
			if exclusive && len(parts) > 1 {
				m.oneOf = append(slices.Clone(m.oneOf), choice{at, i, normal})
			}
			out = append(out, m)
		}
		if len(out) > maxAlternatives {
			return nil, at.errorf("more than %d alternatives", maxAlternatives)
		}
	}
	return out, nil
}

func list(n *node) ([]*node, error) {
	if n.kind != kindArray || len(n.vals) == 0 {
		return nil, n.errorf("must be a list that is not empty")
	}
	return n.vals, nil
}

// resolve follows a $ref within the document.
func (c *converter) resolve(ref *node) (*node, error) {
	if ref.kind != kindString {
		return nil, ref.errorf("must be a string")
	}
	for p := ref.parent; p != nil && p.parent != nil; p = p.parent {
		if id := p.get("$id"); id != nil && id.kind == kindString {
			return nil, ref.errorf("$ref under an inner $id is not supported: put all definitions at the root")
		}
	}
	pointer, err := url.PathUnescape(strings.TrimPrefix(ref.text, "#"))
	if err != nil || !strings.HasPrefix(ref.text, "#") || pointer != "" && pointer[0] != '/' {
		return nil, ref.errorf("%q: only references within the document (#/$defs/name) are supported", ref.text)
	}
	at := c.root
	for _, part := range strings.Split(pointer, "/")[1:] {
		part = strings.NewReplacer("~1", "/", "~0", "~").Replace(part)
		next := at.get(part)
		if i, err := strconv.Atoi(part); err == nil && at.kind == kindArray && 0 <= i && i < len(at.vals) {
			next = at.vals[i]
		}
		if next == nil {
			return nil, ref.errorf("%q leads nowhere", ref.text)
		}
		at = next
	}
	return at, nil
}

// direct reads the keywords of n that are no combinations.
func (c *converter) direct(n *node) (*spec, error) {
	s := newSpec()
	var l layer
	for i, key := range n.keys {
		v := n.vals[i]
		if why, no := refused[key]; no && !(v.kind == kindBool && v.yes && key == "unevaluatedItems") {
			return nil, v.errorf("%s is not supported: %s", key, why)
		}
		s.hints |= keywordTypes[key]
		var err error
		switch keywordTypes[key] {
		case typeObject:
			err = c.objectKeyword(s, &l, key, v)
		case typeArray:
			err = c.arrayKeyword(s, n, key, v)
		case typeString:
			err = c.stringKeyword(s, key, v)
		case typeNumber:
			err = numberKeyword(s, n, key, v)
		default:
			err = anyKeyword(s, key, v)
		}
		if err != nil {
			return nil, err
		}
	}
	if l.props != nil || l.additional != nil || l.patterns != nil {
		s.layers = []*layer{&l}
	}
	switch {
	case s.num.empty():
		return nil, n.errorf("unsatisfiable: minimum is above maximum")
	case s.maxLength >= 0 && s.minLength > s.maxLength:
		return nil, n.errorf("unsatisfiable: minLength is above maxLength")
	case s.maxItems >= 0 && s.minItems > s.maxItems:
		return nil, n.errorf("unsatisfiable: minItems is above maxItems")
	case s.maxProps >= 0 && s.minProps > s.maxProps:
		return nil, n.errorf("unsatisfiable: minProperties is above maxProperties")
	}
	if u := n.get("uniqueItems"); u != nil && u.kind == kindBool && u.yes && (s.maxItems < 0 || s.maxItems > 1) {
		return nil, u.errorf("uniqueItems is not supported: a grammar cannot remember what came before")
	}
	return s, nil
}

func anyKeyword(s *spec, key string, v *node) error {
	switch key {
	case "type":
		named := []*node{v}
		if v.kind == kindArray {
			named = v.vals
		}
		var set types
		for _, t := range named {
			if t.kind != kindString || typeNames[t.text] == 0 {
				return t.errorf("unknown type: string, number, integer, boolean, null, array and object are known")
			}
			set |= typeNames[t.text]
		}
		if set == 0 {
			return v.errorf("unsatisfiable: no type is allowed")
		}
		s.types, s.typed = s.types&set, true
	case "enum", "const":
		values := []*node{v}
		if key == "enum" {
			if v.kind != kindArray || len(v.vals) == 0 {
				return v.errorf("unsatisfiable: enum must be a list that is not empty")
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
		m := merge(s, e)
		if m == nil {
			return v.errorf("unsatisfiable: const is not in enum")
		}
		*s = *m
	}
	return nil
}

func numberKeyword(s *spec, n *node, key string, v *node) error {
	if v.kind == kindBool && strings.HasPrefix(key, "exclusive") {
		return v.errorf("true and false are of draft-04: give the bound itself")
	}
	r, err := v.rational()
	if err != nil {
		return err
	}
	switch key {
	case "minimum", "exclusiveMinimum":
		s.num.atLeast(r, key != "minimum")
	case "maximum", "exclusiveMaximum":
		s.num.atMost(r, key != "maximum")
	case "multipleOf":
		if r.Sign() <= 0 {
			return v.errorf("must be greater than zero")
		}
		s.multiples = []*big.Rat{r}
	}
	return nil
}

func (c *converter) stringKeyword(s *spec, key string, v *node) (err error) {
	switch key {
	case "minLength":
		s.minLength, err = v.natural()
	case "maxLength":
		s.maxLength, err = v.natural()
	case "pattern":
		var p pattern
		if p, err = c.pattern(v); err == nil {
			s.patterns = append(s.patterns, p)
			if p.dfa.empty() {
				err = v.errorf("unsatisfiable: no text matches pattern %q", v.text)
			}
		}
	case "format":
		if v.kind != kindString {
			return v.errorf("must be a string")
		}
		switch {
		case formats[v.text] != "":
			s.formats = append(s.formats, v.text)
		case unsupportedFormats[v.text]:
			return v.errorf("format %q is not supported: leave it out or give a pattern", v.text)
		}
	}
	return err
}

func (c *converter) pattern(v *node) (pattern, error) {
	if v.kind != kindString {
		return pattern{}, v.errorf("must be a string")
	}
	d, err := c.compile(v.text)
	if err != nil {
		return pattern{}, v.errorf("%v", err)
	}
	return pattern{v.text, d}, nil
}

// maxAutomata bounds the automata of one schema together, in states.
const maxAutomata = 30000

func (c *converter) compile(source string) (*dfa, error) {
	if d := c.compiled[source]; d != nil {
		return d, nil
	}
	if len(source) > 4096 {
		return nil, fmt.Errorf("pattern of %d bytes is too long", len(source))
	}
	d, err := compilePattern(source)
	if err != nil {
		return nil, err
	}
	c.compiled[source] = d
	if c.automata += len(d.edges); c.automata > maxAutomata {
		return nil, errPatternSize
	}
	return d, nil
}

func (c *converter) objectKeyword(s *spec, l *layer, key string, v *node) (err error) {
	switch key {
	case "properties", "patternProperties":
		if v.kind != kindObject {
			return v.errorf("must be an object")
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
			d, err := c.compile(name)
			if err != nil {
				return v.vals[i].errorf("%v", err)
			}
			l.patterns = append(l.patterns, pattern{name, d})
			l.values = append(l.values, v.vals[i])
		}
	case "additionalProperties":
		l.additional = v
	case "propertyNames":
		s.names = conj{v}
	case "required":
		if v.kind != kindArray {
			return v.errorf("must be a list of property names")
		}
		for _, name := range v.vals {
			if name.kind != kindString {
				return name.errorf("must be a property name")
			}
			s.required = append(s.required, name)
		}
	case "minProperties":
		s.minProps, err = v.natural()
	case "maxProperties":
		s.maxProps, err = v.natural()
	}
	return err
}

func (c *converter) arrayKeyword(s *spec, n *node, key string, v *node) (err error) {
	switch key {
	case "prefixItems", "items":
		if v.kind != kindArray {
			if key == "prefixItems" {
				return v.errorf("must be a list of schemas")
			}
			s.items, s.hasItems = conj{v}, true
			break
		}
		if n.get("prefixItems") != nil && key == "items" {
			return v.errorf("a list beside prefixItems: give one schema for the further elements")
		}
		for _, e := range v.vals {
			s.prefix = append(s.prefix, conj{e})
		}
	case "additionalItems":
		if list := n.get("items"); list != nil && list.kind == kindArray {
			s.items, s.hasItems = conj{v}, true
		}
	case "minItems":
		s.minItems, err = v.natural()
	case "maxItems":
		s.maxItems, err = v.natural()
	case "uniqueItems":
		if v.kind != kindBool {
			err = v.errorf("must be true or false")
		}
	}
	return err
}
