package engine

import (
	"crypto/rand"

	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/engine/prompt"
)

// Tool is a function that a model may ask for.
type Tool = prompt.Tool

// ToolCall is a call that a model made.
type ToolCall = prompt.ToolCall

// ToolChoice says whether a model calls tools, and Thinking whether it thinks before it answers.
type (
	ToolChoice = prompt.ToolChoice
	Thinking   = prompt.Thinking
)

// Choices. The zero values leave it to the model and to its template.
const (
	ToolsAuto     = prompt.ToolsAuto
	ToolsNone     = prompt.ToolsNone     // no call; the model is not told of the tools
	ToolsRequired = prompt.ToolsRequired // at least one call

	ThinkAsUsual = prompt.ThinkAsUsual
	ThinkOn      = prompt.ThinkOn
	ThinkOff     = prompt.ThinkOff
)

// CallDelta is a piece of a call. Events of one call have the same Index; the first has its ID and
// Name.
type CallDelta struct {
	Index     int
	ID        string
	Name      string
	Arguments string // what is added to the arguments
	Done      bool   // the arguments are whole
}

// Thinks reports whether the model's template knows thoughts.
func (m *Model) Thinks() bool { return m.dialogue.Style().Open != "" }

// newCallID makes an id for a call.
func newCallID() string { return "call_" + rand.Text()[:24] }

// understand makes the answer ready to be taken apart, where there may be more than text.
func (a *answer) understand(thinking bool) {
	if len(a.request.Messages) == 0 {
		return
	}
	style := a.model.dialogue.Style()
	tools := len(a.request.Tools) > 0 && a.request.ToolChoice != ToolsNone
	if !tools && style.Open == "" {
		return
	}
	a.parser = style.NewParser(tools, thinking)
	a.marks = map[llama.Token]string{}
	for _, mark := range style.Marks() {
		if t, ok := a.model.dialogue.Control(mark); ok {
			a.marks[t] = mark
		}
	}
}

// interpret fills in what a piece of text means.
func (a *answer) interpret(e *Event, text string) {
	if a.parser == nil {
		e.Text = text
		return
	}
	d := a.parser.Push(text)
	e.Text, e.Reasoning = d.Text, d.Reasoning
	for _, c := range d.Calls {
		out := CallDelta{Index: c.Index, Name: c.Name, Arguments: c.Arguments, Done: c.Done}
		if c.Name != "" {
			out.ID = newCallID()
			a.result.Calls = append(a.result.Calls, ToolCall{ID: out.ID, Name: c.Name})
		}
		a.result.Calls[c.Index].Arguments += c.Arguments
		if c.Done {
			a.whole++
		}
		e.Calls = append(e.Calls, out)
	}
}
