package grammar

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/eyelet-engine/eyelet/models/internal/fault"
)

// The notation follows llama.cpp's grammars/README.md and, where that page and
// the parser in src/llama-grammar.cpp differ (underscores in names, the bound on
// repetitions), the parser.

// maxRepetition is the exclusive bound that llama.cpp puts on the number of
// rules one repetition may create (MAX_REPETITION_THRESHOLD).
const maxRepetition = 2000

type itemKind uint8

const (
	itemLiteral itemKind = iota // text
	itemClass                   // ranges, negated
	itemAny                     // any code point
	itemRef                     // rule name in text
	itemGroup                   // alts
	itemToken                   // a vocabulary token, spelled in text
)

// position is a place in grammar text. Line and column, counted from one and in
// bytes, are worked out only when an error prints them.
type position struct {
	src    string
	offset int
}

func (p position) String() string {
	before := p.src[:p.offset]
	return fmt.Sprintf("%d:%d", 1+strings.Count(before, "\n"),
		p.offset-strings.LastIndexByte(before, '\n'))
}

// runeRange is an inclusive range of code points.
type runeRange struct{ lo, hi rune }

// item is one symbol of a sequence, repeated min to max times; max < 0 is unbounded.
type item struct {
	kind     itemKind
	text     string
	ranges   []runeRange
	negated  bool
	alts     []sequence
	rule     int // of an itemRef, once link has found it
	min, max int
	at       position
}

type sequence []*item

type rule struct {
	name string
	alts []sequence
	at   position
}

// gbnf is a parsed grammar.
type gbnf struct {
	rules []*rule
	index map[string]*rule
}

const (
	maxGrammarBytes    = 8 << 20 // text of a grammar
	maxGroupDepth      = 128     // llama.cpp parses groups by recursion
	maxGrammarElements = 4 << 20 // elements after expansion of repetitions
)

type gbnfParser struct {
	src      string
	pos      int
	depth    int
	symbols  map[string]bool // names llama.cpp has given a number so far
	nsymbols int             // the same with the rules it invents for groups and repetitions
	elements int

	items slab[item]
	rules slab[rule]
	list  []*item // of the sequences that are open, one behind the other
	lists []*item // room for those that are closed
}

// slab hands out values that live together, so that they are not allocated one by one.
type slab[T any] struct {
	room []T
	size int // of the last room
}

func (s *slab[T]) alloc() *T {
	if len(s.room) == 0 {
		s.size = min(max(8, 2*s.size), 512)
		s.room = make([]T, s.size)
	}
	next := &s.room[0]
	s.room = s.room[1:]
	return next
}

// closed returns the sequence of the items from start on in list, and takes them off.
func (p *gbnfParser) closed(start int) sequence {
	n := len(p.list) - start
	if n == 0 {
		return nil
	}
	if len(p.lists) < n {
		p.lists = make([]*item, max(n, min(len(p.src)/16, 512)))
	}
	s := p.lists[:n:n]
	p.lists = p.lists[n:]
	copy(s, p.list[start:])
	p.list = p.list[:start]
	return s
}

func parseGBNF(src string) (_ *gbnf, err error) {
	defer fault.Catch(&err)
	if len(src) > maxGrammarBytes {
		return nil, fmt.Errorf("grammar: %d bytes, more than %d", len(src), maxGrammarBytes)
	}
	p := &gbnfParser{src: src, symbols: map[string]bool{}}
	if i := strings.IndexByte(src, 0); i >= 0 {
		p.pos = i
		return nil, p.errorf("NUL byte")
	}
	if !utf8.ValidString(src) {
		for i := 0; i < len(src); {
			r, n := utf8.DecodeRuneInString(src[i:])
			if r == utf8.RuneError && n == 1 {
				p.pos = i
				return nil, p.errorf("invalid UTF-8")
			}
			i += n
		}
	}
	g := &gbnf{index: map[string]*rule{}}
	p.space(true)
	for p.pos < len(p.src) {
		r := p.rule()
		if old := g.index[r.name]; old != nil {
			return nil, fmt.Errorf("grammar: %v: rule %q is defined again, first at %v", r.at,
				r.name, old.at)
		}
		g.index[r.name] = r
		g.rules = append(g.rules, r)
	}
	return g, nil
}

func (p *gbnfParser) at() position { return position{p.src, p.pos} }

func (p *gbnfParser) errorf(format string, args ...any) fault.Fault {
	return fault.New("grammar: %v: %s", p.at(), fmt.Sprintf(format, args...))
}

func (p *gbnfParser) peek() byte {
	if p.pos < len(p.src) {
		return p.src[p.pos]
	}
	return 0
}

func (p *gbnfParser) space(newlines bool) {
	for p.pos < len(p.src) {
		switch c := p.src[p.pos]; {
		case c == ' ' || c == '\t' || newlines && (c == '\n' || c == '\r'):
			p.pos++
		case c == '#':
			for p.pos < len(p.src) && p.src[p.pos] != '\n' && p.src[p.pos] != '\r' {
				p.pos++
			}
		default:
			return
		}
	}
}

func isWord(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-'
}

func (p *gbnfParser) name() string {
	start := p.pos
	for p.pos < len(p.src) && isWord(p.src[p.pos]) {
		p.pos++
	}
	if p.peek() == '_' {
		panic(p.errorf("underscore in a rule name: letters, digits and '-' only"))
	}
	if p.pos == start {
		panic(p.errorf("expected a rule name"))
	}
	name := p.src[start:p.pos]
	if !p.symbols[name] {
		p.symbols[name] = true
		p.nsymbols++
	}
	return name
}

func (p *gbnfParser) rule() *rule {
	r := p.rules.alloc()
	r.at = p.at()
	r.name = p.name()
	p.space(false)
	if !strings.HasPrefix(p.src[p.pos:], "::=") {
		panic(p.errorf("expected ::= after rule name %q", r.name))
	}
	p.pos += 3
	p.space(true)
	r.alts = p.alternatives(false)
	switch c := p.peek(); {
	case p.pos == len(p.src) || c == '\n' || c == '\r':
	case c == ')':
		panic(p.errorf("')' without '('"))
	default:
		r, _ := utf8.DecodeRuneInString(p.src[p.pos:])
		panic(p.errorf("unexpected %q", r))
	}
	p.space(true)
	return r
}

func (p *gbnfParser) alternatives(nested bool) []sequence {
	var alts []sequence
	for {
		alts = append(alts, p.sequence(nested))
		if p.peek() != '|' || p.pos >= len(p.src) {
			return alts
		}
		p.pos++
		p.space(true)
	}
}

// cost is what llama.cpp counts of the last item of a sequence.
type cost struct {
	rules int // that it has created
	size  int // elements that it stores; 0 before the first item
}

// sequence parses items up to something that is none.
func (p *gbnfParser) sequence(nested bool) sequence {
	start := len(p.list)
	var last cost
	for p.pos < len(p.src) {
		if c := p.src[p.pos]; strings.IndexByte("*+?{", c) >= 0 {
			if len(p.list) == start || last.size == 0 {
				panic(p.errorf("%q without an item to repeat", c))
			}
			p.repeat(&last, nested)
			continue
		}
		before := p.nsymbols
		it, n := p.item()
		if it == nil {
			return p.closed(start)
		}
		last = cost{rules: 1, size: n}
		if it.kind == itemGroup {
			last.rules = max(1, p.nsymbols-before)
		}
		p.grow(n)
		it.min, it.max = 1, 1
		p.list = append(p.list, it)
		p.space(nested)
	}
	return p.closed(start)
}

// repeat parses a repetition of the last item, and brings the item's cost up to date.
func (p *gbnfParser) repeat(c *cost, nested bool) {
	last, at := p.list[len(p.list)-1], p.at()
	lo, hi := p.repetition(nested)
	times := max(hi, 1)
	if hi < 0 {
		times = max(lo, 1)
	}
	if c.rules *= times; c.rules >= maxRepetition {
		panic(fault.New("grammar: %v: repetition creates %d rules or more: llama.cpp refuses %d",
			at, c.rules, maxRepetition))
	}
	optional := 1
	if hi >= 0 {
		optional = hi - lo
	}
	p.nsymbols += optional
	p.grow(c.size * (lo + optional))
	c.size *= lo
	if optional > 0 {
		c.size++
	}
	if last.min != 1 || last.max != 1 { // x{2}{3}: the second one repeats the first
		inner := *last
		last = &item{kind: itemGroup, alts: []sequence{{&inner}}, at: inner.at}
		p.list[len(p.list)-1] = last
	}
	last.min, last.max = lo, hi
}

// grow counts n more elements of the grammar once repetitions are written out.
func (p *gbnfParser) grow(n int) {
	p.elements += n
	if p.elements > maxGrammarElements {
		panic(p.errorf("more than %d elements once repetitions are written out",
			maxGrammarElements))
	}
}
