package jinja

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// strip removes whitespace, or the characters of a set, from the ends.
func strip(t Text, set string, left, right bool) Text {
	drop := isSpace
	if set != "" {
		drop = func(r rune) bool { return strings.ContainsRune(set, r) }
	}
	s := t.String()
	lo, hi := 0, len(s)
	if left {
		lo = len(s) - len(strings.TrimLeftFunc(s, drop))
	}
	if right {
		hi = max(lo, len(strings.TrimRightFunc(s, drop)))
	}
	return t.slice(lo, hi)
}

// mapRunes rewrites characters one by one; f sees the character before, 0 at the start. Pictures stay as they are.
func mapRunes(t Text, f func(prev, r rune) rune) Text {
	var b builder
	var prev rune
	for _, s := range t.spans {
		if s.Source.Kind == Image {
			b.span(s.Text, s.Source)
			prev = 'x'
			continue
		}
		for _, r := range s.Text {
			b.span(string(f(prev, r)), s.Source)
			prev = r
		}
	}
	return b.done()
}

func capitalize(t Text) Text {
	return mapRunes(t, func(prev, r rune) rune {
		if prev == 0 {
			return unicode.ToTitle(r)
		}
		return unicode.ToLower(r)
	})
}

// title is Python's str.title: a letter after anything but a letter is a capital.
func title(t Text) Text {
	return mapRunes(t, func(prev, r rune) rune {
		if !unicode.IsLetter(prev) {
			return unicode.ToTitle(r)
		}
		return unicode.ToLower(r)
	})
}

// titleFilter is Jinja's title filter, which starts words after spaces, dashes and opening brackets only.
func titleFilter(t Text) Text {
	return mapRunes(t, func(prev, r rune) rune {
		if prev == 0 || isSpace(prev) || strings.ContainsRune("-({[<", prev) {
			return unicode.ToUpper(r)
		}
		return unicode.ToLower(r)
	})
}

func (in *interp) replace(t, old, repl Text, count int) Text {
	s, o := t.String(), old.String()
	if count < 0 || count > len(s)+1 {
		count = len(s) + 1
	}
	var b builder
	at := 0
	for n := 0; n < count; n++ {
		in.step()
		i := strings.Index(s[at:], o)
		if o == "" { // between all characters, and at both ends
			i = 0
			if n > 0 {
				if at >= len(s) {
					break
				}
				_, i = utf8.DecodeRuneInString(s[at:])
			}
		}
		if i < 0 {
			break
		}
		b.text(t.slice(at, at+i))
		b.text(repl)
		in.fits(b.size)
		at += i + len(o)
	}
	b.text(t.slice(at, len(s)))
	return b.done()
}

// split is str.split (right: str.rsplit). sep "" splits at runs of whitespace and drops empty pieces.
func (in *interp) split(t Text, sep string, limit int, right bool) *List {
	s := t.String()
	var cuts [][2]int // the separators' places
	if sep != "" {
		for at := 0; ; {
			in.step()
			i := strings.Index(s[at:], sep)
			if i < 0 {
				break
			}
			cuts = append(cuts, [2]int{at + i, at + i + len(sep)})
			at += i + len(sep)
		}
	} else {
		trimmed := strip(t, "", true, true)
		if trimmed.Len() == 0 {
			return in.list(nil)
		}
		if limit < 0 {
			t = trimmed
		} else {
			t = strip(t, "", !right, right)
		}
		s = t.String()
		for i := 0; i < len(s); {
			r, w := utf8.DecodeRuneInString(s[i:])
			if !isSpace(r) {
				i += w
				continue
			}
			j := len(s) - len(strings.TrimLeftFunc(s[i:], isSpace))
			cuts = append(cuts, [2]int{i, j})
			i = j
		}
		if limit >= len(cuts) { // the far end's whitespace is reached too
			return in.split(trimmed, "", -1, right)
		}
	}
	if limit >= 0 && len(cuts) > limit {
		if right {
			cuts = cuts[len(cuts)-limit:]
		} else {
			cuts = cuts[:limit]
		}
	}
	items := make([]Value, 0, len(cuts)+1)
	at := 0
	for _, c := range cuts {
		items = append(items, t.slice(at, c[0]))
		at = c[1]
	}
	return in.list(append(items, t.slice(at, len(s))))
}

func splitLines(t Text, keep bool) []Text {
	var out []Text
	s := t.String()
	for at := 0; at < len(s); {
		i := strings.IndexAny(s[at:], "\n\r\v\f\x1c\x1d\x1e\u0085\u2028\u2029")
		if i < 0 {
			return append(out, t.slice(at, len(s)))
		}
		_, w := utf8.DecodeRuneInString(s[at+i:])
		if strings.HasPrefix(s[at+i:], "\r\n") {
			w = 2
		}
		end := at + i
		if keep {
			end += w
		}
		out = append(out, t.slice(at, end))
		at += i + w
	}
	return out
}

// format is Python's "..." % value for the conversions %s %r %d %i %f %x and %%, with the flags -, 0, a width and a
// precision.
func (in *interp) format(t Text, v Value) Value {
	args := []Value{v}
	if l, ok := v.(*List); ok && l.Tuple {
		args = l.Items
	}
	used := 0
	var b builder
	rest := t
	for {
		s := rest.String()
		i := strings.IndexByte(s, '%')
		if i < 0 {
			b.text(rest)
			break
		}
		b.text(rest.slice(0, i))
		spec, n := s[i+1:], 0
		var arg Value
		named := false
		if strings.HasPrefix(spec, "(") {
			end := strings.IndexByte(spec, ')')
			d, ok := v.(*Dict)
			if end < 0 || !ok {
				in.fail("format needs a mapping")
			}
			if arg, named = d.get(spec[1:end]); !named {
				in.fail("format: no key %q", spec[1:end])
			}
			n = end + 1
		}
		start := n
		for n < len(spec) && strings.IndexByte("-0123456789.", spec[n]) >= 0 {
			n++
		}
		if n >= len(spec) {
			in.fail("incomplete format")
		}
		if spec[n] == '%' {
			b.span("%", Source{})
		} else {
			if !named {
				if used >= len(args) {
					in.fail("not enough arguments for format string")
				}
				arg = args[used]
				used++
			}
			b.text(in.convert(arg, spec[start:n], spec[n]))
			in.fits(b.size)
		}
		rest = rest.slice(i+1+n+1, rest.Len())
	}
	if _, mapping := v.(*Dict); used < len(args) && !mapping {
		in.fail("not all arguments converted during string formatting")
	}
	return in.own(b.done())
}

// convert formats one value.
func (in *interp) convert(v Value, flags string, verb byte) Text {
	left, zero := strings.HasPrefix(flags, "-"), strings.HasPrefix(flags, "0")
	width, precision := flags, -1
	if i := strings.IndexByte(flags, '.'); i >= 0 {
		width = flags[:i]
		precision, _ = strconv.Atoi(flags[i+1:])
	}
	w, _ := strconv.Atoi(strings.TrimLeft(width, "-0"))
	in.fits(w)
	in.fits(precision + 1)
	if precision > 100 && verb == 'f' {
		in.fail("format precision of %d digits", precision)
	}
	var out Text
	switch verb {
	case 's':
		out = in.str(v)
		if precision >= 0 {
			out = out.slice(0, runeOffset(out.String(), precision))
		}
	case 'r':
		out = in.str(&List{Items: []Value{v}})
		out = out.slice(1, out.Len()-1)
	default:
		f, ok := number(v)
		if !ok {
			in.fail("%%%c format needs a number, not %s", verb, typeName(v))
		}
		n, isInt := integer(v)
		if !isInt {
			n = int64(f)
		}
		var s string
		switch verb {
		case 'd', 'i':
			s = strconv.FormatInt(n, 10)
		case 'x':
			s = strconv.FormatInt(n, 16)
		case 'f':
			if precision < 0 {
				precision = 6
			}
			s = strconv.FormatFloat(f, 'f', precision, 64)
		default:
			in.fail("unsupported format character %q", verb)
		}
		if zero && len(s) < w {
			sign := ""
			if s[0] == '-' {
				sign, s = "-", s[1:]
			}
			s = sign + strings.Repeat("0", w-len(s)-len(sign)) + s
		}
		out = NewText(s, Source{})
	}
	return pad(out, w, ' ', !left, left)
}

// pad fills up to width characters before and/or after.
func pad(t Text, width int, fill rune, before, after bool) Text {
	n := width - utf8.RuneCountInString(t.String())
	if n <= 0 {
		return t
	}
	l, r := 0, n
	switch {
	case before && after: // Python's center: the odd one goes left when width is odd
		l = n/2 + (n & width & 1)
		r = n - l
	case before:
		l, r = n, 0
	}
	blank := func(n int) Text { return NewText(strings.Repeat(string(fill), n), Source{}) }
	return Concat(blank(l), t, blank(r))
}
