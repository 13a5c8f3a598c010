package grammar

import (
	"errors"
	"fmt"
	"math/bits"
	"strings"
)

// Limits bounds the work spent on a schema; zero fields mean the defaults.
type Limits struct {
	MaxBytes int // length of the schema text; 1 MiB
	MaxDepth int // nesting of JSON values, and of $ref and combinations; 100
	MaxRules int // rules in the grammar; 20000
	MaxWork  int // steps of merging allOf, anyOf and $ref; 1000000
}

func (l Limits) withDefaults() Limits {
	for _, d := range []struct {
		field *int
		value int
	}{{&l.MaxBytes, 1 << 20}, {&l.MaxDepth, 100}, {&l.MaxRules, 20000}, {&l.MaxWork, 1000000}} {
		if *d.field <= 0 {
			*d.field = d.value
		}
	}
	return l
}

// FromSchema translates a JSON Schema to a GBNF grammar with start rule "root",
// under the default [Limits]. Every text of the grammar is valid under the
// schema; the package comment says which keywords are known and where the
// grammar is narrower. An error names the JSON pointer of the fault: a keyword
// that is not supported, a schema that no value satisfies, or one that is too large.
func FromSchema(schema []byte) (string, error) { return Limits{}.FromSchema(schema) }

// FromSchema is [FromSchema] under the limits l.
func (l Limits) FromSchema(schema []byte) (string, error) {
	l = l.withDefaults()
	root, err := parseNode(schema, l.MaxBytes, l.MaxDepth)
	if err != nil {
		return "", err
	}
	c := &converter{
		limits: l, root: root, rules: newRules(l.MaxRules),
		normal: map[*node][]*spec{}, active: map[*node]bool{}, names: map[string]string{},
		compiled: map[string]*dfa{}, origin: map[string]*node{},
	}
	start, err := c.value(conj{root}, "start")
	if err != nil {
		return "", err
	}
	if err := c.rules.define("root", start); err != nil {
		return "", err
	}
	return c.finish()
}

// JSON is the grammar of any JSON object, for requests that ask for JSON
// without a schema (Ollama's format "json"). Its start rule is "root".
func JSON() string {
	g := newRules(len(baseRules) + 1)
	g.bodies["root"] = "object"
	g.names = []string{"root"}
	if _, err := g.base("object"); err != nil {
		panic(err) // the rules are constants
	}
	return g.text(g.names)
}

// errUnsatisfiable is wrapped by errors about a part that no value satisfies. A
// part that may be left out (an optional property, a branch of anyOf) is; one
// that may not makes the whole unsatisfiable.
var errUnsatisfiable = errors.New("unsatisfiable: no value is valid here")

type converter struct {
	limits   Limits
	root     *node
	rules    *rules
	normal   map[*node][]*spec
	active   map[*node]bool
	names    map[string]string // conjunction to rule
	origin   map[string]*node  // rule to a schema it came from
	compiled map[string]*dfa   // pattern to automaton
	automata int
	work     int
	depth    int
}

// finish orders the rules that root reaches and checks the outcome.
func (c *converter) finish() (string, error) {
	g, err := parseGBNF(c.rules.text(c.rules.names))
	if err != nil {
		return "", fmt.Errorf("schema needs a grammar that is too large: %w", err)
	}
	var order []string
	seen := map[string]bool{}
	work := []string{"root"}
	var visit func(alts []sequence)
	visit = func(alts []sequence) {
		for _, s := range alts {
			for _, it := range s {
				if it.kind == itemRef && !seen[it.text] {
					seen[it.text] = true
					work = append(work, it.text)
				}
				visit(it.alts)
			}
		}
	}
	productive := g.productive()
	dead := false
	for i := 0; i < len(work); i++ {
		r := g.index[work[i]]
		if r == nil || !productive[r.name] {
			at := c.origin[work[i]]
			if at == nil { // root, or a part of a rule that is reported instead
				if r != nil {
					visit(r.alts)
				}
				dead = true
				continue
			}
			return "", at.errorf("%v: the recursion has no way to end", errUnsatisfiable)
		}
		order = append(order, r.name)
		visit(r.alts)
	}
	if dead {
		return "", c.root.errorf("%v", errUnsatisfiable)
	}
	text := c.rules.text(order)
	if err := Check(text); err != nil {
		return "", fmt.Errorf("schema makes a grammar that llama.cpp would refuse: %w", err)
	}
	return text, nil
}

// place is a schema to name in errors about want.
func (c *converter) place(want conj) *node {
	if len(want) == 0 {
		return c.root
	}
	return want[len(want)-1]
}

func (c *converter) unsatisfiable(want conj) error {
	return fmt.Errorf("grammar: schema %s: %w", c.place(want).pointer(), errUnsatisfiable)
}

// value returns the rule of a conjunction, made on first use.
func (c *converter) value(want conj, hint string) (string, error) {
	ids := make([]int, len(want))
	for i, n := range want {
		ids[i] = n.id
	}
	key := packInts(ids)
	if name, done := c.names[key]; done {
		return name, nil
	}
	alts, err := c.alternatives(want)
	if err != nil {
		return "", err
	}
	if len(alts) == 0 {
		return "", c.unsatisfiable(want)
	}
	// Go's stack is no concern; the bound is for C++ that walks the rules.
	if c.depth++; c.depth > 10*c.limits.MaxDepth {
		return "", c.place(want).errorf("schemas follow one another deeper than %d", 10*c.limits.MaxDepth)
	}
	defer func() { c.depth-- }()
	compound := false
	for _, s := range alts {
		compound = compound || !s.hasEnum && s.effective()&(typeObject|typeArray) != 0 && !s.free()
	}
	name := ""
	if compound { // may lead back here: the name comes first
		name = c.rules.reserve(hint)
		c.names[key] = name
		c.origin[name] = c.place(want)
	}
	var bodies []string
	for _, s := range alts {
		b, err := c.alternative(s, want, hint)
		if errors.Is(err, errUnsatisfiable) {
			continue
		}
		if err != nil {
			return "", err
		}
		bodies = append(bodies, b...)
	}
	bodies = unique(bodies)
	if len(bodies) == 0 {
		return "", c.unsatisfiable(want)
	}
	body := strings.Join(bodies, " | ")
	switch {
	case compound:
		return name, c.rules.define(name, body)
	case len(bodies) == 1 && c.rules.bodies[body] != "": // a rule already
		name = body
	default:
		if name, err = c.rules.share(hint, body); err != nil {
			return "", err
		}
	}
	c.names[key] = name
	return name, nil
}

func unique(list []string) []string {
	seen := map[string]bool{}
	var out []string
	for _, s := range list {
		if !seen[s] {
			seen[s] = true
			out = append(out, s)
		}
	}
	return out
}

// free reports whether s admits every JSON value.
func (s *spec) free() bool {
	return s.types == allTypes && s.hints == 0 && !s.hasEnum && len(s.oneOf) == 0
}

// alternative spells one normal form, an item for each type.
func (c *converter) alternative(s *spec, want conj, hint string) ([]string, error) {
	for _, o := range s.oneOf {
		if err := c.exclusive(s, o); err != nil {
			return nil, err
		}
	}
	var out []string
	if s.hasEnum {
		for _, v := range s.enum {
			if ok, err := c.valid(s, v, surely); err != nil {
				return nil, err
			} else if ok {
				out = append(out, literal(v.json()))
			}
		}
		if len(out) == 0 {
			return nil, c.unsatisfiable(want)
		}
		return out, nil
	}
	if s.free() {
		b, err := c.rules.base("value")
		return []string{b}, err
	}
	for left := s.effective(); left != 0; left &= left - 1 {
		t := types(1) << bits.TrailingZeros8(uint8(left))
		var b string
		var err error
		switch t {
		case typeNull:
			b = `"null"`
		case typeBool:
			b, err = c.rules.base("boolean")
		case typeObject:
			b, err = c.object(s, want, hint)
		case typeArray:
			b, err = c.array(s, want, hint)
		case typeString:
			b, err = c.str(s, want, hint)
		case typeInteger:
			b, err = c.number(s, left&typeFraction == 0, want)
		case typeFraction:
			continue // done with the integers, from which a number is not told apart
		}
		if errors.Is(err, errUnsatisfiable) {
			continue
		}
		if err != nil {
			return nil, err
		}
		out = append(out, b)
	}
	if len(out) == 0 {
		return nil, c.unsatisfiable(want)
	}
	return out, nil
}

func (c *converter) number(s *spec, whole bool, want conj) (string, error) {
	if s.num.empty() {
		return "", c.unsatisfiable(want)
	}
	if s.num.min == nil && s.num.max == nil && len(s.multiples) == 0 {
		if whole {
			return c.rules.base("integer")
		}
		return c.rules.base("number")
	}
	body, err := s.number(whole, c.place(want))
	if err == nil && body == "" {
		err = c.unsatisfiable(want)
	}
	return body, err
}

func (c *converter) array(s *spec, want conj, hint string) (string, error) {
	g := c.rules
	if _, err := g.base("ws"); err != nil {
		return "", err
	}
	if len(s.prefix) == 0 && !s.hasItems && s.minItems == 0 && s.maxItems < 0 {
		return g.base("array")
	}
	if s.minItems > maxCount {
		return "", c.place(want).errorf("minItems above %d is not supported", maxCount)
	}
	hi := s.maxItems
	if !s.hasItems && len(s.prefix) > 0 && s.minItems <= len(s.prefix) {
		hi = smaller(hi, len(s.prefix)) // closed, as the package comment says
	}
	var elements []string
	further := ""
	for i := 0; i <= len(s.prefix) && (hi < 0 || i < hi); i++ {
		name, err := c.value(s.element(i), hint+"-item")
		if errors.Is(err, errUnsatisfiable) {
			hi = i
			break
		}
		if err != nil {
			return "", err
		}
		if i < len(s.prefix) {
			elements = append(elements, name)
		} else {
			further = name
		}
	}
	if hi >= 0 && s.minItems > hi {
		return "", c.unsatisfiable(want)
	}
	if hi > maxCount {
		hi = maxCount
	}
	if hi == 0 {
		return `"[" ws "]"`, nil
	}
	// rest is what may follow the elements that stand before it.
	rest := ""
	if further != "" {
		tail, err := g.share(hint+"-next", `"," ws `+further)
		if err != nil {
			return "", err
		}
		before := max(1, len(elements))
		most := -1
		if hi >= 0 {
			most = hi - before
		}
		if rest, err = g.repeat(hint+"-next", tail, max(0, s.minItems-before), most); err != nil {
			return "", err
		}
		if len(elements) == 0 {
			elements = []string{further}
		}
	}
	for i := len(elements) - 1; i > 0; i-- {
		rest = `"," ws ` + elements[i] + " " + rest
		optional := i >= s.minItems
		if optional {
			rest += ` | ""`
		}
		if optional || len(rest) > 400 { // long runs are cut, or copying them would be quadratic
			var err error
			if rest, err = g.share(hint+"-rest", rest); err != nil {
				return "", err
			}
		}
	}
	if rest != "" {
		rest += " "
	}
	if s.minItems == 0 {
		return fmt.Sprintf(`"[" ws ( %s %sws )? "]"`, elements[0], group(rest)), nil
	}
	return fmt.Sprintf(`"[" ws %s %sws "]"`, elements[0], group(rest)), nil
}

func (c *converter) str(s *spec, want conj, hint string) (string, error) {
	g := c.rules
	if s.maxLength >= 0 && s.minLength > s.maxLength {
		return "", c.unsatisfiable(want)
	}
	if s.minLength > maxCount {
		return "", c.place(want).errorf("minLength above %d is not supported", maxCount)
	}
	if len(s.patterns) == 0 && len(s.formats) == 0 {
		body, err := g.base("string")
		if err != nil || s.minLength == 0 && s.maxLength < 0 {
			return body, err
		}
		text, err := g.repeat("char", "char", s.minLength, min(s.maxLength, maxCount))
		return `"\"" ` + text + ` "\""`, err
	}
	d, err := c.strDFA(s, want)
	if err != nil {
		return "", err
	}
	if d.empty() {
		return "", c.unsatisfiable(want)
	}
	start, err := g.automaton(hint, d)
	return `"\"" ` + start + ` "\""`, err
}

// strDFA is the automaton of the strings that s admits.
func (c *converter) strDFA(s *spec, want conj) (d *dfa, err error) {
	at := c.place(want)
	and := func(e *dfa) error {
		if d == nil {
			d = e
			return nil
		}
		if d, err = d.combine(e, false); err != nil {
			return at.errorf("%v", err)
		}
		if c.automata += len(d.edges); c.automata > maxAutomata {
			return at.errorf("%v", errPatternSize)
		}
		return nil
	}
	for _, p := range s.patterns {
		if err := and(p.dfa); err != nil {
			return nil, err
		}
	}
	for _, f := range s.formats {
		e, err := c.compile(formats[f])
		if err == nil {
			err = and(e)
		}
		if err != nil {
			return nil, err
		}
	}
	if d != nil && d.empty() {
		return d, nil
	}
	if d != nil {
		short, long := d.lengths()
		if short >= s.minLength && (s.maxLength < 0 || long >= 0 && long <= s.maxLength) {
			return d, nil
		}
	}
	e, err := anyText(s.minLength, s.maxLength)
	if err != nil {
		return nil, at.errorf("%v", err)
	}
	if err := and(e); err != nil {
		return nil, err
	}
	return d, nil
}
