package server

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/eyelet-engine/eyelet/engine"
)

// Functions are what OpenAI's API had before tools: one call in an answer, without an id. They are
// served as tools, and the answers to requests with functions have the shapes of then:
// https://platform.openai.com/docs/api-reference/chat/create, function_call and functions.

// calledFunction is a call in the shape of functions.
type calledFunction struct {
	Name      string `json:"name,omitempty"`
	Arguments string `json:"arguments"`
}

// usesFunctions reports whether a request names functions in the place of tools.
func (q *chatRequest) usesFunctions() bool { return len(q.Functions) > 0 }

// applyFunctions makes functions, and the choice among them, part of a request.
func (q *chatRequest) applyFunctions(r *engine.Request) error {
	choice := bytes.TrimSpace(q.FunctionCall)
	kind, isText := textOf(choice)
	if !q.usesFunctions() {
		if demandsNothing(choice) || kind == "none" || kind == "auto" {
			return nil
		}
		return refuseField("function_call",
			"function_call needs functions; the choice among tools is tool_choice")
	}
	if len(q.Tools) > 0 {
		return refuseField("functions", "functions and tools are both set; give tools alone")
	}
	if !demandsNothing(bytes.TrimSpace(q.ToolChoice)) {
		return refuseField("tool_choice",
			"tool_choice is for tools; the choice among functions is function_call")
	}
	for _, f := range q.Functions {
		r.Tools = append(r.Tools, engine.Tool{Name: f.Name, Description: f.Description,
			Parameters: f.Parameters})
	}
	r.SerialTools = true
	switch {
	case demandsNothing(choice), kind == "auto":
	case kind == "none":
		r.ToolChoice = engine.ToolsNone
	case isText:
		return refuseField("function_call",
			`function_call is %.40q; give none, auto or {"name": …}`, kind)
	default:
		var named struct{ Name string }
		if err := json.Unmarshal(choice, &named); err != nil || named.Name == "" {
			return refuseField("function_call",
				`function_call names no function; give none, auto or {"name": …}`)
		}
		r.ToolName = named.Name
	}
	return nil
}

// functionCall turns a call of a function in message number i into one of a tool; its id is made of
// the message's place, so that the prompt of a conversation that goes on begins as it did.
func functionCall(c *calledFunction, i int) engine.ToolCall {
	return engine.ToolCall{ID: fmt.Sprintf("function%d", i), Name: c.Name, Arguments: c.Arguments}
}

// functionResult fills in the call that a message of the role function answers: the last one of its
// name, or the last of all where it has none.
func (t *talk) functionResult(msg *engine.Message) {
	for i := len(t.messages) - 1; i >= 0; i-- {
		for _, c := range t.messages[i].ToolCalls {
			if msg.Name == "" || c.Name == msg.Name {
				msg.Name, msg.ToolCallID = c.Name, c.ID
				return
			}
		}
	}
}

// finishWord is why an answer ended, in the words that the request's kind of tools has.
func (q *chatRequest) finishWord(f engine.FinishReason) string {
	if q.usesFunctions() && f == engine.FinishTools {
		return "function_call"
	}
	return finishWords[f]
}
