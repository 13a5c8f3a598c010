package grammar

import (
	"errors"
	"fmt"
	"math/big"
	"strings"
)

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
