package grammar

import (
	"context"
	"errors"
	"fmt"
	"math/bits"
	"strings"

	"github.com/eyelet-engine/eyelet/models/internal/fault"
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

// Schema is a JSON Schema made ready to hold answers.
type Schema struct {
	// Grammar is in GBNF and has the start rule "root". Every text of it is JSON,
	// and valid under the schema unless Loose has entries.
	Grammar string
	// Loose are the parts that the grammar does not carry. Then texts are valid
	// that Check finds to be so.
	Loose []Loose
	// Relaxed are the parts that were given up, with [Options.Relax] set: nothing holds them.
	Relaxed []Loose

	check *checker
}

// Options say how a schema is compiled.
type Options struct {
	Limits Limits
	// Relax has any value stand in for a part that cannot be made sense of, which otherwise is an
	// error.
	Relax bool
	// Object has the value as a whole be an object, whatever else the schema admits.
	Object bool

	open bool // objects are closed only where the schema says so; for tests
	// orders is told the names of the properties of each object in the grammar's order; for tests.
	orders func(names []string)
}

// errTooLarge is wrapped by errors about schemas that the limits do not let through.
var errTooLarge = errors.New("the schema is too large")

// Compile translates a JSON Schema to a grammar, and to a check of finished
// answers for what a grammar does not carry. The package comment says which
// keywords are known and where the grammar is narrower than the schema. An error
// names the JSON pointer of the fault: a keyword that means nothing, a reference
// to elsewhere, a schema that no value satisfies, or one that is too large.
func Compile(ctx context.Context, schema []byte, o Options) (*Schema, error) {
	s, err := compile(ctx, schema, o)
	if err == nil || !o.Relax || ctx.Err() != nil {
		return s, err
	}
	// As a whole it says nothing: any object, as arguments of tools are.
	return &Schema{Grammar: JSON(),
		Relaxed: []Loose{{"#", strings.TrimPrefix(err.Error(), "grammar: ")}}}, nil
}

func compile(ctx context.Context, schema []byte, o Options) (s *Schema, err error) {
	defer fault.Catch(&err)
	l := o.Limits.withDefaults()
	root, err := parseNode(schema, l.MaxBytes, l.MaxDepth)
	if err != nil {
		return nil, err
	}
	c := &converter{
		ctx: ctx, limits: l, relax: o.Relax, open: o.open, orders: o.orders, root: root,
		doc: newDocument(root), rules: newRules(l.MaxRules),
		normal: map[*node][]*spec{}, active: map[*node]bool{}, names: map[string]string{},
		compiled: map[string]*dfa{},
		origin:   map[string]*node{}, loosened: map[*node]bool{}, opposites: map[*node]*node{},
		spelled: map[string]string{}, starts: map[*dfa]string{}, joined: map[string]*dfa{},
	}
	want := conj{root}
	if o.Object {
		kind := &node{kind: kindString, text: "object"}
		want = want.and(&node{kind: kindObject, keys: []string{"type"}, vals: []*node{kind},
			byKey: map[string]*node{"type": kind}, id: -3})
	}
	start := c.value(want, "start")
	if start == "" {
		panic(c.place(want).errorf("%v", errUnsatisfiable))
	}
	c.rules.define("root", start)
	s = &Schema{Grammar: c.finish(), Loose: c.loose, Relaxed: c.relaxed}
	if len(s.Loose) > 0 {
		if s.check, err = newChecker(ctx, c.doc); err != nil && o.Relax {
			s.Relaxed, s.Loose = append(s.Relaxed, s.Loose...), nil
		} else if err != nil {
			return nil, fmt.Errorf(
				"%s cannot be held by a grammar, and an answer cannot be checked: %w", s.Loose[0],
				err)
		}
	}
	return s, nil
}

// JSON is the grammar of any JSON object, for requests that ask for JSON
// without a schema (Ollama's format "json"). Its start rule is "root".
func JSON() string {
	g := newRules(len(baseRules) + 1)
	g.bodies["root"] = "object"
	g.names = []string{"root"}
	g.base("object")
	return g.text(g.names)
}

// errUnsatisfiable is the error about a schema that no value satisfies. A part that none satisfies
// has no rule; where it may be left out (an optional property, a branch of anyOf) it is, else the
// whole is unsatisfiable.
var errUnsatisfiable = errors.New("unsatisfiable: no value is valid here")

type converter struct {
	ctx      context.Context
	limits   Limits
	relax    bool
	open     bool
	orders   func(names []string)
	root     *node
	doc      *document
	rules    *rules
	normal   map[*node][]*spec
	active   map[*node]bool
	names    map[string]string // conjunction to rule
	origin   map[string]*node  // rule to a schema it came from
	compiled map[string]*dfa   // pattern to automaton
	spelled  map[string]string // automaton to the rule of its start
	starts   map[*dfa]string
	joined   map[string]*dfa // patterns, formats and lengths to the automaton of all

	loose     []Loose
	loosened  map[*node]bool
	relaxed   []Loose
	opposites map[*node]*node // schema to the one made of not and it
	made      int             // number of opposites
	automata  int
	work      int
	depth     int
}

// finish returns the text of the rules that root reaches, checked as llama.cpp would check it.
func (c *converter) finish() string {
	names := []string{"root"} // first, then in the order in which they were made
	for _, name := range c.rules.names {
		if name != "root" {
			names = append(names, name)
		}
	}
	text := c.rules.text(names)
	g, err := parseGBNF(text)
	if err != nil {
		panic(fault.New("%w: its grammar: %w", errTooLarge, err))
	}
	c.goOn()
	g.link()
	productive := g.productive()
	reached := make([]bool, len(g.rules))
	work := []int{0}
	reached[0] = true
	missing, dead := false, false
	for i := 0; i < len(work); i++ {
		r := g.rules[work[i]]
		if !productive[work[i]] {
			if at := c.origin[r.name]; at != nil {
				panic(at.errorf("%v: the recursion has no way to end", errUnsatisfiable))
			}
			dead = true // root, or a part of a rule that is reported instead
		}
		for it := range references(r.alts) {
			if it.rule < 0 {
				missing = true
			} else if !reached[it.rule] {
				reached[it.rule] = true
				work = append(work, it.rule)
			}
		}
	}
	if dead || missing {
		panic(c.root.errorf("%v", errUnsatisfiable))
	}
	if len(work) < len(names) {
		all := &gbnf{index: map[string]*rule{}}
		var kept []string
		for i, r := range g.rules {
			if reached[i] {
				all.rules, all.index[r.name], kept = append(all.rules, r), r, append(kept, r.name)
			}
		}
		g, text = all, c.rules.text(kept)
	}
	if err := g.check(true); err != nil {
		panic(fault.New("schema makes a grammar that llama.cpp would refuse: %w", err))
	}
	return text
}

// place returns the schema that errors about a conjunction name.
func (c *converter) place(want conj) *node {
	if len(want) == 0 {
		return c.root
	}
	return want[len(want)-1]
}

// value returns the rule of a conjunction, made on first use; "" if no value satisfies it.
func (c *converter) value(want conj, hint string) string {
	ids := make([]int, len(want))
	for i, n := range want {
		ids[i] = n.id
	}
	key := packInts(ids)
	if name, done := c.names[key]; done {
		return name
	}
	if !c.relax {
		return c.fresh(key, want, hint)
	}
	name := ""
	err := fault.Try(func() { name = c.fresh(key, want, hint) })
	switch {
	case err == nil:
		return name
	case errors.Is(err, errTooLarge), c.ctx.Err() != nil:
		panic(fault.Of(err))
	}
	at := c.place(want)
	c.relaxed = append(c.relaxed, Loose{at.pointer(), strings.TrimPrefix(err.Error(),
		"grammar: schema ")})
	c.names[key] = c.rules.base("value")
	return c.names[key]
}

// fresh makes the rule of a conjunction, which goes by key; "" if no value satisfies it.
func (c *converter) fresh(key string, want conj, hint string) string {
	c.spend(1)
	alts := c.settle(c.alternatives(want))
	if len(alts) == 0 {
		return ""
	}
	// Go's stack is no concern; the bound is for C++ that walks the rules.
	if c.depth++; c.depth > 10*c.limits.MaxDepth {
		panic(c.place(want).errorf("schemas follow one another deeper than %d",
			10*c.limits.MaxDepth))
	}
	defer func() { c.depth-- }()
	compound := false
	for _, s := range alts {
		compound = compound || !s.hasEnum && s.types&(typeObject|typeArray) != 0 && !s.free()
	}
	name := ""
	if compound { // may lead back here: the name comes first
		name = c.rules.reserve(hint)
		c.names[key] = name
		c.origin[name] = c.place(want)
	}
	var bodies []string
	for _, s := range alts {
		bodies = append(bodies, c.alternative(s, want, hint)...)
	}
	bodies = unique(bodies)
	if len(bodies) == 0 {
		return ""
	}
	body := strings.Join(bodies, " | ")
	switch {
	case compound:
		c.rules.define(name, body)
		return name
	case len(bodies) == 1 && c.rules.bodies[body] != "": // a rule already
		name = body
	default:
		name = c.rules.share(hint, body)
	}
	c.names[key] = name
	return name
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
	if !s.loose {
		return s.everything()
	}
	t := *s
	t.loose = false
	return t.everything()
}

// alternative spells one normal form, an item for each type that has values.
func (c *converter) alternative(s *spec, want conj, hint string) []string {
	var out []string
	if s.hasEnum {
		for _, v := range s.enum {
			if !c.valid(s, v, possibly) {
				continue
			}
			if !c.valid(s, v, surely) {
				c.loosen(v, "whether this value is valid")
			}
			out = append(out, c.constant(v))
		}
		return out
	}
	if s.free() {
		return []string{c.rules.base("value")}
	}
	for left := s.types; left != 0; left &= left - 1 {
		t := types(1) << bits.TrailingZeros8(uint8(left))
		b := ""
		switch t {
		case typeNull:
			if s.except["null"] != nil {
				continue
			}
			b = `"null"`
		case typeBool:
			switch no, yes := s.except["false"] != nil, s.except["true"] != nil; {
			case no && yes:
				continue
			case no:
				b = `"true"`
			case yes:
				b = `"false"`
			default:
				b = c.rules.base("boolean")
			}
		case typeObject:
			b = c.object(s, want, hint)
		case typeArray:
			b = c.array(s, want, hint)
		case typeString:
			b = c.str(s, want, hint)
		case typeInteger:
			b = c.number(s, left&typeNumber, want, hint)
		case typeFraction:
			// done with the integers, from which a number is not told apart
			if s.types&typeInteger != 0 {
				continue
			}
			b = c.number(s, typeFraction, want, hint)
		}
		if b != "" {
			out = append(out, b)
		}
	}
	return out
}
