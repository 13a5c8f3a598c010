package jinja

import (
	"math"
	"math/big"
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
	case *literal:
		switch v := x.val.(type) {
		case Text:
			if in.image > 0 {
				return NewText(v.String(), Source{Index: in.image})
			}
		case float64:
			// jinja2 writes it into Python code as the name inf
			if math.IsInf(v, 0) && !in.constant {
				in.fail("inf is undefined")
			}
		}
		return x.val
	case *nameExpr:
		if v, ok := sc.get(x.name); ok {
			return v
		}
		if x.name == "self" {
			return in.self()
		}
		return Undefined{x.name}
	case *attrExpr:
		return in.attr(in.eval(x.obj, sc), x.name)
	case *itemExpr:
		obj := in.eval(x.obj, sc)
		return in.item(obj, in.eval(x.key, sc))
	case *callExpr:
		return in.callWith(x, sc, nil)
	case *filterExpr:
		v := in.eval(x.in, sc)
		args, kw := in.args(&x.args, sc, nil)
		return in.filter(x.name, v, args, kw)
	case *testExpr:
		v := in.eval(x.in, sc)
		args, kw := in.args(&x.args, sc, nil)
		return in.test(x.name, v, args, kw)
	case *notExpr:
		return !truth(in.eval(x.x, sc))
	case *logicExpr:
		l := in.eval(x.l, sc)
		if truth(l) != x.and {
			return l
		}
		return in.eval(x.r, sc)
	case *binExpr:
		l := in.eval(x.l, sc)
		r := in.eval(x.r, sc)
		if x.loose && negative(l) {
			return in.negative(in.binary(x.op, in.negative(l), r))
		}
		return in.binary(x.op, l, r)
	case *concatExpr:
		return in.concat(in.evalAll(x.items, sc))
	case *compareExpr:
		l := in.eval(x.first, sc)
		var v Value
		for i, op := range x.ops {
			r := in.eval(x.rest[i], sc)
			if v = in.compare(op, l, r); v == false {
				return v
			}
			l = r
		}
		return v
	case *condExpr:
		if truth(in.eval(x.test, sc)) {
			return in.eval(x.then, sc)
		}
		if x.other == nil {
			return Undefined{"inline if"}
		}
		return in.eval(x.other, sc)
	}
	return in.evalRare(x, sc)
}

// evalRare evaluates the rest.
func (in *interp) evalRare(x expr, sc *scope) Value {
	switch x := x.(type) {
	case *listExpr:
		l := in.list(in.evalAll(x.items, sc))
		if x.tuple {
			l.kind = tupleList
		}
		return l
	case *dictExpr:
		d := &Dict{}
		for i, k := range x.keys {
			key := in.eval(k, sc)
			in.setItem(d, key, in.eval(x.vals[i], sc))
		}
		return d
	case *sliceExpr:
		return in.slice(x, sc)
	case *negExpr:
		return in.negative(in.eval(x.x, sc))
	case *posExpr:
		return in.positive(in.eval(x.x, sc))
	}
	in.fail("unknown expression %T", x)
	return nil
}

func (in *interp) evalAll(xs []expr, sc *scope) []Value {
	if len(xs) == 0 {
		return nil
	}
	out := make([]Value, len(xs))
	for i, x := range xs {
		out[i] = in.eval(x, sc)
	}
	return out
}

// args evaluates arguments; kw is nil where none has a name. A caller that is not nil is one of
// them.
func (in *interp) args(a *callArgs, sc *scope, caller *Func) (args []Value, kw *Dict) {
	args = in.evalAll(a.pos, sc)
	if a.more != nil {
		more := in.iterate(in.eval(a.more, sc))
		in.spend(len(more) * valueCost)
		args = append(args, more...)
	}
	if len(a.names) > 0 || a.dict != nil || caller != nil {
		kw = &Dict{}
	}
	for i, name := range a.names {
		kw.Set(name, in.eval(a.kw[i], sc))
	}
	if caller != nil {
		if _, twice := kw.get("caller"); twice {
			in.fail("the argument caller is given twice")
		}
		kw.Set("caller", caller)
	}
	if a.dict != nil {
		d, ok := in.eval(a.dict, sc).(*Dict)
		if !ok || d.ns {
			in.fail("the argument after ** must be a mapping")
		}
		for i, k := range d.keys {
			name, ok := k.(Text)
			if !ok {
				in.fail("keywords must be strings")
			}
			if _, twice := kw.get(name.String()); twice {
				in.fail("an argument is given twice: %s", name.String())
			}
			in.setItem(kw, name, d.vals[i])
		}
	}
	return args, kw
}

// hashable returns a value as the key of a dict.
func (in *interp) hashable(v Value) string {
	k, ok := hashKey(v)
	if !ok {
		in.fail("%s cannot be the key of a dict", typeName(v))
	}
	in.workOn(len(k))
	return k
}

func (in *interp) setItem(d *Dict, k, v Value) {
	in.hashable(k)
	in.spend(valueCost)
	d.set(k, v)
}

func (in *interp) callWith(x *callExpr, sc *scope, caller *Func) Value {
	fn := in.eval(x.fn, sc)
	args, kw := in.args(&x.args, sc, caller)
	switch fn := fn.(type) {
	case *Func:
		return fn.call(in, args, kw)
	case *object:
		if fn.call != nil {
			return fn.call(in, args, kw)
		}
	case *loop:
		c := in.bind("loop", &recurseSig, args, kw)
		if fn.again == nil {
			in.fail("loop is called, but the for is not recursive")
		}
		return fn.again(c.vals[0])
	case Undefined:
		in.fail("%s is undefined", fn.Name)
	}
	in.fail("%s is not callable", typeName(fn))
	return nil
}

// self has the template's blocks as functions.
func (in *interp) self() Value {
	none := takes("")
	return &object{typ: "TemplateReference", attr: func(name string) (Value, bool) {
		b := in.blocks[name]
		if b == nil {
			return nil, false
		}
		return &Func{name: name, call: func(in *interp, args []Value, kw *Dict) Value {
			in.bind(name, &none, args, kw)
			var t Text
			in.nested(func() { t = in.capture(func() { in.exec(b.body, in.top.inner()) }) })
			return in.own(t)
		}}, true
	}}
}

// attr is x.name: Python's attribute (a method), else the item of that name.
func (in *interp) attr(v Value, name string) Value {
	switch x := v.(type) {
	case Undefined:
		in.fail("%s is undefined, it has no %s", x.Name, name)
	case *loop:
		return x.attr(name)
	case *Dict:
		if x.ns {
			if y, ok := x.get(name); ok {
				return y
			}
			return Undefined{name}
		}
		if y, ok := in.attribute(v, name); ok {
			return y
		}
		if y, ok := x.get(name); ok {
			return y
		}
		return Undefined{name}
	}
	if x, ok := in.attribute(v, name); ok {
		return x
	}
	return Undefined{typeName(v) + "." + name}
}

// item is x[key]: Python's item, else the attribute of that name.
func (in *interp) item(v, key Value) Value {
	switch c := v.(type) {
	case Undefined:
		in.fail("%s is undefined, it has no items", c.Name)
	case *Dict:
		k, ok := hashKey(key)
		in.workOn(len(k))
		if i, there := c.index[k]; ok && there && !c.ns {
			return c.vals[i]
		}
	case *List:
		if i, ok := smallInt(key); ok && c.subscripts() {
			if i < 0 {
				i += int64(len(c.Items))
			}
			if i >= 0 && i < int64(len(c.Items)) {
				return c.Items[i]
			}
			return Undefined{"list item"}
		}
	case Text:
		if i, ok := smallInt(key); ok {
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
	if n >= len(s) {
		return len(s)
	}
	for i := range s {
		if n == 0 {
			return i
		}
		n--
	}
	return len(s)
}

// bound evaluates a part of a slice; a number beyond 64 bits is as good as the largest, and what is
// no number a misfit.
func (in *interp) bound(x expr, sc *scope, misfit *bool) *int64 {
	if x == nil {
		return nil
	}
	v := in.eval(x, sc)
	if v == nil {
		return nil
	}
	n, ok := smallInt(v)
	if b, isBig := v.(*big.Int); isBig {
		if n, ok = math.MaxInt64, true; b.Sign() < 0 {
			n = math.MinInt64 + 1
		}
	}
	if !ok {
		*misfit = true
	}
	return &n
}

func (in *interp) slice(x *sliceExpr, sc *scope) Value {
	v := in.eval(x.obj, sc)
	misfit := false
	start, stop, stepBy := in.bound(x.start, sc, &misfit), in.bound(x.stop, sc, &misfit),
		in.bound(x.step, sc, &misfit)
	step := int64(1)
	if stepBy != nil {
		step = *stepBy
	}
	if u, ok := v.(Undefined); ok {
		in.fail("%s is undefined, it cannot be sliced", u.Name)
	}
	if l, ok := v.(*List); misfit || !isText(v) && (!ok || !l.subscripts()) {
		if in.constant {
			return Undefined{"slice"}
		}
		in.fail("%s cannot be sliced so", typeName(v))
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
				return Text{markup: v.markup}
			}
			return v.slice(runeOffset(s, int(lo)), runeOffset(s, int(hi)))
		}
		out := in.join(in.pick(in.iterate(v), start, stop, step), Text{})
		out.markup = v.markup
		return out
	case *List:
		if v.kind == rangeList {
			return in.sliceRange(v, start, stop, step)
		}
		if step == 1 { // shares the elements
			return &List{Items: in.pick(v.Items, start, stop, 1), kind: v.kind}
		}
		return in.listOf(v.kind, in.pick(v.Items, start, stop, step))
	}
	return nil
}

// sliceRange is a part of a range, which is a range.
func (in *interp) sliceRange(v *List, start, stop *int64, step int64) Value {
	lo, hi := sliceBounds(int64(len(v.Items)), start, stop, step)
	from, by := v.bounds[0], v.bounds[2]
	l := in.listOf(rangeList, in.pick(v.Items, start, stop, step))
	l.bounds = [3]int64{from + lo*by, from + hi*by, step * by}
	return l
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
	case *iterator:
		var out []Value
		for {
			x, ok := v.next()
			if !ok {
				return out
			}
			in.spend(valueCost)
			out = append(out, x)
		}
	case Text:
		in.spend(v.Len() * valueCost)
		out := make([]Value, 0, v.Len())
		for _, s := range v.spans {
			for i := 0; i < len(s.Text); {
				_, w := utf8.DecodeRuneInString(s.Text[i:])
				out = append(out, NewText(s.Text[i:i+w], s.Source))
				i += w
			}
		}
		return out
	}
	in.fail("%s is not iterable", typeName(v))
	return nil
}
