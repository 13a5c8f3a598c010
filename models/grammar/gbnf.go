package grammar

import (
	"fmt"
	"strings"
	"unicode/utf8"
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

func (s *slab[T]) take() *T {
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

func parseGBNF(src string) (*gbnf, error) {
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
		r, err := p.rule()
		if err != nil {
			return nil, err
		}
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

func (p *gbnfParser) errorf(format string, args ...any) error {
	return fmt.Errorf("grammar: %v: %s", p.at(), fmt.Sprintf(format, args...))
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

func (p *gbnfParser) name() (string, error) {
	start := p.pos
	for p.pos < len(p.src) && isWord(p.src[p.pos]) {
		p.pos++
	}
	if p.peek() == '_' {
		return "", p.errorf("underscore in a rule name: letters, digits and '-' only")
	}
	if p.pos == start {
		return "", p.errorf("expected a rule name")
	}
	name := p.src[start:p.pos]
	if !p.symbols[name] {
		p.symbols[name] = true
		p.nsymbols++
	}
	return name, nil
}

func (p *gbnfParser) rule() (*rule, error) {
	r := p.rules.take()
	r.at = p.at()
	var err error
	if r.name, err = p.name(); err != nil {
		return nil, err
	}
	p.space(false)
	if !strings.HasPrefix(p.src[p.pos:], "::=") {
		return nil, p.errorf("expected ::= after rule name %q", r.name)
	}
	p.pos += 3
	p.space(true)
	if r.alts, err = p.alternatives(false); err != nil {
		return nil, err
	}
	switch c := p.peek(); {
	case p.pos == len(p.src) || c == '\n' || c == '\r':
	case c == ')':
		return nil, p.errorf("')' without '('")
	default:
		r, _ := utf8.DecodeRuneInString(p.src[p.pos:])
		return nil, p.errorf("unexpected %q", r)
	}
	p.space(true)
	return r, nil
}

func (p *gbnfParser) alternatives(nested bool) ([]sequence, error) {
	var alts []sequence
	for {
		s, err := p.sequence(nested)
		if err != nil {
			return nil, err
		}
		alts = append(alts, s)
		if p.peek() != '|' || p.pos >= len(p.src) {
			return alts, nil
		}
		p.pos++
		p.space(true)
	}
}

// sequence parses items up to something that is none. created counts, as
// llama.cpp does, the rules that the item before a repetition has created.
func (p *gbnfParser) sequence(nested bool) (sequence, error) {
	start := len(p.list)
	created, size := 1, 0
	for p.pos < len(p.src) {
		c := p.src[p.pos]
		if strings.IndexByte("*+?{", c) >= 0 {
			if len(p.list) == start || size == 0 {
				return nil, p.errorf("%q without an item to repeat", c)
			}
			last := p.list[len(p.list)-1]
			at := p.at()
			lo, hi, err := p.repetition(nested)
			if err != nil {
				return nil, err
			}
			times := max(hi, 1)
			if hi < 0 {
				times = max(lo, 1)
			}
			if created*times >= maxRepetition {
				return nil, fmt.Errorf(
					"grammar: %v: repetition creates %d rules or more: llama.cpp refuses %d", at,
					created*times, maxRepetition)
			}
			created *= times
			optional := 1
			if hi >= 0 {
				optional = hi - lo
			}
			p.nsymbols += optional
			if err := p.grow(size * (lo + optional)); err != nil {
				return nil, err
			}
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
		it, n, err := p.item()
		if err != nil {
			return nil, err
		}
		if it == nil {
			return p.closed(start), nil
		}
		created, size = 1, n
		if it.kind == itemGroup {
			created = max(1, p.nsymbols-before)
		}
		if err := p.grow(n); err != nil {
			return nil, err
		}
		it.min, it.max = 1, 1
		p.list = append(p.list, it)
		p.space(nested)
	}
	return p.closed(start), nil
}

func (p *gbnfParser) grow(n int) error {
	p.elements += n
	if p.elements > maxGrammarElements {
		return p.errorf("more than %d elements once repetitions are written out",
			maxGrammarElements)
	}
	return nil
}

// startsItem tells whether the text ahead starts a symbol.
func (p *gbnfParser) startsItem() bool {
	c := p.src[p.pos]
	return isWord(c) || strings.IndexByte(`"[.<!(_`, c) >= 0
}

// item parses one symbol and returns how many elements llama.cpp stores for it;
// nil when the text ahead starts none.
func (p *gbnfParser) item() (*item, int, error) {
	if !p.startsItem() {
		return nil, 0, nil
	}
	it := p.items.take()
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
			return nil, 0, p.errorf("groups nested more than %d deep", maxGroupDepth)
		}
		p.space(true)
		alts, err := p.alternatives(true)
		if err != nil {
			return nil, 0, err
		}
		if p.peek() != ')' {
			return nil, 0, p.errorf("expected ')' for the group opened at %v", it.at)
		}
		p.pos++
		p.depth--
		it.kind, it.alts = itemGroup, alts
	default:
		name, err := p.name()
		if err != nil {
			return nil, 0, err
		}
		it.kind, it.text = itemRef, name
	}
	return it, 1, nil
}

func (p *gbnfParser) literal(it *item) (*item, int, error) {
	p.pos++
	// no escapes
	if end := strings.IndexAny(p.src[p.pos:], "\"\\"); end >= 0 && p.src[p.pos+end] == '"' {
		it.kind, it.text = itemLiteral, p.src[p.pos:p.pos+end]
		p.pos += end + 1
		return it, utf8.RuneCountInString(it.text), nil
	}
	var b strings.Builder
	n := 0
	for p.peek() != '"' {
		if p.pos >= len(p.src) {
			return nil, 0, fmt.Errorf("grammar: %v: unterminated literal", it.at)
		}
		r, err := p.char()
		if err != nil {
			return nil, 0, err
		}
		b.WriteRune(r)
		n++
	}
	p.pos++
	it.kind, it.text = itemLiteral, b.String()
	return it, n, nil
}

func (p *gbnfParser) class(it *item) (*item, int, error) {
	p.pos++
	if p.peek() == '^' {
		it.negated = true
		p.pos++
	}
	n := 0
	for p.peek() != ']' {
		if p.pos >= len(p.src) {
			return nil, 0, fmt.Errorf("grammar: %v: unterminated character class", it.at)
		}
		at := p.at()
		lo, err := p.char()
		if err != nil {
			return nil, 0, err
		}
		hi := lo
		n++
		if p.peek() == '-' && p.pos+1 < len(p.src) && p.src[p.pos+1] != ']' {
			p.pos++
			if hi, err = p.char(); err != nil {
				return nil, 0, err
			}
			n++
		}
		if hi < lo {
			return nil, 0, fmt.Errorf("grammar: %v: range from %q down to %q", at, lo, hi)
		}
		it.ranges = append(it.ranges, runeRange{lo, hi})
	}
	if n == 0 {
		return nil, 0, fmt.Errorf("grammar: %v: empty character class", it.at)
	}
	p.pos++
	it.kind = itemClass
	return it, n, nil
}

// char parses one possibly escaped code point of a literal or class.
func (p *gbnfParser) char() (rune, error) {
	if p.peek() != '\\' {
		r, n := utf8.DecodeRuneInString(p.src[p.pos:])
		if n == 0 {
			return 0, p.errorf("unexpected end")
		}
		p.pos += n
		return r, nil
	}
	at := p.at()
	p.pos++
	c := p.peek()
	p.pos++
	switch c {
	case 't':
		return '\t', nil
	case 'n':
		return '\n', nil
	case 'r':
		return '\r', nil
	case '\\', '"', '[', ']', '-':
		return rune(c), nil
	case 'x', 'u', 'U':
		digits := map[byte]int{'x': 2, 'u': 4, 'U': 8}[c]
		var v uint32
		for range digits {
			d := strings.IndexByte("0123456789abcdef", p.peek()|0x20)
			if p.pos >= len(p.src) || d < 0 || p.peek() < '0' {
				return 0, fmt.Errorf("grammar: %v: \\%c needs %d hexadecimal digits", at, c, digits)
			}
			v = v<<4 | uint32(d)
			p.pos++
		}
		if v > utf8.MaxRune {
			return 0, fmt.Errorf("grammar: %v: \\%c%08X is beyond Unicode", at, c, v)
		}
		return rune(v), nil
	}
	return 0, fmt.Errorf("grammar: %v: unknown escape: \\t \\n \\r \\\\ \\\" \\[ \\] \\- \\xXX \\uXXXX \\UXXXXXXXX are known", at)
}

func (p *gbnfParser) token(it *item) (*item, int, error) {
	start := p.pos
	if p.peek() == '!' {
		it.negated = true
		p.pos++
	}
	end := strings.IndexAny(p.src[p.pos:], ">\n")
	if p.peek() != '<' || end < 0 || p.src[p.pos+end] != '>' {
		return nil, 0, fmt.Errorf("grammar: %v: a token is written <text> or <[id]>", it.at)
	}
	body := p.src[p.pos+1 : p.pos+end]
	p.pos += end + 1
	if strings.HasPrefix(body, "[") {
		id := strings.TrimSuffix(body[1:], "]")
		if len(id)+2 != len(body) || id == "" || len(id) > 9 ||
			strings.Trim(id, "0123456789") != "" {
			return nil, 0, fmt.Errorf("grammar: %v: bad token id in <%s>", it.at, body)
		}
	} else if body == "" {
		return nil, 0, fmt.Errorf("grammar: %v: empty token", it.at)
	}
	it.kind, it.text = itemToken, p.src[start:p.pos]
	return it, 1, nil
}

// repetition parses * + ? {m} {m,} {m,n}; a max of -1 is unbounded.
func (p *gbnfParser) repetition(nested bool) (lo, hi int, err error) {
	at := p.at()
	c := p.src[p.pos]
	p.pos++
	defer p.space(nested)
	switch c {
	case '*':
		return 0, -1, nil
	case '+':
		return 1, -1, nil
	case '?':
		return 0, 1, nil
	}
	bad := func(why string) (int, int, error) {
		return 0, 0, fmt.Errorf("grammar: %v: repetition %s", at, why)
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
		return bad("needs a count after '{'")
	}
	hi = lo
	if p.peek() == ',' {
		p.pos++
		if hi, ok = number(); !ok {
			hi = -1
		}
	}
	if p.peek() != '}' {
		return bad("is not closed by '}'")
	}
	p.pos++
	switch {
	case hi >= 0 && hi < lo:
		return bad(fmt.Sprintf("from %d down to %d", lo, hi))
	case lo >= maxRepetition || hi >= maxRepetition:
		// llama.cpp takes a larger maximum for "unbounded" without a word.
		return bad(fmt.Sprintf("of %d or more: split it over several rules", maxRepetition))
	}
	return lo, hi, nil
}
