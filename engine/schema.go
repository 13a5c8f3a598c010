package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/eyelet-engine/eyelet/models/grammar"
	"github.com/eyelet-engine/eyelet/models/reply"
)

// constraint is what holds the answer: a schema, a grammar, the tools. answer is the schema of an
// answer that is no call, nil for none.
func (m *Model) constraint(ctx context.Context, r *Request,
	thinking bool) (held reply.Constraint, answer *grammar.Schema, err error) {
	tools, err := r.prompt().Callable()
	if err != nil {
		return held, nil, err
	}
	plan := reply.Plan{Tools: tools, Required: r.ToolChoice == ToolsRequired || r.ToolName != "",
		Serial: r.SerialTools, Answer: r.Grammar, Thinking: thinking}
	switch {
	case len(r.Schema) > 0:
		if answer, err = grammar.Compile(ctx, r.Schema,
			grammar.Options{Object: speaksOfObjects(r.Schema)}); err != nil {
			return held, nil, refusedSchema(ctx, "the JSON schema", err)
		}
		plan.Answer = answer.Grammar
	case r.Grammar != "":
		if err := grammar.Check(r.Grammar); err != nil {
			return held, nil, fmt.Errorf("%w: %w", ErrRequest, err)
		}
	}
	if len(tools) == 0 && plan.Answer == "" && !plan.Required {
		return held, nil, nil
	}
	style := m.dialogue.Style()
	if len(r.Messages) > 0 && r.Thinking != ThinkOff {
		plan.Thinks = style.Open != ""
	}
	if len(tools) == 0 && !plan.Required && !plan.Thinks && !plan.Thinking {
		held.GBNF = plan.Answer // as it was given
		return held, answer, nil
	}
	if held, err = style.Constrain(ctx, plan); err != nil {
		return held, nil, refusedSchema(ctx, "", err)
	}
	return held, answer, nil
}

// refusedSchema is an error about a schema, which is the request's fault unless the caller gave up.
func refusedSchema(ctx context.Context, what string, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if what != "" {
		return fmt.Errorf("%w: %s: %w", ErrRequest, what, err)
	}
	return fmt.Errorf("%w: %w", ErrRequest, err)
}

// speaksOfObjects reports whether a schema names properties and no type. As a whole answer, whoever
// writes one means an object; by the specification, texts and numbers would be valid as well.
func speaksOfObjects(schema []byte) bool {
	var root struct {
		Type       json.RawMessage `json:"type"`
		Properties json.RawMessage `json:"properties"`
	}
	return json.Unmarshal(schema, &root) == nil && root.Type == nil && root.Properties != nil
}

// schemaCheck checks an answer where its grammar does not carry all of its schema.
type schemaCheck struct {
	answer *grammar.Schema
	tools  map[string]*grammar.Schema
	strict map[string]bool
	text   strings.Builder // of the answer so far
}

// newSchemaCheck returns nil where there is nothing to check.
func newSchemaCheck(r *Request, held reply.Constraint, answer *grammar.Schema) *schemaCheck {
	c := &schemaCheck{tools: map[string]*grammar.Schema{}, strict: map[string]bool{}}
	if answer != nil && len(answer.Loose) > 0 {
		c.answer = answer
	}
	for _, t := range r.Tools {
		if s := held.Arguments[t.Name]; s != nil && len(s.Loose) > 0 {
			c.tools[t.Name], c.strict[t.Name] = s, t.Strict
		}
	}
	if c.answer == nil && len(c.tools) == 0 {
		return nil
	}
	return c
}

// push adds a piece of the answer.
func (c *schemaCheck) push(text string) {
	if c != nil && c.answer != nil {
		c.text.WriteString(text)
	}
}

// fatal reports whether an answer that is not valid may be an error: there is a schema of answers,
// or a strict tool.
func (c *schemaCheck) fatal() bool {
	if c == nil {
		return false
	}
	for _, strict := range c.strict {
		if strict {
			return true
		}
	}
	return c.answer != nil
}

// outcome judges a finished answer. It is nil where the answer has nothing that is checked. The
// error is one of ErrSchema.
func (c *schemaCheck) outcome(r *Result) (*SchemaCheck, error) {
	var checked *SchemaCheck
	judge := func(err error, fatal bool) error {
		if checked == nil {
			checked = &SchemaCheck{Valid: true}
		}
		if err == nil {
			return nil
		}
		err = fmt.Errorf("%w: %w", ErrSchema, err)
		checked.Valid, checked.Err = false, err
		if fatal {
			return err
		}
		return nil
	}
	for i, call := range r.Calls {
		s := c.tools[call.Name]
		if s == nil {
			continue
		}
		if r.Finish == FinishLength && i == len(r.Calls)-1 {
			_ = judge(errors.New("the call was cut off"), false)
			continue
		}
		if err := judge(s.Check([]byte(call.Arguments)), c.strict[call.Name]); err != nil {
			return checked, fmt.Errorf("the call of %q: %w", call.Name, err)
		}
	}
	if c.answer == nil || len(r.Calls) > 0 {
		return checked, nil
	}
	if r.Finish == FinishLength || r.StopText != "" {
		_ = judge(errors.New("the answer was cut off"), false)
		return checked, nil
	}
	return checked, judge(c.answer.Check([]byte(strings.TrimSpace(c.text.String()))), true)
}
