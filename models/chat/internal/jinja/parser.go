package jinja

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

const (
	maxSource  = 1 << 20 // bytes of template; the largest in the wild are some 30 kB
	maxNesting = 200     // brackets, blocks and prefix operators inside one another
)

// Program is a parsed template. It is immutable and may be run by several goroutines at once.
type Program struct{ body []stmt }

// Parse reads a template. Its errors are of type [*Error] and name the line.
func Parse(source string) (*Program, error) {
	if len(source) > maxSource {
		return nil, &Error{Msg: fmt.Sprintf("template of %d bytes is over the limit of %d", len(source), maxSource)}
	}
	toks, err := lex(source)
	if err != nil {
		return nil, err
	}
	p := &parser{toks: toks}
	body, err := p.run()
	if err != nil {
		return nil, err
	}
	return &Program{body}, nil
}

// parser is a recursive descent over jinja2.parser's grammar. Faults travel as panics of *Error as far as run.
type parser struct {
	toks  []token
	at    int
	depth int
}

func (p *parser) run() (body []stmt, err error) {
	defer func() {
		if r := recover(); r != nil {
			e, ok := r.(*Error)
			if !ok {
				panic(r)
			}
			err = e
		}
	}()
	body, _ = p.block()
	return body, nil
}

func (p *parser) fail(format string, args ...any) {
	panic(&Error{Line: p.cur().line, Msg: fmt.Sprintf(format, args...)})
}

func (p *parser) cur() token { return p.toks[p.at] }

func (p *parser) peek() token { return p.toks[min(p.at+1, len(p.toks)-1)] }

func (p *parser) next() token {
	t := p.toks[p.at]
	if t.kind != tokEOF {
		p.at++
	}
	return t
}

func (p *parser) isOp(ops ...string) bool {
	return p.cur().kind == tokOp && slices.Contains(ops, p.cur().val)
}

func (p *parser) isName(names ...string) bool {
	return p.cur().kind == tokName && slices.Contains(names, p.cur().val)
}

func (p *parser) skipOp(op string) bool {
	if p.isOp(op) {
		p.at++
		return true
	}
	return false
}

func (p *parser) skipName(name string) bool {
	if p.isName(name) {
		p.at++
		return true
	}
	return false
}

func (p *parser) wantOp(op string) {
	if !p.skipOp(op) {
		p.fail("expected %q, found %s", op, p.cur())
	}
}

func (p *parser) wantName() string {
	if p.cur().kind != tokName {
		p.fail("expected a name, found %s", p.cur())
	}
	return p.next().val
}

func (p *parser) want(k tokenKind) {
	if p.cur().kind != k {
		p.fail("unexpected %s", p.cur())
	}
	p.next()
}

func (t token) String() string {
	switch t.kind {
	case tokEOF:
		return "end of template"
	case tokBlockEnd:
		return `"%}"`
	case tokVarEnd:
		return `"}}"`
	}
	return strconv.Quote(t.val)
}

func (p *parser) enter() {
	if p.depth++; p.depth > maxNesting {
		p.fail("nested too deeply")
	}
}

func (p *parser) leave() { p.depth-- }

// tuple parses expressions split by commas; one alone is itself.
func (p *parser) tuple(cond bool) expr {
	parse := p.or
	if cond {
		parse = p.expression
	}
	first := parse()
	if !p.isOp(",") {
		return first
	}
	items := []expr{first}
	for p.skipOp(",") {
		if k := p.cur().kind; k == tokBlockEnd || k == tokVarEnd || p.isOp(")") {
			break
		}
		items = append(items, parse())
	}
	return listExpr{items, true}
}

func (p *parser) expression() expr {
	p.enter()
	defer p.leave()
	x := p.or()
	for p.skipName("if") {
		c := condExpr{then: x, test: p.or()}
		if p.skipName("else") {
			c.other = p.expression()
		}
		x = c
	}
	return x
}

func (p *parser) or() expr {
	x := p.and()
	for p.skipName("or") {
		x = logicExpr{false, x, p.and()}
	}
	return x
}

func (p *parser) and() expr {
	x := p.not()
	for p.skipName("and") {
		x = logicExpr{true, x, p.not()}
	}
	return x
}

func (p *parser) not() expr {
	if p.skipName("not") {
		p.enter()
		defer p.leave()
		return notExpr{p.not()}
	}
	return p.compare()
}

func (p *parser) compare() expr {
	c := compareExpr{first: p.sum()}
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
		x = binExpr{op, x, operand()}
	}
	return x
}

func (p *parser) sum() expr     { return p.binary(p.concat, "+", "-") }
func (p *parser) concat() expr  { return p.binary(p.product, "~") }
func (p *parser) product() expr { return p.binary(p.power, "*", "/", "//", "%") }
func (p *parser) power() expr {
	return p.binary(func() expr { return p.unary(true) }, "**")
}

func (p *parser) unary(filters bool) expr {
	var x expr
	switch {
	case p.skipOp("-"):
		p.enter()
		x = negExpr{p.unary(false)}
		p.leave()
	case p.skipOp("+"):
		p.enter()
		x = posExpr{p.unary(false)}
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
			return literal{true}
		case "false", "False":
			return literal{false}
		case "none", "None":
			return literal{nil}
		}
		return nameExpr{t.val}
	case tokString:
		s := t.val
		for p.cur().kind == tokString {
			s += p.next().val
		}
		return literal{NewText(s, Source{})}
	case tokInt:
		n, err := strconv.ParseInt(strings.ReplaceAll(t.val, "_", ""), 0, 64)
		if err != nil {
			if n, err = strconv.ParseInt(strings.ReplaceAll(t.val, "_", ""), 10, 64); err != nil {
				p.fail("number %s: %v", t.val, err)
			}
		}
		return literal{n}
	case tokFloat:
		f, err := strconv.ParseFloat(strings.ReplaceAll(t.val, "_", ""), 64)
		if err != nil {
			p.fail("number %s: %v", t.val, err)
		}
		return literal{f}
	case tokOp:
		switch t.val {
		case "(":
			if p.skipOp(")") {
				return listExpr{tuple: true}
			}
			x := p.tuple(true)
			p.wantOp(")")
			return x
		case "[":
			x := listExpr{}
			for !p.skipOp("]") {
				if len(x.items) > 0 {
					p.wantOp(",")
					if p.skipOp("]") {
						break
					}
				}
				x.items = append(x.items, p.expression())
			}
			return x
		case "{":
			return p.dict()
		}
	}
	p.at = max(p.at-1, 0)
	p.fail("unexpected %s", t)
	return nil
}

func (p *parser) dict() expr {
	x := dictExpr{}
	for !p.skipOp("}") {
		if len(x.keys) > 0 {
			p.wantOp(",")
			if p.skipOp("}") {
				break
			}
		}
		x.keys = append(x.keys, p.expression())
		p.wantOp(":")
		x.vals = append(x.vals, p.expression())
	}
	return x
}

func (p *parser) postfix(x expr) expr {
	for {
		switch {
		case p.skipOp("."):
			if p.cur().kind == tokInt {
				n, err := strconv.ParseInt(p.next().val, 10, 64)
				if err != nil {
					p.fail("index: %v", err)
				}
				x = itemExpr{x, literal{n}}
			} else {
				x = attrExpr{x, p.wantName()}
			}
		case p.skipOp("["):
			x = p.subscript(x)
		case p.skipOp("("):
			x = callExpr{x, p.args()}
		default:
			return x
		}
	}
}

func (p *parser) subscript(x expr) expr {
	var parts [3]expr
	colons := 0
	for !p.isOp("]") {
		if p.skipOp(":") {
			if colons++; colons > 2 {
				p.fail("unexpected %q in a slice", ":")
			}
			continue
		}
		if parts[colons] != nil {
			p.fail("expected ], found %s", p.cur())
		}
		parts[colons] = p.tuple(true)
	}
	p.wantOp("]")
	if colons > 0 {
		return sliceExpr{x, parts[0], parts[1], parts[2]}
	}
	if parts[0] == nil {
		p.fail("empty subscript")
	}
	return itemExpr{x, parts[0]}
}

// args parses a call's arguments after the opening bracket.
func (p *parser) args() (a callArgs) {
	for n := 0; !p.skipOp(")"); n++ {
		if n > 0 {
			p.wantOp(",")
			if p.skipOp(")") {
				break
			}
		}
		if p.cur().kind == tokName && p.peek().kind == tokOp && p.peek().val == "=" {
			a.names = append(a.names, p.next().val)
			p.next()
			a.kw = append(a.kw, p.expression())
			continue
		}
		if len(a.kw) > 0 {
			p.fail("argument by position after one by name")
		}
		if p.isOp("*", "**") {
			p.fail("unpacking arguments with %s is not supported", p.cur().val)
		}
		a.pos = append(a.pos, p.expression())
	}
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
			x = callExpr{x, p.args()}
		default:
			return x
		}
	}
}

func (p *parser) filterChain() (fs []filterExpr) {
	for p.skipOp("|") {
		f := filterExpr{name: p.wantName()}
		for p.skipOp(".") {
			f.name += "." + p.wantName()
		}
		if p.skipOp("(") {
			f.args = p.args()
		}
		if filters[f.name] == nil {
			p.fail("unknown filter %q", f.name)
		}
		fs = append(fs, f)
	}
	return fs
}

func (p *parser) test(x expr) expr {
	negated := p.skipName("not")
	t := testExpr{in: x}
	switch {
	case p.cur().kind == tokName:
		t.name = p.next().val
	default:
		p.fail("expected the name of a test, found %s", p.cur())
	}
	if tests[t.name] == nil {
		p.fail("unknown test %q", t.name)
	}
	switch k := p.cur().kind; {
	case p.skipOp("("):
		t.args = p.args()
	case k == tokString || k == tokInt || k == tokFloat || p.isOp("[", "{"),
		k == tokName && !p.isName("else", "or", "and", "if", "in", "is", "not", "recursive"):
		t.args.pos = []expr{p.postfix(p.primary())}
	}
	if negated {
		return notExpr{t}
	}
	return t
}
