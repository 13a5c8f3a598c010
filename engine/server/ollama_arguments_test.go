package server

import (
	"encoding/json"
	"testing"

	"github.com/eyelet-engine/eyelet/engine"
)

// TestArgumentsOfCallsKeepTheirDigits sends numbers that a float cannot hold through Ollama's
// types, on the way in and out.
func TestArgumentsOfCallsKeepTheirDigits(t *testing.T) {
	const arguments = `{"n":18446744073709551617,"inner":{"z":1.0,"a":[9007199254740993]},"x":1e400}`
	var q ollamaChatRequest
	body := `{"model":"m","messages":[{"role":"assistant","content":"","tool_calls":[{"function":{"name":"f","arguments":` + arguments + `}}]}]}`
	if err := decodeJSON([]byte(body), &q); err != nil {
		t.Fatal(err)
	}
	messages, err := (&Server{}).conversation(&q)
	if err != nil {
		t.Fatal(err)
	}
	if got := ollamaCalls(messages[0].ToolCalls)[0].Arguments; got != arguments {
		t.Errorf("in: %s", got)
	}
	whole := callJoiner{}.push([]engine.CallDelta{{Name: "f", Arguments: arguments, Done: true}})
	out, err := json.Marshal(whole)
	if err != nil || len(whole) != 1 || whole[0].Function.Arguments.String() != arguments {
		t.Errorf("out: %s %v", out, err)
	}
}
