package grammar

import (
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/eyelet-engine/eyelet/models/internal/fault"
)

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

// controls are the characters that letters stand for after a backslash.
var controls = map[byte]rune{'t': '\t', 'n': '\n', 'r': '\r', 'f': '\f', 'v': '\v'}

// escape parses \x. Within a negated class the widest reading of \s is the safe one.
func (p *regexParser) escape(inClass, negated bool) runeSet {
	if p.pos+1 >= len(p.src) {
		panic(fault.New(`\ at the end`))
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
	case 't', 'n', 'r', 'f', 'v':
		return one(controls[c])
	case '0':
		if d := p.peek(); '0' <= d && d <= '9' {
			panic(fault.New("octal escapes are not supported"))
		}
		return one(0)
	case 'b':
		if inClass {
			return one('\b')
		}
		panic(fault.New(`\b is out of place`))
	case 'p', 'P':
		return p.property(c == 'P')
	case 'c':
		if d := p.peek() | 0x20; 'a' <= d && d <= 'z' {
			p.pos++
			return one(rune(d - 'a' + 1))
		}
		panic(fault.New(`bad \c`))
	case 'x':
		return p.hex(2)
	case 'u':
		if p.peek() == '{' {
			end := strings.IndexByte(p.src[p.pos:], '}')
			if end < 2 || end > 7 {
				panic(fault.New(`bad \u{…}`))
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
		panic(fault.Of(errBackreference))
	case c == 'k' && p.peek() == '<':
		panic(fault.Of(errBackreference))
	case c >= 0x80:
		p.pos--
		r, n := utf8.DecodeRuneInString(p.src[p.pos:])
		p.pos += n
		return one(r)
	case isWord(c) && c != '-':
		// Other dialects give some letters a meaning that ECMA-262 does not: \h, \Q.
		panic(fault.New(`\%c means different things to different programs`, c))
	}
	return one(rune(c))
}

// property is the set of \p{Name} or \p{Name=Value}: general categories and scripts.
func (p *regexParser) property(not bool) runeSet {
	end := strings.IndexByte(p.src[p.pos:], '}')
	if p.peek() != '{' || end < 0 {
		panic(fault.New(`bad \p{…}`))
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
		panic(fault.New(`\p{%s} is not known`, name))
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
		panic(fault.New("escape is cut short"))
	}
	v, err := strconv.ParseUint(p.src[p.pos:p.pos+digits], 16, 32)
	if err != nil || v > utf8.MaxRune {
		panic(fault.New("bad hexadecimal escape"))
	}
	p.pos += digits
	if v >= 0xd800 && v <= 0xdfff {
		panic(fault.New("half of a surrogate pair"))
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
			panic(fault.New("'[' is not closed"))
		}
		lo := p.classAtom(negated)
		if p.peek() == '-' && p.pos+1 < len(p.src) && p.src[p.pos+1] != ']' {
			p.pos++
			hi := p.classAtom(negated)
			switch {
			case !lo.single() || !hi.single(): // annex B: a hyphen beside a set is a hyphen
				lo = append(append(slices.Clone(lo), runeRange{'-', '-'}), hi...)
			case hi[0].lo < lo[0].lo:
				panic(fault.New("bad range in class"))
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
		panic(fault.New("[: in a class means different things to different programs"))
	}
	r, n := utf8.DecodeRuneInString(p.src[p.pos:])
	if n == 0 {
		panic(fault.New("'[' is not closed"))
	}
	p.pos += n
	return runeSet{{r, r}}
}
