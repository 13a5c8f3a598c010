package jinja

// Expressions.
type (
	expr interface{}

	literal  struct{ val Value } // a Text literal is written by the template
	nameExpr struct{ name string }
	listExpr struct {
		items []expr
		tuple bool
	}
	dictExpr struct{ keys, vals []expr }
	attrExpr struct {
		obj  expr
		name string
	}
	itemExpr  struct{ obj, key expr }
	sliceExpr struct{ obj, start, stop, step expr } // nil where left out
	callExpr  struct {
		fn   expr
		args callArgs
	}
	filterExpr struct {
		in   expr // nil in a filter block
		name string
		args callArgs
	}
	testExpr struct {
		in   expr
		name string
		args callArgs
	}
	notExpr   struct{ x expr }
	negExpr   struct{ x expr }
	posExpr   struct{ x expr }
	logicExpr struct {
		and  bool
		l, r expr
	}
	binExpr struct {
		op   string
		l, r expr
		// loose says that jinja2 writes the left side of a power into Python code as a bare number,
		// whose sign then binds less than the power.
		loose bool
	}
	concatExpr  struct{ items []expr }
	compareExpr struct { // a < b < c: all pairs must hold
		first expr
		ops   []string
		rest  []expr
	}
	condExpr struct{ test, then, other expr } // other nil: undefined
)

type callArgs struct {
	pos   []expr
	names []string // of the keyword arguments, parallel to kw
	kw    []expr
	more  expr // *more
	dict  expr // **dict
}

// Statements.
type (
	stmt interface{}

	textStmt  struct{ text string }
	printStmt struct {
		x        expr
		constant bool // jinja2 evaluates it when it compiles, by slightly other rules
		line     int
	}
	ifStmt struct {
		tests  []expr
		bodies [][]stmt // one more than tests when there is an else
		line   int
	}
	forStmt struct {
		target    target
		iter      expr
		test      expr
		body      []stmt
		other     []stmt
		recursive bool
		line      int
	}
	setStmt struct {
		target  target
		value   expr
		body    []stmt // block form when value is nil
		filters []*filterExpr
		line    int
	}
	macroStmt struct {
		name     string
		params   []string
		defaults []expr // of the last parameters
		body     []stmt
		// What the body reads beside its parameters: then the macro takes a caller, further names
		// and further arguments.
		caller, kwargs, varargs bool
	}
	callStmt struct { // {% call(params) fn(args) %}
		call *callExpr
		body *macroStmt
		line int
	}
	filterStmt struct {
		filters []*filterExpr
		body    []stmt
		line    int
	}
	withStmt struct {
		targets []target
		values  []expr
		body    []stmt
		line    int
	}
	scopeStmt struct{ body []stmt } // {% generation %}
	blockStmt struct {
		name             string
		scoped, required bool
		body             []stmt
	}
	escapeStmt struct { // {% autoescape on %}
		on   expr
		body []stmt
		line int
	}
	foreignStmt struct { // include, import, from and extends, which fail where they run
		name string
		line int
	}
	breakStmt    struct{}
	continueStmt struct{}
)

// target is where for and set put a value: a name, a namespace's attribute, or several targets that
// unpack it.
type target struct {
	name string
	attr string
	many []target
	tup  bool // many is meant, even if it is empty
}
