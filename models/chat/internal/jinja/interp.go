package jinja

import (
	"context"
	"fmt"
	"time"
)

// Error is a fault of a template or of its run.
type Error struct {
	Line   int    // in the template, from 1; 0 when unknown
	Msg    string //
	Raised bool   // the template itself called raise_exception(Msg)
	Limit  bool   // a bound on output, memory, depth or ranges was hit
	Cause  error  // the context's error, when it ended the run
}

func (e *Error) Error() string {
	if e.Line == 0 {
		return e.Msg
	}
	return fmt.Sprintf("line %d: %s", e.Line, e.Msg)
}

func (e *Error) Unwrap() error { return e.Cause }

// Options bound a run and give it its surroundings.
type Options struct {
	MaxSteps  int       // units of work; 0: 5 million
	MaxOutput int       // bytes of output, and of any one string; 0: 16 MiB
	Now       time.Time // what strftime_now prints; zero: the clock
}

// Result is what a run wrote.
type Result struct {
	Text Text
	// PrintedMarked says that a marked list or an image item was printed as a whole, in Python's notation: the
	// template took it for a string.
	PrintedMarked bool
}

const (
	maxDepth  = 2000     // evaluation steps inside one another
	maxCalls  = 100      // macros and recursive loops inside one another
	maxRange  = 100_000  // as jinja2.sandbox.MAX_RANGE
	maxValues = 64       // nesting of a value that is printed, compared or written as JSON
	memFactor = 16       // bytes a run may make in all, as a multiple of MaxOutput
	memFloor  = 4 << 20  // and this many more
	valueCost = 16       // bytes that an element of a list or dict counts for
	lookEvery = 1 << 8   // steps between looks at the context
	maxOutput = 16 << 20 // default of Options.MaxOutput
	maxSteps  = 5_000_000
	stepBytes = 1 << 6 // bytes of a string that are looked through in a step
)

// interp is one run of a program. Faults travel as panics of *Error as far as Run.
type interp struct {
	ctx           context.Context
	now           time.Time
	limit         int
	memory        int
	steps         int // made so far
	maxSteps      int
	depth, calls  int
	line          int
	image         int32 // the image item whose loop iteration runs
	out           *builder
	printedMarked bool
}

// Run renders the program with the given variables. It returns an [*Error] when the template fails, a bound is hit, or
// ctx ends; a run does not outlive ctx by more than a few milliseconds.
func (p *Program) Run(ctx context.Context, vars *Dict, opts Options) (res Result, err error) {
	in := &interp{ctx: ctx, now: opts.Now, limit: opts.MaxOutput, maxSteps: opts.MaxSteps, out: &builder{}}
	if in.maxSteps <= 0 {
		in.maxSteps = maxSteps
	}
	if in.limit <= 0 {
		in.limit = maxOutput
	}
	in.memory = in.limit*memFactor + memFloor
	if in.now.IsZero() {
		in.now = time.Now()
	}
	defer func() {
		if r := recover(); r != nil {
			e, ok := r.(*Error)
			if !ok {
				panic(r)
			}
			res, err = Result{}, e
		}
	}()
	in.look()
	top := &scope{vars: map[string]Value{}, parent: builtins()}
	for i, k := range vars.keys {
		top.vars[k.(Text).String()] = vars.vals[i]
	}
	// Jinja keeps the caller's variables and the template's own in one namespace.
	in.exec(p.body, top)
	return Result{in.out.done(), in.printedMarked}, nil
}

func (in *interp) fail(format string, args ...any) {
	panic(&Error{Line: in.line, Msg: fmt.Sprintf(format, args...)})
}

func (in *interp) overLimit(format string, args ...any) {
	panic(&Error{Line: in.line, Msg: fmt.Sprintf(format, args...), Limit: true})
}

// step counts a unit of work and looks at the context now and then.
func (in *interp) step() {
	if in.steps++; in.steps%lookEvery == 0 {
		in.look()
	}
}

// workOn counts the work of going through n bytes.
func (in *interp) workOn(n int) {
	if n >= stepBytes {
		in.steps += n / stepBytes
		in.look()
	}
}

func (in *interp) look() {
	if in.steps > in.maxSteps {
		in.overLimit("template takes more than %d steps", in.maxSteps)
	}
	if err := in.ctx.Err(); err != nil {
		panic(&Error{Line: in.line, Msg: "rendering stopped: " + err.Error(), Cause: err})
	}
}

// spend charges n bytes to the run's memory.
func (in *interp) spend(n int) {
	if in.memory -= n; n < 0 || in.memory < 0 {
		in.overLimit("template makes more than %d bytes of strings and lists", in.limit*memFactor+memFloor)
	}
	in.workOn(n)
}

// work counts an operation over a string.
func (in *interp) work(t Text) { in.workOn(t.size) }

// fits checks the size of one string before it is made.
func (in *interp) fits(n int) {
	if n < 0 || n > in.limit {
		in.overLimit("string of more than %d bytes", in.limit)
	}
}

// own charges a fresh text.
func (in *interp) own(t Text) Text {
	in.fits(t.size)
	in.spend(t.size + len(t.spans)*32)
	return t
}

// list makes a list and charges it.
func (in *interp) list(items []Value) *List {
	in.spend(len(items) * valueCost)
	return &List{Items: items}
}

// deep bounds the recursion over a value's nesting.
func (in *interp) deep(depth int) {
	in.step()
	if depth > maxValues {
		in.overLimit("value is nested more than %d deep", maxValues)
	}
}

// write puts text out.
func (in *interp) write(t Text) {
	in.step()
	in.fits(in.out.size + t.size)
	in.spend(t.size)
	for _, s := range t.spans {
		if s.Source == (Source{}) {
			s.Source.Index = in.image
		}
		in.out.span(s.Text, s.Source)
	}
}

// capture runs f with its output caught.
func (in *interp) capture(f func()) Text {
	saved := in.out
	in.out = &builder{}
	f()
	t := in.out.done()
	in.out = saved
	return t
}

// nested runs f one call deeper.
func (in *interp) nested(f func()) {
	if in.calls++; in.calls > maxCalls {
		in.overLimit("calls are nested more than %d deep", maxCalls)
	}
	f()
	in.calls--
}

// scope holds variables; an inner one hides the outer.
type scope struct {
	vars   map[string]Value
	parent *scope
}

func (s *scope) get(name string) (Value, bool) {
	for ; s != nil; s = s.parent {
		if v, ok := s.vars[name]; ok {
			return v, true
		}
	}
	return nil, false
}

func (s *scope) inner() *scope { return &scope{vars: map[string]Value{}, parent: s} }

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
	case textStmt:
		in.write(NewText(s.text, Source{}))
	case printStmt:
		in.line = s.line
		in.write(in.str(in.eval(s.x, sc)))
	case ifStmt:
		in.line = s.line
		for i, t := range s.tests {
			if truth(in.eval(t, sc)) {
				return in.exec(s.bodies[i], sc)
			}
		}
		if len(s.bodies) > len(s.tests) {
			return in.exec(s.bodies[len(s.tests)], sc)
		}
	case forStmt:
		in.line = s.line
		in.forLoop(&s, in.eval(s.iter, sc), sc, 1)
	case setStmt:
		in.line = s.line
		if s.value != nil {
			in.assign(s.target, in.eval(s.value, sc), sc)
			break
		}
		var f flow
		t := in.capture(func() { f = in.exec(s.body, sc.inner()) })
		in.assign(s.target, in.filterChain(s.filters, in.own(t), sc), sc)
		return f
	case *macroStmt:
		sc.vars[s.name] = in.macro(s, sc)
	case callStmt:
		in.line = s.line
		in.write(in.str(in.callWith(s.call, sc, in.macro(s.body, sc))))
	case filterStmt:
		in.line = s.line
		var f flow
		t := in.capture(func() { f = in.exec(s.body, sc.inner()) })
		in.write(in.str(in.filterChain(s.filters, in.own(t), sc)))
		return f
	case withStmt:
		in.line = s.line
		inner := sc.inner()
		for i, t := range s.targets {
			in.assign(t, in.eval(s.values[i], sc), inner)
		}
		return in.exec(s.body, inner)
	case scopeStmt:
		return in.exec(s.body, sc.inner())
	case breakStmt:
		return flowBreak
	case continueStmt:
		return flowContinue
	}
	return flowOn
}

func (in *interp) assign(t target, v Value, sc *scope) {
	switch {
	case t.many != nil:
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
		in.spend(valueCost)
		ns.Set(t.attr, v)
	default:
		sc.vars[t.name] = v
	}
}

// forLoop runs a for statement over v.
func (in *interp) forLoop(s *forStmt, v Value, sc *scope, depth int64) {
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
	if len(items) == 0 {
		in.exec(s.other, sc)
		return
	}
	loop := &loop{items: items, depth: depth}
	if s.recursive {
		loop.again = func(v Value) Value {
			var t Text
			in.nested(func() { t = in.capture(func() { in.forLoop(s, v, sc, depth+1) }) })
			return in.own(t)
		}
	}
	saved := in.image
	for i, x := range items {
		in.step()
		if d, ok := x.(*Dict); ok && d.Image > 0 {
			in.image = d.Image
		}
		inner := sc.inner()
		inner.vars["loop"] = loop
		loop.at = i
		in.assign(s.target, x, inner)
		f := in.exec(s.body, inner)
		in.image = saved
		if f == flowBreak {
			break
		}
	}
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
		return &Func{"cycle", func(in *interp, args []Value, _ *Dict) Value {
			if len(args) == 0 {
				in.fail("cycle needs a value")
			}
			return args[l.at%len(args)]
		}}
	case "changed":
		return &Func{"changed", func(in *interp, args []Value, _ *Dict) Value {
			v := Value(in.list(args))
			same := l.seen && in.equal(v, l.last, 0)
			l.last, l.seen = v, true
			return !same
		}}
	}
	return Undefined{"loop." + name}
}

// macro makes a macro callable; its body sees the scope it stands in.
func (in *interp) macro(s *macroStmt, sc *scope) *Func {
	return &Func{s.name, func(in *interp, args []Value, kw *Dict) Value {
		if len(args) > len(s.params) {
			in.fail("macro %s takes not more than %d arguments", s.name, len(s.params))
		}
		inner := sc.inner()
		used := 0
		for i, name := range s.params {
			v, named := kw.get(name)
			switch required := len(s.params) - len(s.defaults); {
			case i < len(args):
				if named {
					in.fail("macro %s got %s twice", s.name, name)
				}
				v = args[i]
			case named:
				used++
			case i >= required:
				v = in.eval(s.defaults[i-required], inner)
			default:
				v = Undefined{name}
			}
			inner.vars[name] = v
		}
		if caller, ok := kw.get("caller"); ok {
			inner.vars["caller"] = caller
			used++
		}
		if used < len(kw.keys) {
			in.fail("macro %s got an argument by a name it does not know", s.name)
		}
		var t Text
		in.nested(func() { t = in.capture(func() { in.exec(s.body, inner) }) })
		return in.own(t)
	}}
}
