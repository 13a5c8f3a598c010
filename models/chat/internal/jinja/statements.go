package jinja

import (
	"slices"
	"strings"
)

// block parses statements up to one of the given end tags, which it enters, or to the end of the
// template.
func (p *parser) block(ends ...string) (body []stmt, end string) {
	p.enter()
	defer p.leave()
	for {
		t := p.next()
		switch t.kind {
		case tokEOF:
			if len(ends) > 0 {
				p.fail("end of template, expected %s", strings.Join(ends, " or "))
			}
			return body, ""
		case tokText:
			body = append(body, &textStmt{t.val})
		case tokVarBegin:
			x := p.tuple(p.expression, false)
			body = append(body, &printStmt{x, constant(x), t.line})
			p.want(tokVarEnd)
		case tokBlockBegin:
			if len(ends) > 0 && p.isName(ends...) {
				return body, p.next().val
			}
			body = append(body, p.statement()...)
		}
	}
}

// opens ends the opening tag of a block.
func (p *parser) opens() {
	p.skipOp(":")
	p.want(tokBlockEnd)
}

// body parses from the end of an opening tag to a lone end tag, and closes that. Below an if, only
// what stands directly there is soft.
func (p *parser) body(end string) []stmt {
	p.opens()
	b := p.hard(func() []stmt { b, _ := p.block(end); return b })
	p.want(tokBlockEnd)
	return b
}

// hard parses what is no longer directly below an if.
func (p *parser) hard(parse func() []stmt) []stmt {
	soft := p.soft
	p.soft = false
	b := parse()
	p.soft = soft
	return b
}

// function parses a body that is a function of its own: no loop around it can be left.
func (p *parser) function(end string) []stmt {
	loops := p.loops
	p.loops = 0
	b := p.body(end)
	p.loops = loops
	return b
}

func (p *parser) statement() []stmt {
	one := func(s stmt) []stmt { return []stmt{s} }
	line := p.cur().line
	name := p.wantName()
	switch name {
	case "if":
		return one(p.ifStmt(line))
	case "for":
		return one(p.forStmt(line))
	case "set":
		return one(p.setStmt(line))
	case "print":
		return p.printStmt(line)
	case "macro":
		m := &macroStmt{name: p.storeName()}
		p.wantOp("(")
		p.macroBody(m, true, "endmacro", nil)
		return one(m)
	case "call":
		return one(p.callStmt(line))
	case "filter":
		s := &filterStmt{line: line}
		p.at-- // filterChain starts at a bar
		p.toks[p.at] = token{tokOp, "|", line}
		p.hard(func() []stmt { s.filters = p.filterChain(); return nil })
		s.body = p.body("endfilter")
		return one(s)
	case "with":
		return one(p.withStmt(line))
	case "autoescape":
		s := &escapeStmt{on: p.expression(), line: line}
		s.body = p.body("endautoescape")
		return one(s)
	case "block":
		return one(p.blockStmt())
	case "generation":
		return one(&scopeStmt{p.function("endgeneration")})
	case "break", "continue":
		if p.loops == 0 {
			p.fail("%s stands outside a loop", name)
		}
		p.want(tokBlockEnd)
		if name == "break" {
			return one(breakStmt{})
		}
		return one(continueStmt{})
	case "include", "import", "from", "extends":
		return one(p.foreign(name, line))
	}
	p.fail("unknown tag %q", name)
	return nil
}

func (p *parser) printStmt(line int) (out []stmt) {
	for p.cur().kind != tokBlockEnd {
		if len(out) > 0 {
			p.wantOp(",")
		}
		x := p.expression()
		out = append(out, &printStmt{x, constant(x), line})
	}
	p.want(tokBlockEnd)
	return out
}

func (p *parser) ifStmt(line int) stmt {
	s := &ifStmt{line: line}
	soft := p.soft
	p.soft = true
	for {
		s.tests = append(s.tests, p.tuple(p.or, false))
		p.opens()
		body, end := p.block("elif", "else", "endif")
		s.bodies = append(s.bodies, body)
		if end == "elif" {
			continue
		}
		if end == "else" {
			p.opens()
			body, _ := p.block("endif")
			s.bodies = append(s.bodies, body)
		}
		p.want(tokBlockEnd)
		p.soft = soft
		return s
	}
}

func (p *parser) forStmt(line int) stmt {
	s := &forStmt{line: line, target: p.target(false, "in")}
	if !p.skipName("in") {
		p.fail("expected in, found %s", p.cur())
	}
	s.iter = p.tuple(p.or, false, "recursive")
	p.hard(func() []stmt {
		if p.skipName("if") {
			s.test = p.expression()
		}
		s.recursive = p.skipName("recursive")
		p.opens()
		p.loops++
		start := p.at
		var end string
		s.body, end = p.block("else", "endfor")
		p.loops--
		if end == "else" {
			p.opens()
			s.other, _ = p.block("endfor")
		}
		p.storesLoop(start)
		return nil
	})
	p.want(tokBlockEnd)
	if slices.Contains(s.target.names(nil), "loop") {
		p.fail("cannot assign to the loop variable")
	}
	return s
}

// storesLoop refuses what writes to the variable loop between a place and this one.
func (p *parser) storesLoop(from int) {
	for i := from; i+1 < p.at; i++ {
		if t := p.toks[i]; t.kind == tokName && t.val == "set" &&
			p.toks[i-1].kind == tokBlockBegin && p.toks[i+1].kind == tokName &&
			p.toks[i+1].val == "loop" {
			if n := p.toks[i+2]; n.kind != tokOp || n.val != "." {
				p.fail("cannot assign to the loop variable")
			}
		}
	}
}

// names are all names of a target.
func (t *target) names(to []string) []string {
	if t.name != "" && t.attr == "" {
		to = append(to, t.name)
	}
	for i := range t.many {
		to = t.many[i].names(to)
	}
	return to
}

func (p *parser) setStmt(line int) stmt {
	s := &setStmt{line: line, target: p.target(true)}
	if p.skipOp("=") {
		s.value = p.tuple(p.expression, false)
		p.want(tokBlockEnd)
		return s
	}
	p.hard(func() []stmt { s.filters = p.filterChain(); return nil })
	s.body = p.body("endset")
	return s
}

func (p *parser) withStmt(line int) stmt {
	s := &withStmt{line: line}
	for p.cur().kind != tokBlockEnd {
		if len(s.targets) > 0 {
			p.wantOp(",")
		}
		s.targets = append(s.targets, p.target(false))
		p.wantOp("=")
		s.values = append(s.values, p.expression())
	}
	s.body = p.body("endwith")
	return s
}

// callStmt is {% call(params) fn(args) %}: the block is a macro that fn finds as its caller.
func (p *parser) callStmt(line int) stmt {
	m := &macroStmt{}
	s := &callStmt{body: m, line: line}
	p.macroBody(m, p.skipOp("("), "endcall", func() {
		call, ok := p.expression().(*callExpr)
		if !ok {
			p.fail("call needs a call")
		}
		s.call = call
	})
	return s
}

// macroBody parses a macro's parameters, where it has them, what between parses, and the body.
func (p *parser) macroBody(m *macroStmt, params bool, end string, between func()) {
	p.macros = append(p.macros, m)
	if params {
		p.hard(func() []stmt { p.signature(m); return nil })
	}
	p.macros = p.macros[:len(p.macros)-1]
	m.caller, m.kwargs, m.varargs = false, false, false // the body counts
	if between != nil {
		between()
	}
	p.macros = append(p.macros, m)
	m.body = p.function(end)
	p.macros = p.macros[:len(p.macros)-1]
	for i, name := range m.params {
		switch name {
		case "kwargs":
			m.kwargs = false
		case "varargs":
			m.varargs = false
		case "caller":
			if m.caller && i < len(m.params)-len(m.defaults) {
				p.fail("the parameter caller needs a default")
			}
		}
		if slices.Contains(m.params[:i], name) {
			p.fail("the parameter %s stands twice", name)
		}
	}
}

func (p *parser) blockStmt() stmt {
	s := &blockStmt{name: p.wantName()}
	s.scoped = p.skipName("scoped")
	s.required = p.skipName("required")
	if p.blocks[s.name] != nil {
		p.fail("block %q defined twice", s.name)
	}
	p.blocks[s.name] = s
	loops := p.loops
	p.loops = 0
	p.opens()
	p.hard(func() []stmt { s.body, _ = p.block("endblock"); return nil })
	p.loops = loops
	for _, x := range s.body {
		if t, ok := x.(*textStmt); s.required && (!ok || strings.TrimFunc(t.text, isSpace) != "") {
			p.fail("required blocks can only contain comments or whitespace")
		}
	}
	p.skipName(s.name)
	p.want(tokBlockEnd)
	return s
}

// foreign parses a tag that reads another template. There is none: where it runs, it fails.
func (p *parser) foreign(name string, line int) stmt {
	p.expression()
	context := func() bool {
		if p.isName("with", "without") && p.peek().kind == tokName && p.peek().val == "context" {
			p.at += 2
			return true
		}
		return false
	}
	switch name {
	case "include":
		if p.isName("ignore") && p.peek().kind == tokName && p.peek().val == "missing" {
			p.at += 2
		}
		context()
	case "import":
		if !p.skipName("as") {
			p.fail("expected as, found %s", p.cur())
		}
		p.storeName()
		context()
	case "from":
		if !p.skipName("import") {
			p.fail("expected import, found %s", p.cur())
		}
		for n := 0; ; n++ {
			if n > 0 {
				p.wantOp(",")
			}
			if context() {
				break
			}
			if name := p.storeName(); strings.HasPrefix(name, "_") {
				p.fail("names that begin with an underscore cannot be imported")
			}
			if p.skipName("as") {
				p.storeName()
			}
			if context() || !p.isOp(",") {
				break
			}
		}
	}
	p.want(tokBlockEnd)
	return &foreignStmt{name, line}
}

// storeName is a name that may be assigned to.
func (p *parser) storeName() string {
	return p.storable(p.wantName())
}

func (p *parser) storable(name string) string {
	if slices.Contains([]string{"true", "false", "none", "True", "False", "None"}, name) {
		p.fail("cannot assign to %s", name)
	}
	return name
}

// target parses name, namespace.attribute where that is allowed, or several of them, with commas or
// in brackets.
func (p *parser) target(namespace bool, ends ...string) target {
	many, isTuple := elements(p, func() target { return p.oneTarget(namespace) }, ends)
	if !isTuple {
		if len(many) == 0 {
			p.fail("expected a name, found %s", p.cur())
		}
		return many[0]
	}
	return target{many: many, tup: true}
}

func (p *parser) oneTarget(namespace bool) target {
	if p.skipOp("(") {
		p.enter()
		defer p.leave()
		if p.skipOp(")") {
			return target{tup: true}
		}
		t := p.target(false)
		p.wantOp(")")
		return t
	}
	if p.isOp("[") {
		p.fail("cannot assign to a list")
	}
	t := target{name: p.wantName()}
	if namespace && p.isOp(".") {
		p.at++
		t.attr = p.wantName()
		return t
	}
	p.storable(t.name)
	return t
}

func (p *parser) signature(m *macroStmt) {
	for !p.skipOp(")") {
		if len(m.params) > 0 {
			p.wantOp(",")
			if p.skipOp(")") {
				p.fail("expected a name, found %q", ")")
			}
		}
		m.params = append(m.params, p.storeName())
		if p.skipOp("=") {
			m.defaults = append(m.defaults, p.expression())
		} else if len(m.defaults) > 0 {
			p.fail("parameter without default after one with")
		}
	}
}
