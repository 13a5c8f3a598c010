package openai

import (
	"bytes"
	"cmp"
	"encoding/json"
)

// Message is a message of a chat completion.
type Message struct {
	Role    string  `json:"role"`
	Content Content `json:"content"`
	Name    string  `json:"name"`
	givenThoughts
	ToolCalls    []ToolCall      `json:"tool_calls"`
	ToolCallID   string          `json:"tool_call_id"`
	FunctionCall *CalledFunction `json:"function_call"` // of an assistant, before there were tools
}

// givenThoughts are the names under which clients hand thoughts back, in the order of transformers.
type givenThoughts struct {
	ReasoningContent looseText `json:"reasoning_content"`
	Thinking         looseText `json:"thinking"`
	Reasoning        looseText `json:"reasoning"`
}

// Thoughts returns what the assistant thought before it wrote the message.
func (m *Message) Thoughts() string {
	return string(cmp.Or(m.ReasoningContent, m.Thinking, m.Reasoning))
}

// looseText is a text in a field that some clients use for something else, which is passed over.
type looseText string

// UnmarshalJSON implements [json.Unmarshaler].
func (t *looseText) UnmarshalJSON(data []byte) error {
	if !bytes.HasPrefix(data, []byte(`"`)) {
		return nil
	}
	return json.Unmarshal(data, (*string)(t))
}

// ToolCall is a call of a tool in a message.
type ToolCall struct {
	Index    *int   `json:"index,omitempty"` // in streams
	ID       string `json:"id,omitempty"`
	Type     string `json:"type,omitempty"`
	Function struct {
		Name      string `json:"name,omitempty"`
		Arguments string `json:"arguments"`
	} `json:"function"`
}

// Content is what a message holds, part by part: a text alone is one part.
type Content []Part

// Part is a text, a picture, a sound or a file, in the words of chat completions or of responses.
type Part struct {
	Type     string   `json:"type"`
	Text     string   `json:"text"`
	Refusal  string   `json:"refusal"`
	ImageURL ImageURL `json:"image_url"`
	Detail   string   `json:"detail"` // of a picture, in responses
	File     File     `json:"file"`
	Sound    Sound    `json:"input_audio"`
	inlineFile
}

// inlineFile is a file in the part itself, as responses have it.
type inlineFile = File

// UnmarshalJSON implements [json.Unmarshaler].
func (c *Content) UnmarshalJSON(data []byte) error {
	switch {
	case bytes.HasPrefix(data, []byte(`"`)):
		*c = Content{{Type: "text"}}
		return json.Unmarshal(data, &(*c)[0].Text)
	case bytes.Equal(data, []byte("null")):
		*c = nil
		return nil
	}
	return json.Unmarshal(data, (*[]Part)(c))
}

// ImageURL is where a picture is: {"url": …, "detail": …}, or the address alone.
type ImageURL struct {
	URL    string `json:"url"`
	Detail string `json:"detail"`
}

// UnmarshalJSON implements [json.Unmarshaler].
func (u *ImageURL) UnmarshalJSON(data []byte) error {
	if bytes.HasPrefix(data, []byte(`"`)) {
		return json.Unmarshal(data, &u.URL)
	}
	type plain ImageURL
	return json.Unmarshal(data, (*plain)(u))
}

// PictureDetail returns how closely a picture is to be looked at.
func (p *Part) PictureDetail() string { return cmp.Or(p.ImageURL.Detail, p.Detail) }

// Sound is a sound of a message. What format it says does not matter: the bytes do.
type Sound struct {
	Data string `json:"data"` // in base64
}

// File is a file of a message: within "file" in chat completions, in the part itself in responses.
type File struct {
	Data string `json:"file_data"`
	URL  string `json:"file_url"`
	ID   string `json:"file_id"`
	Name string `json:"filename"`
}

// InlineFile returns the file that stands in the part itself.
func (p *Part) InlineFile() *File { return &p.inlineFile }
