package server

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"

	"github.com/eyelet-engine/eyelet/engine"
)

// openaiMessage is a message of a chat completion.
type openaiMessage struct {
	Role    string        `json:"role"`
	Content openaiContent `json:"content"`
	Name    string        `json:"name"`
	openaiThoughts
	ToolCalls    []openaiToolCall `json:"tool_calls"`
	ToolCallID   string           `json:"tool_call_id"`
	FunctionCall *calledFunction  `json:"function_call"` // of an assistant, before there were tools
}

// openaiThoughts are the names under which clients hand thoughts back, in the order of
// transformers.
type openaiThoughts struct {
	Content   looseText `json:"reasoning_content"`
	Thinking  looseText `json:"thinking"`
	Reasoning looseText `json:"reasoning"`
}

func (t *openaiThoughts) text() string { return string(cmp.Or(t.Content, t.Thinking, t.Reasoning)) }

// looseText is a text in a field that some clients use for something else, which is passed over.
type looseText string

// UnmarshalJSON implements [json.Unmarshaler].
func (t *looseText) UnmarshalJSON(data []byte) error {
	if !bytes.HasPrefix(data, []byte(`"`)) {
		return nil
	}
	return json.Unmarshal(data, (*string)(t))
}

// openaiToolCall is a call in a message.
type openaiToolCall struct {
	Index    *int   `json:"index,omitempty"` // in streams
	ID       string `json:"id,omitempty"`
	Type     string `json:"type,omitempty"`
	Function struct {
		Name      string `json:"name,omitempty"`
		Arguments string `json:"arguments"`
	} `json:"function"`
}

// openaiContent are the parts of a message: a text alone is one.
type openaiContent []openaiPart

// openaiPart is a text, a picture or a file, in the words of chat completions or of responses.
type openaiPart struct {
	Type     string         `json:"type"`
	Text     string         `json:"text"`
	Refusal  string         `json:"refusal"`
	ImageURL openaiImageURL `json:"image_url"`
	Detail   string         `json:"detail"` // of a picture, in responses
	File     openaiFile     `json:"file"`
	Sound    openaiSound    `json:"input_audio"`
	openaiFile
}

// UnmarshalJSON implements [json.Unmarshaler].
func (c *openaiContent) UnmarshalJSON(data []byte) error {
	switch {
	case bytes.HasPrefix(data, []byte(`"`)):
		part := openaiPart{Type: "text"}
		*c = openaiContent{part}
		return json.Unmarshal(data, &(*c)[0].Text)
	case bytes.Equal(data, []byte("null")):
		*c = nil
		return nil
	}
	return json.Unmarshal(data, (*[]openaiPart)(c))
}

// openaiImageURL is where a picture is: {"url": …, "detail": …}, or the address alone.
type openaiImageURL struct {
	URL    string `json:"url"`
	Detail string `json:"detail"`
}

// UnmarshalJSON implements [json.Unmarshaler].
func (u *openaiImageURL) UnmarshalJSON(data []byte) error {
	if bytes.HasPrefix(data, []byte(`"`)) {
		return json.Unmarshal(data, &u.URL)
	}
	type plain openaiImageURL
	return json.Unmarshal(data, (*plain)(u))
}

// detail is how closely a picture is to be looked at.
func (p *openaiPart) detail() string { return cmp.Or(p.ImageURL.Detail, p.Detail) }

// openaiSound is a sound of a message's. What format it says does not matter: the bytes do.
type openaiSound struct {
	Data string `json:"data"` // in base64
}

// sound returns the sound of a part.
func (t *talk) sound(s *openaiSound, param string) (engine.Content, error) {
	if s.Data == "" {
		return engine.Content{}, refuseField(param+".data",
			"%s has no data; send a WAV, MP3 or FLAC file in base64", param)
	}
	return t.number(param, func(name string) (*engine.Image, error) {
		image, err := t.s.pictures.inline(s.Data, name, param+".data")
		if err == nil && !image.IsSound() {
			err = refuseField(param+".data", "%s.data is no sound that is known: WAV, MP3 or FLAC",
				param)
		}
		return image, err
	})
}

// isSystem reports whether a role of OpenAI's is what models know as system.
func isSystem(role string) bool { return role == "system" || role == "developer" }

// content turns the parts of a message into the engine's.
func (t *talk) content(parts openaiContent, param string) ([]engine.Content, error) {
	var out []engine.Content
	for i, p := range parts {
		at := fmt.Sprintf("%s[%d]", param, i)
		switch p.Type {
		case "text", "input_text", "output_text":
			out = append(out, engine.Text(p.Text))
		case "refusal":
			out = append(out, engine.Text(p.Refusal))
		case "image_url", "input_image":
			if p.ID != "" && p.ImageURL.URL == "" {
				return nil, refuseField(at+".file_id",
					"%s names a picture by its id; this server keeps no files, so send image_url",
					at)
			}
			c, err := t.picture(p.ImageURL.URL, at+".image_url")
			if err != nil {
				return nil, err
			}
			if c.Image.Tokens, err = detailBudget(p.detail(), at); err != nil {
				return nil, err
			}
			out = append(out, c)
		case "file", "input_file":
			f := &p.openaiFile
			if p.Type == "file" {
				f, at = &p.File, at+".file"
			}
			c, err := t.file(f, at)
			if err != nil {
				return nil, err
			}
			out = append(out, c)
		case "input_audio":
			c, err := t.sound(&p.Sound, at+".input_audio")
			if err != nil {
				return nil, err
			}
			out = append(out, c)
		case "":
			return nil, refuseField(at, "%s has no type; give text or image_url", at)
		default:
			return nil, refuseField(at,
				"%s is %.40q; this server takes text, pictures, sounds and PDF files", at, p.Type)
		}
	}
	return out, nil
}

// openaiTalk makes the messages of a chat completion ready.
func (s *Server) openaiTalk(t *talk, messages []openaiMessage) error {
	for i, msg := range messages {
		param := fmt.Sprintf("messages[%d]", i)
		out := engine.Message{Role: msg.Role, Reasoning: msg.openaiThoughts.text(),
			ToolCallID: msg.ToolCallID, Name: msg.Name}
		switch msg.Role {
		case "system", "user", "assistant", "tool":
		case "developer":
			out.Role = "system"
		case "function":
			out.Role = "tool"
		default:
			return refuseField(param+".role",
				"%s.role is %.40q; give system, developer, user, assistant or tool", param,
				msg.Role)
		}
		if msg.Role == "function" {
			t.functionResult(&out)
		}
		var err error
		if out.Content, err = t.content(msg.Content, param+".content"); err != nil {
			return err
		}
		for _, c := range msg.ToolCalls {
			out.ToolCalls = append(out.ToolCalls, engine.ToolCall{ID: c.ID, Name: c.Function.Name,
				Arguments: c.Function.Arguments})
		}
		if msg.FunctionCall != nil {
			out.ToolCalls = append(out.ToolCalls, functionCall(msg.FunctionCall, i))
		}
		if len(out.Content) == 0 && len(out.ToolCalls) == 0 {
			if out.Role == "user" {
				return refuseField(param+".content",
					"%s.content is missing; give a text or a list of parts", param)
			}
			out.Content = []engine.Content{engine.Text("")}
		}
		t.messages = append(t.messages, out)
	}
	return s.withPages(t.ctx, t.messages)
}
