package server

import (
	"fmt"
	"strings"

	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/engine/server/internal/anthropic"
	"github.com/eyelet-engine/eyelet/engine/server/internal/failure"
)

// anthropicPicture returns the picture of a block.
func (t *talk) anthropicPicture(b *anthropic.Block, param string) (engine.Content, error) {
	switch {
	case b.Source == nil:
		return engine.Content{}, failure.Wrong(param, "has no source")
	case b.Source.Type == "base64":
		return t.number(param, func(name string) (*engine.Image, error) {
			return t.s.pictures.inline(b.Source.Data, name, param)
		})
	case b.Source.Type == "url":
		return t.picture(b.Source.URL, param)
	}
	return engine.Content{}, failure.Wrong(param, "has a source of type %.40q; give base64 or url",
		b.Source.Type)
}

// anthropicTurns makes messages ready. Results of tools become messages of their own, ahead of what
// else the user says.
func (t *talk) anthropicTurns(messages []anthropic.Message) error {
	for i, msg := range messages {
		param := fmt.Sprintf("messages.%d", i)
		if msg.Role != "user" && msg.Role != "assistant" && !isSystem(msg.Role) {
			return failure.Field(param, "%s.role is %.40q; give user or assistant", param, msg.Role)
		}
		out := engine.Message{Role: msg.Role}
		if isSystem(msg.Role) {
			out.Role = "system"
		}
		var results []engine.Message
		for k := range msg.Content {
			b, at := &msg.Content[k], fmt.Sprintf("%s.content.%d", param, k)
			switch b.Type {
			case "text":
				out.Content = append(out.Content, engine.Text(b.Text))
			case "image", "document":
				list, err := t.anthropicFile(b, at)
				if err != nil {
					return err
				}
				out.Content = append(out.Content, list...)
			case "thinking":
				out.Reasoning += b.Thinking
			case "redacted_thinking":
			case "tool_use":
				out.ToolCalls = append(out.ToolCalls, engine.ToolCall{ID: b.ID, Name: b.Name,
					Arguments: string(b.Input)})
			case "tool_result":
				result, err := t.anthropicResult(b, at)
				if err != nil {
					return err
				}
				results = append(results, result)
			default:
				return failure.Wrong(at,
					"is %.40q; this server takes text, images, documents, tool_use and tool_result",
					b.Type)
			}
		}
		t.messages = append(t.messages, results...)
		if len(out.Content) > 0 || len(out.ToolCalls) > 0 {
			t.messages = append(t.messages, out)
		} else if len(results) == 0 {
			return failure.Wrong(param, "has no content")
		}
	}
	return nil
}

// anthropicResult returns what a tool returned.
func (t *talk) anthropicResult(b *anthropic.Block, param string) (engine.Message, error) {
	content, err := t.anthropicContent(b.Content, param+".content", "returns")
	if err != nil {
		return engine.Message{}, err
	}
	if b.IsError {
		content = failedResult(content)
	}
	return engine.Message{Role: "tool", ToolCallID: b.ToolUseID, Name: t.nameOf(b.ToolUseID),
		Content: content}, nil
}

// failedResult tells the model that a call failed, for which templates have no word.
func failedResult(content []engine.Content) []engine.Content {
	if len(content) > 0 && content[0].Image == nil && strings.TrimSpace(content[0].Text) != "" {
		first := content[0].Text
		if !strings.HasPrefix(strings.ToLower(first), "error") {
			content[0].Text = "Error: " + first
		}
		return content
	}
	return append([]engine.Content{engine.Text("Error: the call failed.")}, content...)
}

// anthropicContent turns blocks of texts and pictures into the engine's content; texts that follow
// each other are lines. does says in errors what the owner of the blocks does with them.
func (t *talk) anthropicContent(blocks anthropic.Blocks, param,
	does string) ([]engine.Content, error) {
	var content []engine.Content
	for k := range blocks {
		at := fmt.Sprintf("%s.%d", param, k)
		switch x := &blocks[k]; x.Type {
		case "text":
			if n := len(content); n > 0 && content[n-1].Image == nil {
				content[n-1].Text += "\n" + x.Text
			} else {
				content = append(content, engine.Text(x.Text))
			}
		case "image", "document":
			list, err := t.anthropicFile(x, at)
			if err != nil {
				return nil, err
			}
			content = append(content, list...)
		default:
			return nil, failure.Wrong(at, "%s %.40q; this server takes text, images and documents",
				does, x.Type)
		}
	}
	return content, nil
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

// anthropicFile returns a picture as content, or a document: its title, what is said about it, and
// its text, its blocks or its pages.
func (t *talk) anthropicFile(b *anthropic.Block, param string) ([]engine.Content, error) {
	if b.Type == "image" {
		c, err := t.anthropicPicture(b, param)
		return []engine.Content{c}, err
	}
	var content []engine.Content
	if about := strings.TrimSpace(b.Title + "\n" + b.Context); about != "" {
		content = append(content, engine.Text(about+"\n"))
	}
	switch {
	case b.Source == nil:
		return nil, failure.Wrong(param, "has no source")
	case b.Source.Type == "text":
		return append(content, engine.Text(b.Source.Data)), nil
	case b.Source.Type == "content":
		inner, err := t.anthropicContent(b.Source.Content, param+".source.content", "is")
		return append(content, inner...), err
	case b.Source.Type == "file":
		return nil, failure.Wrong(param,
			"names a file by its id; this server keeps no files, so send it in base64")
	}
	c, err := t.anthropicPicture(b, param)
	return append(content, c), err
}
