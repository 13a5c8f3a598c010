package chat

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"text/template"
	syntax "text/template/parse"
	"time"
)

// Ollama's templates are written in the language of Go's text/template:
// https://github.com/ollama/ollama/blob/main/docs/template.mdx. They see .Messages, .System and
// .Tools, or are run once for each exchange with .System, .Prompt and .Response.

// Bounds of a run of a Go template, which can loop and call itself as it likes.
const (
	maxGoSource = 1 << 20
	maxGoSteps  = 1 << 20  // nodes of the template that run
	maxGoText   = 64 << 20 // bytes that functions make
)

// goTemplate is a template in the language of text/template.
type goTemplate struct {
	t        *template.Template
	messages bool // it sees .Messages; else it is run for each exchange
}

// ParseGo parses a template in Ollama's language. As in other templates, text from users is never
// taken for control tokens.
func ParseGo(source string, opts Options) (*Template, error) {
	if len(source) > maxGoSource {
		return nil, fmt.Errorf("chat template: %w: %d bytes", ErrLimit, len(source))
	}
	t, err := template.New("").Option("missingkey=zero").Funcs((&goRun{}).funcs()).Parse(source)
	if err != nil {
		return nil, fmt.Errorf("chat template: %w", err)
	}
	g := &goTemplate{t: t}
	response := false
	for _, x := range t.Templates() {
		if x.Tree == nil {
			continue
		}
		names(x.Root, func(name string) {
			g.messages = g.messages || name == "Messages"
			response = response || name == "Response"
		})
	}
	if t.Tree == nil || t.Root == nil {
		return nil, errors.New("chat template: it is empty")
	}
	if !g.messages && !response {
		t.Root.Nodes = append(t.Root.Nodes, snippet("{{ .Response }}"))
	}
	for _, x := range t.Templates() {
		if x.Tree != nil && x.Root != nil {
			watch(x.Root)
			x.Root.Nodes = slices.Insert(x.Root.Nodes, 0, stepOf(x.Root))
		}
	}
	return &Template{opts: opts, goTemplate: g}, nil
}

// stepOf counts the nodes of a list, those under them included, when they run.
func stepOf(list *syntax.ListNode) syntax.Node {
	return snippet(fmt.Sprintf("{{ _step %d }}", size(list)))
}

// size is how many nodes a list holds, those under them included.
func size(list *syntax.ListNode) int {
	if list == nil {
		return 0
	}
	n := 1
	for _, x := range list.Nodes {
		n++
		for _, b := range branches(x) {
			n += size(b)
		}
	}
	return n
}

// snippet parses one action.
func snippet(source string) syntax.Node {
	trees, err := syntax.Parse("", source, "", "", map[string]any{"_step": 0})
	if err != nil {
		panic(err) // the source is ours
	}
	return trees[""].Root.Nodes[0]
}

// branches are the lists of nodes under a node.
func branches(n syntax.Node) []*syntax.ListNode {
	switch n := n.(type) {
	case *syntax.IfNode:
		return []*syntax.ListNode{n.List, n.ElseList}
	case *syntax.WithNode:
		return []*syntax.ListNode{n.List, n.ElseList}
	case *syntax.RangeNode:
		return []*syntax.ListNode{n.List, n.ElseList}
	}
	return nil
}

// watch makes each turn of each loop under list count its nodes.
func watch(list *syntax.ListNode) {
	if list == nil {
		return
	}
	for _, n := range list.Nodes {
		for _, b := range branches(n) {
			watch(b)
		}
		if r, ok := n.(*syntax.RangeNode); ok {
			r.List.Nodes = slices.Insert(r.List.Nodes, 0, stepOf(r.List))
		}
	}
}

// names calls f with the name of each field that a list of nodes mentions.
func names(list *syntax.ListNode, f func(string)) {
	if list == nil {
		return
	}
	for _, n := range list.Nodes {
		fields(n, f)
		for _, b := range branches(n) {
			names(b, f)
		}
	}
}

// fields calls f with the name of each field in a node's own pipeline.
func fields(n syntax.Node, f func(string)) {
	each := func(names []string) {
		for _, name := range names {
			f(name)
		}
	}
	switch n := n.(type) {
	case *syntax.ActionNode:
		fields(n.Pipe, f)
	case *syntax.IfNode:
		fields(n.Pipe, f)
	case *syntax.WithNode:
		fields(n.Pipe, f)
	case *syntax.RangeNode:
		fields(n.Pipe, f)
	case *syntax.TemplateNode:
		if n.Pipe != nil {
			fields(n.Pipe, f)
		}
	case *syntax.PipeNode:
		for _, c := range n.Cmds {
			for _, a := range c.Args {
				fields(a, f)
			}
		}
	case *syntax.ChainNode:
		fields(n.Node, f)
		each(n.Field)
	case *syntax.FieldNode:
		each(n.Ident)
	case *syntax.VariableNode:
		each(n.Ident)
	}
}

// renderGo is Render for a Go template.
func (t *Template) renderGo(ctx context.Context, messages []Message,
	opts RenderOptions) ([]Part, error) {
	limit := opts.MaxOutput
	if limit <= 0 {
		limit = 16 << 20
	}
	run := &goRun{ctx: ctx, now: opts.Now, limit: limit}
	if run.now.IsZero() {
		run.now = time.Now()
	}
	if err := run.execute(t.goTemplate, messages, opts); err != nil {
		if run.stopped != nil {
			err = run.stopped
		}
		return nil, err
	}
	parts, seen, err := run.marks.parts(run.out.String())
	if err != nil {
		return nil, err
	}
	for i := range run.marks.images {
		if !seen[i] {
			return nil, fmt.Errorf("%w: image %d", ErrLost, i)
		}
	}
	return parts, nil
}

// goRun is one run of a template, and its bounds.
type goRun struct {
	ctx     context.Context
	now     time.Time
	limit   int // bytes of output
	steps   int
	made    int // bytes that functions made
	stopped error
	marks   marks
	out     strings.Builder
}

// Write implements io.Writer.
func (r *goRun) Write(p []byte) (int, error) {
	if r.out.Len()+len(p) > r.limit {
		r.stopped = fmt.Errorf("%w: more than %d bytes", ErrLimit, r.limit)
		return 0, r.stopped
	}
	return r.out.Write(p)
}

// step counts a turn of a loop or a call over n nodes.
func (r *goRun) step(n int) (string, error) {
	r.steps += n
	switch {
	case r.steps > maxGoSteps:
		r.stopped = fmt.Errorf("%w: more than %d steps", ErrLimit, maxGoSteps)
	case r.ctx.Err() != nil:
		r.stopped = context.Cause(r.ctx)
	}
	return "", r.stopped
}

// bounded counts what a function made.
func (r *goRun) bounded(s string) (string, error) {
	if r.made += len(s); r.made > maxGoText {
		return "", r.tooMuchText()
	}
	return s, nil
}

// tooMuchText returns the error of a run whose functions make too much text.
func (r *goRun) tooMuchText() error {
	r.stopped = fmt.Errorf("%w: functions make more than %d bytes", ErrLimit, maxGoText)
	return r.stopped
}

// print implements print and println. A short template can name one long text many times, so the
// length of the result is bounded before it is made.
func (r *goRun) print(sprint func(...any) string, a []any) (string, error) {
	n := 0
	for _, v := range a {
		if n += len(fmt.Sprint(v)); n > maxGoText-r.made {
			return "", r.tooMuchText()
		}
	}
	return r.bounded(sprint(a...))
}

// wideVerb finds a verb of printf with a width or precision that is longer than any template needs,
// or is an argument's.
var wideVerb = regexp.MustCompile(`%[^a-zA-Z%]*(\d{4}|\*)`)

// Bounds of what a verb of printf makes: maxVerb bytes by its width and precision, and verbFactor
// bytes for each byte of its argument in Go's syntax.
const (
	maxVerb    = 2000
	verbFactor = 8
)

// printf implements printf. As for print, the length is bounded before the result is made.
func (r *goRun) printf(format string, a ...any) (string, error) {
	if wideVerb.MatchString(format) {
		return "", errors.New("printf: a width or precision is 1000 or more, or an argument; give three digits at most")
	}
	longest, room := 0, maxGoText-r.made
	for _, v := range a {
		longest = max(longest, len(fmt.Sprintf("%#v", v)))
	}
	if verbs := strings.Count(format, "%"); verbs > 0 && verbFactor*longest+maxVerb > room/verbs {
		return "", r.tooMuchText()
	}
	return r.bounded(fmt.Sprintf(format, a...))
}

// funcs are the functions that templates of Ollama's can call. Those of text/template that make
// text are bounded, or taken away where they would change a text of which only a mark is seen.
func (r *goRun) funcs() template.FuncMap {
	gone := func(...any) (string, error) {
		return "", errors.New("the functions html, js and urlquery are for web pages")
	}
	return template.FuncMap{
		"_step":       r.step,
		"json":        func(v any) (string, error) { return r.bounded(asJSON(v)) },
		"currentDate": func(...string) string { return r.now.Format(time.DateOnly) },
		"yesterdayDate": func(...string) string {
			return r.now.AddDate(0, 0, -1).Format(time.DateOnly)
		},
		"toTypeScriptType": typeScript,
		"print":            func(a ...any) (string, error) { return r.print(fmt.Sprint, a) },
		"println":          func(a ...any) (string, error) { return r.print(fmt.Sprintln, a) },
		"printf":           r.printf,
		"slice":            slicePart,
		"html":             gone,
		"js":               gone,
		"urlquery":         gone,
	}
}

// slicePart returns a part of a list. It refuses texts: the template sees a mark in their place,
// which has no parts.
func slicePart(v any, at ...int) (any, error) {
	list := reflect.ValueOf(v)
	if list.Kind() != reflect.Slice {
		return nil, fmt.Errorf(
			"slice of %T; the template takes a text apart, which is not possible here", v)
	}
	from, to := 0, list.Len()
	switch len(at) {
	case 0:
	case 1:
		from = at[0]
	case 2:
		from, to = at[0], at[1]
	default:
		return nil, errors.New("slice takes two places at most")
	}
	if from < 0 || to < from || to > list.Len() {
		return nil, fmt.Errorf("slice from %d to %d of %d", from, to, list.Len())
	}
	return list.Slice(from, to).Interface(), nil
}

// execute runs the template over the whole conversation, or over each exchange.
func (r *goRun) execute(g *goTemplate, messages []Message, opts RenderOptions) error {
	v, err := r.values(messages, opts)
	if err != nil {
		return err
	}
	t, err := g.t.Clone()
	if err != nil {
		return err
	}
	t.Funcs(r.funcs())
	if g.messages {
		return t.Execute(r, v.all())
	}
	exchanges := v.exchanges()
	for i, x := range exchanges {
		if i == len(exchanges)-1 && opts.AddGenerationPrompt {
			// where the answer goes on, and nothing behind it
			x["Response"] = x["Response"].(string) + cutMark
		}
		if err := t.Execute(r, x); err != nil {
			return err
		}
	}
	text := r.out.String()
	if i := strings.Index(text, cutMark); i >= 0 {
		r.out.Reset()
		r.out.WriteString(text[:i])
	}
	return nil
}
