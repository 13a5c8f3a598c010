package jinja

import (
	"errors"
	"math"
	"math/big"
	"regexp"
	"strconv"
	"strings"
	"unicode"
)

// Bounds of integers, which grow as Python's do.
const (
	maxBits = 1 << 18 // of a number that is computed
	// of a number that is written or read in decimal: CPython's sys.int_info.default_max_str_digits
	maxDigits = 4300
)

// whole returns n as the interpreter keeps it: int64 where that is enough.
func whole(n *big.Int) Value {
	if n.IsInt64() {
		return n.Int64()
	}
	return n
}

// isNumber counts bools, as Python does.
func isNumber(v Value) bool {
	switch v.(type) {
	case bool, int64, *big.Int, float64:
		return true
	}
	return false
}

// smallInt returns v where it is an integer of 64 bits, or a bool.
func smallInt(v Value) (int64, bool) {
	switch v := v.(type) {
	case bool:
		if v {
			return 1, true
		}
		return 0, true
	case int64:
		return v, true
	}
	return 0, false
}

// bigInt returns v where it is an integer or a bool.
func bigInt(v Value) (*big.Int, bool) {
	if n, ok := v.(*big.Int); ok {
		return n, true
	}
	n, ok := smallInt(v)
	if !ok {
		return nil, false
	}
	return big.NewInt(n), true
}

// float returns a number as a float, infinite where it is an integer beyond that.
func float(v Value) (f float64, ok bool) {
	switch v := v.(type) {
	case float64:
		return v, true
	case *big.Int:
		f, _ := new(big.Float).SetInt(v).Float64()
		return f, true
	}
	n, ok := smallInt(v)
	return float64(n), ok
}

// mustFloat is float, where an integer that is too large is a fault.
func (in *interp) mustFloat(v Value) float64 {
	f, ok := float(v)
	if !ok {
		in.fail("%s is no number", typeName(v))
	}
	if _, big := v.(*big.Int); big && math.IsInf(f, 0) {
		in.fail("integer is too large to convert to float")
	}
	return f
}

// compareNumbers orders exactly; ok is false for NaN.
func compareNumbers(a, b Value) (c int, ok bool) {
	if x, ok := smallInt(a); ok {
		if y, ok := smallInt(b); ok {
			switch {
			case x < y:
				return -1, true
			case x > y:
				return 1, true
			}
			return 0, true
		}
	}
	x, floatA := a.(float64)
	y, floatB := b.(float64)
	switch {
	case floatA && math.IsNaN(x) || floatB && math.IsNaN(y):
		return 0, false
	case floatA && floatB:
		return big.NewFloat(x).Cmp(big.NewFloat(y)), true
	case floatA && math.IsInf(x, 0), floatB && math.IsInf(y, 0):
		fx, _ := float(a)
		fy, _ := float(b)
		if floatA {
			fy = 0
		} else {
			fx = 0
		}
		return big.NewFloat(fx).Cmp(big.NewFloat(fy)), true
	}
	return rat(a).Cmp(rat(b)), true
}

// rat is a finite number as a fraction.
func rat(v Value) *big.Rat {
	if f, ok := v.(float64); ok {
		return new(big.Rat).SetFloat64(f)
	}
	n, _ := bigInt(v)
	return new(big.Rat).SetInt(n)
}

// arith is Python's arithmetic on numbers.
func (in *interp) arith(op string, a, b Value) Value {
	if !isNumber(a) || !isNumber(b) {
		in.fail("unsupported operand types for %s: %s and %s", op, typeName(a), typeName(b))
	}
	if i, ok := smallInt(a); ok {
		if j, ok := smallInt(b); ok {
			if v, ok := smallArith(op, i, j); ok {
				return v
			}
		}
	}
	if x, ok := bigInt(a); ok {
		if y, ok := bigInt(b); ok {
			return in.bigArith(op, x, y)
		}
	}
	return in.floatArith(op, in.mustFloat(a), in.mustFloat(b))
}

// smallArith computes what needs no more than 64 bits.
func smallArith(op string, i, j int64) (Value, bool) {
	switch op {
	case "+":
		s := i + j
		return s, (s > i) == (j > 0)
	case "-":
		s := i - j
		return s, (s < i) == (j > 0)
	case "*":
		const half = 1 << 31
		if i > -half && i < half && j > -half && j < half {
			return i * j, true
		}
	case "//", "%":
		if j == 0 || j == -1 {
			return nil, false
		}
		q, m := i/j, i%j
		if m != 0 && (m < 0) != (j < 0) {
			q, m = q-1, m+j
		}
		if op == "//" {
			return q, true
		}
		return m, true
	}
	return nil, false
}

func (in *interp) bigArith(op string, x, y *big.Int) Value {
	z := new(big.Int)
	in.workOn((x.BitLen() + y.BitLen()) / 8)
	if y.Sign() == 0 && (op == "/" || op == "//" || op == "%") {
		in.fail("division by zero")
	}
	switch op {
	case "+":
		z.Add(x, y)
	case "-":
		z.Sub(x, y)
	case "*":
		in.bits(x.BitLen() + y.BitLen())
		z.Mul(x, y)
	case "//", "%":
		m := new(big.Int)
		z.QuoRem(x, y, m)
		if m.Sign() != 0 && m.Sign() != y.Sign() {
			z.Sub(z, big.NewInt(1))
			m.Add(m, y)
		}
		if op == "%" {
			z = m
		}
	case "/":
		f, _ := new(big.Rat).SetFrac(x, y).Float64()
		if math.IsInf(f, 0) {
			in.fail("integer division result too large for a float")
		}
		return f
	case "**":
		if y.Sign() < 0 {
			return in.floatArith(op, in.mustFloat(whole(x)), in.mustFloat(whole(y)))
		}
		if x.BitLen() > 1 {
			if !y.IsInt64() || y.Int64() > maxBits {
				in.bits(maxBits + 1)
			}
			in.bits((x.BitLen() - 1) * int(y.Int64()))
			z.Exp(x, y, nil)
			break
		}
		switch odd := y.Bit(0) == 1; { // of -1, 0 and 1
		case y.Sign() == 0 || x.Sign() < 0 && !odd:
			z.SetInt64(1)
		default:
			z.Set(x)
		}
	default:
		in.fail("unknown operator %s", op)
	}
	in.bits(z.BitLen())
	return whole(z)
}

// bits bounds an integer before it is made.
func (in *interp) bits(n int) {
	if n > maxBits {
		in.overLimit("integer of more than %d bits", maxBits)
	}
	in.workOn(n / 8)
}

func (in *interp) floatArith(op string, x, y float64) Value {
	if y == 0 && (op == "/" || op == "//" || op == "%") {
		in.fail("division by zero")
	}
	switch op {
	case "+":
		return x + y
	case "-":
		return x - y
	case "*":
		return x * y
	case "/":
		return x / y
	case "//", "%": // CPython's float_divmod
		mod := math.Mod(x, y)
		div := (x - mod) / y
		if mod != 0 {
			if (y < 0) != (mod < 0) {
				mod += y
				div--
			}
		} else {
			mod = math.Copysign(0, y)
		}
		if op == "%" {
			return mod
		}
		if div == 0 {
			return math.Copysign(0, x/y)
		}
		floor := math.Floor(div)
		if div-floor > 0.5 {
			floor++
		}
		return floor
	}
	z := power(x, y)
	switch {
	case x == 0 && y < 0:
		in.fail("zero to a negative power")
	case x < 0 && y != math.Trunc(y) && !math.IsInf(x, 0):
		in.fail("complex numbers are not supported")
	case math.IsInf(z, 0) && !math.IsInf(x, 0) && !math.IsInf(y, 0):
		in.fail("result is too large for a float")
	}
	return z
}

// power is C's pow, correctly rounded as glibc's nearly always is: math.Pow is off in the last
// digit now and then.
func power(x, y float64) float64 {
	z := math.Pow(x, y)
	if y == 0 || math.IsNaN(y) || x <= 0 && y != math.Trunc(y) || x == 0 || math.Abs(y) > 1<<20 ||
		z == 0 || math.IsInf(z, 0) || math.IsNaN(z) || math.Abs(z) < 1e-300 {
		return z
	}
	const precision = 320 // bits, of which raising to a power of 53 bits loses 60
	frac, exp := math.Frexp(math.Abs(y))
	n, roots := int64(math.Ldexp(frac, 53)), 53-exp // |y| = n / 2**roots
	for ; n&1 == 0; n >>= 1 {
		roots--
	}
	base := new(big.Float).SetPrec(precision).SetFloat64(x)
	for ; roots > 0; roots-- {
		base.Sqrt(base)
	}
	n <<= -roots
	r := new(big.Float).SetPrec(precision).SetInt64(1)
	for ; n > 0; n >>= 1 {
		if n&1 == 1 {
			r.Mul(r, base)
		}
		base.Mul(base, base)
	}
	if y < 0 {
		r.Quo(new(big.Float).SetPrec(precision).SetInt64(1), r)
	}
	z, _ = r.Float64()
	return z
}

// negative is Python's unary minus.
func (in *interp) negative(v Value) Value {
	if f, ok := v.(float64); ok {
		return -f
	}
	if n, ok := bigInt(v); ok {
		return whole(new(big.Int).Neg(n))
	}
	in.fail("bad operand type for unary -: %s", typeName(v))
	return nil
}

// negative reports whether a number has a minus.
func negative(v Value) bool {
	switch v := v.(type) {
	case int64:
		return v < 0
	case *big.Int:
		return v.Sign() < 0
	case float64:
		return math.Signbit(v)
	}
	return false
}

// positive is Python's unary plus.
func (in *interp) positive(v Value) Value {
	if f, ok := v.(float64); ok {
		return f
	}
	if n, ok := bigInt(v); ok {
		return whole(n)
	}
	in.fail("bad operand type for unary +: %s", typeName(v))
	return nil
}

var errDigits = errors.New("an integer of more than 4300 digits")

// decimal writes an integer.
func decimal(v Value) (string, error) {
	if n, ok := smallInt(v); ok {
		return strconv.FormatInt(n, 10), nil
	}
	n := v.(*big.Int)
	if n.BitLen() > maxDigits*4 {
		return "", errDigits
	}
	s := n.Text(10)
	if len(strings.TrimPrefix(s, "-")) > maxDigits {
		return "", errDigits
	}
	return s, nil
}

// intDigits is what Python's int takes of a string: a sign, a prefix for the base, digits that may
// be set apart by single underscores.
var intDigits = regexp.MustCompile(
	`^[+-]?(?:0[xX]_?|0[oO]_?|0[bB]_?)?[0-9a-zA-Z]+(?:_[0-9a-zA-Z]+)*$`)

// parseInt is Python's int of a string.
func parseInt(s string, base int) (Value, bool) {
	s = asciiDigits(strings.TrimFunc(s, isSpace))
	if !intDigits.MatchString(s) || base == 1 || base < 0 || base > 36 {
		return nil, false
	}
	sign := ""
	if s[0] == '+' || s[0] == '-' {
		sign, s = s[:1], s[1:]
	}
	lower := strings.ToLower(s)
	prefixes := map[string]int{"0x": 16, "0o": 8, "0b": 2}
	if len(lower) > 2 {
		if b := prefixes[lower[:2]]; b != 0 && (base == 0 || base == b) {
			lower, base = strings.TrimPrefix(lower[2:], "_"), b
		}
	}
	lower = strings.ReplaceAll(lower, "_", "")
	if base == 0 {
		if base = 10; lower[0] == '0' && strings.Trim(lower, "0") != "" {
			return nil, false
		}
	}
	if len(lower) > maxDigits && base&(base-1) != 0 || len(lower) > maxBits {
		return nil, false
	}
	n, ok := new(big.Int).SetString(sign+lower, base)
	if !ok {
		return nil, false
	}
	return whole(n), true
}

// asciiDigits replaces decimal digits of other scripts.
func asciiDigits(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x80 || !unicode.Is(unicode.Nd, r) {
			return r
		}
		for _, x := range unicode.Nd.R16 { // ranges are rows of ten
			if r >= rune(x.Lo) && r <= rune(x.Hi) {
				return '0' + (r-rune(x.Lo))%10
			}
		}
		for _, x := range unicode.Nd.R32 {
			if r >= rune(x.Lo) && r <= rune(x.Hi) {
				return '0' + (r-rune(x.Lo))%10
			}
		}
		return r
	}, s)
}

// floatText is what Python's float takes of a string.
var floatText = regexp.MustCompile(
	`(?i)^[+-]?(?:(?:\d+(?:_\d+)*)?\.?(?:\d+(?:_\d+)*)?(?:e[+-]?\d+(?:_\d+)*)?|inf|infinity|nan)$`)

// parseFloat is Python's float of a string.
func parseFloat(s string) (float64, bool) {
	s = asciiDigits(strings.TrimFunc(s, isSpace))
	if !floatText.MatchString(s) {
		return 0, false
	}
	f, err := strconv.ParseFloat(strings.ReplaceAll(s, "_", ""), 64)
	return f, err == nil || errors.Is(err, strconv.ErrRange)
}

// formatFloat is Python's repr of a float.
func formatFloat(f float64) string {
	switch {
	case math.IsNaN(f):
		return "nan"
	case math.IsInf(f, 1):
		return "inf"
	case math.IsInf(f, -1):
		return "-inf"
	}
	if a := math.Abs(f); a != 0 && (a < 1e-4 || a >= 1e16) {
		return strconv.FormatFloat(f, 'e', -1, 64)
	}
	s := strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}

// round is Python's round(v, digits).
func (in *interp) round(v Value, digits int64) Value {
	if n, ok := bigInt(v); ok {
		if digits >= 0 {
			return whole(n)
		}
		if digits < -maxDigits {
			return int64(0)
		}
		unit := new(big.Int).Exp(big.NewInt(10), big.NewInt(-digits), nil)
		return whole(new(big.Int).Mul(halfEven(new(big.Rat).SetFrac(n, unit)), unit))
	}
	f, ok := v.(float64)
	if !ok {
		in.fail("round needs a number, not %s", typeName(v))
	}
	switch {
	case math.IsNaN(f), math.IsInf(f, 0), f == 0, digits > 323:
		return f
	case digits < -308:
		return math.Copysign(0, f)
	case digits >= 0:
		r, _ := strconv.ParseFloat(strconv.FormatFloat(f, 'f', int(digits), 64), 64)
		return r
	}
	unit := new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(-digits), nil))
	n := halfEven(new(big.Rat).Quo(rat(f), unit))
	r, _ := unit.Mul(unit, new(big.Rat).SetInt(n)).Float64()
	if math.IsInf(r, 0) {
		in.fail("rounded value is too large for a float")
	}
	if r == 0 {
		return math.Copysign(0, f)
	}
	return r
}

// halfEven rounds a fraction to a whole number, halves to the even one.
func halfEven(r *big.Rat) *big.Int {
	two := big.NewInt(2)
	q, m := new(big.Int).DivMod(r.Num(), r.Denom(), new(big.Int)) // m >= 0
	switch m.Mul(m, two).Cmp(r.Denom()) {
	case 1:
		q.Add(q, big.NewInt(1))
	case 0:
		q.Add(q, big.NewInt(int64(q.Bit(0))))
	}
	return q
}
