package jinja

import (
	"fmt"
	"slices"
	"strconv"
)

const (
	maxSource  = 1 << 20 // bytes of template; the largest in the wild are some 30 kB
	maxNesting = 200     // brackets, blocks and prefix operators inside one another
)

// Program is a parsed template. It is immutable and may be run by several goroutines at once.
type Program struct {
	body   []stmt
	blocks map[string]*blockStmt
}

// Parse reads a template. Its errors are of type [*Error] and name the line.
func Parse(source string) (_ *Program, err error) {
	if len(source) > maxSource {
		return nil, &Error{Msg: fmt.Sprintf("template of %d bytes is over the limit of %d",
			len(source), maxSource)}
	}
	defer func() {
		if r := recover(); r != nil {
			fault, ok := r.(*Error)
			if !ok {
				panic(r)
			}
			err = fault
		}
	}()
	p := &parser{toks: lex(source), blocks: map[string]*blockStmt{}}
	body, _ := p.block()
	for _, u := range p.unknown {
		if !u.soft {
			panic(&Error{Line: u.line, Msg: "there is no " + u.what})
		}
	}
	return &Program{body, p.blocks}, nil
}

// parser is a recursive descent over jinja2.parser's grammar. Its faults, and those of the lexer,
// travel as panics of *Error as far as Parse.
type parser struct {
	toks   []token
	at     int
	depth  int
	blocks map[string]*blockStmt
	macros []*macroStmt // around the current place
	loops  int          // around the current place, in the same function
	soft   bool         // below an if, with no other block between
	// unknown are the filters and tests that there are none of. Below an if they fail where they
	// run, elsewhere the template does not parse.
	unknown []unknownName
}

type unknownName struct {
	what string
	line int
	soft bool
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

// tupleEnds reports whether no further element follows a comma.
func (p *parser) tupleEnds(names ...string) bool {
	k := p.cur().kind
	return k == tokBlockEnd || k == tokVarEnd || p.isOp(")") || len(names) > 0 && p.isName(names...)
}

// tuple parses expressions split by commas; one alone is itself, and none at all only stands in
// brackets of its own.
func (p *parser) tuple(parse func() expr, brackets bool, ends ...string) expr {
	items, isTuple := elements(p, parse, ends)
	if !isTuple {
		if len(items) > 0 {
			return items[0]
		}
		if !brackets {
			p.fail("expected an expression, found %s", p.cur())
		}
	}
	return &listExpr{items, true}
}

// elements parses what is split by commas, and reports whether there is a comma.
func elements[T any](p *parser, parse func() T, ends []string) (items []T, isTuple bool) {
	for {
		if len(items) > 0 {
			p.wantOp(",")
		}
		if p.tupleEnds(ends...) {
			return items, isTuple
		}
		items = append(items, parse())
		if !p.isOp(",") {
			return items, isTuple
		}
		isTuple = true
	}
}
