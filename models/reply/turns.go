package reply

import (
	"crypto/sha256"
	"math/big"
	"slices"
	"strings"

	"github.com/eyelet-engine/eyelet/models/chat"
)

// WithIDs returns a message whose calls and results have ids that the style's template takes:
// Mistral's want nine letters or digits.
func (s Style) WithIDs(msg chat.Message) chat.Message {
	if s.Calls != List && s.Calls != Named {
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

// PlainTurns returns a conversation with tools, calls and results written as text, for a template
// that knows none of them. Pictures stay in the result that they are part of, or come ahead of it.
func PlainTurns(messages []chat.Message, tools []Tool, picturesFirst bool) []chat.Message {
	var out []chat.Message
	if len(tools) > 0 {
		text := chat.Text(Instructions(tools))
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
					chat.Text(Call{Name: c.Name, Arguments: string(c.Arguments)}.Written()))
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
			last.Content = chat.PicturesFirst(last.Content)
		}
	}
	return out
}

// plainResult is what a tool returned as a user's turn has it.
func plainResult(content []chat.Content) []chat.Content {
	out := []chat.Content{chat.Text(returnedOpen)}
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
	text(returnedClose)
	return out
}
