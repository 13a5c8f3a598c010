package prompt

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/eyelet-engine/eyelet/engine/internal/fault"
	"github.com/eyelet-engine/eyelet/models/chat"
	"github.com/eyelet-engine/eyelet/models/reply"
)

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

// Callable returns the tools that the answer may call. Errors wrap engine's ErrRequest.
func (r *Request) Callable() ([]Tool, error) {
	switch r.ToolChoice {
	case ToolsAuto, ToolsRequired:
	case ToolsNone:
		if r.ToolName == "" {
			return nil, nil
		}
		fallthrough
	default:
		return nil, fmt.Errorf("%w: the choice of tools is %q with the tool %q", fault.ErrRequest,
			r.ToolChoice, r.ToolName)
	}
	if err := reply.CheckTools(r.Tools); err != nil {
		return nil, fmt.Errorf("%w: %w", fault.ErrRequest, err)
	}
	if r.ToolName == "" {
		return r.Tools, nil
	}
	i := slices.IndexFunc(r.Tools, func(t Tool) bool { return t.Name == r.ToolName })
	if i < 0 {
		return nil, fmt.Errorf("%w: there is no tool %q that could be called", fault.ErrRequest,
			r.ToolName)
	}
	return r.Tools[i : i+1], nil
}

// offerTools makes the template tell the model of its tools and of whether to think, or does so in
// its place. It returns the messages to render.
func (c *Composer) offerTools(ctx context.Context, messages []chat.Message, r *Request,
	options *chat.RenderOptions) ([]chat.Message, error) {
	tools, err := r.Callable()
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
	style := c.Dialogue.Style()
	if style.Native {
		if len(tools) > 0 {
			options.Tools = reply.ToolsJSON(tools)
		}
		for i := range messages {
			messages[i] = style.WithIDs(messages[i])
		}
		return messages, ctx.Err()
	}
	return reply.PlainTurns(messages, tools, c.picturesFirst()), nil
}

// opensThoughts reports whether the template ends with the mark that opens thoughts.
func (d *Dialogue) opensThoughts(parts []chat.Part) bool {
	if len(parts) == 0 || !parts[len(parts)-1].Special {
		return false
	}
	open := d.Style().Open
	return open != "" && strings.HasSuffix(strings.TrimRight(parts[len(parts)-1].Text, " \n"), open)
}

// prefill adds the beginning of an answer to a rendered conversation. Thoughts that the template
// has opened are closed first.
func (d *Dialogue) prefill(parts []chat.Part, text string) []chat.Part {
	if text == "" {
		return parts
	}
	if d.opensThoughts(parts) {
		parts = append(parts, chat.Part{Text: "\n" + d.Style().Close + "\n\n", Special: true})
	}
	return append(parts, chat.Part{Text: text})
}

// checkCalls finds calls in a conversation whose arguments are no JSON and no beginning of any.
func checkCalls(messages []Message) error {
	for i, msg := range messages {
		for _, c := range msg.ToolCalls {
			if _, ok := reply.Complete(c.Arguments); !ok {
				return fmt.Errorf("%w: message %d: the arguments of the call of %q are no JSON",
					fault.ErrRequest, i+1, c.Name)
			}
			if c.Name == "" {
				return fmt.Errorf("%w: message %d: a call names no tool", fault.ErrRequest, i+1)
			}
		}
	}
	return nil
}
