package grammar

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/eyelet-engine/eyelet/models/internal/fault"
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
	guarded    []guardedEdge
}

type guardedEdge struct{ lookaround, to int }

// lookaround is a part of the NFA that must match from here on, or up to here.
// Those within it stand before it in the list.
type lookaround struct {
	fragment
	behind, negative bool
}

type nfa struct {
	states        []nfaState
	start, accept int
	lookarounds   []lookaround
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
	err := fault.Try(func() {
		if f = p.alternation(); p.pos < len(src) {
			panic(fault.New("')' without '('"))
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
		panic(fault.New("groups are nested too deep"))
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
		panic(fault.New("a quantifier cannot follow an assertion"))
	}
	end := p.pos
	copies := 0
	next := func() fragment {
		if copies++; copies == 1 {
			return first
		}
		if len(p.n.states) > maxNFAStates {
			panic(fault.Of(errPatternSize))
		}
		p.pos = start
		f := p.atom()
		if p.pos != afterAtom {
			panic(fault.New("cannot repeat this"))
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
			panic(fault.Of(err))
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
			panic(fault.New("two quantifiers in a row"))
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
		return p.anchor(c == '^')
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
			return p.anchor(c[1] == 'A')
		}
		return p.set(p.escape(false, false))
	case '*', '+', '?':
		panic(fault.New("%q has nothing to repeat", c))
	case '{':
		if _, _, n, err := bounded(p.src[p.pos:]); n > 0 || err != nil {
			panic(fault.New("%q has nothing to repeat", c))
		}
	}
	r, n := utf8.DecodeRuneInString(p.src[p.pos:])
	p.pos += n
	return p.set(runeSet{{r, r}})
}

// anchor returns a step that is open at the beginning of the text, or at its end.
func (p *regexParser) anchor(begin bool) fragment {
	f := fragment{p.state(), p.state()}
	when := &conditional{end: []int{f.out}}
	if begin {
		when = &conditional{begin: []int{f.out}}
	}
	p.n.states[f.in].when = when
	return f
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
			panic(fault.New("this kind of group is not supported"))
		}
	}
	f := p.alternation()
	if p.peek() != ')' {
		panic(fault.New("'(' is not closed"))
	}
	p.pos++
	if looks {
		l.fragment = f
		return p.assertion(l)
	}
	return f
}

// assertion is a step that is open where l holds.
func (p *regexParser) assertion(l lookaround) fragment {
	p.n.lookarounds = append(p.n.lookarounds, l)
	f := fragment{p.state(), p.state()}
	p.n.states[f.in].when = &conditional{guarded: []guardedEdge{{len(p.n.lookarounds) - 1, f.out}}}
	return f
}

// boundary is \b, or \B if not is set: a word's character on one side, or on both or none.
func (p *regexParser) boundary(not bool) fragment {
	out := fragment{p.state(), p.state()}
	for _, before := range []bool{false, true} {
		b := p.assertion(lookaround{fragment: p.set(words), behind: true, negative: !before})
		a := p.assertion(lookaround{fragment: p.set(words), negative: before != not})
		p.link(out.in, b.in)
		p.link(b.out, a.in)
		p.link(a.out, out.out)
	}
	return out
}
