package jinja

import (
	"math"
	"slices"
	"strings"
)

func (in *interp) compare(op string, a, b Value) bool {
	switch op {
	case "==":
		return in.equal(a, b, 0)
	case "!=":
		return !in.equal(a, b, 0)
	case "in":
		return in.contains(b, a)
	case "not in":
		return !in.contains(b, a)
	case "<":
		return in.less(a, b, 0)
	case ">":
		return in.less(b, a, 0)
	case "<=":
		return in.less(a, b, 0) || in.equal(a, b, 0)
	}
	return in.less(b, a, 0) || in.equal(a, b, 0)
}

func (in *interp) contains(c, v Value) bool {
	switch c := c.(type) {
	case Text:
		in.work(c)
		t, ok := v.(Text)
		if !ok {
			in.fail("'in <string>' needs a string on its left, not %s", typeName(v))
		}
		return strings.Contains(c.String(), t.String())
	case *Dict:
		if !c.ns {
			_, ok := c.lookup(v)
			return ok
		}
	}
	for _, x := range in.iterate(c) {
		if in.equal(x, v, 0) {
			return true
		}
	}
	return false
}

func (in *interp) binary(op string, a, b Value) Value {
	if op == "~" {
		return in.own(Concat(in.str(a), in.str(b)))
	}
	for _, v := range []Value{a, b} {
		if u, ok := v.(Undefined); ok {
			in.fail("%s is undefined, %q cannot take it", u.Name, op)
		}
	}
	if op == "+" {
		switch x := a.(type) {
		case Text:
			if y, ok := b.(Text); ok {
				in.fits(x.size + y.size)
				return in.own(Concat(x, y))
			}
		case *List:
			if y, ok := b.(*List); ok && x.Tuple == y.Tuple {
				in.spend((len(x.Items) + len(y.Items)) * valueCost)
				return &List{Items: slices.Concat(x.Items, y.Items), Tuple: x.Tuple}
			}
		}
	}
	if op == "*" {
		if n, ok := integer(a); ok {
			if r, ok := in.repeat(b, n); ok {
				return r
			}
		}
		if n, ok := integer(b); ok {
			if r, ok := in.repeat(a, n); ok {
				return r
			}
		}
	}
	if t, ok := a.(Text); ok && op == "%" {
		return in.format(t, b)
	}
	return in.arith(op, a, b)
}

// repeat is Python's sequence * n.
func (in *interp) repeat(v Value, n int64) (Value, bool) {
	n = max(n, 0)
	switch v := v.(type) {
	case Text:
		if v.Len() == 0 || n == 0 {
			return Text{}, true
		}
		if n > int64(in.limit/v.Len()) {
			in.overLimit("string of more than %d bytes", in.limit)
		}
		var b builder
		for range n {
			in.step()
			b.text(v)
		}
		return in.own(b.done()), true
	case *List:
		if len(v.Items) == 0 || n == 0 {
			return &List{Tuple: v.Tuple}, true
		}
		if n > int64(in.limit/len(v.Items)) {
			in.overLimit("list of more than %d elements", in.limit)
		}
		in.spend(int(n) * len(v.Items) * valueCost)
		return &List{Items: slices.Repeat(v.Items, int(n)), Tuple: v.Tuple}, true
	}
	return nil, false
}

// arith is arithmetic on numbers. Integers have 64 bits here; where Python's would grow, the run fails.
func (in *interp) arith(op string, a, b Value) Value {
	x, okA := number(a)
	y, okB := number(b)
	if !okA || !okB {
		in.fail("unsupported operand types for %s: %s and %s", op, typeName(a), typeName(b))
	}
	i, intA := integer(a)
	j, intB := integer(b)
	if (op == "/" || op == "//" || op == "%") && y == 0 {
		in.fail("division by zero")
	}
	if intA && intB {
		if v, ok := intArith(op, i, j); ok {
			return v
		}
		if op != "/" && !(op == "**" && j < 0) {
			in.fail("integer overflow in %d %s %d", i, op, j)
		}
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
	case "//":
		return math.Floor(x / y)
	case "%":
		m := math.Mod(x, y)
		if m != 0 && (m < 0) != (y < 0) {
			m += y
		}
		return m
	}
	return math.Pow(x, y)
}

// intArith computes exactly, ok says whether the result is an integer that fits. j is not zero for // and %.
func intArith(op string, i, j int64) (int64, bool) {
	switch op {
	case "+":
		s := i + j
		return s, (s > i) == (j > 0)
	case "-":
		s := i - j
		return s, (s < i) == (j > 0)
	case "*":
		if i == 0 || j == 0 {
			return 0, true
		}
		p := i * j
		return p, p/j == i && !(i == -1 && j == math.MinInt64) && !(j == -1 && i == math.MinInt64)
	case "//", "%":
		if j == -1 && i == math.MinInt64 {
			return 0, op == "%"
		}
		q, m := i/j, i%j
		if m != 0 && (m < 0) != (j < 0) {
			q, m = q-1, m+j
		}
		if op == "//" {
			return q, true
		}
		return m, true
	case "**":
		r, ok := int64(1), j >= 0
		switch {
		case !ok:
			return 0, false
		case i == 0 || i == 1:
			if j == 0 {
				return 1, true
			}
			return i, true
		case i == -1:
			return 1 - 2*(j&1), true
		case j > 63:
			return 0, false
		}
		for range j {
			if r, ok = intArith("*", r, i); !ok {
				return 0, false
			}
		}
		return r, true
	}
	return 0, false
}
