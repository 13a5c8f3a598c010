package grammar

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/eyelet-engine/eyelet/models/internal/fault"
)

// startsItem reports whether the text ahead starts a symbol.
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
