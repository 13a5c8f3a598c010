package reply

import (
	"context"
	"encoding/json"
	"regexp"
	"strings"

	"github.com/eyelet-engine/eyelet/models/chat"
)

// Calls is how a model writes calls of tools.
type Calls string

// The ways of writing calls; see the package comment.
const (
	Tagged Calls = "tagged"
	Bare   Calls = "bare"
	List   Calls = "list"
	Named  Calls = "named"
)

// Style is how a model writes what is not plain text.
type Style struct {
	Calls Calls
	// Native says that the model's template tells it of tools, calls and results itself.
	Native bool
	// Open and Close stand around thoughts; empty for a model that is not known to think.
	Open, Close string
	// Switch says that the template has a switch for thinking, the variable enable_thinking.
	Switch bool
}

// open is what calls begin with; empty where they have no mark.
func (c Calls) open() string {
	switch c {
	case Tagged:
		return tagOpen
	case List, Named:
		return listOpen
	}
	return ""
}

const (
	tagOpen, tagClose = "<tool_call>", "</tool_call>"
	listOpen          = "[TOOL_CALLS]"
	argsMark          = "[ARGS]"
)

// Marks are the texts that set thoughts and calls off. Some are control tokens, which a decoder
// would otherwise leave out.
func (s Style) Marks() []string {
	var marks []string
	for _, m := range []string{s.Open, s.Close, s.Calls.open()} {
		if m != "" {
			marks = append(marks, m)
		}
	}
	switch s.Calls {
	case Tagged:
		marks = append(marks, tagClose)
	case Named:
		marks = append(marks, argsMark)
	}
	return marks
}

// What Detect looks for: names that no template has by itself.
const probeTool, probeCall, probeResult = "probe_offered", "probe_called", "probe_returned"

// shapesOfCalls tell the styles apart by what a template makes of a call.
var shapesOfCalls = []struct {
	calls Calls
	shape *regexp.Regexp
}{
	{Tagged, regexp.MustCompile(`<tool_call>\s*\{\s*"name"\s*:\s*"` + probeCall +
		`"\s*,\s*"arguments"\s*:\s*\{`)},
	{List, regexp.MustCompile(`\[TOOL_CALLS\]\s*\[\s*\{\s*"name"\s*:\s*"` + probeCall +
		`"\s*,\s*"arguments"\s*:\s*\{`)},
	{Named, regexp.MustCompile(`\[TOOL_CALLS\]\s*` + probeCall + `\[ARGS\]\s*\{`)},
	{Bare, regexp.MustCompile(`[^\[,]\s*\{\s*"name"\s*:\s*"` + probeCall +
		`"\s*,\s*"parameters"\s*:\s*\{`)},
}

// Detect finds the style of a template, of which source is the text.
func Detect(ctx context.Context, t *chat.Template, source string) Style {
	s := Style{Calls: Tagged, Switch: strings.Contains(source, "enable_thinking")}
	for _, marks := range [][2]string{{"<think>", "</think>"}, {"[THINK]", "[/THINK]"}} {
		if strings.Contains(source, marks[0]) || strings.Contains(source, marks[1]) {
			s.Open, s.Close = marks[0], marks[1]
			break
		}
	}
	if s.Switch && s.Open == "" {
		s.Open, s.Close = "<think>", "</think>"
	}
	const id = "probe0001" // nine letters and digits, as Mistral's templates demand
	messages := []chat.Message{
		{Role: chat.User, Content: []chat.Content{chat.Text("probe")}},
		{Role: chat.Assistant, ToolCalls: []chat.ToolCall{{ID: id, Name: probeCall,
			Arguments: json.RawMessage(`{"probe": "x"}`)}}},
		{Role: chat.Tool, Content: []chat.Content{chat.Text(probeResult)}, ToolCallID: id,
			Name: probeCall},
		{Role: chat.User, Content: []chat.Content{chat.Text("probe")}},
	}
	// Mistral's templates tell of tools before the last message of a user only, Llama's before the
	// first.
	for _, messages := range [][]chat.Message{messages, messages[:3]} {
		parts, err := t.Render(ctx, messages,
			chat.RenderOptions{Tools: ToolsJSON([]Tool{{Name: probeTool,
				Parameters: json.RawMessage(`{"type":"object","properties":{}}`)}})})
		if err != nil {
			continue
		}
		var b strings.Builder
		for _, p := range parts {
			b.WriteString(p.Text)
		}
		text := b.String()
		if !strings.Contains(text, probeTool) || !strings.Contains(text, probeResult) {
			continue
		}
		for _, shape := range shapesOfCalls {
			if shape.shape.MatchString(text) {
				s.Calls, s.Native = shape.calls, true
				return s
			}
		}
	}
	return s
}
