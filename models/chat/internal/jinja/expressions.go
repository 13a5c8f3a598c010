package jinja

import (
	"math/big"
	"slices"
	"strings"
)

// expression parses an expression, from what binds least (a condition) to what binds most.
func (p *parser) expression() expr {
	p.enter()
	defer p.leave()
	known := len(p.unknown)
	x := p.or()
	for p.skipName("if") {
		c := &condExpr{then: x, test: p.or()}
		if p.skipName("else") {
			c.other = p.expression()
		}
		for i := known; i < len(p.unknown); i++ {
			p.unknown[i].soft = true
		}
		x = c
	}
	return x
}

func (p *parser) or() expr {
	x := p.and()
	for p.skipName("or") {
		x = &logicExpr{false, x, p.and()}
	}
	return x
}

func (p *parser) and() expr {
	x := p.not()
	for p.skipName("and") {
		x = &logicExpr{true, x, p.not()}
	}
	return x
}

func (p *parser) not() expr {
	if p.skipName("not") {
		p.enter()
		defer p.leave()
		return &notExpr{p.not()}
	}
	return p.compare()
}

func (p *parser) compare() expr {
	c := &compareExpr{first: p.sum()}
	for {
		op := ""
		switch {
		case p.isOp("==", "!=", "<", "<=", ">", ">="):
			op = p.next().val
		case p.skipName("in"):
			op = "in"
		case p.isName("not") && p.peek().kind == tokName && p.peek().val == "in":
			p.at += 2
			op = "not in"
		}
		if op == "" {
			break
		}
		c.ops = append(c.ops, op)
		c.rest = append(c.rest, p.sum())
	}
	if len(c.ops) == 0 {
		return c.first
	}
	return c
}

// binary parses a left-associative level.
func (p *parser) binary(operand func() expr, ops ...string) expr {
	x := operand()
	for p.isOp(ops...) {
		op := p.next().val
		b := &binExpr{op: op, l: x, r: operand()}
		b.loose = op == "**" && constant(b.l) && !constant(b.r)
		x = b
	}
	return x
}

func (p *parser) sum() expr { return p.binary(p.concat, "+", "-") }

func (p *parser) concat() expr {
	items := []expr{p.product()}
	for p.skipOp("~") {
		items = append(items, p.product())
	}
	if len(items) == 1 {
		return items[0]
	}
	return &concatExpr{items}
}

func (p *parser) product() expr { return p.binary(p.power, "*", "/", "//", "%") }
func (p *parser) power() expr {
	return p.binary(func() expr { return p.unary(true) }, "**")
}

func (p *parser) unary(filters bool) expr {
	var x expr
	switch {
	case p.skipOp("-"):
		p.enter()
		x = &negExpr{p.unary(false)}
		p.leave()
	case p.skipOp("+"):
		p.enter()
		x = &posExpr{p.unary(false)}
		p.leave()
	default:
		x = p.primary()
	}
	x = p.postfix(x)
	if filters {
		x = p.filtersAndTests(x)
	}
	return x
}

func (p *parser) primary() expr {
	t := p.next()
	switch t.kind {
	case tokName:
		switch t.val {
		case "true", "True":
			return &literal{true}
		case "false", "False":
			return &literal{false}
		case "none", "None":
			return &literal{nil}
		}
		p.reads(t.val)
		return &nameExpr{t.val}
	case tokString:
		s := t.val
		for p.cur().kind == tokString {
			s += p.next().val
		}
		return &literal{NewText(s, Source{})}
	case tokInt:
		n, ok := new(big.Int).SetString(strings.ReplaceAll(t.val, "_", ""), 0)
		if !ok || len(t.val) > maxDigits {
			p.fail("number %.40s cannot be read", t.val)
		}
		return &literal{whole(n)}
	case tokFloat:
		f, _ := parseFloat(t.val)
		return &literal{f}
	case tokOp:
		switch t.val {
		case "(":
			x := p.tuple(p.expression, true)
			p.wantOp(")")
			return x
		case "[":
			x := &listExpr{}
			p.list("]", func() { x.items = append(x.items, p.expression()) })
			return x
		case "{":
			x := &dictExpr{}
			p.list("}", func() {
				x.keys = append(x.keys, p.expression())
				p.wantOp(":")
				x.vals = append(x.vals, p.expression())
			})
			return x
		}
	}
	if t.kind != tokEOF {
		p.at--
	}
	p.fail("unexpected %s", t)
	return nil
}

// reads notes what makes the macros around this place take more than their parameters.
func (p *parser) reads(name string) {
	for _, m := range p.macros {
		switch name {
		case "caller":
			m.caller = true
		case "kwargs":
			m.kwargs = true
		case "varargs":
			m.varargs = true
		}
	}
}

// list parses elements split by commas, up to a closing bracket, before which a comma may stand
// too.
func (p *parser) list(end string, element func()) {
	for first := true; !p.skipOp(end); first = false {
		if !first {
			p.wantOp(",")
			if p.skipOp(end) {
				return
			}
		}
		element()
	}
}

func (p *parser) postfix(x expr) expr {
	for {
		switch {
		case p.skipOp("."):
			switch p.cur().kind {
			case tokInt:
				x = &itemExpr{x, p.primary()}
			default:
				x = &attrExpr{x, p.wantName()}
			}
		case p.skipOp("["):
			x = p.subscript(x)
		case p.skipOp("("):
			x = &callExpr{x, p.args()}
		default:
			return x
		}
	}
}

// subscript parses one index or slice, or several, which make a tuple, after the opening bracket.
func (p *parser) subscript(x expr) expr {
	var items []expr
	for !p.isOp("]") {
		if len(items) > 0 {
			p.wantOp(",")
		}
		items = append(items, p.subscripted(x))
	}
	p.wantOp("]")
	if len(items) == 1 {
		if s, ok := items[0].(*sliceExpr); ok {
			return s
		}
		return &itemExpr{x, items[0]}
	}
	for _, i := range items {
		if _, ok := i.(*sliceExpr); ok {
			p.fail("a slice among other subscripts is not supported")
		}
	}
	return &itemExpr{x, &listExpr{items, true}}
}

func (p *parser) subscripted(x expr) expr {
	s := &sliceExpr{obj: x}
	if !p.isOp(":") {
		s.start = p.expression()
		if !p.isOp(":") {
			return s.start
		}
	}
	p.wantOp(":")
	if !p.isOp(":", "]", ",") {
		s.stop = p.expression()
	}
	if p.skipOp(":") && !p.isOp("]", ",") {
		s.step = p.expression()
	}
	return s
}

// args parses a call's arguments after the opening bracket.
func (p *parser) args() (a callArgs) {
	ensure := func(ok bool) {
		if !ok {
			p.fail("arguments by position come first, then those by name, then * and **, each once")
		}
	}
	p.list(")", func() {
		switch {
		case p.skipOp("*"):
			ensure(a.more == nil && a.dict == nil)
			a.more = p.expression()
		case p.skipOp("**"):
			ensure(a.dict == nil)
			a.dict = p.expression()
		case p.cur().kind == tokName && p.peek().kind == tokOp && p.peek().val == "=":
			ensure(a.dict == nil)
			name := p.next().val
			if slices.Contains(a.names, name) {
				p.fail("the argument %s is given twice", name)
			}
			a.names = append(a.names, name)
			p.next()
			a.kw = append(a.kw, p.expression())
		default:
			ensure(a.more == nil && a.dict == nil && len(a.kw) == 0)
			a.pos = append(a.pos, p.expression())
		}
	})
	return a
}

func (p *parser) filtersAndTests(x expr) expr {
	for {
		switch {
		case p.isOp("|"):
			for _, f := range p.filterChain() {
				f.in = x
				x = f
			}
		case p.skipName("is"):
			x = p.test(x)
		case p.skipOp("("): // a call after a filter
			x = &callExpr{x, p.args()}
		default:
			return x
		}
	}
}

// dotted is a name with dots in it.
func (p *parser) dotted() string {
	name := p.wantName()
	for p.skipOp(".") {
		name += "." + p.wantName()
	}
	return name
}

func (p *parser) filterChain() (fs []*filterExpr) {
	for p.skipOp("|") {
		f := &filterExpr{}
		line := p.cur().line
		f.name = p.dotted()
		if _, ok := filters[f.name]; !ok {
			p.unknown = append(p.unknown, unknownName{"filter named " + f.name, line, p.soft})
		}
		if p.skipOp("(") {
			f.args = p.args()
		}
		fs = append(fs, f)
	}
	return fs
}

func (p *parser) test(x expr) expr {
	negated := p.skipName("not")
	t := &testExpr{in: x}
	line := p.cur().line
	t.name = p.dotted()
	if _, ok := tests[t.name]; !ok {
		p.unknown = append(p.unknown, unknownName{"test named " + t.name, line, p.soft})
	}
	switch k := p.cur().kind; {
	case p.skipOp("("):
		t.args = p.args()
	case k == tokString || k == tokInt || k == tokFloat || p.isOp("[", "{"),
		k == tokName && !p.isName("else", "or", "and"):
		if p.isName("is") {
			p.fail("tests cannot be chained with is")
		}
		t.args.pos = []expr{p.postfix(p.primary())}
	}
	if negated {
		return &notExpr{t}
	}
	return t
}
