package chat

import (
	"encoding/json"
	"regexp"

	"github.com/eyelet-engine/eyelet/models/chat/internal/jinja"
)

// Role names the author of a message. Templates know the four below; others pass through for those
// that know more.
type Role string

// The roles that chat templates have in common.
const (
	System    Role = "system"
	User      Role = "user"
	Assistant Role = "assistant"
	Tool      Role = "tool"
)

// Content is one item of a message: a text or the place of a picture.
type Content struct {
	Image bool   // a picture stands here; Text is ignored
	Text  string // UTF-8
}

// Text returns a text item.
func Text(s string) Content { return Content{Text: s} }

// Image returns a picture's place. Pictures are numbered in reading order over all messages.
func Image() Content { return Content{Image: true} }

// ToolCall is a call that the assistant made. Templates see it in OpenAI's shape:
// {"id": …, "type": "function", "function": {"name": …, "arguments": …}}.
type ToolCall struct {
	ID   string
	Name string
	// a JSON object, whose key order is kept; a JSON string passes as a string
	Arguments json.RawMessage
}

// Message is one turn.
type Message struct {
	Role    Role
	Content []Content
	// the assistant's thoughts; templates see them as reasoning_content and as thinking
	Reasoning  string
	ToolCalls  []ToolCall // assistant: the calls made
	ToolCallID string     // tool: the call that this answers
	Name       string     // tool: the function's name; else the speaker's
}

var plainRole = regexp.MustCompile(`^[A-Za-z][A-Za-z_-]*$`)

// shape is a way to hand content to the template.
type shape uint8

const (
	shapeString shape = iota // content is a string
	shapeMixed               // a list in messages with pictures, else a string
	shapeList                // content is a list of typed items
)

// placeholder is what a template reads where a picture stands in a string. It is the token of
// LLaVA, which templates that look for one expect. Its letters alone mean nothing: a picture is
// known by its span's source.
const placeholder = "<image>"

// conversation is messages made ready for a template, with what is needed to judge the result.
type conversation struct {
	list   *jinja.List
	images int
	texts  []int32 // the data indexes of the texts that have more than whitespace
}

// values builds the messages variable.
func values(messages []Message, sh shape) (*conversation, error) {
	c := &conversation{list: &jinja.List{}}
	index := int32(0) // of texts, from 1; 0 is all other data
	for i, m := range messages {
		role := data(string(m.Role))
		if plainRole.MatchString(string(m.Role)) {
			role = jinja.NewText(string(m.Role), jinja.Source{})
		}
		asList := sh == shapeList && len(m.Content) > 0
		var items []jinja.Text
		var typed []jinja.Value
		for _, part := range m.Content {
			kind, item := "text", jinja.Text{}
			if part.Image {
				kind = "image"
				asList = asList || sh == shapeMixed
				item = jinja.NewText(placeholder, jinja.Source{Kind: jinja.Image,
					Index: int32(c.images)})
				c.images++
			} else {
				index++
				item = jinja.NewText(part.Text, jinja.Source{Kind: jinja.Data, Index: index})
				if !blank(part.Text) {
					c.texts = append(c.texts, index)
				}
			}
			items = append(items, item)
			d := jinja.NewDict("type", jinja.NewText(kind, jinja.Source{}))
			if kind == "image" {
				d.Image = int32(c.images)
			} else {
				d.Set("text", item)
			}
			typed = append(typed, d)
		}
		d := &jinja.Dict{}
		// under both names and in these places, as transformers' _alias_reasoning_fields
		if m.Reasoning != "" {
			d.Set("thinking", data(m.Reasoning))
		}
		d.Set("role", role)
		if asList {
			d.Set("content", &jinja.List{Items: typed, Marked: true})
		} else {
			d.Set("content", joinItems(items))
		}
		if err := addFields(d, m); err != nil {
			return nil, messageError(i, err)
		}
		c.list.Items = append(c.list.Items, d)
	}
	return c, nil
}

// addFields sets what only some messages have; templates ask whether it is defined.
func addFields(d *jinja.Dict, m Message) error {
	if m.Reasoning != "" {
		d.Set("reasoning_content", data(m.Reasoning))
	}
	if len(m.ToolCalls) > 0 {
		calls := &jinja.List{}
		for _, tc := range m.ToolCalls {
			args := jinja.Value(jinja.NewDict())
			if len(tc.Arguments) > 0 {
				var err error
				if args, err = jinja.FromJSON(tc.Arguments); err != nil {
					return toolError(tc.Name, err)
				}
			}
			call := jinja.NewDict()
			if tc.ID != "" {
				call.Set("id", data(tc.ID))
			}
			call.Set("type", jinja.NewText("function", jinja.Source{}))
			call.Set("function", jinja.NewDict("name", data(tc.Name), "arguments", args))
			calls.Items = append(calls.Items, call)
		}
		d.Set("tool_calls", calls)
	}
	if m.ToolCallID != "" {
		d.Set("tool_call_id", data(m.ToolCallID))
	}
	if m.Name != "" {
		d.Set("name", data(m.Name))
	}
	return nil
}

func data(s string) jinja.Text { return jinja.NewText(s, jinja.Source{Kind: jinja.Data}) }

// joinItems makes one string of a message's items: a newline between neighbours unless whitespace
// is there.
func joinItems(items []jinja.Text) jinja.Text {
	var parts []jinja.Text
	prev := ""
	for _, t := range items {
		s := t.String()
		if s == "" {
			continue
		}
		if prev != "" && !spaceAtEnd(prev) && !spaceAtStart(s) {
			parts = append(parts, jinja.NewText("\n", jinja.Source{}))
		}
		parts = append(parts, t)
		prev = s
	}
	return jinja.Concat(parts...)
}
