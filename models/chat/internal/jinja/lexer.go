package jinja

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

type tokenKind uint8

const (
	tokEOF        tokenKind = iota
	tokText                 // literal output
	tokBlockBegin           // {%
	tokBlockEnd             // %}
	tokVarBegin             // {{
	tokVarEnd               // }}
	tokName
	tokString // val is unescaped
	tokInt
	tokFloat
	tokOp
)

type token struct {
	kind tokenKind
	val  string
	line int
}

// lexer cuts a template into tokens, settling whitespace control on the way, as jinja2.lexer does
// with trim_blocks and lstrip_blocks set and keep_trailing_newline not.
type lexer struct {
	src      string
	pos      int
	line     int
	tokens   []token
	lineOpen bool // the previous tag's match ended a line, or nothing came before
}

func lex(src string) []token {
	src = strings.ReplaceAll(src, "\r\n", "\n")
	src = strings.ReplaceAll(src, "\r", "\n")
	src = strings.TrimSuffix(src, "\n")
	l := &lexer{src: src, line: 1, lineOpen: true}
	for l.pos < len(l.src) {
		l.next()
	}
	l.emit(tokEOF, "")
	return l.tokens
}

func (l *lexer) emit(k tokenKind, val string) { l.tokens = append(l.tokens, token{k, val, l.line}) }

func (l *lexer) fail(format string, args ...any) {
	panic(&Error{Line: l.line, Msg: fmt.Sprintf(format, args...)})
}

// advance moves n bytes on and counts the lines passed.
func (l *lexer) advance(n int) {
	l.line += strings.Count(l.src[l.pos:l.pos+n], "\n")
	l.pos += n
}

// nextTag returns the offset of the next {{, {% or {# from the current position, -1 when there is
// none.
func (l *lexer) nextTag() int {
	rest := l.src[l.pos:]
	for at := 0; ; {
		i := strings.IndexByte(rest[at:], '{')
		if i < 0 || at+i+1 >= len(rest) {
			return -1
		}
		if c := rest[at+i+1]; c == '{' || c == '%' || c == '#' {
			return at + i
		}
		at += i + 1
	}
}

// next lexes literal text up to a tag, and the tag.
func (l *lexer) next() {
	at := l.nextTag()
	if at < 0 {
		text := l.src[l.pos:]
		l.emit(tokText, text)
		l.advance(len(text))
		return
	}
	text, kind := l.src[l.pos:l.pos+at], l.src[l.pos+at+1]
	sign := byte(0)
	if end := l.pos + at + 2; end < len(l.src) && (l.src[end] == '-' || l.src[end] == '+') {
		sign = l.src[end]
	}
	kept := l.trimBefore(text, kind, sign)
	if kept != "" {
		l.emit(tokText, kept)
	}
	open := 2
	if sign != 0 {
		open = 3
	}
	l.advance(at + open)
	switch kind {
	case '#':
		l.comment()
	case '%':
		if n := l.rawOpening(); n > 0 {
			l.raw(n)
			return
		}
		l.emit(tokBlockBegin, "")
		l.inside("%}", tokBlockEnd)
	default:
		l.emit(tokVarBegin, "")
		l.inside("}}", tokVarEnd)
	}
}

// trimBefore applies the opening tag's sign, or lstrip_blocks, to the text before it.
func (l *lexer) trimBefore(text string, kind, sign byte) string {
	switch {
	case sign == '-':
		return strings.TrimRightFunc(text, isSpace)
	case sign == '+' || kind == '{':
		return text
	}
	start := strings.LastIndexByte(text, '\n') + 1
	if (start > 0 || l.lineOpen) && strings.TrimFunc(text[start:], isSpace) == "" {
		return text[:start]
	}
	return text
}

// trimAfter applies the closing tag's sign, or trim_blocks, to what follows it.
func (l *lexer) trimAfter(sign byte, block bool) {
	from := l.pos
	rest := l.src[l.pos:]
	switch {
	case sign == '-':
		l.advance(len(rest) - len(strings.TrimLeftFunc(rest, isSpace)))
	case sign == 0 && block && strings.HasPrefix(rest, "\n"):
		l.advance(1)
	}
	l.lineOpen = l.pos > from && l.src[l.pos-1] == '\n'
}

func (l *lexer) comment() {
	end := strings.Index(l.src[l.pos:], "#}")
	if end < 0 {
		l.fail("comment is not closed")
	}
	sign := byte(0)
	if end > 0 {
		if c := l.src[l.pos+end-1]; c == '-' || c == '+' {
			sign = c
		}
	}
	l.advance(end + 2)
	l.trimAfter(sign, true)
}

// rawOpening returns how many bytes "raw %}" takes here, 0 when this is no raw tag. A dash before
// the end is left for raw to see.
func (l *lexer) rawOpening() int {
	rest := l.src[l.pos:]
	s := strings.TrimLeftFunc(rest, isSpace)
	if !strings.HasPrefix(s, "raw") {
		return 0
	}
	s = strings.TrimLeftFunc(s[3:], isSpace)
	s = strings.TrimPrefix(s, "-")
	if !strings.HasPrefix(s, "%}") {
		return 0
	}
	return len(rest) - len(s) + 2
}

func (l *lexer) raw(n int) {
	sign := byte(0)
	if l.src[l.pos+n-3] == '-' {
		sign = '-'
	}
	l.advance(n)
	l.trimAfter(sign, false) // jinja2 keeps the newline here
	body := l.src[l.pos:]
	for at := 0; ; {
		i := strings.Index(body[at:], "{%")
		if i < 0 {
			l.fail("raw is not closed by endraw")
		}
		text, tag := body[:at+i], body[at+i+2:]
		open := byte(0)
		if tag != "" && (tag[0] == '-' || tag[0] == '+') {
			open, tag = tag[0], tag[1:]
		}
		s := strings.TrimLeftFunc(tag, isSpace)
		if !strings.HasPrefix(s, "endraw") {
			at += i + 2
			continue
		}
		s = strings.TrimLeftFunc(s[len("endraw"):], isSpace)
		closing := byte(0)
		if s != "" && (s[0] == '-' || s[0] == '+') {
			closing, s = s[0], s[1:]
		}
		if !strings.HasPrefix(s, "%}") {
			at += i + 2
			continue
		}
		if kept := l.trimBefore(text, '%', open); kept != "" {
			l.emit(tokText, kept)
		}
		l.advance(len(body) - len(s) + 2)
		l.trimAfter(closing, true)
		return
	}
}

// inside lexes the expression part of a tag up to its end mark.
func (l *lexer) inside(end string, endKind tokenKind) {
	var open []byte // brackets waiting for their partner
	for l.pos < len(l.src) {
		rest := l.src[l.pos:]
		c := rest[0]
		if len(open) == 0 {
			sign, mark := byte(0), rest
			if c == '-' || c == '+' {
				sign, mark = c, rest[1:]
			}
			if strings.HasPrefix(mark, end) && (sign != '+' || endKind == tokBlockEnd) {
				l.emit(endKind, "")
				l.advance(len(rest) - len(mark) + 2)
				l.trimAfter(sign, endKind == tokBlockEnd)
				return
			}
		}
		r, size := utf8.DecodeRuneInString(rest)
		switch {
		case isSpace(r):
			l.advance(size)
		case c == '\'' || c == '"':
			l.str()
		case c >= '0' && c <= '9':
			l.number()
		case r == '_' || unicode.IsLetter(r):
			n := 0
			for n < len(rest) {
				r, w := utf8.DecodeRuneInString(rest[n:])
				if r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r) {
					break
				}
				n += w
			}
			l.emit(tokName, rest[:n])
			l.advance(n)
		default:
			op := operator(rest)
			if op == "" {
				l.fail("unexpected character %q", r)
			}
			switch op {
			case "(", "[", "{":
				open = append(open, op[0])
			case ")", "]", "}":
				want := map[string]byte{")": '(', "]": '[', "}": '{'}[op]
				if len(open) == 0 || open[len(open)-1] != want {
					l.fail("unexpected %q", op)
				}
				open = open[:len(open)-1]
			}
			if len(open) > maxNesting {
				l.fail("brackets are nested too deeply")
			}
			l.emit(tokOp, op)
			l.advance(len(op))
		}
	}
	l.fail("tag is not closed by %q", end)
}

func operator(s string) string {
	if len(s) >= 2 {
		switch s[:2] {
		case "//", "**", "==", "!=", ">=", "<=":
			return s[:2]
		}
	}
	if strings.IndexByte("+-/*%~[](){}><=.:|,;", s[0]) >= 0 {
		return s[:1]
	}
	return ""
}

// Numbers, as jinja2.lexer has them. A float does not follow a dot.
var (
	floatToken = regexp.MustCompile(
		`^(?i)(?:\d+_)*\d+(?:(?:\.(?:\d+_)*\d+)?e[+\-]?(?:\d+_)*\d+|\.(?:\d+_)*\d+)`)
	intToken = regexp.MustCompile(
		`^(?i)(?:0b(?:_?[0-1])+|0o(?:_?[0-7])+|0x(?:_?[\da-f])+|[1-9](?:_?\d)*|0(?:_?0)*)`)
)

func (l *lexer) number() {
	rest := l.src[l.pos:]
	if s := floatToken.FindString(rest); s != "" && (l.pos == 0 || l.src[l.pos-1] != '.') {
		l.emit(tokFloat, s)
		l.advance(len(s))
		return
	}
	s := intToken.FindString(rest)
	l.emit(tokInt, s)
	l.advance(len(s))
}

func (l *lexer) str() {
	rest := l.src[l.pos:]
	for i := 1; i < len(rest); i++ {
		switch rest[i] {
		case '\\':
			i++
		case rest[0]:
			s, ok := unescape(rest[1:i])
			if !ok {
				l.fail("string has a malformed escape")
			}
			l.emit(tokString, s)
			l.advance(i + 1)
			return
		}
	}
	l.fail("string is not closed")
}

// unescape resolves Python's escape sequences; an unknown one stays as it is, backslash included.
// Names of characters are not resolved.
func unescape(s string) (string, bool) {
	if strings.IndexByte(s, '\\') < 0 {
		return s, true
	}
	simple := map[byte]string{'n': "\n", 't': "\t", 'r': "\r", '\\': "\\", '\'': "'", '"': "\"",
		'a': "\a", 'b': "\b",
		'f': "\f", 'v': "\v", '\n': ""}
	width := map[byte]int{'x': 2, 'u': 4, 'U': 8}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 >= len(s) {
			b.WriteByte(s[i])
			continue
		}
		i++
		c := s[i]
		if v, ok := simple[c]; ok {
			b.WriteString(v)
			continue
		}
		if c == 'N' {
			return "", false
		}
		digits, base, most := s[i+1:], rune(16), width[c]
		if most == 0 {
			digits, base, most = s[i:], 8, 3
		}
		v, n := rune(0), 0
		for n < min(most, len(digits)) && hexValue(digits[n]) < base {
			v = v*base + hexValue(digits[n])
			n++
		}
		switch {
		case width[c] > 0:
			if n < most || v > unicodeMax || v < 0 {
				return "", false
			}
			b.WriteRune(v)
			i += n
		case n > 0:
			b.WriteRune(v)
			i += n - 1
		default:
			b.WriteByte('\\')
			i-- // what follows may be a character of several bytes
			if r, w := utf8.DecodeRuneInString(s[i+1:]); r >= utf8.RuneSelf {
				b.WriteString(escapedRune(r))
				i += w
			} else {
				b.WriteByte(c)
				i++
			}
		}
	}
	return b.String(), true
}

// escapedRune is what Python's codec leaves of a character behind a backslash: its own escape
// without that.
func escapedRune(r rune) string {
	switch {
	case r < 0x100:
		return fmt.Sprintf("x%02x", r)
	case r < 0x10000:
		return fmt.Sprintf("u%04x", r)
	}
	return fmt.Sprintf("U%08x", r)
}

func hexValue(c byte) rune {
	switch {
	case c >= '0' && c <= '9':
		return rune(c - '0')
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return rune(c|0x20-'a') + 10
	}
	return 99
}
