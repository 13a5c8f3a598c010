package jinja

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// percent is Python's "..." % value.
func (in *interp) percent(t Text, v Value) Text {
	p := percentFormat{in: in, markup: t.markup, value: v, args: []Value{v}}
	switch x := v.(type) {
	case *List:
		if p.mapping = x.kind <= rangeList; x.kind == tupleList {
			p.args, p.mapping = x.Items, false
		}
	case *Dict:
		p.mapping = !x.ns
	case Undefined:
		p.mapping = true
	}
	for rest := t; ; {
		in.work(rest)
		s := rest.String()
		i := strings.IndexByte(s, '%')
		if i < 0 {
			p.b.text(rest)
			break
		}
		p.b.text(rest.slice(0, i))
		n := p.conversion(s[i+1:])
		in.fits(p.b.size)
		rest = rest.slice(i+1+n, rest.Len())
	}
	if p.used < len(p.args) && !p.mapping {
		in.fail("not all arguments converted during string formatting")
	}
	out := p.b.done()
	out.markup = t.markup
	return in.own(out)
}

type percentFormat struct {
	in      *interp
	markup  bool
	value   Value // the right side
	args    []Value
	used    int
	mapping bool
	b       builder
}

func (p *percentFormat) next() Value {
	if p.used >= len(p.args) {
		p.in.fail("not enough arguments for format string")
	}
	p.used++
	return p.args[p.used-1]
}

// number reads a width or precision, which may be an argument.
func (p *percentFormat) number(s string) (n, length int) {
	if strings.HasPrefix(s, "*") {
		return p.in.index(p.next()), 1
	}
	for length < len(s) && s[length] >= '0' && s[length] <= '9' {
		length++
	}
	if length == 0 {
		return 0, 0
	}
	n, err := strconv.Atoi(s[:length])
	if err != nil {
		p.in.overLimit("width of %s characters", s[:length])
	}
	return n, length
}

// conversion writes what the specification after a % asks for, and returns its length.
func (p *percentFormat) conversion(spec string) (n int) {
	var arg Value
	named := false
	if strings.HasPrefix(spec, "%") {
		p.b.span("%", Source{})
		return 1
	}
	if strings.HasPrefix(spec, "(") {
		depth := 1
		for n = 1; n < len(spec) && depth > 0; n++ {
			switch spec[n] {
			case '(':
				depth++
			case ')':
				depth--
			}
		}
		if depth > 0 || !p.mapping {
			p.in.fail("format needs a mapping")
		}
		d, ok := p.value.(*Dict)
		if !ok {
			p.in.fail("%s has no keys", typeName(p.value))
		}
		if arg, named = d.get(spec[1 : n-1]); !named {
			p.in.fail("format: no key %q", spec[1:n-1])
		}
	}
	f := fieldFormat{in: p.in, fill: ' ', align: '>', precision: -1}
	for ; n < len(spec) && strings.IndexByte("-+ #0", spec[n]) >= 0; n++ {
		switch c := spec[n]; c {
		case '-':
			f.align = '<'
		case '#':
			f.alternate = true
		case '0':
			f.zero = true
		default:
			if f.sign != '+' {
				f.sign = c
			}
		}
	}
	w, length := p.number(spec[n:])
	n += length
	if f.width = w; w < 0 {
		f.width, f.align = -w, '<'
	}
	if strings.HasPrefix(spec[n:], ".") {
		f.precision, length = p.number(spec[n+1:])
		f.precision = max(f.precision, 0)
		n += 1 + length
	}
	if n < len(spec) && strings.IndexByte("hlL", spec[n]) >= 0 {
		n++
	}
	if n >= len(spec) {
		p.in.fail("incomplete format")
	}
	if !named {
		arg = p.next()
	}
	p.b.text(f.percent(arg, rune(spec[n]), p.markup))
	return n + 1
}

// percent formats one value of a % format.
func (f *fieldFormat) percent(v Value, verb rune, markup bool) Text {
	in := f.in
	in.fits(f.width)
	in.fits(max(f.precision, 0))
	switch verb {
	case 's', 'r', 'a':
		var out Text
		switch {
		case verb == 's' && markup:
			out = in.escape(v).plain()
		case verb == 's':
			out = in.str(v)
		default:
			w := reprWriter{in: in, ascii: verb == 'a'}
			w.write(v, 0)
			out = NewText(w.b.String(), Source{Kind: map[bool]Kind{true: Data}[w.data]})
			if markup {
				out = in.escape(out).plain()
			}
		}
		in.work(out)
		return f.padText(f.cut(out))
	case 'c':
		if t, ok := v.(Text); ok && utf8.RuneCountInString(t.String()) == 1 {
			return f.padText(t)
		}
		n, ok := smallInt(v)
		if !ok || n < 0 || n > unicodeMax {
			in.fail("%%c requires int or char")
		}
		return f.padText(wrote(string(rune(n))))
	case 'd', 'i', 'u':
		if x, ok := v.(float64); ok {
			v = in.truncate(x)
		}
		return f.padNumber(f.integer(v, 'd'))
	case 'x', 'X', 'o':
		return f.padNumber(f.integer(v, verb))
	case 'e', 'E', 'f', 'F', 'g', 'G':
		return f.padNumber(f.float(in.mustFloat(v), verb))
	}
	in.fail("unsupported format character %q", verb)
	return Text{}
}
