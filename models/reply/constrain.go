package reply

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/eyelet-engine/eyelet/models/grammar"
)

// Plan says what an answer may be.
type Plan struct {
	Tools    []Tool // that may be called; none for an answer without calls
	Required bool   // there must be a call
	Serial   bool   // there may be only one
	// Answer is the grammar of an answer that is no call; empty for any text.
	Answer string
	// Thinks says that thoughts may come first, Thinking that the prompt has opened them.
	Thinks, Thinking bool
}

// Constraint holds an answer to a plan.
type Constraint struct {
	GBNF string // empty for no constraint
	// Trigger, a regular expression, is what the grammar waits for: text is free until it appears,
	// and held to the grammar from there on. Empty: the grammar holds from the start.
	Trigger string
	// Arguments are the schemas of the arguments of tools, by the tools' names.
	Arguments map[string]*grammar.Schema
	// Relaxed names the parts of schemas of tools that nothing holds.
	Relaxed []string
}

// Constrain makes the grammar of a plan. Errors name the tool whose schema is at fault.
func (s Style) Constrain(ctx context.Context, p Plan) (Constraint, error) {
	if len(p.Tools) == 0 && p.Required {
		return Constraint{}, errors.New("a call is required, and there are no tools")
	}
	if len(p.Tools) == 0 && p.Answer == "" {
		return Constraint{}, nil
	}
	parts := map[string]string{}
	var choices []string
	held := Constraint{Arguments: map[string]*grammar.Schema{}}
	if len(p.Tools) > 0 {
		calls, err := s.calls(ctx, p, parts, &held)
		if err != nil {
			return Constraint{}, err
		}
		if !p.Required && p.Answer == "" {
			// Grammars cost time with each token: none where text is free.
			held.GBNF, err = grammar.Combine(calls, parts)
			held.Trigger = s.trigger(p.Tools)
			return held, err
		}
		choices = append(choices, "( "+calls+" )")
	}
	if p.Answer != "" && !p.Required {
		parts["answer"] = p.Answer
		choices = append(choices, "answer")
	}
	root := strings.Join(choices, " | ")
	if p.Thinks || p.Thinking {
		parts["thoughts"] = grammar.Before(s.Close)
		before := `thoughts [ \n]{0,2}`
		if !p.Thinking {
			before = "( " + grammar.Literal(s.Open) + " " + before + " )?"
		}
		root = before + " ( " + root + " )"
	}
	var err error
	held.GBNF, err = grammar.Combine(root, parts)
	return held, err
}

// trigger is what the first call begins with.
func (s Style) trigger(tools []Tool) string {
	if open := s.Calls.open(); open != "" {
		return "(" + regexp.QuoteMeta(open) + ")"
	}
	// The text must be about to name one of the tools, or JSON that is meant as an answer would be
	// taken for a call.
	var names []string
	for _, t := range tools {
		names = append(names, regexp.QuoteMeta(t.Name))
	}
	return `^\s*(\{\s*"name"\s*:\s*"(?:` + strings.Join(names, "|") + `)")`
}

// moreCalls is how many calls may follow the first one: a weak model that is held to calls would go
// on making them.
const moreCalls = "{0,15}"

// calls is the body of a rule for calls; what it names is added to parts, and the schemas to held.
func (s Style) calls(ctx context.Context, p Plan, parts map[string]string,
	held *Constraint) (string, error) {
	var bodies []string
	for i, t := range p.Tools {
		schema, err := t.schema()
		if err != nil {
			return "", fmt.Errorf("tool %q: %w", t.Name, err)
		}
		name := fmt.Sprintf("arguments-%d", i)
		compiled, err := grammar.Compile(ctx, schema, grammar.Options{Relax: !t.Strict})
		if err != nil {
			return "", fmt.Errorf("tool %q: its parameters: %w", t.Name, err)
		}
		parts[name], held.Arguments[t.Name] = compiled.Grammar, compiled
		for _, r := range compiled.Relaxed {
			held.Relaxed = append(held.Relaxed, fmt.Sprintf("tool %q: %s", t.Name, r))
		}
		bodies = append(bodies, s.call(t.Name, name))
	}
	call := "( " + strings.Join(bodies, " | ") + " )"
	open := ""
	if o := s.Calls.open(); o != "" {
		open = grammar.Literal(o)
	}
	switch s.Calls {
	case Tagged:
		return p.calls(open+` "\n"? `+call+` "\n"? `+grammar.Literal(tagClose), `"\n"? `), nil
	case List:
		return open + ` " "? "[" ` + p.calls(call, `"," " "? `) + ` "]"`, nil
	case Named:
		return p.calls(open+" "+call, ""), nil
	}
	return call, nil // Llama 3 makes one call at a time
}

// calls is the body of a rule for one call, and, unless there may be only one, for more with
// between before each.
func (p *Plan) calls(call, between string) string {
	if p.Serial {
		return call
	}
	return call + " ( " + between + call + " )" + moreCalls
}

// call spells the call of a tool whose arguments a rule describes.
func (s Style) call(tool, arguments string) string {
	switch s.Calls {
	case Named:
		return grammar.Literal(tool+argsMark) + " " + arguments
	case Bare:
		// Blanks are as the model was shown them, and as the trigger lets them be.
		return `"{" [ \n]{0,2} "\"name\"" " "? ":" " "? ` + grammar.Literal(quote(tool)) +
			` ", \"parameters\": " ` + arguments + ` "}"`
	}
	return grammar.Literal(`{"name": `+quote(tool)+`, "arguments": `) + " " + arguments + ` "}"`
}
