package engine

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"math/big"
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
			messages[i] = withIDs(style, messages[i])
		}
		return messages, ctx.Err()
	}
	return plainTurns(messages, tools, m.picturesFirst()), nil
}

// withIDs gives calls and results ids that the template takes: Mistral's want nine letters or
// digits.
func withIDs(style reply.Style, msg chat.Message) chat.Message {
	if style.Calls != reply.List && style.Calls != reply.Named {
		return msg
	}
	msg.ToolCalls = slices.Clone(msg.ToolCalls)
	for i := range msg.ToolCalls {
		msg.ToolCalls[i].ID = shortID(msg.ToolCalls[i].ID)
	}
	if msg.Role == chat.Tool {
		msg.ToolCallID = shortID(msg.ToolCallID)
	}
	return msg
}

const letters = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// shortID makes nine letters and digits of any id, the same of the same.
func shortID(id string) string {
	if len(id) == 9 && strings.Trim(id, letters) == "" {
		return id
	}
	sum := sha256.Sum256([]byte(id))
	return new(big.Int).SetBytes(sum[:]).Text(62)[:9]
}

// newCallID makes an id for a call.
func newCallID() string { return "call_" + rand.Text()[:24] }

// plainTurns writes tools, calls and results as text, for a template that knows none of them.
// Pictures stay in the result that they are part of, or come ahead of it.
func plainTurns(messages []chat.Message, tools []Tool, picturesFirst bool) []chat.Message {
	var out []chat.Message
	if len(tools) > 0 {
		text := chat.Text(reply.Instructions(tools))
		if len(messages) > 0 && messages[0].Role == chat.System {
			first := messages[0]
			first.Content = append(slices.Clone(first.Content), chat.Text("\n\n"+text.Text))
			out, messages = append(out, first), messages[1:]
		} else {
			out = append(out, chat.Message{Role: chat.System, Content: []chat.Content{text}})
		}
	}
	// the last turn holds results, and what follows of the user joins it: many templates want turns
	// to alternate
	results := false
	for _, msg := range messages {
		isResult := msg.Role == chat.Tool
		switch {
		case isResult:
			msg = chat.Message{Role: chat.User, Content: plainResult(msg.Content)}
		case len(msg.ToolCalls) > 0:
			msg.Content = slices.Clone(msg.Content)
			for _, c := range msg.ToolCalls {
				msg.Content = append(msg.Content,
					chat.Text(ToolCall{Name: c.Name, Arguments: string(c.Arguments)}.Written()))
			}
			msg.ToolCalls = nil
		}
		if results && msg.Role == chat.User {
			last := &out[len(out)-1]
			if end := &last.Content[len(last.Content)-1]; !end.Image {
				end.Text += "\n"
			}
			last.Content = append(last.Content, msg.Content...)
		} else {
			out = append(out, msg)
			results = isResult
		}
		if last := &out[len(out)-1]; results && picturesFirst {
			last.Content = withPicturesFirst(last.Content)
		}
	}
	return out
}

// plainResult is what a tool returned as a user's turn has it.
func plainResult(content []chat.Content) []chat.Content {
	out := []chat.Content{chat.Text(reply.ReturnedOpen)}
	text := func(s string) { // texts join without anything between them
		if last := &out[len(out)-1]; last.Image {
			out = append(out, chat.Text(s))
		} else {
			last.Text += s
		}
	}
	for _, c := range content {
		if c.Image {
			out = append(out, c)
		} else {
			text(c.Text)
		}
	}
	text(reply.ReturnedClose)
	return out
}

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
