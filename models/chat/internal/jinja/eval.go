package jinja

import (
	"math"
	"slices"
	"unicode/utf8"
)

func (in *interp) eval(x expr, sc *scope) Value {
	in.step()
	if in.depth++; in.depth > maxDepth {
		in.overLimit("expression is nested more than %d deep", maxDepth)
	}
	v := in.evalOne(x, sc)
	in.depth--
	return v
}

func (in *interp) evalOne(x expr, sc *scope) Value {
	switch x := x.(type) {
	case literal:
		if t, ok := x.val.(Text); ok && in.image > 0 {
			return NewText(t.String(), Source{Index: in.image})
		}
		return x.val
	case nameExpr:
		if v, ok := sc.get(x.name); ok {
			return v
		}
		return Undefined{x.name}
	case listExpr:
		l := in.list(in.evalAll(x.items, sc))
		l.Tuple = x.tuple
		return l
	case dictExpr:
		d := &Dict{}
		for i, k := range x.keys {
			in.setItem(d, in.eval(k, sc), in.eval(x.vals[i], sc))
		}
		return d
	case attrExpr:
		return in.attr(in.eval(x.obj, sc), x.name)
	case itemExpr:
		return in.item(in.eval(x.obj, sc), in.eval(x.key, sc))
	case sliceExpr:
		return in.slice(x, sc)
	case callExpr:
		return in.callWith(x, sc, nil)
	case filterExpr:
		args, kw := in.args(x.args, sc)
		return in.filter(x.name, in.eval(x.in, sc), args, kw)
	case testExpr:
		args, _ := in.args(x.args, sc)
		return tests[x.name](in, in.eval(x.in, sc), args)
	case notExpr:
		return !truth(in.eval(x.x, sc))
	case negExpr:
		return in.arith("-", int64(0), in.eval(x.x, sc))
	case posExpr:
		return in.arith("+", int64(0), in.eval(x.x, sc))
	case logicExpr:
		l := in.eval(x.l, sc)
		if truth(l) != x.and {
			return l
		}
		return in.eval(x.r, sc)
	case binExpr:
		l := in.eval(x.l, sc)
		return in.binary(x.op, l, in.eval(x.r, sc))
	case compareExpr:
		l := in.eval(x.first, sc)
		for i, op := range x.ops {
			r := in.eval(x.rest[i], sc)
			if !in.compare(op, l, r) {
				return false
			}
			l = r
		}
		return true
	case condExpr:
		if truth(in.eval(x.test, sc)) {
			return in.eval(x.then, sc)
		}
		if x.other == nil {
			return Undefined{"inline if"}
		}
		return in.eval(x.other, sc)
	}
	in.fail("unknown expression %T", x)
	return nil
}

func (in *interp) evalAll(xs []expr, sc *scope) []Value {
	out := make([]Value, len(xs))
	for i, x := range xs {
		out[i] = in.eval(x, sc)
	}
	return out
}

func (in *interp) args(a callArgs, sc *scope) ([]Value, *Dict) {
	kw := &Dict{}
	for i, name := range a.names {
		kw.Set(name, in.eval(a.kw[i], sc))
	}
	return in.evalAll(a.pos, sc), kw
}

func (in *interp) setItem(d *Dict, k, v Value) {
	if _, ok := hashKey(k); !ok {
		in.fail("%s cannot be the key of a dict", typeName(k))
	}
	in.spend(valueCost)
	d.set(k, v)
}

func (in *interp) callWith(x callExpr, sc *scope, caller *Func) Value {
	fn := in.eval(x.fn, sc)
	args, kw := in.args(x.args, sc)
	if caller != nil {
		kw.Set("caller", caller)
	}
	switch fn := fn.(type) {
	case *Func:
		return fn.call(in, args, kw)
	case *loop:
		if fn.again == nil || len(args) != 1 {
			in.fail("loop is called, but the for is not recursive")
		}
		return fn.again(args[0])
	case Undefined:
		in.fail("%s is undefined", fn.Name)
	}
	in.fail("%s is not callable", typeName(fn))
	return nil
}

// attr is x.name: Python's attribute (a method), else the item of that name.
func (in *interp) attr(v Value, name string) Value {
	switch v := v.(type) {
	case Undefined:
		in.fail("%s is undefined, it has no %s", v.Name, name)
	case *loop:
		return v.attr(name)
	case *Dict:
		if v.ns {
			if x, ok := v.get(name); ok {
				return x
			}
			return Undefined{name}
		}
		if m := in.method(v, name); m != nil {
			return m
		}
		if x, ok := v.get(name); ok {
			return x
		}
		return Undefined{name}
	}
	if m := in.method(v, name); m != nil {
		return m
	}
	return Undefined{typeName(v) + "." + name}
}

// item is x[key]: Python's item, else the attribute of that name.
func (in *interp) item(v, key Value) Value {
	if u, ok := v.(Undefined); ok {
		in.fail("%s is undefined, it has no items", u.Name)
	}
	switch c := v.(type) {
	case *Dict:
		if x, ok := c.lookup(key); ok && !c.ns {
			return x
		}
	case *List:
		if i, ok := integer(key); ok {
			if i < 0 {
				i += int64(len(c.Items))
			}
			if i >= 0 && i < int64(len(c.Items)) {
				return c.Items[i]
			}
			return Undefined{"list item"}
		}
	case Text:
		if i, ok := integer(key); ok {
			return in.char(c, i)
		}
	}
	if name, ok := key.(Text); ok {
		return in.attr(v, name.String())
	}
	return Undefined{typeName(v) + " item"}
}

func (in *interp) char(t Text, i int64) Value {
	in.work(t)
	s := t.String()
	n := int64(utf8.RuneCountInString(s))
	if i < 0 {
		i += n
	}
	if i < 0 || i >= n {
		return Undefined{"character"}
	}
	at := runeOffset(s, int(i))
	_, w := utf8.DecodeRuneInString(s[at:])
	return t.slice(at, at+w)
}

// runeOffset is the byte offset of the n-th character.
func runeOffset(s string, n int) int {
	if n <= 0 {
		return 0
	}
	for i := range s {
		if n == 0 {
			return i
		}
		n--
	}
	return len(s)
}

func (in *interp) slice(x sliceExpr, sc *scope) Value {
	v := in.eval(x.obj, sc)
	bound := func(x expr) *int64 {
		if x == nil {
			return nil
		}
		switch v := in.eval(x, sc).(type) {
		case nil:
			return nil
		default:
			n, ok := integer(v)
			if !ok {
				in.fail("slice index is %s, not an integer", typeName(v))
			}
			return &n
		}
	}
	start, stop, stepBy := bound(x.start), bound(x.stop), bound(x.step)
	step := int64(1)
	if stepBy != nil {
		step = *stepBy
	}
	if step == 0 {
		in.fail("slice step is zero")
	}
	switch v := v.(type) {
	case Text:
		in.work(v)
		s := v.String()
		if step == 1 {
			lo, hi := sliceBounds(int64(utf8.RuneCountInString(s)), start, stop, 1)
			if lo >= hi {
				return Text{}
			}
			return v.slice(runeOffset(s, int(lo)), runeOffset(s, int(hi)))
		}
		return in.join(in.pick(in.iterate(v), start, stop, step), Text{})
	case *List:
		if step == 1 { // shares the elements
			return &List{Items: in.pick(v.Items, start, stop, 1), Tuple: v.Tuple}
		}
		l := in.list(in.pick(v.Items, start, stop, step))
		l.Tuple = v.Tuple
		return l
	case Undefined:
		in.fail("%s is undefined, it cannot be sliced", v.Name)
	}
	in.fail("%s cannot be sliced", typeName(v))
	return nil
}

func (in *interp) pick(items []Value, start, stop *int64, step int64) []Value {
	lo, hi := sliceBounds(int64(len(items)), start, stop, step)
	if step == 1 {
		if lo >= hi {
			return nil
		}
		return items[lo:hi:hi]
	}
	var out []Value
	for i := lo; step > 0 && i < hi || step < 0 && i > hi; i += step {
		in.step()
		out = append(out, items[i])
		if step > 0 && i > math.MaxInt64-step || step < 0 && i < math.MinInt64-step {
			break
		}
	}
	return out
}

// sliceBounds is Python's slice.indices.
func sliceBounds(n int64, start, stop *int64, step int64) (lo, hi int64) {
	low, high := int64(0), n
	if step < 0 {
		low, high = -1, n-1
	}
	clip := func(p *int64, absent int64) int64 {
		if p == nil {
			return absent
		}
		i := *p
		if i < 0 {
			i = max(i+n, low)
		}
		return min(max(i, low), high)
	}
	if step > 0 {
		return clip(start, low), clip(stop, high)
	}
	return clip(start, high), clip(stop, low)
}

// iterate returns the elements that a for loop sees.
func (in *interp) iterate(v Value) []Value {
	switch v := v.(type) {
	case *List:
		return v.Items
	case *Dict:
		if !v.ns {
			return slices.Clone(v.keys)
		}
	case Undefined:
		return nil
	case Text:
		in.spend(v.Len() * valueCost)
		var out []Value
		for _, s := range v.spans {
			for i, r := range s.Text {
				_ = r
				_, w := utf8.DecodeRuneInString(s.Text[i:])
				out = append(out, NewText(s.Text[i:i+w], s.Source))
			}
		}
		return out
	}
	in.fail("%s is not iterable", typeName(v))
	return nil
}
