package jinja

import (
	"math"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// fieldSpec is the specification of str.format:
// https://docs.python.org/3/library/string.html#formatspec.
var fieldSpec = regexp.MustCompile(
	`(?s)^(?:(.)?([<>=^]))?([-+ ]?)(z?)(#?)(0?)(\d*)([,_]?)(?:\.(\d+))?([a-zA-Z%]?)$`)

// formatValue is Python's format(v, spec).
func (in *interp) formatValue(v Value, spec string) Text {
	if spec == "" {
		return in.str(v)
	}
	m := fieldSpec.FindStringSubmatch(spec)
	if m == nil {
		in.fail("invalid format specifier %q", spec)
	}
	f := fieldFormat{in: in, fill: ' ', precision: -1, alternate: m[5] != ""}
	if m[2] != "" {
		f.align = rune(m[2][0])
		if m[1] != "" {
			f.fill, _ = utf8.DecodeRuneInString(m[1])
		}
	}
	if m[3] != "" && m[3] != "-" {
		f.sign = m[3][0]
	}
	number := func(s string) int {
		n, err := strconv.Atoi(s)
		if err != nil || n > math.MaxInt32 {
			in.overLimit("width of %s characters", s)
		}
		return n
	}
	if m[7] != "" {
		f.width = number(m[7])
	}
	if m[9] != "" {
		f.precision = number(m[9])
	}
	if m[8] != "" {
		f.group = m[8][0]
	}
	in.fits(f.width)
	in.fits(max(f.precision, 0))
	verb := rune(0)
	if m[10] != "" {
		verb = rune(m[10][0])
	}
	if t, ok := v.(Text); ok {
		return f.specText(t, m, verb)
	}
	if !isNumber(v) {
		in.fail("unsupported format string for %s", typeName(v))
	}
	if m[6] != "" && m[2] == "" {
		f.fill, f.align = '0', '='
	} else if m[6] != "" && m[1] == "" && m[2] != "" {
		f.fill = '0'
	}
	if f.align == 0 {
		f.align = '>'
	}
	return f.specNumber(v, m[4] != "", verb)
}

// specText formats a string.
func (f *fieldFormat) specText(t Text, m []string, verb rune) Text {
	if verb != 0 && verb != 's' || m[2] == "=" || m[3] != "" || m[4] != "" || m[5] != "" ||
		m[8] != "" {
		f.in.fail("invalid format specifier for a string")
	}
	if m[6] != "" && m[1] == "" {
		f.fill = '0'
	}
	if f.align == 0 {
		f.align = '<'
	}
	return f.padText(f.cut(t))
}

// specNumber formats a number.
func (f *fieldFormat) specNumber(v Value, noNegativeZero bool, verb rune) Text {
	_, isFloat := v.(float64)
	_, isBool := v.(bool)
	var head, digits string
	switch verb {
	case 'c':
		n, ok := smallInt(v)
		if !ok || f.sign != 0 || f.precision >= 0 || n < 0 || n > unicodeMax || f.group != 0 {
			f.in.fail("%%c requires a character's number")
		}
		return f.padText(wrote(string(rune(n))))
	case 0, 'd', 'b', 'o', 'x', 'X', 'n':
		if verb == 'n' && f.group != 0 {
			f.in.fail("cannot specify a separator with n")
		}
		if isFloat && verb == 'n' {
			head, digits = f.float(v.(float64), 'g')
			break
		}
		if isFloat && verb == 0 {
			head, digits = f.float(f.zeroSign(v.(float64), noNegativeZero, verb), verb)
			break
		}
		if isFloat || f.precision >= 0 || noNegativeZero {
			f.in.fail("format %q does not fit %s", verb, typeName(v))
		}
		if isBool && verb == 0 && f.width == 0 && f.group == 0 && f.sign == 0 && !f.alternate {
			n, _ := smallInt(v)
			v = n
		}
		if verb == 0 || verb == 'n' {
			verb = 'd'
		}
		if f.group == ',' && verb != 'd' {
			f.in.fail("cannot specify , with %q", verb)
		}
		head, digits = f.integer(v, verb)
	case 'e', 'E', 'f', 'F', 'g', 'G', '%':
		head, digits = f.float(f.zeroSign(f.in.mustFloat(v), noNegativeZero, verb), verb)
	default:
		f.in.fail("unknown format code %q for %s", verb, typeName(v))
	}
	if f.group != 0 {
		digits = f.grouped(digits, len(head), verb)
	}
	return f.padNumber(head, digits)
}

// formatMethod is str.format: named and numbered fields with attributes and items, conversions and
// specifications.
func (in *interp) formatMethod(t Text, args []Value, kw *Dict) Text {
	f := fields{in: in, args: args, kw: kw, markup: t.markup}
	out := f.format(t, 2)
	out.markup = t.markup
	return out
}

// fields are what str.format can name.
type fields struct {
	in     *interp
	args   []Value
	kw     *Dict
	auto   int // the next field without a name; -1 once fields are numbered by hand
	manual bool
	markup bool
}

func (f *fields) format(t Text, depth int) Text {
	in := f.in
	if depth < 0 {
		in.fail("fields are nested too deeply")
	}
	var b builder
	for rest := t; ; {
		in.step()
		in.work(rest)
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
		end := i + 1
		for open := 1; open > 0; end++ {
			if s[i] == '}' || end >= len(s) {
				in.fail("single %q in format string", s[i])
			}
			switch s[end] {
			case '{':
				open++
			case '}':
				open--
			case '[': // a key may hold what it likes
				if k := strings.IndexByte(s[end:], ']'); k > 0 && !strings.ContainsAny(s[i+1:end],
					"!:") {
					end += k
				}
			}
		}
		b.text(f.field(s[i+1:end-1], depth))
		in.fits(b.size)
		rest = rest.slice(end, rest.Len())
	}
}

// fieldParts are a field's name, conversion and specification.
var fieldParts = regexp.MustCompile(`(?s)^((?:[^!:\[]|\[[^\]]*\])*)(?:!(.*?))?(?::(.*))?$`)

func (f *fields) field(field string, depth int) Text {
	in := f.in
	m := fieldParts.FindStringSubmatch(field)
	if m == nil || strings.Contains(field, "!") && !strings.Contains(m[1], "!") &&
		!strings.Contains(m[3], "!") && len(m[2]) != 1 {
		in.fail("malformed field %q in format string", field)
	}
	v := f.value(m[1])
	switch m[2] {
	case "":
	case "s":
		v = in.str(v)
	case "r", "a":
		w := reprWriter{in: in, ascii: m[2] == "a"}
		w.write(v, 0)
		v = NewText(w.b.String(), Source{Kind: map[bool]Kind{true: Data}[w.data]})
	default:
		in.fail("unknown conversion %q", m[2])
	}
	spec := m[3]
	if strings.ContainsAny(spec, "{}") {
		spec = f.format(wrote(spec), depth-1).String()
	}
	t, isText := v.(Text)
	if !f.markup || isText && t.markup {
		if isText && t.markup && f.markup && spec != "" {
			in.fail("unsupported format specification for Markup")
		}
		return in.formatValue(v, spec).plain()
	}
	return in.escape(in.formatValue(v, spec)).plain()
}

var fieldSteps = regexp.MustCompile(`^(?:\.([^.\[\]]+)|\[([^\]]+)\])`)

// value follows a field's name.
func (f *fields) value(name string) Value {
	in := f.in
	first := name
	if i := strings.IndexAny(name, ".["); i >= 0 {
		first = name[:i]
	}
	rest := name[len(first):]
	var v Value
	n, err := strconv.Atoi(first)
	switch numbered := err == nil && first[0] != '-' && first[0] != '+'; {
	case first == "":
		if f.manual {
			in.fail("cannot switch from manual field specification to automatic field numbering")
		}
		n, f.auto = f.auto, f.auto+1
		fallthrough
	case numbered:
		if first != "" {
			if f.auto > 0 {
				in.fail("cannot switch from automatic field numbering to manual field specification")
			}
			f.manual = true
		}
		if n >= len(f.args) {
			in.fail("format has no argument %d", n)
		}
		v = f.args[n]
	default:
		ok := false
		if f.kw != nil {
			v, ok = f.kw.get(first)
		}
		if !ok {
			in.fail("format has no argument %q", first)
		}
	}
	for rest != "" {
		m := fieldSteps.FindStringSubmatch(rest)
		if m == nil {
			in.fail("malformed field %q in format string", name)
		}
		rest = rest[len(m[0]):]
		switch n, err := strconv.ParseInt(m[2], 10, 64); {
		case m[1] != "":
			v = in.attr(v, m[1])
		case err == nil && m[2][0] != '-' && m[2][0] != '+':
			v = in.item(v, n)
		default:
			v = in.item(v, wrote(m[2]))
		}
	}
	return v
}
