package prompt

import (
	"github.com/eyelet-engine/eyelet/engine/multimodal"
	"github.com/eyelet-engine/eyelet/models/reply"
)

// Message is a turn of a conversation: role "system", "user", "assistant", "tool" or whatever the
// template knows.
type Message struct {
	Role    string
	Content []Content
	// KeepOrder leaves pictures between the texts where they stand, also for families that were
	// trained with pictures first, as LLaVA, which else get those of a turn ahead of its text.
	KeepOrder bool

	// of an assistant: its thoughts, which most templates leave out of turns that are over
	Reasoning  string
	ToolCalls  []ToolCall // of an assistant: the calls that it made
	ToolCallID string     // of a tool: the call that this answers
	Name       string     // of a tool: its name; else that of the speaker
}

// Content is a piece of a message: text, or a picture.
type Content struct {
	Text  string
	Image *multimodal.Image
}

// Tool is a function that a model may ask for. Parameters is the JSON schema of an object, empty
// for no parameters.
type Tool = reply.Tool

// ToolCall is a call that a model made. Arguments is a JSON object.
type ToolCall = reply.Call
