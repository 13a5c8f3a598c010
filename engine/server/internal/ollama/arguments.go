package ollama

import (
	"bytes"
	"encoding/json"

	"github.com/ollama/ollama/api"

	"github.com/eyelet-engine/eyelet/engine/server/internal/failure"
	"github.com/eyelet-engine/eyelet/engine/server/internal/fields"
	"github.com/eyelet-engine/eyelet/models/reply"
)

// arguments are those of a call as they were written: Ollama's own type reads numbers
// as floats, which have 53 bits, and sorts the keys of inner objects.
type arguments struct{ api.ToolCallFunctionArguments }

// UnmarshalJSON implements [json.Unmarshaler].
func (a *arguments) UnmarshalJSON(data []byte) error {
	d := json.NewDecoder(bytes.NewReader(data))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return a.ToolCallFunctionArguments.UnmarshalJSON(data) // says what is wrong with it
	}
	a.ToolCallFunctionArguments = api.NewToolCallFunctionArguments()
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return err
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return err
		}
		a.Set(key.(string), value)
	}
	return nil
}

// Call is a call whose arguments are an object, or a text that holds one, as in OpenAI's API.
type Call struct {
	ID       string `json:"id"`
	Function struct {
		Index     int             `json:"index"`
		Name      string          `json:"name"`
		Arguments json.RawMessage `json:"arguments"`
	} `json:"function"`
}

// Own returns the call in Ollama's own type; param names the field of its arguments in errors.
func (c *Call) Own(param string) (api.ToolCall, error) {
	out := api.ToolCall{ID: c.ID, Function: api.ToolCallFunction{Index: c.Function.Index,
		Name: c.Function.Name}}
	raw := c.Function.Arguments
	text, ok := fields.String(raw)
	if ok || fields.Missing(raw) {
		if text, ok = reply.Complete(text); !ok {
			return out, failure.Wrong(param, "is a text that holds no JSON; give an object")
		}
		raw = json.RawMessage(text)
	}
	var exact arguments
	if !fields.IsObject(raw) || exact.UnmarshalJSON(raw) != nil {
		return out, failure.Wrong(param, "is no object")
	}
	out.Function.Arguments = exact.ToolCallFunctionArguments
	return out, nil
}
