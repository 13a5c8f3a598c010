package jinja

import (
	"slices"
	"strings"
)

// block parses statements until one of the end tags, whose name it consumes and returns. With no end tags it runs to
// the end of the template.
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
			body = append(body, textStmt{t.val})
		case tokVarBegin:
			body = append(body, printStmt{p.tuple(true), t.line})
			p.want(tokVarEnd)
		case tokBlockBegin:
			if p.isName(ends...) {
				return body, p.next().val
			}
			body = append(body, p.statement())
		}
	}
}

// body parses to a lone end tag and closes it.
func (p *parser) body(end string) []stmt {
	b, _ := p.block(end)
	p.want(tokBlockEnd)
	return b
}

func (p *parser) statement() stmt {
	line := p.cur().line
	name := p.wantName()
	switch name {
	case "if":
		return p.ifStmt(line)
	case "for":
		return p.forStmt(line)
	case "set":
		return p.setStmt(line)
	case "macro":
		m := &macroStmt{name: p.wantName()}
		p.wantOp("(")
		p.signature(m)
		p.want(tokBlockEnd)
		m.body = p.body("endmacro")
		return m
	case "call":
		m := &macroStmt{name: "caller"}
		if p.skipOp("(") {
			p.signature(m)
		}
		call, ok := p.expression().(callExpr)
		if !ok {
			p.fail("call needs a call")
		}
		p.want(tokBlockEnd)
		m.body = p.body("endcall")
		return callStmt{call, m, line}
	case "filter":
		s := filterStmt{line: line}
		p.at-- // filterChain starts at a name
		p.toks[p.at] = token{tokOp, "|", line}
		s.filters = p.filterChain()
		p.want(tokBlockEnd)
		s.body = p.body("endfilter")
		return s
	case "with":
		s := withStmt{line: line}
		for p.cur().kind != tokBlockEnd {
			s.targets = append(s.targets, p.target(false))
			p.wantOp("=")
			s.values = append(s.values, p.expression())
			if !p.skipOp(",") {
				break
			}
		}
		p.want(tokBlockEnd)
		s.body = p.body("endwith")
		return s
	case "generation":
		p.want(tokBlockEnd)
		return scopeStmt{p.body("endgeneration")}
	case "break", "continue":
		p.want(tokBlockEnd)
		if name == "break" {
			return breakStmt{}
		}
		return continueStmt{}
	case "include", "import", "from", "extends", "block":
		p.fail("%s is refused: a chat template stands alone", name)
	}
	p.fail("unknown tag %q", name)
	return nil
}

func (p *parser) ifStmt(line int) stmt {
	s := ifStmt{line: line}
	for {
		s.tests = append(s.tests, p.tupleNoCond())
		p.want(tokBlockEnd)
		body, end := p.block("elif", "else", "endif")
		s.bodies = append(s.bodies, body)
		if end == "elif" {
			continue
		}
		p.want(tokBlockEnd)
		if end == "else" {
			s.bodies = append(s.bodies, p.body("endif"))
		}
		return s
	}
}

// tupleNoCond parses an if statement's test, where Jinja allows no inline if without brackets.
func (p *parser) tupleNoCond() expr { return p.tuple(false) }

func (p *parser) forStmt(line int) stmt {
	s := forStmt{line: line, target: p.target(true)}
	if !p.skipName("in") {
		p.fail("expected in, found %s", p.cur())
	}
	s.iter = p.tuple(false)
	if p.skipName("if") {
		s.test = p.expression()
	}
	s.recursive = p.skipName("recursive")
	p.want(tokBlockEnd)
	var end string
	s.body, end = p.block("else", "endfor")
	p.want(tokBlockEnd)
	if end == "else" {
		s.other = p.body("endfor")
	}
	return s
}

func (p *parser) setStmt(line int) stmt {
	s := setStmt{line: line, target: p.target(true)}
	if p.skipOp("=") {
		s.value = p.tuple(true)
		p.want(tokBlockEnd)
		return s
	}
	s.filters = p.filterChain()
	p.want(tokBlockEnd)
	s.body = p.body("endset")
	return s
}

// target parses name, name.attr, or (where tuples are allowed) several of them.
func (p *parser) target(tuples bool) target {
	one := func() target {
		if tuples && p.skipOp("(") {
			p.enter()
			t := p.target(true)
			p.leave()
			p.wantOp(")")
			return t
		}
		t := target{name: p.wantName()}
		if slices.Contains([]string{"true", "false", "none", "True", "False", "None"}, t.name) {
			p.fail("cannot assign to %s", t.name)
		}
		if p.skipOp(".") {
			t.attr = p.wantName()
		}
		return t
	}
	first := one()
	if !tuples || !p.isOp(",") {
		return first
	}
	many := []target{first}
	for p.skipOp(",") {
		if p.cur().kind != tokName && !p.isOp("(") || p.isName("in") {
			break
		}
		many = append(many, one())
	}
	return target{many: many}
}

func (p *parser) signature(m *macroStmt) {
	for !p.skipOp(")") {
		if len(m.params) > 0 {
			p.wantOp(",")
			if p.skipOp(")") {
				return
			}
		}
		m.params = append(m.params, p.wantName())
		if p.skipOp("=") {
			m.defaults = append(m.defaults, p.expression())
		} else if len(m.defaults) > 0 {
			p.fail("parameter without default after one with")
		}
	}
}
