package jinja

import (
	"math/big"
	"slices"
	"strings"
)

func (in *interp) compare(op string, a, b Value) Value {
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
		return in.less(a, b, false, 0)
	case ">":
		return in.less(b, a, false, 0)
	case "<=":
		return in.less(a, b, true, 0)
	}
	return in.less(b, a, true, 0)
}

func (in *interp) contains(c, v Value) bool {
	switch c := c.(type) {
	case Text:
		t, ok := v.(Text)
		if !ok {
			in.fail("'in <string>' needs a string on its left, not %s", typeName(v))
		}
		in.work(c)
		return strings.Contains(c.String(), t.String())
	case *Dict:
		if !c.ns {
			in.hashable(v)
			_, ok := c.lookup(v)
			return ok
		}
	case *iterator:
		for {
			x, ok := c.next()
			if !ok || in.equal(x, v, 0) {
				return ok
			}
		}
	}
	for _, x := range in.iterate(c) {
		if same(x, v) || in.equal(x, v, 0) {
			return true
		}
	}
	return false
}

// concat is the operator ~.
func (in *interp) concat(values []Value) Value {
	texts := make([]Text, len(values))
	size, markup := 0, false
	for i, v := range values {
		texts[i] = in.soft(v)
		size += texts[i].Len()
		markup = markup || texts[i].markup
	}
	in.fits(size)
	if !in.autoescape || in.volatile || !markup {
		return in.own(Concat(texts...).plain())
	}
	for i, t := range texts {
		texts[i] = in.escape(t)
	}
	return in.own(Concat(texts...).marked())
}

// add joins strings; where one is markup the other is escaped.
func (in *interp) add(a, b Text) Text {
	in.fits(a.size + b.size)
	if a.markup || b.markup {
		return in.own(Concat(in.escape(a), in.escape(b)).marked())
	}
	return in.own(Concat(a, b))
}

func (in *interp) binary(op string, a, b Value) Value {
	for _, v := range []Value{a, b} {
		if u, ok := v.(Undefined); ok && !(op == "%" && isText(a)) {
			in.fail("%s is undefined, %q cannot take it", u.Name, op)
		}
	}
	switch op {
	case "+":
		switch x := a.(type) {
		case Text:
			if y, ok := b.(Text); ok {
				return in.add(x, y)
			}
		case *List:
			if y, ok := b.(*List); ok && x.kind == y.kind && x.kind <= tupleList {
				in.spend((len(x.Items) + len(y.Items)) * valueCost)
				return &List{Items: slices.Concat(x.Items, y.Items), kind: x.kind}
			}
		}
	case "*":
		if n, ok := count(a); ok {
			if r, ok := in.repeat(b, n); ok {
				return r
			}
		}
		if n, ok := count(b); ok {
			if r, ok := in.repeat(a, n); ok {
				return r
			}
		}
	case "%":
		if t, ok := a.(Text); ok {
			return in.percent(t, b)
		}
	case "-":
		x, okA := a.(*List)
		y, okB := b.(*List)
		if okA && okB && x.kind >= keysView && x.kind != valuesView {
			in.fail("sets are not supported: %s - %s", typeName(x), typeName(y))
		}
	}
	return in.arith(op, a, b)
}

func isText(v Value) bool { _, ok := v.(Text); return ok }

// count is how often something is repeated; what is beyond 64 bits is very often.
func count(v Value) (int64, bool) {
	if n, ok := v.(*big.Int); ok {
		if n.Sign() < 0 {
			return 0, true
		}
		return 1 << 62, true
	}
	return smallInt(v)
}

// repeat is Python's sequence * n.
func (in *interp) repeat(v Value, n int64) (Value, bool) {
	n = max(n, 0)
	switch v := v.(type) {
	case Text:
		if v.Len() == 0 || n == 0 {
			return Text{markup: v.markup}, true
		}
		if n > int64(in.limit/v.Len()) {
			in.overLimit("string of more than %d bytes", in.limit)
		}
		var b builder
		for range n {
			in.step()
			b.text(v)
		}
		out := b.done()
		out.markup = v.markup
		return in.own(out), true
	case *List:
		if v.kind > tupleList {
			return nil, false
		}
		if len(v.Items) == 0 || n == 0 {
			return &List{kind: v.kind}, true
		}
		if n > int64(in.limit/len(v.Items)) {
			in.overLimit("list of more than %d elements", in.limit)
		}
		in.spend(int(n) * len(v.Items) * valueCost)
		return &List{Items: slices.Repeat(v.Items, int(n)), kind: v.kind}, true
	}
	return nil, false
}
