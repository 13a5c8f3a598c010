package jinja

import (
	"math"
	"math/big"
	"strconv"
	"strings"
	"unicode/utf8"
)

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
		digits = strings.TrimPrefix(f.in.decimal(whole(n)), "-")
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
