package chat

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// A Go template never sees what users wrote: it sees marks, whose letters no text has, and which
// are exchanged for the texts when the template is done. So nothing that a user writes is taken for
// the template's own words, and a picture is known by its mark.
const (
	markOpen, markClose = "\uFDD0", "\uFDD1"
	cutMark             = markOpen + "C" + markClose
)

// markPattern finds marks: T for a text, J for a text inside of JSON, I for a picture. Numbers have
// one width, so that marks sort as they were made.
var markPattern = regexp.MustCompile(markOpen + `([TJI])(\d{8})` + markClose)

// marks are the texts and pictures of a conversation.
type marks struct {
	texts  []string
	images int
}

// text marks a text. An empty one is empty for the template too.
func (m *marks) text(s string) string {
	if s == "" {
		return ""
	}
	m.texts = append(m.texts, s)
	return fmt.Sprintf("%sT%08d%s", markOpen, len(m.texts)-1, markClose)
}

// image marks the next picture.
func (m *marks) image() string {
	m.images++
	return fmt.Sprintf("%sI%08d%s", markOpen, m.images-1, markClose)
}

// parts exchanges marks for what they stand for.
func (m *marks) parts(out string) (parts []Part, seen map[int]bool, err error) {
	seen = map[int]bool{}
	add := func(s string, special bool) {
		if n := len(parts); s != "" && n > 0 && parts[n-1].Kind == KindText &&
			parts[n-1].Special == special {
			parts[n-1].Text += s
		} else if s != "" {
			parts = append(parts, Part{Text: s, Special: special})
		}
		if special && strings.ContainsAny(s, markOpen+markClose) {
			err = fmt.Errorf("the template takes a text apart, which is not possible here")
		}
	}
	at := 0
	for _, x := range markPattern.FindAllStringSubmatchIndex(out, -1) {
		add(out[at:x[0]], true)
		at = x[1]
		n, convErr := strconv.Atoi(out[x[4]:x[5]])
		switch kind := out[x[2]:x[3]]; {
		case convErr != nil, kind == "I" && n >= m.images, kind != "I" && n >= len(m.texts):
			return nil, nil, fmt.Errorf("the template writes a mark of this program's own")
		case kind == "I":
			if !seen[n] {
				parts = append(parts, Part{Kind: KindImage, Image: n})
			}
			seen[n] = true
		case kind == "J":
			quoted, err := json.Marshal(m.texts[n])
			if err != nil {
				return nil, nil, err
			}
			add(string(quoted[1:len(quoted)-1]), false)
		default:
			add(m.texts[n], false)
		}
	}
	add(out[at:], true)
	return parts, seen, err
}

// asJSON writes a value as JSON, in which marks stand for texts inside of JSON.
func asJSON(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	return markPattern.ReplaceAllStringFunc(string(data), func(mark string) string {
		return strings.Replace(mark, "T", "J", 1)
	})
}

// What templates see. Names are Ollama's.
type (
	goMessage struct {
		Role, Content, Thinking string
		Images                  []string
		ToolCalls               []goCall
		ToolName, ToolCallID    string
	}
	goCall struct {
		ID       string     `json:"id,omitempty"`
		Function goFunction `json:"function"`
	}
	goFunction struct {
		Index     int      `json:"index"`
		Name      string   `json:"name"`
		Arguments goObject `json:"arguments"`
	}
	// goObject is a JSON object that templates walk over, or print as JSON.
	goObject map[string]any
	goTools  []goTool
	goTool   struct {
		Type     string         `json:"type"`
		Function goToolFunction `json:"function"`
	}
	goToolFunction struct {
		Name        string       `json:"name"`
		Description string       `json:"description"`
		Parameters  goParameters `json:"parameters"`
	}
	goParameters struct {
		Type       string       `json:"type"`
		Required   []string     `json:"required,omitempty"`
		Properties goProperties `json:"properties"`
	}
	goProperties map[string]goProperty
	goProperty   struct {
		Type        goTypes  `json:"type,omitempty"`
		Items       any      `json:"items,omitempty"`
		Description string   `json:"description,omitempty"`
		Enum        []any    `json:"enum,omitempty"`
		Required    []string `json:"required,omitempty"`
		Properties  goObject `json:"properties,omitempty"`
	}
	goTypes []string
)

func (o goObject) String() string       { return asJSON(o) }
func (t goTools) String() string        { return asJSON(t) }
func (t goTool) String() string         { return asJSON(t) }
func (f goToolFunction) String() string { return asJSON(f) }
func (p goParameters) String() string   { return asJSON(p) }
func (p goProperties) String() string   { return asJSON(p) }
func (t goTypes) String() string {
	if len(t) == 1 {
		return t[0]
	}
	return fmt.Sprint([]string(t))
}

// MarshalJSON writes one type as a text, as schemas do.
func (t goTypes) MarshalJSON() ([]byte, error) {
	if len(t) == 1 {
		return json.Marshal(t[0])
	}
	return json.Marshal([]string(t))
}

// typeScript is a property's type in the words of TypeScript.
func typeScript(p goProperty) string {
	words := map[string]string{"string": "string", "number": "number", "integer": "number",
		"boolean": "boolean", "array": "any[]", "object": "Record<string, any>", "null": "null"}
	var list []string
	for _, t := range p.Type {
		word, ok := words[t]
		if !ok {
			word = "any"
		}
		list = append(list, word)
	}
	if len(list) == 0 {
		return "any"
	}
	return strings.Join(list, " | ")
}

// goConversation is a conversation as templates see it.
type goConversation struct {
	messages []*goMessage
	system   string
	tools    goTools
	think    bool
	thinkSet bool
}

// values marks a conversation. Neighbours of one role become one message, but for results of tools,
// as in Ollama.
func (r *goRun) values(messages []Message, opts RenderOptions) (*goConversation, error) {
	v := &goConversation{}
	var systems []string
	for i, msg := range messages {
		if !plainRole.MatchString(string(msg.Role)) {
			return nil, messageError(i,
				fmt.Errorf("the role %.40q has other characters than letters, - and _", msg.Role))
		}
		m := &goMessage{Role: string(msg.Role), Thinking: r.marks.text(msg.Reasoning),
			ToolName: r.marks.text(msg.Name), ToolCallID: r.marks.text(msg.ToolCallID)}
		for _, c := range msg.Content {
			if c.Image {
				mark := r.marks.image()
				m.Images, m.Content = append(m.Images, mark), m.Content+mark
				continue
			}
			m.Content += r.marks.text(c.Text)
		}
		for k, call := range msg.ToolCalls {
			arguments, err := r.arguments(call)
			if err != nil {
				return nil, messageError(i, toolError(call.Name, err))
			}
			m.ToolCalls = append(m.ToolCalls, goCall{ID: r.marks.text(call.ID),
				Function: goFunction{Index: k, Name: r.marks.text(call.Name),
					Arguments: arguments}})
		}
		if msg.Role == System {
			systems = append(systems, m.Content)
		}
		if n := len(v.messages); n > 0 && v.messages[n-1].Role == m.Role && msg.Role != Tool {
			last := v.messages[n-1]
			last.Content += "\n\n" + m.Content
			last.Images, last.ToolCalls = append(last.Images, m.Images...),
				append(last.ToolCalls, m.ToolCalls...)
			continue
		}
		v.messages = append(v.messages, m)
	}
	v.system = strings.Join(systems, "\n\n")
	if on, ok := opts.Extra["enable_thinking"].(bool); ok {
		v.think, v.thinkSet = on, true
	}
	return v, r.tools(v, opts.Tools)
}

// arguments are a call's, with all texts marked.
func (r *goRun) arguments(call ToolCall) (goObject, error) {
	raw := call.Arguments
	if len(raw) == 0 {
		return goObject{}, nil
	}
	var text string
	if json.Unmarshal(raw, &text) == nil {
		raw = json.RawMessage(text)
	}
	var v map[string]any
	if err := unmarshalExact(raw, &v); err != nil {
		return nil, err
	}
	return r.marked(v, 0).(map[string]any), nil
}

// unmarshalExact is json.Unmarshal with numbers as they are written, where their type is open.
func unmarshalExact(data []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("more than one JSON value")
	}
	return nil
}

// marked marks all texts in a JSON value, the keys of objects too.
func (r *goRun) marked(v any, depth int) any {
	if depth > maxMarkedDepth {
		return nil
	}
	switch v := v.(type) {
	case string:
		return r.marks.text(v)
	case []any:
		for i := range v {
			v[i] = r.marked(v[i], depth+1)
		}
	case map[string]any:
		out := map[string]any{}
		for _, key := range slices.Sorted(maps.Keys(v)) {
			out[r.marks.text(key)] = r.marked(v[key], depth+1)
		}
		return out
	}
	return v
}

const maxMarkedDepth = 64

// schemaWord is what is printed of a schema as it is: names of types.
var schemaWord = regexp.MustCompile(`^[a-z]{1,16}$`)

// tools marks the tools of a conversation.
func (r *goRun) tools(v *goConversation, tools any) error {
	if tools == nil {
		return nil
	}
	data, err := json.Marshal(tools)
	if err != nil {
		return fmt.Errorf("tools: %w", err)
	}
	if err := unmarshalExact(data, &v.tools); err != nil {
		return fmt.Errorf("tools: %w", err)
	}
	for i := range v.tools {
		t := &v.tools[i]
		t.Type = "function"
		f := &t.Function
		f.Name, f.Description = r.marks.text(f.Name), r.marks.text(f.Description)
		f.Parameters.Type = r.word(f.Parameters.Type)
		for k, name := range f.Parameters.Required {
			f.Parameters.Required[k] = r.marks.text(name)
		}
		properties := goProperties{}
		// the order in which templates walk over maps
		for _, name := range slices.Sorted(maps.Keys(f.Parameters.Properties)) {
			p := f.Parameters.Properties[name]
			for k := range p.Type {
				p.Type[k] = r.word(p.Type[k])
			}
			for k := range p.Enum {
				p.Enum[k] = r.marked(p.Enum[k], 0)
			}
			for k := range p.Required {
				p.Required[k] = r.marks.text(p.Required[k])
			}
			p.Description, p.Items = r.marks.text(p.Description), r.marked(p.Items, 0)
			if len(p.Properties) > 0 {
				p.Properties = r.marked(map[string]any(p.Properties), 0).(map[string]any)
			}
			properties[r.marks.text(name)] = p
		}
		f.Parameters.Properties = properties
	}
	return nil
}

func (r *goRun) word(s string) string {
	if schemaWord.MatchString(s) {
		return s
	}
	return r.marks.text(s)
}

// UnmarshalJSON reads a type, or a list of them.
func (t *goTypes) UnmarshalJSON(data []byte) error {
	var one string
	if json.Unmarshal(data, &one) == nil {
		*t = goTypes{one}
		return nil
	}
	return json.Unmarshal(data, (*[]string)(t))
}

// all are the variables of a template that sees messages.
func (v *goConversation) all() map[string]any {
	return map[string]any{"System": v.system, "Messages": v.messages, "Tools": v.tools,
		"Response": "", "Think": v.think, "ThinkLevel": v.level(), "IsThinkSet": v.thinkSet}
}

func (v *goConversation) level() string {
	if v.think {
		return "medium"
	}
	return ""
}

// exchanges are the variables of each run of a template that sees a prompt and its response.
func (v *goConversation) exchanges() []map[string]any {
	var list []map[string]any
	var system, prompt, response string
	next := func() {
		list = append(list, map[string]any{"System": system, "Prompt": prompt, "Response": response,
			"Think": v.think, "ThinkLevel": v.level(), "IsThinkSet": v.thinkSet})
		system, prompt, response = "", "", ""
	}
	for _, m := range v.messages {
		switch m.Role {
		case "system":
			if prompt != "" || response != "" {
				next()
			}
			system = m.Content
		case "user":
			if response != "" {
				next()
			}
			prompt = m.Content
		case "assistant":
			response = m.Content
		}
	}
	next()
	return list
}
