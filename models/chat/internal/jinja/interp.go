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

// Fault begins the message of an error that is the interpreter's own fault.
const Fault = "internal fault of the template interpreter"

// Error returns the message, after the line if that is known.
func (e *Error) Error() string {
	if e.Line == 0 {
		return e.Msg
	}
	return fmt.Sprintf("line %d: %s", e.Line, e.Msg)
}

// Unwrap returns Cause.
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
	// PrintedMarked says that a marked list or an image item was printed as a whole, in Python's
	// notation: the template took it for a string.
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
	autoescape    bool  // printed values are escaped
	volatile      bool  // by a value that is no literal: then jinja2 does not escape what ~ joins
	constant      bool  // what is evaluated has no variables: see printStmt
	blocks        map[string]*blockStmt
	top           *scope
	out           *builder
	printedMarked bool
}

// Run renders the program with the given variables. It returns an [*Error] when the template fails,
// a bound is hit, or ctx ends; a run does not outlive ctx by more than a few milliseconds.
func (p *Program) Run(ctx context.Context, vars *Dict, opts Options) (res Result, err error) {
	in := &interp{ctx: ctx, now: opts.Now, limit: opts.MaxOutput, maxSteps: opts.MaxSteps,
		out: &builder{}}
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
			// a fault of ours, which a template from an unknown file must not turn into the end of
			// the process
			if !ok {
				e = &Error{Line: in.line, Msg: fmt.Sprintf("%s: %v", Fault, r)}
			}
			res, err = Result{}, e
		}
	}()
	in.look()
	in.top = &scope{parent: builtins()}
	for i, k := range vars.keys {
		in.top.set(k.(Text).String(), vars.vals[i])
	}
	in.blocks = p.blocks
	// Jinja keeps the caller's variables and the template's own in one namespace.
	in.exec(p.body, in.top)
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
		in.overLimit("template makes more than %d bytes of strings and lists",
			in.limit*memFactor+memFloor)
	}
	in.workOn(n)
}

// workOnSpans counts the work of finding a place in a text.
func (in *interp) workOnSpans(t Text) {
	in.steps += len(t.spans) / 16
	in.step()
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
func (in *interp) list(items []Value) *List { return in.listOf(plainList, items) }

func (in *interp) listOf(kind listKind, items []Value) *List {
	in.spend(len(items) * valueCost)
	return &List{Items: items, kind: kind}
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
