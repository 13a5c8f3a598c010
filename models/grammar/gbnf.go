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

// sequence parses items up to something that is none. created counts, as
// llama.cpp does, the rules that the item before a repetition has created.
func (p *gbnfParser) sequence(nested bool) sequence {
	start := len(p.list)
	created, size := 1, 0
	for p.pos < len(p.src) {
		c := p.src[p.pos]
		if strings.IndexByte("*+?{", c) >= 0 {
			if len(p.list) == start || size == 0 {
				panic(p.errorf("%q without an item to repeat", c))
			}
			last := p.list[len(p.list)-1]
			at := p.at()
			lo, hi := p.repetition(nested)
			times := max(hi, 1)
			if hi < 0 {
				times = max(lo, 1)
			}
			if created*times >= maxRepetition {
				panic(fault.New(
					"grammar: %v: repetition creates %d rules or more: llama.cpp refuses %d", at,
					created*times, maxRepetition))
			}
			created *= times
			optional := 1
			if hi >= 0 {
				optional = hi - lo
			}
			p.nsymbols += optional
			p.grow(size * (lo + optional))
			size *= lo
			if optional > 0 {
				size++
			}
			if last.min != 1 || last.max != 1 { // x{2}{3}: the second one repeats the first
				inner := *last
				last = &item{kind: itemGroup, alts: []sequence{{&inner}}, at: inner.at}
				p.list[len(p.list)-1] = last
			}
			last.min, last.max = lo, hi
			continue
		}
		before := p.nsymbols
		it, n := p.item()
		if it == nil {
			return p.closed(start)
		}
		created, size = 1, n
		if it.kind == itemGroup {
			created = max(1, p.nsymbols-before)
		}
		p.grow(n)
		it.min, it.max = 1, 1
		p.list = append(p.list, it)
		p.space(nested)
	}
	return p.closed(start)
}

func (p *gbnfParser) grow(n int) {
	p.elements += n
	if p.elements > maxGrammarElements {
		panic(p.errorf("more than %d elements once repetitions are written out",
			maxGrammarElements))
	}
}

// startsItem tells whether the text ahead starts a symbol.
func (p *gbnfParser) startsItem() bool {
	c := p.src[p.pos]
	return isWord(c) || strings.IndexByte(`"[.<!(_`, c) >= 0
}

// item parses one symbol and returns how many elements llama.cpp stores for it;
// nil when the text ahead starts none.
func (p *gbnfParser) item() (*item, int) {
	if !p.startsItem() {
		return nil, 0
	}
	it := p.items.alloc()
	it.at = p.at()
	switch c := p.src[p.pos]; {
	case c == '"':
		return p.literal(it)
	case c == '[':
		return p.class(it)
	case c == '.':
		p.pos++
		it.kind = itemAny
	case c == '<' || c == '!':
		return p.token(it)
	case c == '(':
		p.pos++
		p.nsymbols++
		if p.depth++; p.depth > maxGroupDepth {
			panic(p.errorf("groups nested more than %d deep", maxGroupDepth))
		}
		p.space(true)
		alts := p.alternatives(true)
		if p.peek() != ')' {
			panic(p.errorf("expected ')' for the group opened at %v", it.at))
		}
		p.pos++
		p.depth--
		it.kind, it.alts = itemGroup, alts
	default:
		it.kind, it.text = itemRef, p.name()
	}
	return it, 1
}

func (p *gbnfParser) literal(it *item) (*item, int) {
	p.pos++
	// no escapes
	if end := strings.IndexAny(p.src[p.pos:], "\"\\"); end >= 0 && p.src[p.pos+end] == '"' {
		it.kind, it.text = itemLiteral, p.src[p.pos:p.pos+end]
		p.pos += end + 1
		return it, utf8.RuneCountInString(it.text)
	}
	var b strings.Builder
	n := 0
	for p.peek() != '"' {
		if p.pos >= len(p.src) {
			panic(fault.New("grammar: %v: unterminated literal", it.at))
		}
		b.WriteRune(p.char())
		n++
	}
	p.pos++
	it.kind, it.text = itemLiteral, b.String()
	return it, n
}

func (p *gbnfParser) class(it *item) (*item, int) {
	p.pos++
	if p.peek() == '^' {
		it.negated = true
		p.pos++
	}
	n := 0
	for p.peek() != ']' {
		if p.pos >= len(p.src) {
			panic(fault.New("grammar: %v: unterminated character class", it.at))
		}
		at := p.at()
		lo := p.char()
		hi := lo
		n++
		if p.peek() == '-' && p.pos+1 < len(p.src) && p.src[p.pos+1] != ']' {
			p.pos++
			hi = p.char()
			n++
		}
		if hi < lo {
			panic(fault.New("grammar: %v: range from %q down to %q", at, lo, hi))
		}
		it.ranges = append(it.ranges, runeRange{lo, hi})
	}
	if n == 0 {
		panic(fault.New("grammar: %v: empty character class", it.at))
	}
	p.pos++
	it.kind = itemClass
	return it, n
}

// char parses one possibly escaped code point of a literal or class.
func (p *gbnfParser) char() rune {
	if p.peek() != '\\' {
		r, n := utf8.DecodeRuneInString(p.src[p.pos:])
		if n == 0 {
			panic(p.errorf("unexpected end"))
		}
		p.pos += n
		return r
	}
	at := p.at()
	p.pos++
	c := p.peek()
	p.pos++
	switch c {
	case 't':
		return '\t'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case '\\', '"', '[', ']', '-':
		return rune(c)
	case 'x', 'u', 'U':
		digits := map[byte]int{'x': 2, 'u': 4, 'U': 8}[c]
		var v uint32
		for range digits {
			d := strings.IndexByte("0123456789abcdef", p.peek()|0x20)
			if p.pos >= len(p.src) || d < 0 || p.peek() < '0' {
				panic(fault.New("grammar: %v: \\%c needs %d hexadecimal digits", at, c, digits))
			}
			v = v<<4 | uint32(d)
			p.pos++
		}
		if v > utf8.MaxRune {
			panic(fault.New("grammar: %v: \\%c%08X is beyond Unicode", at, c, v))
		}
		return rune(v)
	}
	panic(fault.New(`grammar: %v: unknown escape: \t \n \r \\ \" \[ \] \- \xXX \uXXXX \UXXXXXXXX `+
		"are known", at))
}

func (p *gbnfParser) token(it *item) (*item, int) {
	start := p.pos
	if p.peek() == '!' {
		it.negated = true
		p.pos++
	}
	end := strings.IndexAny(p.src[p.pos:], ">\n")
	if p.peek() != '<' || end < 0 || p.src[p.pos+end] != '>' {
		panic(fault.New("grammar: %v: a token is written <text> or <[id]>", it.at))
	}
	body := p.src[p.pos+1 : p.pos+end]
	p.pos += end + 1
	if strings.HasPrefix(body, "[") {
		id := strings.TrimSuffix(body[1:], "]")
		if len(id)+2 != len(body) || id == "" || len(id) > 9 ||
			strings.Trim(id, "0123456789") != "" {
			panic(fault.New("grammar: %v: bad token id in <%s>", it.at, body))
		}
	} else if body == "" {
		panic(fault.New("grammar: %v: empty token", it.at))
	}
	it.kind, it.text = itemToken, p.src[start:p.pos]
	return it, 1
}

// repetition parses * + ? {m} {m,} {m,n}; a max of -1 is unbounded.
func (p *gbnfParser) repetition(nested bool) (lo, hi int) {
	at := p.at()
	c := p.src[p.pos]
	p.pos++
	defer p.space(nested)
	switch c {
	case '*':
		return 0, -1
	case '+':
		return 1, -1
	case '?':
		return 0, 1
	}
	bad := func(why string, args ...any) fault.Fault {
		return fault.New("grammar: %v: repetition %s", at, fmt.Sprintf(why, args...))
	}
	number := func() (n int, ok bool) {
		p.space(nested)
		for p.pos < len(p.src) && '0' <= p.src[p.pos] && p.src[p.pos] <= '9' {
			n, ok = min(n*10+int(p.src[p.pos]-'0'), maxRepetition), true
			p.pos++
		}
		p.space(nested)
		return n, ok
	}
	lo, ok := number()
	if !ok {
		panic(bad("needs a count after '{'"))
	}
	hi = lo
	if p.peek() == ',' {
		p.pos++
		if hi, ok = number(); !ok {
			hi = -1
		}
	}
	if p.peek() != '}' {
		panic(bad("is not closed by '}'"))
	}
	p.pos++
	switch {
	case hi >= 0 && hi < lo:
		panic(bad("from %d down to %d", lo, hi))
	case lo >= maxRepetition || hi >= maxRepetition:
		// llama.cpp takes a larger maximum for "unbounded" without a word.
		panic(bad("of %d or more: split it over several rules", maxRepetition))
	}
	return lo, hi
}
