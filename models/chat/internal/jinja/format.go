package jinja

import (
	"math"
	"math/big"
	"regexp"
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

// fieldFormat says how a value is written.
type fieldFormat struct {
	in        *interp
	fill      rune
	align     rune // < > ^ =
	sign      byte // + or a blank: for positive numbers too
	alternate bool
	zero      bool
	width     int
	group     byte // , or _
	precision int  // -1 for none
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

const unicodeMax = 0x10ffff

// truncate is Python's int of a float.
func (in *interp) truncate(f float64) Value {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		in.fail("cannot convert float %s to integer", formatFloat(f))
	}
	n, _ := big.NewFloat(f).Int(nil)
	return whole(n)
}

// cut keeps as many characters as the precision says.
func (f *fieldFormat) cut(t Text) Text {
	if f.precision < 0 {
		return t
	}
	return t.slice(0, runeOffset(t.String(), f.precision))
}

// padText fills up to the width.
func (f *fieldFormat) padText(t Text) Text {
	f.in.fits(f.width)
	return pad(t, f.width, f.fill, f.align != '<', f.align != '>', true)
}

// integer writes a whole number: sign and prefix, then digits.
func (f *fieldFormat) integer(v Value, verb rune) (head, digits string) {
	n, ok := bigInt(v)
	if !ok {
		f.in.fail("%%%c format needs an integer, not %s", verb, typeName(v))
	}
	f.in.workOn(n.BitLen())
	base, prefix := 10, ""
	switch verb {
	case 'x', 'X':
		base, prefix = 16, "0"+string(verb)
	case 'o':
		base, prefix = 8, "0o"
	case 'b':
		base, prefix = 2, "0b"
	}
	if base == 10 {
		s, err := decimal(whole(n))
		if err != nil {
			f.in.fail("%v cannot be printed", err)
		}
		digits = strings.TrimPrefix(s, "-")
	} else {
		digits = new(big.Int).Abs(n).Text(base)
	}
	if verb == 'X' {
		digits = strings.ToUpper(digits)
	}
	head = f.signOf(n.Sign() < 0)
	if f.alternate {
		head += prefix
	}
	if f.precision > len(digits) { // of %, where it is a number of digits
		digits = strings.Repeat("0", f.precision-len(digits)) + digits
	}
	return head, digits
}

func (f *fieldFormat) signOf(negative bool) string {
	switch {
	case negative:
		return "-"
	case f.sign == '+':
		return "+"
	case f.sign == ' ':
		return " "
	}
	return ""
}

// float writes a number with a fraction. The verb 0 stands for str.format without a type.
func (f *fieldFormat) float(x float64, verb rune) (head, digits string) {
	precision := f.precision
	if precision > 1000 {
		f.in.overLimit("precision of %d digits", precision)
	}
	head = f.signOf(math.Signbit(x) && !math.IsNaN(x))
	x = math.Abs(x)
	percent := verb == '%'
	if percent {
		x, verb = x*100, 'f'
	}
	upperCase := verb == 'E' || verb == 'F' || verb == 'G'
	switch {
	case math.IsNaN(x) || math.IsInf(x, 0):
		digits = strings.TrimPrefix(formatFloat(x), "-")
	case verb == 0 && precision < 0:
		digits = formatFloat(x)
	case verb == 0:
		digits = general(x, max(precision, 1), false, true)
	default:
		if precision < 0 {
			precision = 6
		}
		switch verb {
		case 'e', 'E':
			digits = strconv.FormatFloat(x, 'e', precision, 64)
		case 'f', 'F':
			digits = strconv.FormatFloat(x, 'f', precision, 64)
		default:
			digits = general(x, max(precision, 1), f.alternate, false)
		}
		if f.alternate && !strings.Contains(digits, ".") {
			if i := strings.IndexByte(digits, 'e'); i >= 0 {
				digits = digits[:i] + "." + digits[i:]
			} else {
				digits += "."
			}
		}
	}
	if upperCase {
		digits = strings.ToUpper(digits)
	}
	if percent {
		digits += "%"
	}
	return head, digits
}

// general is C's %g: the shorter of plain and exponent, without trailing zeros unless they are
// kept. With point, a plain number below the precision has a fraction, as Python writes floats
// without a type.
func general(x float64, precision int, keep, point bool) string {
	s := strconv.FormatFloat(x, 'e', precision-1, 64)
	i := strings.IndexByte(s, 'e')
	exp, _ := strconv.Atoi(s[i+1:])
	last := precision
	if point {
		last--
	}
	if exp < -4 || exp >= last && (exp >= precision || point) {
		mantissa := s[:i]
		if !keep && strings.Contains(mantissa, ".") {
			mantissa = strings.TrimRight(strings.TrimRight(mantissa, "0"), ".")
		}
		return mantissa + s[i:]
	}
	s = strconv.FormatFloat(x, 'f', precision-1-exp, 64)
	if !keep && strings.Contains(s, ".") {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	if point && !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}

// padNumber fills up to the width, with zeros between sign and digits where that is asked for.
func (f *fieldFormat) padNumber(head, digits string) Text {
	f.in.fits(f.width)
	fill := f.fill
	if f.zero && f.align == '>' {
		fill = '0'
	}
	if f.zero && f.align == '>' || f.align == '=' {
		n := f.width - len(head) - len(digits)
		return wrote(head + strings.Repeat(string(fill), max(n, 0)) + digits)
	}
	return f.padText(wrote(head + digits))
}

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

// zeroSign drops the sign of what is written as zero, which the option z asks for.
func (f *fieldFormat) zeroSign(x float64, drop bool, verb rune) float64 {
	if !drop || !math.Signbit(x) {
		return x
	}
	if _, digits := f.float(x, verb); strings.Trim(digits, "0.e+-%") == "" {
		return 0
	}
	return x
}

// grouped sets thousands apart, zeros that fill up included.
func (f *fieldFormat) grouped(digits string, head int, verb rune) string {
	n := len(digits)
	if i := strings.IndexAny(digits, ".eE%"); i >= 0 && verb != 'x' && verb != 'X' {
		n = i
	}
	if digits[0] > '9' && verb != 'x' && verb != 'X' {
		return digits // infinity
	}
	group := 3
	if strings.ContainsRune("boxX", verb) && verb != 0 {
		group = 4
	}
	front, rest := digits[:n], digits[n:]
	separators := func(n int) int { return (n - 1) / group }
	if f.fill == '0' && f.align == '=' {
		n := len(front)
		for n+separators(n)+len(rest)+head < f.width {
			n++
		}
		f.in.workOn(n)
		front = strings.Repeat("0", n-len(front)) + front
	}
	var b strings.Builder
	for i := range len(front) {
		if i > 0 && (len(front)-i)%group == 0 {
			b.WriteByte(f.group)
		}
		b.WriteByte(front[i])
	}
	return b.String() + rest
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

// pad fills up to width characters before and/or after. Where it centres, format puts an odd one
// after, and str.center before if the width is odd.
func pad(t Text, width int, fill rune, before, after, format bool) Text {
	n := width - utf8.RuneCountInString(t.String())
	if n <= 0 {
		return t
	}
	l, r := 0, n
	switch {
	case before && after && format:
		l = n / 2
		r = n - l
	case before && after: // the odd one goes left when the width is odd
		l = n/2 + (n & width & 1)
		r = n - l
	case before:
		l, r = n, 0
	}
	blank := func(n int) Text { return wrote(strings.Repeat(string(fill), n)) }
	out := Concat(blank(l), t, blank(r))
	out.markup = t.markup
	return out
}
