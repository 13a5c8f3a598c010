package server

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/eyelet-engine/eyelet/engine"
)

// anthropicMessage is a turn.
type anthropicMessage struct {
	Role    string          `json:"role"`
	Content anthropicBlocks `json:"content"`
}

// anthropicBlocks is content: a text alone is one block.
type anthropicBlocks []anthropicBlock

// anthropicBlock is a piece of content, of any type.
type anthropicBlock struct {
	Type      string           `json:"type"`
	Text      string           `json:"text"`
	Thinking  string           `json:"thinking"`
	Source    *anthropicSource `json:"source"`
	ID        string           `json:"id"`
	Name      string           `json:"name"`
	Input     json.RawMessage  `json:"input"`
	ToolUseID string           `json:"tool_use_id"`
	Content   anthropicBlocks  `json:"content"`
}

// anthropicSource is where a picture is.
type anthropicSource struct {
	Type string `json:"type"`
	Data string `json:"data"`
	URL  string `json:"url"`
}

// UnmarshalJSON implements [json.Unmarshaler].
func (b *anthropicBlocks) UnmarshalJSON(data []byte) error {
	switch {
	case bytes.HasPrefix(data, []byte(`"`)):
		*b = anthropicBlocks{{Type: "text"}}
		return json.Unmarshal(data, &(*b)[0].Text)
	case bytes.Equal(data, []byte("null")):
		*b = nil
		return nil
	}
	return json.Unmarshal(data, (*[]anthropicBlock)(b))
}

// plain is the text of blocks.
func (b anthropicBlocks) plain() string {
	var list []string
	for _, x := range b {
		if x.Type == "text" {
			list = append(list, x.Text)
		}
	}
	return strings.Join(list, "\n")
}

// anthropicPicture returns the picture of a block.
func (t *talk) anthropicPicture(b *anthropicBlock, param string) (engine.Content, error) {
	switch {
	case b.Source == nil:
		return engine.Content{}, refuseField(param, "%s has no source", param)
	case b.Source.Type == "base64":
		return t.number(param, func(name string) (*engine.Image, error) { return t.s.pictures.base64(b.Source.Data, name, param) })
	case b.Source.Type == "url":
		return t.picture(b.Source.URL, param)
	}
	return engine.Content{}, refuseField(param, "%s has a source of type %.40q; give base64 or url", param, b.Source.Type)
}

// anthropicTurns makes messages ready. Results of tools become messages of their own, ahead of what else the user says.
func (t *talk) anthropicTurns(messages []anthropicMessage) error {
	for i, msg := range messages {
		param := fmt.Sprintf("messages.%d", i)
		if msg.Role != "user" && msg.Role != "assistant" {
			return refuseField(param, "%s.role is %.40q; give user or assistant", param, msg.Role)
		}
		out := engine.Message{Role: msg.Role}
		var results []engine.Message
		for k := range msg.Content {
			b, at := &msg.Content[k], fmt.Sprintf("%s.content.%d", param, k)
			switch b.Type {
			case "text":
				out.Content = append(out.Content, engine.Text(b.Text))
			case "image":
				c, err := t.anthropicPicture(b, at)
				if err != nil {
					return err
				}
				out.Content = append(out.Content, c)
			case "thinking":
				out.Reasoning += b.Thinking
			case "redacted_thinking":
			case "tool_use":
				out.ToolCalls = append(out.ToolCalls, engine.ToolCall{ID: b.ID, Name: b.Name, Arguments: string(b.Input)})
			case "tool_result":
				result, pictures, err := t.anthropicResult(b, at)
				if err != nil {
					return err
				}
				results, out.Content = append(results, result), append(out.Content, pictures...)
			default:
				return refuseField(at, "%s is %.40q; this server takes text, images, tool_use and tool_result", at, b.Type)
			}
		}
		t.messages = append(t.messages, results...)
		if len(out.Content) > 0 || len(out.ToolCalls) > 0 {
			t.messages = append(t.messages, out)
		} else if len(results) == 0 {
			return refuseField(param, "%s has no content", param)
		}
	}
	return nil
}

// anthropicResult is what a tool returned; its pictures, which templates have no place for there, follow it.
func (t *talk) anthropicResult(b *anthropicBlock, param string) (engine.Message, []engine.Content, error) {
	var pictures []engine.Content
	for k := range b.Content {
		switch x := &b.Content[k]; x.Type {
		case "text":
		case "image":
			c, err := t.anthropicPicture(x, fmt.Sprintf("%s.content.%d", param, k))
			if err != nil {
				return engine.Message{}, nil, err
			}
			pictures = append(pictures, c)
		default:
			return engine.Message{}, nil, refuseField(param, "%s returns %.40q; this server takes text and images", param, x.Type)
		}
	}
	return engine.Message{Role: "tool", ToolCallID: b.ToolUseID, Name: t.nameOf(b.ToolUseID), Content: []engine.Content{engine.Text(b.Content.plain())}}, pictures, nil
}

// nameOf returns the name of the tool that an earlier call with an id was for.
func (t *talk) nameOf(id string) string {
	for i := len(t.messages) - 1; i >= 0; i-- {
		for _, c := range t.messages[i].ToolCalls {
			if c.ID == id {
				return c.Name
			}
		}
	}
	return ""
}
