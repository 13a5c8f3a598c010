package engine

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"

	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/models/chat"
	"github.com/eyelet-engine/eyelet/models/reply"
)

// Tool is a function that a model may ask for. Parameters is the JSON schema of an object, empty
// for no parameters.
type Tool = reply.Tool

// ToolCall is a call that a model made. Arguments is a JSON object.
type ToolCall = reply.Call

// CallDelta is a piece of a call. Events of one call have the same Index; the first has its ID and
// Name.
type CallDelta struct {
	Index     int
	ID        string
	Name      string
	Arguments string // what is added to the arguments
	Done      bool   // the arguments are whole
}

// ToolChoice says whether a model calls tools.
type ToolChoice string

// Choices. The zero value leaves it to the model.
const (
	ToolsAuto     ToolChoice = ""
	ToolsNone     ToolChoice = "none"     // no call; the model is not told of the tools
	ToolsRequired ToolChoice = "required" // at least one call
)

// Thinking says whether a model thinks before it answers.
type Thinking string

// Choices of thinking. The zero value leaves it to the template.
const (
	ThinkAsUsual Thinking = ""
	ThinkOn      Thinking = "on"
	ThinkOff     Thinking = "off"
)

// style is what answers of the model mean beside their text, found once.
func (m *Model) style() reply.Style {
	m.styled.Do(func() {
		m.replies.Calls = reply.Tagged
		if m.dialogue.template != nil {
			m.replies = reply.Detect(context.Background(), m.dialogue.template, m.dialogue.text)
		}
	})
	return m.replies
}

// Thinks reports whether the model's template knows thoughts.
func (m *Model) Thinks() bool { return m.style().Open != "" }

// tools are those that the answer may call.
func (r *Request) tools() ([]Tool, error) {
	switch r.ToolChoice {
	case ToolsAuto, ToolsRequired:
	case ToolsNone:
		if r.ToolName == "" {
			return nil, nil
		}
		fallthrough
	default:
		return nil, fmt.Errorf("%w: the choice of tools is %q with the tool %q", ErrRequest,
			r.ToolChoice, r.ToolName)
	}
	if err := reply.CheckTools(r.Tools); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRequest, err)
	}
	if r.ToolName == "" {
		return r.Tools, nil
	}
	i := slices.IndexFunc(r.Tools, func(t Tool) bool { return t.Name == r.ToolName })
	if i < 0 {
		return nil, fmt.Errorf("%w: there is no tool %q that could be called", ErrRequest,
			r.ToolName)
	}
	return r.Tools[i : i+1], nil
}

// offerTools makes the template tell the model of its tools and of whether to think, or does so in
// its place. It returns the messages to render.
func (m *Model) offerTools(ctx context.Context, messages []chat.Message, r *Request,
	options *chat.RenderOptions) ([]chat.Message, error) {
	tools, err := r.tools()
	if err != nil {
		return nil, err
	}
	if r.Thinking != ThinkAsUsual {
		options.Extra = map[string]any{"enable_thinking": r.Thinking == ThinkOn,
			"thinking": r.Thinking == ThinkOn}
	}
	spoken := slices.ContainsFunc(messages, func(msg chat.Message) bool {
		return len(msg.ToolCalls) > 0 || msg.Role == chat.Tool
	})
	if len(tools) == 0 && !spoken {
		return messages, nil
	}
	style := m.style()
	if style.Native {
		if len(tools) > 0 {
			options.Tools = reply.ToolsJSON(tools)
		}
		for i := range messages {
			messages[i] = style.WithIDs(messages[i])
		}
		return messages, ctx.Err()
	}
	return reply.PlainTurns(messages, tools, m.picturesFirst()), nil
}

// newCallID makes an id for a call.
func newCallID() string { return "call_" + rand.Text()[:24] }

// opensThoughts reports whether the template ends with the mark that opens thoughts.
func (m *Model) opensThoughts(parts []chat.Part) bool {
	if len(parts) == 0 || !parts[len(parts)-1].Special {
		return false
	}
	open := m.style().Open
	return open != "" && strings.HasSuffix(strings.TrimRight(parts[len(parts)-1].Text, " \n"), open)
}

// understand makes the answer ready to be taken apart, where there may be more than text.
func (a *answer) understand(thinking bool) {
	if len(a.request.Messages) == 0 {
		return
	}
	style := a.model.style()
	tools := len(a.request.Tools) > 0 && a.request.ToolChoice != ToolsNone
	if !tools && style.Open == "" {
		return
	}
	a.parser = style.NewParser(tools, thinking)
	a.marks = map[llama.Token]string{}
	for _, mark := range style.Marks() {
		if t, ok := a.model.dialogue.special[mark]; ok {
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

// checkCalls finds calls in a conversation whose arguments are no JSON and no beginning of any.
func checkCalls(messages []Message) error {
	for i, msg := range messages {
		for _, c := range msg.ToolCalls {
			if _, ok := reply.Complete(c.Arguments); !ok {
				return fmt.Errorf("%w: message %d: the arguments of the call of %q are no JSON",
					ErrRequest, i+1, c.Name)
			}
			if c.Name == "" {
				return fmt.Errorf("%w: message %d: a call names no tool", ErrRequest, i+1)
			}
		}
	}
	return nil
}
