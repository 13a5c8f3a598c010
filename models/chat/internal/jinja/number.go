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

// decimal writes an integer that is printed; one that is too long ends the run.
func (in *interp) decimal(v Value) string {
	s, err := decimal(v)
	if err != nil {
		in.fail("%v cannot be printed", err)
	}
	return s
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
