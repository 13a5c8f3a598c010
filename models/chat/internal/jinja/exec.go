package jinja

// flow says how a row of statements ended.
type flow uint8

const (
	flowOn flow = iota
	flowBreak
	flowContinue
)

func (in *interp) exec(body []stmt, sc *scope) flow {
	for _, s := range body {
		in.step()
		if f := in.execOne(s, sc); f != flowOn {
			return f
		}
	}
	return flowOn
}

func (in *interp) execOne(s stmt, sc *scope) flow {
	switch s := s.(type) {
	case *textStmt:
		in.write(wrote(s.text))
	case *printStmt:
		in.line = s.line
		in.constant = s.constant
		v := in.eval(s.x, sc)
		in.constant = false
		in.print(v)
	case *ifStmt:
		in.line = s.line
		for i, t := range s.tests {
			if truth(in.eval(t, sc)) {
				return in.exec(s.bodies[i], sc)
			}
		}
		if len(s.bodies) > len(s.tests) {
			return in.exec(s.bodies[len(s.tests)], sc)
		}
	case *forStmt:
		in.line = s.line
		v := in.eval(s.iter, sc)
		if s.recursive {
			in.forLoop(s, v, sc, 1)
			break
		}
		return in.forLoop(s, v, sc, 1)
	case *setStmt:
		in.line = s.line
		if s.value != nil {
			in.assign(s.target, in.eval(s.value, sc), sc)
			break
		}
		return in.setBlock(s, sc)
	case *macroStmt:
		sc.set(s.name, in.macro(s, sc))
	case *callStmt:
		in.line = s.line
		in.writeText(in.callWith(s.call, sc, in.macro(s.body, sc)))
	case *filterStmt:
		in.line = s.line
		inner := sc.inner()
		t, f := in.captured(s.body, inner)
		if f == flowOn {
			in.writeText(in.filterChain(s.filters, t, inner))
		}
		return f
	case *withStmt:
		in.line = s.line
		inner := sc.inner()
		for i, t := range s.targets {
			in.assign(t, in.eval(s.values[i], sc), inner)
		}
		return in.exec(s.body, inner)
	case *escapeStmt:
		in.line = s.line
		saved, volatile := in.autoescape, in.volatile
		in.autoescape = truth(in.eval(s.on, sc))
		_, constant := s.on.(*literal)
		in.volatile = !constant
		f := in.exec(s.body, sc.inner())
		in.autoescape, in.volatile = saved, volatile
		return f
	default:
		return in.execRare(s, sc)
	}
	return flowOn
}

// execRare runs what few templates have.
func (in *interp) execRare(s stmt, sc *scope) flow {
	switch s := s.(type) {
	case *scopeStmt:
		in.exec(s.body, sc.inner())
	case *blockStmt:
		if s.required {
			in.fail("required block %q not found", s.name)
		}
		outer := in.top
		if s.scoped {
			outer = sc
		}
		in.nested(func() { in.exec(s.body, outer.inner()) })
	case *foreignStmt:
		in.line = s.line
		in.fail("%s is refused: a chat template stands alone", s.name)
	case breakStmt:
		return flowBreak
	case continueStmt:
		return flowContinue
	}
	return flowOn
}

// print puts a value out.
func (in *interp) print(v Value) {
	if in.autoescape {
		in.write(in.escape(v))
		return
	}
	in.write(in.str(v))
}

// writeText puts out what must be a string.
func (in *interp) writeText(v Value) {
	t, ok := v.(Text)
	if !ok {
		in.fail("a block gives %s, not a string", typeName(v))
	}
	in.write(t)
}

// captured runs statements with their output caught, which is markup where values are escaped.
func (in *interp) captured(body []stmt, sc *scope) (t Text, f flow) {
	t = in.capture(func() { f = in.exec(body, sc) })
	t.markup = in.autoescape
	return in.own(t), f
}

// setBlock is {% set x %}…{% endset %}. A loop that is left in it leaves the variable as it was.
func (in *interp) setBlock(s *setStmt, sc *scope) flow {
	inner := sc.inner()
	t, f := in.captured(s.body, inner)
	if f != flowOn {
		return f
	}
	v := in.filterChain(s.filters, t, inner)
	if in.autoescape {
		v = in.soft(v).marked()
	}
	in.assign(s.target, v, sc)
	return flowOn
}

func (in *interp) assign(t target, v Value, sc *scope) {
	switch {
	case t.tup:
		items := in.iterate(v)
		if len(items) != len(t.many) {
			in.fail("cannot unpack %d values into %d names", len(items), len(t.many))
		}
		for i, t := range t.many {
			in.assign(t, items[i], sc)
		}
	case t.attr != "":
		obj, _ := sc.get(t.name)
		ns, ok := obj.(*Dict)
		if !ok || !ns.ns {
			in.fail("cannot assign attribute on non-namespace object %s", t.name)
		}
		in.checkName(wrote(t.attr))
		in.spend(valueCost)
		ns.Set(t.attr, v)
	default:
		sc.set(t.name, v)
	}
}

// forLoop runs a for statement over v.
func (in *interp) forLoop(s *forStmt, v Value, sc *scope, depth int64) flow {
	items := in.iterate(v)
	if s.test != nil {
		var kept []Value
		for _, x := range items {
			in.step()
			inner := sc.inner()
			in.assign(s.target, x, inner)
			if truth(in.eval(s.test, inner)) {
				kept = append(kept, x)
			}
		}
		items = kept
	}
	loop := &loop{items: items, depth: depth}
	if s.recursive {
		loop.again = func(v Value) Value {
			var t Text
			in.nested(func() { t = in.capture(func() { in.forLoop(s, v, sc, loop.depth+1) }) })
			t.markup = in.autoescape
			return in.own(t)
		}
	}
	saved, whole := in.image, false // whether a turn ran to its end
	for i, x := range items {
		in.step()
		if d, ok := x.(*Dict); ok && d.Image > 0 {
			in.image = d.Image
		}
		inner := sc.inner()
		inner.set("loop", loop)
		loop.at = i
		in.assign(s.target, x, inner)
		f := in.exec(s.body, inner)
		in.image = saved
		if f == flowBreak {
			break
		}
		whole = whole || f == flowOn
	}
	if whole || s.other == nil {
		return flowOn
	}
	// jinja2 comes here too when each turn was left by break or continue
	return in.exec(s.other, sc.inner())
}

// loop is the variable of that name.
type loop struct {
	items []Value
	at    int
	depth int64
	last  Value // what changed() saw
	seen  bool
	again func(Value) Value
}

var recurseSig = takes("iterable")

func (l *loop) attr(name string) Value {
	n, i := int64(len(l.items)), int64(l.at)
	neighbour := func(at int64) Value {
		if at < 0 || at >= n {
			return Undefined{name}
		}
		return l.items[at]
	}
	switch name {
	case "index":
		return i + 1
	case "index0":
		return i
	case "revindex":
		return n - i
	case "revindex0":
		return n - i - 1
	case "first":
		return i == 0
	case "last":
		return i == n-1
	case "length":
		return n
	case "depth":
		return l.depth
	case "depth0":
		return l.depth - 1
	case "previtem":
		return neighbour(i - 1)
	case "nextitem":
		return neighbour(i + 1)
	case "cycle":
		return function(name, "*", func(c call) Value {
			if len(c.more) == 0 {
				c.in.fail("cycle needs a value")
			}
			return c.more[l.at%len(c.more)]
		})
	case "changed":
		return function(name, "*", func(c call) Value {
			v := Value(tuple(c.more...))
			same := l.seen && c.in.equal(v, l.last, 0)
			l.last, l.seen = v, true
			return !same
		})
	}
	return Undefined{"loop." + name}
}

// macro makes a macro callable, as jinja2.runtime.Macro; its body sees the scope it stands in, and
// escapes as that does.
func (in *interp) macro(s *macroStmt, sc *scope) *Func {
	escapes := in.autoescape
	names := make([]Value, len(s.params))
	for i, name := range s.params {
		names[i] = wrote(name)
	}
	fn := &Func{name: s.name, attrs: map[string]Value{
		"name": wrote(s.name), "arguments": tuple(names...), "caller": s.caller,
		"catch_kwargs": s.kwargs, "catch_varargs": s.varargs,
	}}
	if s.name == "" {
		fn.attrs["name"] = nil
	}
	fn.call = func(in *interp, args []Value, kw *Dict) Value {
		inner := sc.inner()
		in.macroArgs(s, inner, args, kw)
		called := in.autoescape
		in.autoescape = escapes
		var t Text
		in.nested(func() { t = in.capture(func() { in.exec(s.body, inner) }) })
		in.autoescape = called
		t.markup = called
		return in.own(t)
	}
	return fn
}

// macroArgs gives a macro's parameters their values.
func (in *interp) macroArgs(s *macroStmt, inner *scope, args []Value, kw *Dict) {
	rest := &Dict{}
	if kw != nil && len(kw.keys) > 0 {
		rest = in.copyDict(kw)
	}
	caller := false // is a parameter
	for i, name := range s.params {
		v, named := rest.get(name)
		switch required := len(s.params) - len(s.defaults); {
		case i < len(args):
			v = args[i]
		case named:
			rest.remove(name)
		case i >= required:
			v = in.eval(s.defaults[i-required], inner)
		default:
			v = Undefined{name}
		}
		caller = caller || name == "caller"
		inner.set(name, v)
	}
	if s.caller && !caller {
		if v, ok := rest.get("caller"); ok && v != nil {
			inner.set("caller", v)
		} else {
			inner.set("caller", Undefined{"caller"})
		}
		rest.remove("caller")
	}
	if s.kwargs {
		inner.set("kwargs", rest)
	} else if len(rest.keys) > 0 {
		in.fail("macro %s takes no argument named %s", s.name, rest.keys[0].(Text).String())
	}
	more := args[min(len(args), len(s.params)):]
	if s.varargs {
		inner.set("varargs", tuple(more...))
	} else if len(more) > 0 {
		in.fail("macro %s takes not more than %d arguments", s.name, len(s.params))
	}
}
