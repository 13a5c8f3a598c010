package openai

import (
	"bytes"
	"encoding/json"
	"slices"

	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/engine/server/internal/failure"
	"github.com/eyelet-engine/eyelet/engine/server/internal/fields"
)

// Function is a function in a list of tools.
type Function struct {
	Name        string          `json:"name"`
	Description string          `json:"description"`
	Parameters  json.RawMessage `json:"parameters"`
	Strict      bool            `json:"strict"`
}

// applyChoice makes tool_choice part of a request.
func applyChoice(r *engine.Request, choice json.RawMessage, parallel *bool) error {
	r.SerialTools = parallel != nil && !*parallel
	choice = bytes.TrimSpace(choice)
	if len(choice) == 0 || string(choice) == "null" {
		return nil
	}
	if choice[0] == '"' {
		switch string(choice) {
		case `"auto"`:
		case `"none"`:
			r.ToolChoice = engine.ToolsNone
		case `"required"`:
			r.ToolChoice = engine.ToolsRequired
		default:
			return failure.Wrong("tool_choice", "is %.40s; give none, auto, required or a function",
				choice)
		}
		return nil
	}
	var named struct {
		Type     string
		Name     string
		Function struct{ Name string }
		allowedTools
		Allowed *allowedTools `json:"allowed_tools"` // in chat completions
	}
	err := json.Unmarshal(choice, &named)
	if err == nil && named.Type == "allowed_tools" {
		if named.Allowed == nil {
			named.Allowed = &named.allowedTools
		}
		return named.Allowed.apply(r)
	}
	if err != nil || named.Type != "function" || named.Name+named.Function.Name == "" {
		return failure.Wrong("tool_choice",
			`names no function; give {"type": "function", "function": {"name": …}}`)
	}
	r.ToolName = named.Name + named.Function.Name
	return nil
}

// allowedTools narrows the tools that may be called.
type allowedTools struct {
	Mode  string
	Tools []struct {
		Type     string
		Name     string
		Function struct{ Name string }
	}
}

// apply leaves the allowed tools in a request.
func (a *allowedTools) apply(r *engine.Request) error {
	switch a.Mode {
	case "", "auto":
	case "required":
		r.ToolChoice = engine.ToolsRequired
	default:
		return failure.Field("tool_choice", "tool_choice.mode is %.40q; give auto or required",
			a.Mode)
	}
	var tools []engine.Tool
	for _, t := range a.Tools {
		name := t.Name + t.Function.Name
		i := slices.IndexFunc(r.Tools, func(tool engine.Tool) bool { return tool.Name == name })
		if i < 0 {
			return failure.Wrong("tool_choice", "allows the tool %.60q, which is not among tools",
				name)
		}
		tools = append(tools, r.Tools[i])
	}
	if len(tools) == 0 {
		return failure.Wrong("tool_choice", "allows no tool; name some of tools, or give none")
	}
	r.Tools = tools
	return nil
}

// Functions are what OpenAI's API had before tools: one call in an answer, without an id. They are
// served as tools, and the answers to requests with functions have the shapes of then:
// https://platform.openai.com/docs/api-reference/chat/create, function_call and functions.

// CalledFunction is a call in the shape of functions.
type CalledFunction struct {
	Name      string `json:"name,omitempty"`
	Arguments string `json:"arguments"`
}

// usesFunctions reports whether a request names functions in the place of tools.
func (q *ChatRequest) usesFunctions() bool { return len(q.Functions) > 0 }

// applyFunctions makes functions, and the choice among them, part of a request.
func (q *ChatRequest) applyFunctions(r *engine.Request) error {
	choice := bytes.TrimSpace(q.FunctionCall)
	kind, isText := fields.String(choice)
	if !q.usesFunctions() {
		if fields.Missing(choice) || kind == "none" || kind == "auto" {
			return nil
		}
		return failure.Wrong("function_call",
			"needs functions; the choice among tools is tool_choice")
	}
	if len(q.Tools) > 0 {
		return failure.Wrong("functions", "and tools are both set; give tools alone")
	}
	if !fields.Missing(bytes.TrimSpace(q.ToolChoice)) {
		return failure.Wrong("tool_choice",
			"is for tools; the choice among functions is function_call")
	}
	for _, f := range q.Functions {
		r.Tools = append(r.Tools, engine.Tool{Name: f.Name, Description: f.Description,
			Parameters: f.Parameters})
	}
	r.SerialTools = true
	switch {
	case fields.Missing(choice), kind == "auto":
	case kind == "none":
		r.ToolChoice = engine.ToolsNone
	case isText:
		return failure.Wrong("function_call", `is %.40q; give none, auto or {"name": …}`, kind)
	default:
		var named struct{ Name string }
		if err := json.Unmarshal(choice, &named); err != nil || named.Name == "" {
			return failure.Wrong("function_call",
				`names no function; give none, auto or {"name": …}`)
		}
		r.ToolName = named.Name
	}
	return nil
}

// notAFunction refuses a tool, counted from 0, of another type.
func notAFunction(i int, kind string) error {
	return failure.Field("tools", "tool %d is of type %.40q; this server knows functions", i+1,
		kind)
}
