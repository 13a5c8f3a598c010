package jinja

import (
	"math"
	"math/big"
	"slices"
	"strings"
)

// method is a Python method of T.
type method[T any] struct {
	sig  signature
	call func(c call, v T) Value
}

// attribute is getattr(v, name) for what Python's own types have: methods, and the few properties
// of numbers.
func (in *interp) attribute(v Value, name string) (Value, bool) {
	switch v := v.(type) {
	case Text:
		if m, ok := textMethods[name]; ok {
			return bound(name, m, v, v.markup), true
		}
	case *Dict:
		if m, ok := dictMethods[name]; ok {
			return bound(name, m, v, false), true
		}
		if dictChanges[name] {
			return Undefined{name}, true // the immutable sandbox hides what would change it
		}
	case *List:
		if v.group && (name == "grouper" || name == "list") {
			return v.Items[map[string]int{"grouper": 0, "list": 1}[name]], true
		}
		if v.kind == rangeList {
			if i := slices.Index([]string{"start", "stop", "step"}, name); i >= 0 {
				return v.bounds[i], true
			}
		}
		if m, ok := listMethods[name]; ok && (v.kind == plainList ||
			name != "copy" && v.kind <= rangeList) {
			return bound(name, m, v, false), true
		}
		if v.kind == plainList && listChanges[name] {
			return Undefined{name}, true
		}
	case bool, int64, *big.Int, float64:
		return in.numberAttribute(v, name)
	case *object:
		return v.attr(name)
	case *Func:
		x, ok := v.attrs[name]
		return x, ok
	}
	if strings.HasPrefix(name, "__") && (name == "__class__" || name == "__doc__" ||
		name == "__str__" || name == "__repr__" || name == "__len__") {
		return Undefined{name}, true
	}
	return nil, false
}

// bound is a method of one value.
func bound[T any](name string, m method[T], v T, markup bool) *Func {
	return &Func{name: name, call: func(in *interp, args []Value, kw *Dict) Value {
		out := m.call(in.bind(name, &m.sig, args, kw), v)
		if t, ok := out.(Text); ok {
			t.markup = markup
			return in.own(t)
		}
		if l, ok := out.(*List); ok && markup {
			for i, x := range l.Items {
				l.Items[i] = x.(Text).marked()
			}
		}
		return out
	}}
}

// numberAttribute has what integers and floats can do.
func (in *interp) numberAttribute(v Value, name string) (Value, bool) {
	f, isFloat := v.(float64)
	f0 := func(x func() Value) (Value, bool) {
		return function(name, "", func(call) Value { return x() }), true
	}
	switch {
	case name == "real":
		return in.positive(v), true
	case name == "imag" && isFloat:
		return 0.0, true
	case name == "imag":
		return int64(0), true
	case name == "conjugate":
		return f0(func() Value { return in.positive(v) })
	case name == "is_integer" && isFloat:
		return f0(func() Value { return f == math.Trunc(f) && !math.IsInf(f, 0) })
	case name == "as_integer_ratio":
		return f0(func() Value {
			if isFloat && (math.IsNaN(f) || math.IsInf(f, 0)) {
				in.fail("cannot convert %s to an integer ratio", formatFloat(f))
			}
			r := rat(v)
			return tuple(whole(r.Num()), whole(r.Denom()))
		})
	case isFloat:
		return nil, false
	case name == "numerator":
		return in.positive(v), true
	case name == "denominator":
		return int64(1), true
	case name == "bit_length" || name == "bit_count":
		return f0(func() Value {
			n, _ := bigInt(v)
			if name == "bit_length" {
				return int64(n.BitLen())
			}
			return int64(strings.Count(new(big.Int).Abs(n).Text(2), "1"))
		})
	}
	return nil, false
}

var (
	textMethods map[string]method[Text]
	dictMethods map[string]method[*Dict]
	listMethods map[string]method[*List]
	dictChanges = map[string]bool{"clear": true, "pop": true, "popitem": true, "setdefault": true,
		"update": true}
	listChanges = map[string]bool{"append": true, "clear": true, "extend": true, "insert": true,
		"pop": true, "remove": true, "reverse": true, "sort": true}
)

func init() {
	dictMethods = map[string]method[*Dict]{
		"items": {takes(""), func(c call, d *Dict) Value { return c.in.pairs(d, itemsView) }},
		"keys": {takes(""), func(c call, d *Dict) Value {
			return c.in.listOf(keysView, slices.Clone(d.keys))
		}},
		"values": {takes(""), func(c call, d *Dict) Value {
			return c.in.listOf(valuesView, slices.Clone(d.vals))
		}},
		"copy": {takes(""), func(c call, d *Dict) Value { return c.in.copyDict(d) }},
		"get": {takes("/ key default?"), func(c call, d *Dict) Value {
			c.in.hashable(c.vals[0])
			if v, ok := d.lookup(c.vals[0]); ok {
				return v
			}
			return c.or(1, nil)
		}},
		"fromkeys": {takes("/ keys value?"), func(c call, _ *Dict) Value { return fromKeys(c) }},
	}
	listMethods = map[string]method[*List]{
		"copy": {takes(""), func(c call, l *List) Value {
			return c.in.list(slices.Clone(l.Items))
		}},
		"index": {takes("/ value start? stop?"), func(c call, l *List) Value {
			if _, from := c.arg(1); from && l.kind == rangeList {
				c.in.fail("range.index takes one argument")
			}
			lo, hi := c.span(1, len(l.Items))
			for i := lo; i < hi; i++ {
				if c.in.equal(l.Items[i], c.vals[0], 0) {
					return int64(i)
				}
			}
			c.in.fail("value is not in the list")
			return nil
		}},
		"count": {takes("/ value"), func(c call, l *List) Value {
			n := int64(0)
			for _, x := range l.Items {
				if c.in.equal(x, c.vals[0], 0) {
					n++
				}
			}
			return n
		}},
	}
	textMethods = stringMethods()
}

func (in *interp) copyDict(d *Dict) *Dict {
	n := &Dict{Image: d.Image}
	for i, k := range d.keys {
		in.setItem(n, k, d.vals[i])
	}
	return n
}

// fromKeys is dict.fromkeys.
func fromKeys(c call) Value {
	d := &Dict{}
	for _, k := range c.in.iterate(c.vals[0]) {
		c.in.setItem(d, k, c.or(1, nil))
	}
	return d
}

// span reads optional start and stop arguments as Python's slices do.
func (c *call) span(i, n int) (lo, hi int) {
	at := func(i int) *int64 {
		v, ok := c.given(i)
		if !ok {
			return nil
		}
		k := int64(c.in.index(v))
		return &k
	}
	l, h := sliceBounds(int64(n), at(i), at(i+1), 1)
	return int(l), int(h)
}
