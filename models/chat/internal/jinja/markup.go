package jinja

import (
	"fmt"
	"html"
	"net/url"
	"strings"
	"unicode/utf8"
)

// The filters that make or read HTML and addresses.

func filterStripTags(c call, v Value) Value {
	t := c.in.str(v)
	s := t.String()
	var b strings.Builder
	at := 0
	for {
		i := strings.IndexByte(s[at:], '<')
		if i < 0 {
			break
		}
		end, open := ">", at+i+1
		if strings.HasPrefix(s[at+i:], "<!--") {
			end, open = "-->", at+i+4
		}
		j := strings.Index(s[open:], end)
		if j < 0 {
			break
		}
		b.WriteString(s[at : at+i])
		at = open + j + len(end)
	}
	b.WriteString(s[at:])
	words := strings.FieldsFunc(b.String(), isSpace)
	return NewText(html.UnescapeString(strings.Join(words, " ")), t.dominant())
}

// quoteURL is urllib.parse.quote, of a path or of a part of a query.
func quoteURL(t Text, query bool) Text {
	return t.mapSpans(func(s string) string {
		s = url.QueryEscape(s) // differs from quote in the blank, and in the slash
		if !query {
			s = strings.ReplaceAll(strings.ReplaceAll(s, "+", "%20"), "%2F", "/")
		}
		return s
	}).plain()
}

func filterURLEncode(c call, v Value) Value {
	in := c.in
	var pairs []Value
	switch x := v.(type) {
	case *Dict:
		if x.ns {
			return quoteURL(in.str(v), false)
		}
		pairs = in.pairs(x, itemsView).Items
	case *List, *iterator, Undefined:
		pairs = in.iterate(v)
	default:
		return quoteURL(in.str(v), false)
	}
	var b builder
	for i, p := range pairs {
		kv := in.iterate(p)
		if len(kv) != 2 {
			in.fail("urlencode needs pairs")
		}
		if i > 0 {
			b.span("&", Source{})
		}
		b.text(quoteURL(in.str(kv[0]), true))
		b.span("=", Source{})
		b.text(quoteURL(in.str(kv[1]), true))
	}
	return b.done()
}

func filterXMLAttr(c call, v Value) Value {
	in := c.in
	d, ok := v.(*Dict)
	if !ok || d.ns {
		in.fail("xmlattr needs a mapping, not %s", typeName(v))
	}
	var b builder
	for i, k := range d.keys {
		if _, undefined := d.vals[i].(Undefined); undefined || d.vals[i] == nil {
			continue
		}
		key, ok := k.(Text)
		if !ok || strings.ContainsAny(key.String(), " \t\n\r\f\v/>=") {
			in.fail("invalid character in attribute name %s", in.repr(k))
		}
		if b.size > 0 || truth(c.or(0, true)) {
			b.span(" ", Source{})
		}
		b.text(in.escape(key))
		b.span(`="`, Source{})
		b.text(in.escape(d.vals[i]))
		b.span(`"`, Source{})
	}
	out := b.done()
	out.markup = in.autoescape
	return out
}

func filterURLize(c call, _ Value) Value {
	c.in.fail("urlize is refused: a prompt is no web page")
	return nil
}

func filterFileSize(c call, v Value) Value {
	in := c.in
	var bytes float64
	if t, ok := v.(Text); ok {
		if bytes, ok = parseFloat(t.String()); !ok {
			in.fail("filesizeformat needs a number")
		}
	} else {
		bytes = in.mustFloat(v)
	}
	base, suffix := 1000.0, "B"
	prefixes := "kMGTPEZY"
	if c.flag(0) {
		base, suffix, prefixes = 1024, "iB", "KMGTPEZY"
	}
	switch {
	case bytes == 1:
		return wrote("1 Byte")
	case bytes < base:
		s, _ := decimal(in.truncate(bytes))
		return wrote(s + " Bytes")
	}
	unit := base
	for i := range len(prefixes) {
		unit *= base
		if bytes < unit || i == len(prefixes)-1 {
			return wrote(fmt.Sprintf("%.1f %c%s", base*bytes/unit, prefixes[i], suffix))
		}
	}
	return nil
}

// filterWordWrap is Python's textwrap over each line.
func filterWordWrap(c call, v Value) Value {
	in := c.in
	t, ok := v.(Text)
	if !ok {
		in.fail("wordwrap needs a string, not %s", typeName(v))
	}
	width := c.int(0, 79)
	newline := wrote("\n")
	if _, ok := c.given(2); ok {
		newline = c.text(2, "\n")
	}
	w := wrapper{in: in, width: width, long: truth(c.or(1, true)), hyphens: truth(c.or(3, true))}
	var b builder
	for i, line := range in.lines(t.plain(), false) {
		if i > 0 {
			b.text(newline)
		}
		for k, part := range w.wrap(line) {
			if k > 0 {
				b.text(newline)
			}
			b.text(part)
			in.fits(b.size)
		}
	}
	return b.done()
}

// wrapper breaks a line as textwrap.TextWrapper does with expand_tabs and replace_whitespace off.
type wrapper struct {
	in            *interp
	width         int
	long, hyphens bool
}

// blankASCII is what textwrap takes for whitespace.
func blankASCII(r rune) bool { return strings.ContainsRune("\t\n\x0b\x0c\r ", r) }

func (w *wrapper) wrap(t Text) []Text {
	if w.width <= 0 {
		w.in.fail("invalid width %d", w.width)
	}
	chunks := w.chunks(t)
	var lines []Text
	for len(chunks) > 0 {
		w.in.step()
		w.in.work(chunks[0])
		if len(lines) > 0 && strings.TrimFunc(chunks[0].String(), isSpace) == "" {
			if chunks = chunks[1:]; len(chunks) == 0 {
				break
			}
		}
		var line []Text
		n := 0
		for len(chunks) > 0 {
			w.in.step()
			k := utf8.RuneCountInString(chunks[0].String())
			if n+k > w.width {
				break
			}
			line, chunks, n = append(line, chunks[0]), chunks[1:], n+k
		}
		if len(chunks) > 0 && utf8.RuneCountInString(chunks[0].String()) > w.width {
			space := max(w.width-n, 0)
			if w.width < 1 {
				space = 1
			}
			switch {
			case w.long:
				end := w.breakAt(chunks[0].String(), space)
				line = append(line, chunks[0].slice(0, end))
				chunks[0] = chunks[0].slice(end, chunks[0].Len())
			case len(line) == 0:
				line, chunks = append(line, chunks[0]), chunks[1:]
			}
		}
		if last := len(line) - 1; last >= 0 && strings.TrimFunc(line[last].String(),
			isSpace) == "" {
			line = line[:last]
		}
		if len(line) > 0 {
			lines = append(lines, Concat(line...))
		}
	}
	return lines
}

// breakAt is where a word that is too long breaks: after the last hyphen that fits and does not
// begin it, else where the line is full.
func (w *wrapper) breakAt(s string, space int) int {
	end := runeOffset(s, space)
	if w.hyphens && utf8.RuneCountInString(s) > space {
		if h := strings.LastIndexByte(s[:end], '-'); h > 0 && strings.Trim(s[:h], "-") != "" {
			return h + 1
		}
	}
	return end
}

// chunks splits a line into words, blanks between them, and the parts of words with hyphens.
func (w *wrapper) chunks(t Text) (out []Text) {
	s := t.String()
	at := 0
	cut := func(end int) {
		w.in.workOnSpans(t)
		if end > at {
			out = append(out, t.slice(at, end))
			at = end
		}
	}
	for at < len(s) {
		w.in.step()
		r, _ := utf8.DecodeRuneInString(s[at:])
		if blankASCII(r) {
			cut(len(s) - len(strings.TrimLeftFunc(s[at:], blankASCII)))
			continue
		}
		end := strings.IndexFunc(s[at:], blankASCII)
		if end < 0 {
			end = len(s) - at
		}
		word := s[at : at+end]
		if !w.hyphens {
			cut(at + end)
			continue
		}
		start := at
		for _, i := range hyphenBreaks(word) {
			cut(start + i)
		}
		cut(start + len(word))
	}
	return out
}

// hyphenBreaks are the places in a word after which textwrap breaks it: after a hyphen between
// letters, two of them on each side, and around a dash of two or more.
func hyphenBreaks(word string) (at []int) {
	rs := []rune(word)
	offset := make([]int, len(rs)+1)
	for i, r := range rs {
		offset[i+1] = offset[i] + utf8.RuneLen(r)
	}
	letter := func(i int) bool {
		return i >= 0 && i < len(rs) && isWord(rs[i]) && !isDecimal(rs[i])
	}
	punctuated := func(i int) bool {
		return i >= 0 && i < len(rs) && (isWord(rs[i]) || strings.ContainsRune("!\"'&.,?", rs[i]))
	}
	for i := 0; i < len(rs); i++ {
		if rs[i] != '-' {
			continue
		}
		n := i
		for n < len(rs) && rs[n] == '-' {
			n++
		}
		switch {
		case n-i >= 2 && punctuated(i-1) && n < len(rs) && isWord(rs[n]):
			at = append(at, offset[i], offset[n])
		case n-i == 1 && (letter(i-1) && letter(i-2) || letter(i-1) && i >= 2 && rs[i-2] == '-') &&
			letter(n) && (letter(n+1) || n+1 < len(rs) && rs[n+1] == '-' && letter(n+2)):
			at = append(at, offset[n])
		}
		i = n - 1
	}
	return at
}

// filterPPrint is pprint.pformat for values that fit one line.
func filterPPrint(c call, v Value) Value {
	in := c.in
	out := in.repr(in.keysSorted(v, 0))
	if utf8.RuneCountInString(out.String()) > 80 {
		switch v.(type) {
		case *List, *Dict, Text:
			in.fail("pprint is refused for what does not fit a line of 80 characters")
		}
	}
	return out
}

// keysSorted sorts the keys of dicts, as pprint does.
func (in *interp) keysSorted(v Value, depth int) Value {
	in.deep(depth)
	switch x := v.(type) {
	case *List:
		if x.kind > tupleList {
			return v
		}
		out := &List{kind: x.kind, Marked: x.Marked}
		in.spend(len(x.Items) * valueCost)
		for _, y := range x.Items {
			out.Items = append(out.Items, in.keysSorted(y, depth+1))
		}
		return out
	case *Dict:
		if x.ns {
			return v
		}
		var items []keyed
		for i, k := range x.keys {
			items = append(items, keyed{k, tuple(k, x.vals[i])})
		}
		out := &Dict{Image: x.Image}
		for _, p := range in.sorted(items, false) {
			kv := p.(*List).Items
			in.setItem(out, kv[0], in.keysSorted(kv[1], depth+1))
		}
		return out
	}
	return v
}
