package grammar

import (
	"fmt"
	"math/big"
	"strings"
)

// bounds is a range of numbers; nil is no bound.
type bounds struct {
	min, max             *big.Rat
	minStrict, maxStrict bool // the bound itself is outside
}

func (b *bounds) atLeast(v *big.Rat, strict bool) {
	if c := 0; b.min != nil {
		if c = v.Cmp(b.min); c < 0 || c == 0 && !strict {
			return
		}
	}
	b.min, b.minStrict = v, strict
}

func (b *bounds) atMost(v *big.Rat, strict bool) {
	if c := 0; b.max != nil {
		if c = v.Cmp(b.max); c > 0 || c == 0 && !strict {
			return
		}
	}
	b.max, b.maxStrict = v, strict
}

func (b bounds) contains(v *big.Rat) bool {
	if b.min != nil {
		if c := v.Cmp(b.min); c < 0 || c == 0 && b.minStrict {
			return false
		}
	}
	if b.max != nil {
		if c := v.Cmp(b.max); c > 0 || c == 0 && b.maxStrict {
			return false
		}
	}
	return true
}

func (b bounds) empty() bool {
	if b.min == nil || b.max == nil {
		return false
	}
	c := b.min.Cmp(b.max)
	return c > 0 || c == 0 && (b.minStrict || b.maxStrict)
}

// integers are the least and greatest integer within b, nil where unbounded.
func (b bounds) integers() (lo, hi *big.Int) {
	one := big.NewInt(1)
	if b.min != nil {
		lo = floor(b.min)
		if !b.min.IsInt() || b.minStrict {
			lo.Add(lo, one)
		}
	}
	if b.max != nil {
		hi = floor(b.max)
		if b.max.IsInt() && b.maxStrict {
			hi.Sub(hi, one)
		}
	}
	return lo, hi
}

func floor(r *big.Rat) *big.Int {
	return new(big.Int).Div(r.Num(), r.Denom()) // Euclidean: downwards, as Denom > 0
}

// maxDecimals is how many digits after its point a number in a schema has at most.
const maxDecimals = maxExponent + maxNumberText

// decimal returns what stands before the point of r, which is not negative, and the digits after
// it; finite is false if these do not end within limit.
func decimal(r *big.Rat, limit int) (whole *big.Int, digits string, finite bool) {
	whole = floor(r)
	rest := new(big.Rat).Sub(r, new(big.Rat).SetInt(whole))
	if rest.Sign() == 0 {
		return whole, "", true
	}
	for n := 1; n <= limit; n++ {
		if scaled := new(big.Rat).Mul(rest, new(big.Rat).SetInt(pow10(n))); scaled.IsInt() {
			return whole, fmt.Sprintf("%0*s", n, scaled.Num()), true
		}
	}
	return whole, "", false
}

// shortest returns the shortest decimal spelling of r without exponent, false if it has none.
func shortest(r *big.Rat) (text string, finite bool) {
	whole, digits, finite := decimal(new(big.Rat).Abs(r), maxDecimals)
	text = whole.String()
	if digits != "" {
		text += "." + digits
	}
	if r.Sign() < 0 {
		text = "-" + text
	}
	return text, finite
}

func pow10(n int) *big.Int { return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil) }

// onSteps narrows b to the multiples of 10^-digits that are its first and last.
func (b bounds) onSteps(digits int) bounds {
	step := new(big.Rat).SetFrac(big.NewInt(1), pow10(digits))
	scale := func(r *big.Rat) *big.Rat {
		if r == nil {
			return nil
		}
		return new(big.Rat).Quo(r, step)
	}
	first, last := bounds{scale(b.min), scale(b.max), b.minStrict, b.maxStrict}.integers()
	var on bounds
	if first != nil {
		on.min = new(big.Rat).Mul(new(big.Rat).SetInt(first), step)
	}
	if last != nil {
		on.max = new(big.Rat).Mul(new(big.Rat).SetInt(last), step)
	}
	return on
}

// powerOfTen reports whether m is 1, 0.1, 0.01 …
func powerOfTen(m *big.Rat) bool {
	return m.Num().IsInt64() && m.Num().Int64() == 1 && strings.Trim(m.Denom().String(), "0") == "1"
}

// commonMultiple is the least common multiple of two positive rationals.
func commonMultiple(a, b *big.Rat) *big.Rat {
	den := new(big.Int).Mul(a.Denom(), b.Denom())
	x := new(big.Int).Mul(a.Num(), b.Denom())
	y := new(big.Int).Mul(b.Num(), a.Denom())
	lcm := new(big.Int).Div(new(big.Int).Mul(x, y), new(big.Int).GCD(nil, nil, x, y))
	return new(big.Rat).SetFrac(lcm, den)
}
