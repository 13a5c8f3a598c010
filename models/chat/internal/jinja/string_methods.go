package jinja

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// stringMethods are those of Python's str, without those for bytes.
func stringMethods() map[string]method[Text] {
	m := map[string]method[Text]{
		"casefold":     {takes(""), func(c call, t Text) Value { return t.mapSpans(fold) }},
		"upper":        {takes(""), func(c call, t Text) Value { return t.mapSpans(upper) }},
		"lower":        {takes(""), func(c call, t Text) Value { return t.mapSpans(lower) }},
		"capitalize":   {takes(""), func(c call, t Text) Value { return capitalize(t) }},
		"title":        {takes(""), func(c call, t Text) Value { return title(t) }},
		"swapcase":     {takes(""), func(c call, t Text) Value { return swapCase(t) }},
		"split":        {takes("sep? maxsplit?"), with(splitMethod, false)},
		"rsplit":       {takes("sep? maxsplit?"), with(splitMethod, true)},
		"splitlines":   {takes("keepends?"), splitLinesMethod},
		"partition":    {takes("/ sep"), with(partition, false)},
		"rpartition":   {takes("/ sep"), with(partition, true)},
		"startswith":   {takes("/ prefix start? end?"), with(affix, strings.HasPrefix)},
		"endswith":     {takes("/ suffix start? end?"), with(affix, strings.HasSuffix)},
		"replace":      {takes("/ old new count?"), replaceMethod},
		"removeprefix": {takes("/ prefix"), with(removeAffix, true)},
		"removesuffix": {takes("/ suffix"), with(removeAffix, false)},
		"find":         {takes("/ sub start? end?"), with(find, false)},
		"rfind":        {takes("/ sub start? end?"), with(find, true)},
		"index":        {takes("/ sub start? end?"), with(mustFind, false)},
		"rindex":       {takes("/ sub start? end?"), with(mustFind, true)},
		"count":        {takes("/ sub start? end?"), countMethod},
		"join":         {takes("/ iterable"), joinMethod},
		"format": {takes("* **"), func(c call, t Text) Value {
			return c.in.formatMethod(t, c.more, c.kw)
		}},
		"format_map": {takes("/ mapping"), func(c call, t Text) Value {
			d, ok := c.vals[0].(*Dict)
			if !ok || d.ns {
				c.in.fail("format_map needs a mapping")
			}
			return c.in.formatMethod(t, nil, d)
		}},
		"ljust":      {takes("/ width fill?"), with(padMethod, [2]bool{false, true})},
		"rjust":      {takes("/ width fill?"), with(padMethod, [2]bool{true, false})},
		"center":     {takes("/ width fill?"), with(padMethod, [2]bool{true, true})},
		"zfill":      {takes("/ width"), zfill},
		"expandtabs": {takes("tabsize?"), expandTabs},
		"translate":  {takes("/ table"), translate},
		"maketrans":  {takes("/ x y? z?"), makeTrans},
	}
	for name, ends := range map[string][2]bool{"strip": {true, true}, "lstrip": {true, false},
		"rstrip": {false, true}} {
		m[name] = method[Text]{takes("/ chars?"), func(c call, t Text) Value {
			return stripMethod(c, t, ends[0], ends[1])
		}}
	}
	every := func(is func(rune) bool) func(string) bool {
		return func(s string) bool {
			return s != "" && strings.IndexFunc(s, func(r rune) bool { return !is(r) }) < 0
		}
	}
	for name, is := range map[string]func(string) bool{
		"isdigit": every(isDigit), "isdecimal": every(isDecimal), "isnumeric": every(isNumeric),
		"isalpha": every(unicode.IsLetter),
		"isalnum": every(isAlnum), "isspace": every(isSpace), "isupper": isUpper,
		"islower": isLower, "istitle": isTitle, "isascii": isASCII,
		"isidentifier": isIdentifier, "isprintable": func(s string) bool {
			return s == "" || every(unicode.IsPrint)(s)
		},
	} {
		m[name] = method[Text]{takes(""), func(c call, t Text) Value {
			c.in.work(t)
			return is(t.String())
		}}
	}
	for name, x := range m { // every method looks through its text
		run := x.call
		m[name] = method[Text]{x.sig, func(c call, t Text) Value { c.in.work(t); return run(c, t) }}
	}
	return m
}

// escaped is an argument of a method of markup, which escapes what is put into it.
func (c *call) escaped(t Text, arg Text) Text {
	if t.markup {
		return c.in.escape(arg)
	}
	return arg
}

// padMethod fills up before and behind a text, or on one side.
func padMethod(c call, t Text, sides [2]bool) Value {
	w := c.int(0, 0)
	c.in.fits(max(w, 0))
	fill := c.escaped(t, c.text(1, " ")).String()
	if utf8.RuneCountInString(fill) != 1 {
		c.in.fail("the fill character must be exactly one character long")
	}
	r, _ := utf8.DecodeRuneInString(fill)
	return pad(t, w, r, sides[0], sides[1], false)
}

func zfill(c call, t Text) Value {
	w := c.int(0, 0)
	c.in.fits(max(w, 0))
	if s := t.String(); s != "" && (s[0] == '-' || s[0] == '+') {
		return Concat(t.slice(0, 1), pad(t.slice(1, t.Len()), w-1, '0', true, false, false))
	}
	return pad(t, w, '0', true, false, false)
}

func splitMethod(c call, t Text, right bool) Value {
	sep := ""
	if _, ok := c.given(0); ok {
		if sep = c.text(0, "").String(); sep == "" {
			c.in.fail("empty separator")
		}
	}
	return c.in.split(t, sep, c.int(1, -1), right)
}

func splitLinesMethod(c call, t Text) Value {
	var items []Value
	for _, l := range c.in.lines(t, c.flag(0)) {
		items = append(items, l)
	}
	return c.in.list(items)
}

func partition(c call, t Text, last bool) Value {
	sep := c.text(0, "")
	if sep.Len() == 0 {
		c.in.fail("empty separator")
	}
	index := strings.Index
	if last {
		index = strings.LastIndex
	}
	i := index(t.String(), sep.String())
	parts := []Value{t, Text{}, Text{}}
	switch {
	case i >= 0:
		parts = []Value{t.slice(0, i), t.slice(i, i+sep.Len()), t.slice(i+sep.Len(), t.Len())}
	case last: // an unsplit string comes last
		parts = []Value{Text{}, Text{}, t}
	}
	return c.in.listOf(tupleList, parts)
}

// cutTo is the part of t between the optional start and end, and the number of characters before
// it. ok is false where the start lies beyond the end, in which not even an empty string is found.
func cutTo(c *call, t Text) (part Text, before int, ok bool) {
	_, start := c.given(1)
	_, end := c.given(2)
	if !start && !end {
		return t, 0, true
	}
	s := t.String()
	n := utf8.RuneCountInString(s)
	lo, hi := c.span(1, n)
	if start {
		if v, _ := c.arg(1); c.in.index(v) > n {
			return Text{}, 0, false
		}
	}
	if lo > hi {
		return Text{}, 0, false
	}
	return t.slice(runeOffset(s, lo), runeOffset(s, hi)), lo, true
}

func affix(c call, t Text, has func(string, string) bool) Value {
	part, _, ok := cutTo(&c, t)
	s := part.String()
	if l, isList := c.vals[0].(*List); isList && l.kind == tupleList {
		for _, x := range l.Items {
			a, isText := x.(Text)
			if !isText {
				c.in.fail("startswith and endswith need strings, not %s", typeName(x))
			}
			c.in.work(a)
			if ok && has(s, a.String()) {
				return true
			}
		}
		return false
	}
	a := c.text(0, "").String()
	return ok && has(s, a)
}

func removeAffix(c call, t Text, prefix bool) Value {
	p, s := c.text(0, "").String(), t.String()
	switch {
	case prefix && strings.HasPrefix(s, p):
		return t.slice(len(p), t.Len())
	case !prefix && strings.HasSuffix(s, p):
		return t.slice(0, t.Len()-len(p))
	}
	return t
}

// find counts in characters, as Python does.
func find(c call, t Text, last bool) Value {
	sub := c.text(0, "").String()
	part, before, ok := cutTo(&c, t)
	s := part.String()
	i := strings.Index(s, sub)
	if last {
		i = strings.LastIndex(s, sub)
	}
	if i < 0 || !ok {
		return int64(-1)
	}
	return int64(before + utf8.RuneCountInString(s[:i]))
}

func mustFind(c call, t Text, last bool) Value {
	i := find(c, t, last)
	if i.(int64) < 0 {
		c.in.fail("substring not found")
	}
	return i
}

func countMethod(c call, t Text) Value {
	sub := c.text(0, "").String()
	part, _, ok := cutTo(&c, t)
	if !ok {
		return int64(0)
	}
	return int64(strings.Count(part.String(), sub))
}

func joinMethod(c call, t Text) Value {
	items := c.in.iterate(c.vals[0])
	if t.markup {
		return c.in.joinEscaped(items, t)
	}
	for _, x := range items {
		if _, ok := x.(Text); !ok {
			c.in.fail("join needs strings, found %s", typeName(x))
		}
	}
	return c.in.join(items, t)
}

func replaceMethod(c call, t Text) Value {
	return c.in.replace(t, c.text(0, ""), c.escaped(t, c.text(1, "")), c.int(2, -1))
}

func expandTabs(c call, t Text) Value {
	size := c.int(0, 8)
	column, added := 0, 0
	return mapRunes(t, func(_, r rune) string {
		switch r {
		case '\t':
			if size <= 0 {
				return ""
			}
			n := size - column%size
			column += n
			added += n
			c.in.fits(added)
			return strings.Repeat(" ", n)
		case '\n', '\r':
			column = 0
		default:
			column++
		}
		return string(r)
	})
}

func translate(c call, t Text) Value {
	size := 0
	return mapRunes(t, func(_, r rune) string {
		var v Value
		switch table := c.vals[0].(type) {
		case *Dict:
			var ok bool
			if v, ok = table.lookup(int64(r)); !ok || table.ns {
				return string(r)
			}
		case *List:
			if int(r) >= len(table.Items) {
				return string(r)
			}
			v = table.Items[r]
		default:
			c.in.fail("translate needs a mapping, not %s", typeName(v))
		}
		c.in.step()
		switch v := v.(type) {
		case nil:
			return ""
		case Text:
			size += v.Len()
			c.in.fits(size)
			return v.String()
		}
		n, ok := smallInt(v)
		if !ok || n < 0 || n > unicodeMax {
			c.in.fail("character mapping must be an integer, None or a string")
		}
		return string(rune(n))
	})
}

// makeTrans is str.maketrans.
func makeTrans(c call, _ Text) Value {
	out := &Dict{}
	y, pairs := c.arg(1)
	if !pairs {
		d, ok := c.vals[0].(*Dict)
		if !ok || d.ns {
			c.in.fail("maketrans needs a dict")
		}
		for i, k := range d.keys {
			if t, ok := k.(Text); ok {
				if utf8.RuneCountInString(t.String()) != 1 {
					c.in.fail("string keys in translate table must be of length 1")
				}
				r, _ := utf8.DecodeRuneInString(t.String())
				k = int64(r)
			}
			if _, ok := bigInt(k); !ok {
				c.in.fail("keys in translate table must be strings or integers")
			}
			c.in.setItem(out, k, d.vals[i])
		}
		return out
	}
	yt, ok := y.(Text)
	if !ok {
		c.in.fail("maketrans needs strings")
	}
	from, to := []rune(c.text(0, "").String()), []rune(yt.String())
	if len(from) != len(to) {
		c.in.fail("the first two maketrans arguments must have equal length")
	}
	for i, r := range from {
		c.in.setItem(out, int64(r), int64(to[i]))
	}
	for _, r := range c.text(2, "").String() {
		c.in.setItem(out, int64(r), nil)
	}
	return out
}
