package grammar

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	"github.com/eyelet-engine/eyelet/models/internal/fault"
)

// printable are the printable characters of ASCII, from the blank on.
const printable = " !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~"

// escapeJSON spells one character inside a JSON string, with the shortest
// escape of RFC 8259 where one is needed.
func escapeJSON(r rune) string {
	switch r {
	case '"':
		return `\"`
	case '\\':
		return `\\`
	case '\b':
		return `\b`
	case '\f':
		return `\f`
	case '\n':
		return `\n`
	case '\r':
		return `\r`
	case '\t':
		return `\t`
	}
	if r < 0x20 {
		return fmt.Sprintf(`\u%04x`, r)
	}
	if r <= 0x7e {
		return printable[r-0x20 : r-0x1f]
	}
	return string(r)
}

func quoteJSON(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		b.WriteString(escapeJSON(r))
	}
	b.WriteByte('"')
	return b.String()
}

// literal spells s as a GBNF literal.
func literal(s string) string {
	if isPlainASCII(s) {
		return `"` + s + `"`
	}
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < 0x20 || r == 0x7f || r > 0x7e && !strconv.IsPrint(r):
			b.WriteString(escapeGBNF(r))
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// isPlainASCII tells whether a literal spells s as it stands.
func isPlainASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool {
		return r < 0x20 || r > 0x7e || r == '"' || r == '\\'
	})
}

func escapeGBNF(r rune) string {
	switch {
	case r <= 0xff:
		return fmt.Sprintf(`\x%02X`, r)
	case r <= 0xffff:
		return fmt.Sprintf(`\u%04X`, r)
	}
	return fmt.Sprintf(`\U%08X`, r)
}

// class spells a set of code points as a GBNF character class.
func class(set runeSet) string {
	one := func(r rune) string {
		switch {
		case strings.ContainsRune(`\]["-^`, r):
			if r == '^' {
				return escapeGBNF(r)
			}
			return `\` + string(r)
		case r < 0x20 || r > 0x7e:
			return escapeGBNF(r)
		}
		return string(r)
	}
	var b strings.Builder
	b.Grow(2 + 4*len(set))
	b.WriteByte('[')
	for _, x := range set {
		b.WriteString(one(x.lo))
		if x.hi > x.lo {
			if x.hi > x.lo+1 {
				b.WriteByte('-')
			}
			b.WriteString(one(x.hi))
		}
	}
	b.WriteByte(']')
	return b.String()
}

// constant spells a value, with blanks where JSON of several values has them.
func (c *converter) constant(v *node) string {
	if len(v.vals) == 0 {
		return plain(v)
	}
	for _, b := range []string{"ws", "colon"} {
		c.rules.base(b)
	}
	var spell func(v *node) string
	spell = func(v *node) string {
		if len(v.vals) == 0 {
			return plain(v)
		}
		parts := make([]string, len(v.vals))
		for i, part := range v.vals {
			parts[i] = spell(part)
			if v.kind == kindObject {
				parts[i] = literal(quoteJSON(v.keys[i])) + " colon " + parts[i]
			}
		}
		body := strings.Join(parts, ` "," ws `)
		if v.kind == kindObject {
			return `"{" ws ` + body + ` ws "}"`
		}
		return `"[" ws ` + body + ` ws "]"`
	}
	return spell(v)
}

// plain spells a value that holds no others: a number as it is written and in its shortest form.
func plain(v *node) string {
	text := literal(v.json())
	if v.kind != kindNumber || !strings.ContainsAny(v.text, ".eE") {
		return text
	}
	r, err := v.rational()
	if err != nil {
		return text
	}
	short, finite := shortest(r)
	if !finite || short == v.text || len(short) > maxNumberText {
		return text
	}
	return "( " + text + " | " + literal(short) + " )"
}

// rules collects the rules of the grammar under construction.
type rules struct {
	names  []string
	bodies map[string]string
	shared map[string]string // body to name, for bodies that are written once
	taken  map[string]int
	units  map[string]string // set of characters, as key packs it, to the item that spells it
	key    []byte            // scratch
	limit  int
	size   int
}

func newRules(limit int) *rules {
	taken := map[string]int{"root": 1}
	for name := range baseRules {
		taken[name] = 1
	}
	return &rules{bodies: map[string]string{}, shared: map[string]string{},
		units: map[string]string{}, taken: taken, limit: limit}
}

// reserve returns an unused rule name like hint; define gives it a body later.
func (g *rules) reserve(hint string) string {
	name := strings.Map(func(r rune) rune {
		if r < 0x80 && isWord(byte(r)) {
			return r
		}
		return '-'
	}, hint)
	name = strings.Trim(name, "-")
	if len(name) > 40 {
		name = strings.Trim(name[:40], "-")
	}
	name = cmp.Or(name, "rule")
	for base := name; g.taken[name] > 0; {
		g.taken[base]++
		name = fmt.Sprintf("%s-%d", base, g.taken[base])
	}
	g.taken[name] = 1
	return name
}

func (g *rules) define(name, body string) {
	if _, again := g.bodies[name]; !again {
		g.names = append(g.names, name)
	}
	g.size += len(name) + len(body)
	if len(g.names) > g.limit || g.size > maxGrammarBytes/2 {
		panic(fault.New(
			"grammar: schema needs more than %d rules or %d bytes of grammar: simplify it",
			g.limit, maxGrammarBytes/2))
	}
	g.bodies[name] = body
}

// share returns the name of a rule with this body, made on first use.
func (g *rules) share(hint, body string) string {
	if name, ok := g.shared[body]; ok {
		return name
	}
	name := g.reserve(hint)
	g.shared[body] = name
	g.define(name, body)
	return name
}

// base returns the name of a fixed rule, with the fixed rules it uses.
func (g *rules) base(name string) string {
	if _, done := g.bodies[name]; done {
		return name
	}
	g.define(name, baseRules[name].body)
	for _, use := range baseRules[name].uses {
		g.base(use)
	}
	return name
}

type baseRule struct {
	body string
	uses []string
}

// baseRules are JSON itself (RFC 8259). Characters are positive ranges: a
// negated class would let surrogate halves through, which are no UTF-8. Escapes
// of surrogates come in pairs, so that one char is one character of minLength.
var baseRules = map[string]baseRule{
	"ws":    {body: `" "? | "\n" [ \t]{0,16}`},
	"colon": {body: `":" " "?`},
	"value": {`object | array | string | number | "true" | "false" | "null"`,
		[]string{"object", "array", "string", "number"}},
	"object":    {`"{" ws ( member ( "," ws member )* ws )? "}"`, []string{"ws", "member"}},
	"member":    {`string colon value`, []string{"string", "colon", "value"}},
	"array":     {`"[" ws ( value ( "," ws value )* ws )? "]"`, []string{"ws", "value"}},
	"string":    {`"\"" char* "\""`, []string{"char"}},
	"char":      {`plain | "\\" ( ["\\/bfnrt] | "u" escaped )`, []string{"plain", "escaped"}},
	"plain":     {body: `[ !#-\[\]-\uD7FF\uE000-\U0010FFFF]`},
	"escaped":   {`[0-9a-cA-CeEfF] hex hex hex | [dD] [0-7] hex hex | [dD] [89abAB] hex hex "\\u" [dD] [c-fC-F] hex hex`, []string{"hex"}},
	"hex":       {body: `[0-9a-fA-F]`},
	"number":    {body: `"-"? ( "0" | [1-9] [0-9]{0,19} ) ( "." [0-9]{1,20} )? ( [eE] [+\-]? [0-9]{1,2} )?`},
	"integer":   {body: `"0" | "-"? [1-9] [0-9]{0,19}`},
	"boolean":   {body: `"true" | "false"`},
	"canonical": {body: `[ !#-\[\]-\uD7FF\uE000-\U0010FFFF] | "\\" ( ["\\bfnrt] | "u00" ( "0" [0-7be-f] | "1" [0-9a-f] ) )`},
}

// text is the grammar reachable from root, root first.
func (g *rules) text(order []string) string {
	var b strings.Builder
	b.Grow(g.size + 8*len(order))
	for _, name := range order {
		b.WriteString(name)
		b.WriteString(" ::= ")
		b.WriteString(g.bodies[name])
		b.WriteByte('\n')
	}
	return b.String()
}

// repeat spells unit (one item: a rule name or class) repeated lo to hi times
// (hi < 0: unbounded). Counts beyond llama.cpp's bound become a chain of rules
// of repeatChunk each, whose size is the count over repeatChunk.
func (g *rules) repeat(hint, unit string, lo, hi int) string {
	switch {
	case lo == 1 && hi == 1:
		return unit
	case hi == 0:
		return `""`
	case lo == 0 && hi < 0:
		return unit + "*"
	case hi < 0 && lo < maxRepetition:
		return fmt.Sprintf("%s{%d,}", unit, lo)
	case lo == hi && hi < maxRepetition:
		return fmt.Sprintf("%s{%d}", unit, lo)
	case hi >= 0 && hi < maxRepetition:
		return fmt.Sprintf("%s{%d,%d}", unit, lo, hi)
	}
	full := g.share(hint+"-block", fmt.Sprintf("%s{%d}", unit, repeatChunk))
	if lo >= repeatChunk {
		n := lo / repeatChunk
		if hi >= 0 {
			hi -= n * repeatChunk
		}
		rest := g.repeat(hint, unit, lo%repeatChunk, hi)
		if n == 1 {
			return full + " " + rest
		}
		return fmt.Sprintf("%s{%d} %s", full, n, rest)
	}
	// lo < repeatChunk, hi >= maxRepetition: stop within this block or fill it.
	tail := g.repeat(hint, unit, 0, hi-repeatChunk)
	body := fmt.Sprintf("%s{%d,%d} | %s %s", unit, lo, repeatChunk-1, full, tail)
	return g.share(hint+"-run", body)
}

const repeatChunk = 1000

// maxCount is where maxLength and maxItems are cut: a longer answer would be
// valid, but no context holds it.
const maxCount = 1 << 16
