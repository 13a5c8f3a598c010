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
