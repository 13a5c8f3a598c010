package jinja

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// method returns the Python method of a string, dict or list, nil where there is none of that name.
func (in *interp) method(v Value, name string) Value {
	bind := func(f func(call) Value) Value {
		return &Func{name, func(in *interp, args []Value, kw *Dict) Value {
			out := f(call{in, args, kw})
			if t, ok := out.(Text); ok {
				return in.own(t)
			}
			return out
		}}
	}
	switch v := v.(type) {
	case Text:
		if m := textMethods[name]; m != nil {
			return bind(func(c call) Value { c.in.work(v); return m(c, v) })
		}
	case *Dict:
		if m := dictMethods[name]; m != nil {
			return bind(func(c call) Value { return m(c, v) })
		}
	case *List:
		if m := listMethods[name]; m != nil {
			return bind(func(c call) Value { return m(c, v) })
		}
	}
	return nil
}

// refused stands for the methods that change a value: the immutable sandbox forbids them.
func refused[T any](names ...string) map[string]func(call, T) Value {
	m := map[string]func(call, T) Value{}
	for _, n := range names {
		m[n] = func(c call, _ T) Value {
			c.in.fail("%s is refused: templates may not change their data", n)
			return nil
		}
	}
	return m
}

var (
	textMethods map[string]func(call, Text) Value
	dictMethods = refused[*Dict]("clear", "pop", "popitem", "setdefault", "update")
	listMethods = refused[*List]("append", "clear", "extend", "insert", "pop", "remove", "reverse", "sort")
)

func init() {
	dictMethods["items"] = func(c call, d *Dict) Value { return c.in.pairs(d) }
	dictMethods["keys"] = func(c call, d *Dict) Value { return c.in.list(slices.Clone(d.keys)) }
	dictMethods["values"] = func(c call, d *Dict) Value { return c.in.list(slices.Clone(d.vals)) }
	dictMethods["copy"] = func(c call, d *Dict) Value {
		n := &Dict{Image: d.Image}
		for i, k := range d.keys {
			c.in.setItem(n, k, d.vals[i])
		}
		return n
	}
	dictMethods["get"] = func(c call, d *Dict) Value {
		key, ok := c.arg(0, "")
		if !ok {
			c.in.fail("get needs a key")
		}
		if v, ok := d.lookup(key); ok {
			return v
		}
		v, _ := c.arg(1, "")
		return v
	}
	listMethods["copy"] = func(c call, l *List) Value { return c.in.list(slices.Clone(l.Items)) }
	listMethods["index"] = func(c call, l *List) Value {
		v, _ := c.arg(0, "")
		for i, x := range l.Items {
			if c.in.equal(x, v, 0) {
				return int64(i)
			}
		}
		c.in.fail("value is not in the list")
		return nil
	}
	listMethods["count"] = func(c call, l *List) Value {
		v, _ := c.arg(0, "")
		n := int64(0)
		for _, x := range l.Items {
			if c.in.equal(x, v, 0) {
				n++
			}
		}
		return n
	}
	textMethods = map[string]func(call, Text) Value{
		"strip":      func(c call, t Text) Value { return strip(t, c.text(0, "", Text{}).String(), true, true) },
		"lstrip":     func(c call, t Text) Value { return strip(t, c.text(0, "", Text{}).String(), true, false) },
		"rstrip":     func(c call, t Text) Value { return strip(t, c.text(0, "", Text{}).String(), false, true) },
		"upper":      func(c call, t Text) Value { return t.mapSpans(strings.ToUpper) },
		"lower":      func(c call, t Text) Value { return t.mapSpans(strings.ToLower) },
		"capitalize": func(c call, t Text) Value { return capitalize(t) },
		"title":      func(c call, t Text) Value { return title(t) },
		"split":      func(c call, t Text) Value { return splitMethod(c, t, false) },
		"rsplit":     func(c call, t Text) Value { return splitMethod(c, t, true) },
		"splitlines": func(c call, t Text) Value {
			var items []Value
			for _, l := range splitLines(t, c.flag(0, "keepends")) {
				items = append(items, l)
			}
			return c.in.list(items)
		},
		"partition":  func(c call, t Text) Value { return partition(c, t, strings.Index) },
		"rpartition": func(c call, t Text) Value { return partition(c, t, strings.LastIndex) },
		"startswith": func(c call, t Text) Value { return affix(c, t, strings.HasPrefix) },
		"endswith":   func(c call, t Text) Value { return affix(c, t, strings.HasSuffix) },
		"replace": func(c call, t Text) Value {
			if len(c.args) < 2 {
				c.in.fail("replace needs two strings")
			}
			return c.in.replace(t, c.text(0, "", Text{}), c.text(1, "", Text{}), c.int(2, "count", -1))
		},
		"removeprefix": func(c call, t Text) Value {
			if p := c.text(0, "", Text{}).String(); strings.HasPrefix(t.String(), p) {
				return t.slice(len(p), t.Len())
			}
			return t
		},
		"removesuffix": func(c call, t Text) Value {
			if p := c.text(0, "", Text{}).String(); strings.HasSuffix(t.String(), p) {
				return t.slice(0, t.Len()-len(p))
			}
			return t
		},
		"find":  func(c call, t Text) Value { return find(c, t, strings.Index) },
		"rfind": func(c call, t Text) Value { return find(c, t, strings.LastIndex) },
		"index": func(c call, t Text) Value {
			if i := find(c, t, strings.Index); i.(int64) >= 0 {
				return i
			}
			c.in.fail("substring not found")
			return nil
		},
		"count": func(c call, t Text) Value {
			return int64(strings.Count(t.String(), c.text(0, "", Text{}).String()))
		},
		"join": func(c call, t Text) Value {
			v, _ := c.arg(0, "")
			items := c.in.iterate(v)
			for _, x := range items {
				if _, ok := x.(Text); !ok {
					c.in.fail("join needs strings, found %s", typeName(x))
				}
			}
			return c.in.join(items, t)
		},
		"format":    func(c call, t Text) Value { return c.in.formatMethod(c, t) },
		"isdigit":   func(c call, t Text) Value { return all(t, unicode.IsDigit) },
		"isnumeric": func(c call, t Text) Value { return all(t, unicode.IsNumber) },
		"isalpha":   func(c call, t Text) Value { return all(t, unicode.IsLetter) },
		"isalnum": func(c call, t Text) Value {
			return all(t, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsNumber(r) })
		},
		"isspace": func(c call, t Text) Value { return all(t, isSpace) },
		"isupper": func(c call, t Text) Value { return isCased(t.String(), strings.ToUpper) },
		"islower": func(c call, t Text) Value { return isCased(t.String(), strings.ToLower) },
		"ljust":   func(c call, t Text) Value { return padMethod(c, t, false, true) },
		"rjust":   func(c call, t Text) Value { return padMethod(c, t, true, false) },
		"center":  func(c call, t Text) Value { return padMethod(c, t, true, true) },
		"zfill": func(c call, t Text) Value {
			w := c.int(0, "", 0)
			c.in.fits(max(w, 0))
			if s := t.String(); s != "" && (s[0] == '-' || s[0] == '+') {
				return Concat(t.slice(0, 1), pad(t.slice(1, t.Len()), w-1, '0', true, false))
			}
			return pad(t, w, '0', true, false)
		},
	}
}

func all(t Text, is func(rune) bool) bool {
	return t.Len() > 0 && strings.IndexFunc(t.String(), func(r rune) bool { return !is(r) }) < 0
}

func padMethod(c call, t Text, before, after bool) Value {
	w := c.int(0, "", 0)
	c.in.fits(max(w, 0))
	fill, _ := utf8.DecodeRuneInString(c.text(1, "", NewText(" ", Source{})).String())
	return pad(t, w, fill, before, after)
}

func splitMethod(c call, t Text, right bool) Value {
	v, given := c.arg(0, "sep")
	sep := c.text(0, "sep", Text{}).String()
	if given && v != nil && sep == "" {
		c.in.fail("empty separator")
	}
	return c.in.split(t, sep, c.int(1, "maxsplit", -1), right)
}

func partition(c call, t Text, index func(string, string) int) Value {
	sep := c.text(0, "", Text{})
	if sep.Len() == 0 {
		c.in.fail("empty separator")
	}
	i := index(t.String(), sep.String())
	parts := []Value{t.slice(0, max(i, 0)), Text{}, Text{}}
	switch {
	case i >= 0:
		parts[1], parts[2] = t.slice(i, i+sep.Len()), t.slice(i+sep.Len(), t.Len())
	case index("aa", "a") == 1: // rpartition leaves an unsplit string last
		parts = []Value{Text{}, Text{}, t}
	default:
		parts[0] = t
	}
	l := c.in.list(parts)
	l.Tuple = true
	return l
}

func affix(c call, t Text, has func(string, string) bool) Value {
	v, ok := c.arg(0, "")
	if l, isList := v.(*List); ok && isList && l.Tuple {
		for _, x := range l.Items {
			if s, ok := x.(Text); ok && has(t.String(), s.String()) {
				return true
			}
		}
		return false
	}
	s, ok := v.(Text)
	if !ok {
		c.in.fail("startswith and endswith need a string, not %s", typeName(v))
	}
	return has(t.String(), s.String())
}

// find counts in characters, as Python does.
func find(c call, t Text, index func(string, string) int) Value {
	s := t.String()
	i := index(s, c.text(0, "", Text{}).String())
	if i < 0 {
		return int64(-1)
	}
	return int64(utf8.RuneCountInString(s[:i]))
}

// formatMethod is str.format for {}, {0} and {name} without format specifications.
func (in *interp) formatMethod(c call, t Text) Value {
	var b builder
	auto := 0
	rest := t
	for {
		s := rest.String()
		i := strings.IndexAny(s, "{}")
		if i < 0 {
			b.text(rest)
			return b.done()
		}
		b.text(rest.slice(0, i))
		if strings.HasPrefix(s[i+1:], s[i:i+1]) {
			b.text(rest.slice(i, i+1))
			rest = rest.slice(i+2, rest.Len())
			continue
		}
		end := strings.IndexByte(s[i:], '}')
		if s[i] == '}' || end < 0 {
			in.fail("single %q in format string", s[i])
		}
		field := s[i+1 : i+end]
		b.text(in.str(in.formatField(c, field, &auto)))
		in.fits(b.size)
		rest = rest.slice(i+end+1, rest.Len())
	}
}

func (in *interp) formatField(c call, field string, auto *int) Value {
	n := 0
	for _, r := range field {
		if r < '0' || r > '9' || n > 1000 {
			n = -1
			break
		}
		n = n*10 + int(r-'0')
	}
	switch {
	case field == "":
		n = *auto
		*auto++
	case n < 0:
		if v, ok := c.kw.get(field); ok {
			return v
		}
		in.fail("format field %q is unknown or has a specification", field)
	}
	if n >= len(c.args) {
		in.fail("format has no argument %d", n)
	}
	return c.args[n]
}
