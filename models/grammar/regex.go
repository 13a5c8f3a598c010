package grammar

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Regular expressions of "pattern": those of ECMA-262 (RegExp, with what its
// annex B lets browsers take) without back-references, which are not regular.
// As the specification says, a pattern without ^ and $ matches anywhere within
// the string.

// reading says how . and \s are read, on which dialects differ: Go, Python and
// ECMA-262 disagree on line separators and blanks.
type reading uint8

const (
	narrow reading = iota // what all dialects share: a text that matches so matches in any of them
	wide                  // what any dialect takes: a text that does not match so matches in none
	exact                 // ECMA-262's
)

type nfaEdge struct {
	set runeSet
	to  int
}

// nfaState follows McNaughton-Yamada-Thompson: edges on characters, and empty
// edges, of which begin and end ones are open only at the ends of the text, and
// look ones where a look-around holds.
type nfaState struct {
	edges []nfaEdge
	empty []int
	when  *conditional // nil for most
}

// conditional are the empty edges of a state that are not always open.
type conditional struct {
	begin, end []int
	look       []lookEdge
}

type lookEdge struct{ look, to int }

// lookaround is a part of the NFA that must match from here on, or up to here.
// Those within it stand before it in the list.
type lookaround struct {
	fragment
	behind, negative bool
}

type nfa struct {
	states        []nfaState
	start, accept int
	looks         []lookaround
}

const (
	maxNFAStates  = 20000
	maxRegexDepth = 100
)

var (
	errPatternSize   = errors.New("pattern is too complex: shorten it or lower its counts")
	errBackreference = errors.New("back-references are not supported")
	errLookaround    = errors.New("look-around that an automaton does not follow")
)

type regexParser struct {
	src   string
	pos   int
	depth int
	read  reading
	n     *nfa
}

// fragment is a part of the NFA with one way in and one out.
type fragment struct{ in, out int }

func parseRegex(src string, read reading) (*nfa, error) {
	if !utf8.ValidString(src) {
		return nil, errors.New("pattern is not UTF-8")
	}
	p := &regexParser{src: src, read: read, n: &nfa{states: make([]nfaState, 0, 64)}}
	var f fragment
	err := try(func() {
		if f = p.alternation(); p.pos < len(src) {
			panic(faultf("')' without '('"))
		}
	})
	if err != nil {
		return nil, fmt.Errorf("pattern %q, offset %d: %w", src, p.pos, err)
	}
	start, accept := p.state(), p.state()
	p.n.states[start].edges = []nfaEdge{{anyRune, start}}
	p.n.states[start].empty = []int{f.in}
	p.n.states[accept].edges = []nfaEdge{{anyRune, accept}}
	p.link(f.out, accept)
	p.n.start, p.n.accept = start, accept
	return p.n, nil
}

func (p *regexParser) state() int {
	p.n.states = append(p.n.states, nfaState{})
	return len(p.n.states) - 1
}

func (p *regexParser) link(from, to int) {
	p.n.states[from].empty = append(p.n.states[from].empty, to)
}

func (p *regexParser) peek() byte {
	if p.pos < len(p.src) {
		return p.src[p.pos]
	}
	return 0
}

func (p *regexParser) alternation() fragment {
	if p.depth++; p.depth > maxRegexDepth {
		panic(faultf("groups are nested too deep"))
	}
	defer func() { p.depth-- }()
	f := fragment{p.state(), p.state()}
	for {
		c := p.concatenation()
		p.link(f.in, c.in)
		p.link(c.out, f.out)
		if p.peek() != '|' {
			return f
		}
		p.pos++
	}
}

func (p *regexParser) concatenation() fragment {
	s := p.state()
	f := fragment{s, s}
	for p.pos < len(p.src) && p.src[p.pos] != '|' && p.src[p.pos] != ')' {
		a := p.quantified()
		p.link(f.out, a.in)
		f.out = a.out
	}
	return f
}

// quantified parses an atom and its quantifier, once for each copy of the atom
// that the count needs: parsing again is the plainest way to copy a fragment.
func (p *regexParser) quantified() fragment {
	start := p.pos
	first := p.atom()
	afterAtom := p.pos
	lo, hi, ok := p.quantifier()
	if !ok {
		return first
	}
	if strings.ContainsAny(p.src[start:start+1], "^$") || strings.HasPrefix(p.src[start:],
		"(?<=") || strings.HasPrefix(p.src[start:], "(?<!") {
		panic(faultf("a quantifier cannot follow an assertion"))
	}
	end := p.pos
	copies := 0
	next := func() fragment {
		if copies++; copies == 1 {
			return first
		}
		if len(p.n.states) > maxNFAStates {
			panic(fault{errPatternSize})
		}
		p.pos = start
		f := p.atom()
		if p.pos != afterAtom {
			panic(faultf("cannot repeat this"))
		}
		return f
	}
	in := p.state()
	f := fragment{in, in}
	for range lo {
		c := next()
		p.link(f.out, c.in)
		f.out = c.out
	}
	out := p.state()
	p.link(f.out, out)
	if hi < 0 {
		c := next()
		loop := p.state()
		p.link(f.out, loop)
		p.link(loop, c.in)
		p.link(c.out, loop)
		p.link(loop, out)
	}
	for i := lo; i < hi; i++ {
		c := next()
		p.link(f.out, c.in)
		p.link(c.out, out)
		f.out = c.out
	}
	p.pos = end
	return fragment{in, out}
}

func (p *regexParser) quantifier() (lo, hi int, ok bool) {
	switch p.peek() {
	case '*':
		lo, hi = 0, -1
		p.pos++
	case '+':
		lo, hi = 1, -1
		p.pos++
	case '?':
		lo, hi = 0, 1
		p.pos++
	case '{':
		n := 0
		var err error
		if lo, hi, n, err = bounded(p.src[p.pos:]); err != nil {
			panic(fault{err})
		} else if n == 0 {
			return 0, 0, false
		}
		p.pos += n
	default:
		return 0, 0, false
	}
	if p.peek() == '?' { // lazy: another order of search, the same language
		p.pos++
	}
	if p.pos < len(p.src) {
		_, _, n, _ := bounded(p.src[p.pos:])
		if c := p.src[p.pos]; strings.IndexByte("*+?", c) >= 0 || c == '{' && n > 0 {
			panic(faultf("two quantifiers in a row"))
		}
	}
	return lo, hi, true
}

// bounded reads {n}, {n,} or {n,m} and its length, zero where the brace is a
// character: annex B takes any other brace for itself.
func bounded(src string) (lo, hi, length int, err error) {
	end := strings.IndexByte(src, '}')
	if !strings.HasPrefix(src, "{") || end < 0 {
		return 0, 0, 0, nil
	}
	low, high, ranged := strings.Cut(src[1:end], ",")
	if low == "" || strings.Trim(low+high, "0123456789") != "" {
		return 0, 0, 0, nil
	}
	number := func(s string) int {
		n, err := strconv.Atoi(s)
		if err != nil || n > maxNFAStates {
			return maxNFAStates + 1
		}
		return n
	}
	lo = number(low)
	hi = lo
	if ranged && high == "" {
		hi = -1
	} else if ranged {
		hi = number(high)
	}
	switch {
	case lo > maxNFAStates || hi > maxNFAStates:
		return 0, 0, 0, errPatternSize
	case hi >= 0 && hi < lo:
		return 0, 0, 0, fmt.Errorf("count from %d down to %d", lo, hi)
	}
	return lo, hi, end + 1, nil
}

func (p *regexParser) set(s runeSet) fragment {
	f := fragment{p.state(), p.state()}
	p.n.states[f.in].edges = []nfaEdge{{s, f.out}}
	return f
}

func (p *regexParser) atom() fragment {
	switch c := p.src[p.pos]; c {
	case '^', '$':
		p.pos++
		f := fragment{p.state(), p.state()}
		if c == '^' {
			p.n.states[f.in].when = &conditional{begin: []int{f.out}}
		} else {
			p.n.states[f.in].when = &conditional{end: []int{f.out}}
		}
		return f
	case '.':
		p.pos++
		if p.read == wide {
			return p.set(runeSet{{'\n', '\n'}}.complement())
		}
		return p.set(lineEnds.complement())
	case '(':
		return p.group()
	case '[':
		return p.set(p.class())
	case '\\':
		if rest := p.src[p.pos:]; strings.HasPrefix(rest, `\b`) || strings.HasPrefix(rest, `\B`) {
			p.pos += 2
			return p.boundary(rest[1] == 'B')
		}
		if c := p.src[p.pos:]; strings.HasPrefix(c, `\A`) || strings.HasPrefix(c, `\z`) ||
			strings.HasPrefix(c, `\Z`) {
			// No ECMA-262, but written for Python and Go, where they are the ends of the text.
			p.pos += 2
			f := fragment{p.state(), p.state()}
			if c[1] == 'A' {
				p.n.states[f.in].when = &conditional{begin: []int{f.out}}
			} else {
				p.n.states[f.in].when = &conditional{end: []int{f.out}}
			}
			return f
		}
		return p.set(p.escape(false, false))
	case '*', '+', '?':
		panic(faultf("%q has nothing to repeat", c))
	case '{':
		if _, _, n, err := bounded(p.src[p.pos:]); n > 0 || err != nil {
			panic(faultf("%q has nothing to repeat", c))
		}
	}
	r, n := utf8.DecodeRuneInString(p.src[p.pos:])
	p.pos += n
	return p.set(runeSet{{r, r}})
}

func (p *regexParser) group() fragment {
	p.pos++
	looks, l := false, lookaround{}
	if p.peek() == '?' {
		rest := p.src[p.pos:]
		name := strings.IndexByte(rest, '>')
		switch {
		case strings.HasPrefix(rest, "?:"):
			p.pos += 2
		case strings.HasPrefix(rest, "?=") || strings.HasPrefix(rest, "?!"):
			looks, l.negative = true, rest[1] == '!'
			p.pos += 2
		case strings.HasPrefix(rest, "?<=") || strings.HasPrefix(rest, "?<!"):
			looks, l.behind, l.negative = true, true, rest[2] == '!'
			p.pos += 3
		case strings.HasPrefix(rest, "?<") && name > 2:
			p.pos += name + 1
		default:
			panic(faultf("this kind of group is not supported"))
		}
	}
	f := p.alternation()
	if p.peek() != ')' {
		panic(faultf("'(' is not closed"))
	}
	p.pos++
	if looks {
		l.fragment = f
		return p.look(l)
	}
	return f
}

// look is a step that is open where l holds.
func (p *regexParser) look(l lookaround) fragment {
	p.n.looks = append(p.n.looks, l)
	f := fragment{p.state(), p.state()}
	p.n.states[f.in].when = &conditional{look: []lookEdge{{len(p.n.looks) - 1, f.out}}}
	return f
}

// boundary is \b, or \B if not is set: a word's character on one side, or on both or none.
func (p *regexParser) boundary(not bool) fragment {
	out := fragment{p.state(), p.state()}
	for _, before := range []bool{false, true} {
		b := p.look(lookaround{fragment: p.set(words), behind: true, negative: !before})
		a := p.look(lookaround{fragment: p.set(words), negative: before != not})
		p.link(out.in, b.in)
		p.link(b.out, a.in)
		p.link(a.out, out.out)
	}
	return out
}

var (
	digits = runeSet{{'0', '9'}}
	words  = newRuneSet(runeRange{'0', '9'}, runeRange{'A', 'Z'}, runeRange{'_', '_'},
		runeRange{'a', 'z'})
	lineEnds   = newRuneSet(runeRange{'\n', '\n'}, runeRange{'\r', '\r'}, runeRange{0x2028, 0x2029})
	blanks     = newRuneSet(runeRange{'\t', '\n'}, runeRange{'\f', '\r'}, runeRange{' ', ' '})
	ecmaBlanks = newRuneSet(runeRange{'\t', '\r'}, runeRange{' ', ' '}, runeRange{0xa0, 0xa0},
		runeRange{0x1680, 0x1680},
		runeRange{0x2000, 0x200a}, runeRange{0x2028, 0x2029}, runeRange{0x202f, 0x202f},
		runeRange{0x205f, 0x205f},
		runeRange{0x3000, 0x3000}, runeRange{0xfeff, 0xfeff})
	wideBlanks = newRuneSet(runeRange{'\t', '\r'}, runeRange{0x1c, ' '}, runeRange{0x85, 0x85},
		runeRange{0xa0, 0xa0},
		runeRange{0x1680, 0x1680}, runeRange{0x180e, 0x180e}, runeRange{0x2000, 0x200a},
		runeRange{0x2028, 0x2029},
		runeRange{0x202f, 0x202f}, runeRange{0x205f, 0x205f}, runeRange{0x3000, 0x3000},
		runeRange{0xfeff, 0xfeff})
)

// escape parses \x. Within a negated class the widest reading of \s is the safe one.
func (p *regexParser) escape(inClass, negated bool) runeSet {
	if p.pos+1 >= len(p.src) {
		panic(faultf(`\ at the end`))
	}
	c := p.src[p.pos+1]
	p.pos += 2
	one := func(r rune) runeSet { return runeSet{{r, r}} }
	inner, outer := blanks, wideBlanks
	if negated != (p.read == wide) {
		inner, outer = outer, inner
	}
	if p.read == exact {
		inner, outer = ecmaBlanks, ecmaBlanks
	}
	switch c {
	case 'd':
		return digits
	case 'D':
		return digits.complement()
	case 'w':
		return words
	case 'W':
		return words.complement()
	case 's':
		return inner
	case 'S':
		return outer.complement()
	case 't':
		return one('\t')
	case 'n':
		return one('\n')
	case 'r':
		return one('\r')
	case 'f':
		return one('\f')
	case 'v':
		return one('\v')
	case '0':
		if d := p.peek(); '0' <= d && d <= '9' {
			panic(faultf("octal escapes are not supported"))
		}
		return one(0)
	case 'b':
		if inClass {
			return one('\b')
		}
		panic(faultf(`\b is out of place`))
	case 'p', 'P':
		return p.property(c == 'P')
	case 'c':
		if d := p.peek() | 0x20; 'a' <= d && d <= 'z' {
			p.pos++
			return one(rune(d - 'a' + 1))
		}
		panic(faultf(`bad \c`))
	case 'x':
		return p.hex(2)
	case 'u':
		if p.peek() == '{' {
			end := strings.IndexByte(p.src[p.pos:], '}')
			if end < 2 || end > 7 {
				panic(faultf(`bad \u{…}`))
			}
			p.pos++
			s := p.hex(end - 1)
			p.pos++
			return s
		}
		return p.unicodeEscape()
	}
	switch {
	case '1' <= c && c <= '9':
		panic(fault{errBackreference})
	case c == 'k' && p.peek() == '<':
		panic(fault{errBackreference})
	case c >= 0x80:
		p.pos--
		r, n := utf8.DecodeRuneInString(p.src[p.pos:])
		p.pos += n
		return one(r)
	case isWord(c) && c != '-':
		// Other dialects give some letters a meaning that ECMA-262 does not: \h, \Q.
		panic(faultf(`\%c means different things to different programs`, c))
	}
	return one(rune(c))
}

// property is the set of \p{Name} or \p{Name=Value}: general categories and scripts.
func (p *regexParser) property(not bool) runeSet {
	end := strings.IndexByte(p.src[p.pos:], '}')
	if p.peek() != '{' || end < 0 {
		panic(faultf(`bad \p{…}`))
	}
	name := p.src[p.pos+1 : p.pos+end]
	p.pos += end + 1
	kind, value, named := strings.Cut(name, "=")
	if !named {
		kind, value = "gc", name
	}
	if long := unicode.CategoryAliases[value]; long != "" {
		value = long
	}
	var table *unicode.RangeTable
	switch kind {
	case "gc", "General_Category":
		table = unicode.Categories[value]
		switch {
		case value == "Any" && !named:
			return anyRune
		case value == "ASCII" && !named:
			table = &unicode.RangeTable{R16: []unicode.Range16{{Hi: 0x7f, Stride: 1}}}
		case table == nil && !named:
			table = unicode.Properties[value]
		}
	case "sc", "Script", "scx", "Script_Extensions":
		table = unicode.Scripts[value]
	}
	if table == nil {
		panic(faultf(`\p{%s} is not known`, name))
	}
	var ranges []runeRange
	add := func(lo, hi, stride rune) {
		if stride == 1 {
			ranges = append(ranges, runeRange{lo, hi})
			return
		}
		for r := lo; r <= hi; r += stride {
			ranges = append(ranges, runeRange{r, r})
		}
	}
	for _, r := range table.R16 {
		add(rune(r.Lo), rune(r.Hi), rune(r.Stride))
	}
	for _, r := range table.R32 {
		add(rune(r.Lo), rune(r.Hi), rune(r.Stride))
	}
	s := newRuneSet(ranges...).intersect(anyRune)
	if not {
		s = s.complement()
	}
	return s
}

func (p *regexParser) hex(digits int) runeSet {
	if p.pos+digits > len(p.src) {
		panic(faultf("escape is cut short"))
	}
	v, err := strconv.ParseUint(p.src[p.pos:p.pos+digits], 16, 32)
	if err != nil || v > utf8.MaxRune {
		panic(faultf("bad hexadecimal escape"))
	}
	p.pos += digits
	if v >= 0xd800 && v <= 0xdfff {
		panic(faultf("half of a surrogate pair"))
	}
	return runeSet{{rune(v), rune(v)}}
}

// unicodeEscape parses XXXX of \uXXXX, or a surrogate pair \uD83D\uDE00.
func (p *regexParser) unicodeEscape() runeSet {
	if p.pos+10 <= len(p.src) && p.src[p.pos+4:p.pos+6] == `\u` {
		hi, err1 := strconv.ParseUint(p.src[p.pos:p.pos+4], 16, 16)
		lo, err2 := strconv.ParseUint(p.src[p.pos+6:p.pos+10], 16, 16)
		if err1 == nil && err2 == nil && hi>>10 == 0xd800>>10 && lo>>10 == 0xdc00>>10 {
			p.pos += 10
			r := rune(0x10000 + (hi&0x3ff)<<10 + lo&0x3ff)
			return runeSet{{r, r}}
		}
	}
	return p.hex(4)
}

func (p *regexParser) class() runeSet {
	p.pos++
	negated := p.peek() == '^'
	if negated {
		p.pos++
	}
	var all []runeRange
	for p.peek() != ']' {
		if p.pos >= len(p.src) {
			panic(faultf("'[' is not closed"))
		}
		lo := p.classAtom(negated)
		if p.peek() == '-' && p.pos+1 < len(p.src) && p.src[p.pos+1] != ']' {
			p.pos++
			hi := p.classAtom(negated)
			switch {
			case !lo.single() || !hi.single(): // annex B: a hyphen beside a set is a hyphen
				lo = append(append(slices.Clone(lo), runeRange{'-', '-'}), hi...)
			case hi[0].lo < lo[0].lo:
				panic(faultf("bad range in class"))
			default:
				lo = runeSet{{lo[0].lo, hi[0].lo}}
			}
		}
		all = append(all, lo...)
	}
	p.pos++
	s := newRuneSet(all...)
	if negated {
		s = s.complement()
	}
	return s.intersect(anyRune)
}

func (p *regexParser) classAtom(negated bool) runeSet {
	if p.peek() == '\\' {
		return p.escape(true, negated)
	}
	if p.read == narrow && strings.HasPrefix(p.src[p.pos:], "[:") {
		panic(faultf("[: in a class means different things to different programs"))
	}
	r, n := utf8.DecodeRuneInString(p.src[p.pos:])
	if n == 0 {
		panic(faultf("'[' is not closed"))
	}
	p.pos += n
	return runeSet{{r, r}}
}
