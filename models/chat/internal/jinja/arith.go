package jinja

import (
	"math"
	"math/big"
	"strconv"
)

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
