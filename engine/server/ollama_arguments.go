package server

import (
	"bytes"
	"encoding/json"

	"github.com/ollama/ollama/api"
)

// exactArguments are the arguments of a call as they were written: Ollama's own type reads numbers as floats, which have 53 bits, and sorts the keys of
// inner objects.
type exactArguments struct{ api.ToolCallFunctionArguments }

// UnmarshalJSON implements [json.Unmarshaler].
func (a *exactArguments) UnmarshalJSON(data []byte) error {
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

// exactCall is Ollama's call with its arguments as they were written.
type exactCall struct {
	ID       string `json:"id"`
	Function struct {
		Index     int            `json:"index"`
		Name      string         `json:"name"`
		Arguments exactArguments `json:"arguments"`
	} `json:"function"`
}

// ollamaOwn are calls in Ollama's type.
func ollamaOwn(calls []exactCall) []api.ToolCall {
	var out []api.ToolCall
	for _, c := range calls {
		out = append(out, api.ToolCall{ID: c.ID, Function: api.ToolCallFunction{
			Index: c.Function.Index, Name: c.Function.Name, Arguments: c.Function.Arguments.ToolCallFunctionArguments,
		}})
	}
	return out
}
