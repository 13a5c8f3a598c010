package jinja

import "slices"

// contextual are the filters that jinja2 does not evaluate when it compiles.
var contextual = map[string]bool{"map": true, "select": true, "reject": true, "selectattr": true,
	"rejectattr": true, "random": true}

// constant reports whether an expression has no variables and no calls, so that jinja2 evaluates it
// when it compiles.
func constant(x expr) bool {
	all := func(xs []expr) bool {
		return !slices.ContainsFunc(xs, func(x expr) bool { return !constant(x) })
	}
	args := func(a *callArgs) bool {
		return all(a.pos) && all(a.kw) && (a.more == nil || constant(a.more)) && (a.dict == nil ||
			constant(a.dict))
	}
	switch x := x.(type) {
	case nil, *literal:
		return true
	case *listExpr:
		return all(x.items)
	case *dictExpr:
		return all(x.keys) && all(x.vals)
	case *attrExpr:
		return constant(x.obj)
	case *itemExpr:
		return constant(x.obj) && constant(x.key)
	case *sliceExpr:
		return constant(x.obj) && all([]expr{x.start, x.stop, x.step})
	case *filterExpr:
		return x.in != nil && !contextual[x.name] && constant(x.in) && args(&x.args)
	case *testExpr:
		return constant(x.in) && args(&x.args)
	case *notExpr:
		return constant(x.x)
	case *negExpr:
		return constant(x.x)
	case *posExpr:
		return constant(x.x)
	case *logicExpr:
		return constant(x.l) && constant(x.r)
	case *binExpr:
		return constant(x.l) && constant(x.r)
	case *concatExpr:
		return all(x.items)
	case *compareExpr:
		return constant(x.first) && all(x.rest)
	case *condExpr:
		return constant(x.test) && constant(x.then) && constant(x.other)
	}
	return false
}
