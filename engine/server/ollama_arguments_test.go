package server

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/engine/server/internal/answer"
	"github.com/eyelet-engine/eyelet/engine/server/internal/ollama"
)

// TestArgumentsOfCallsKeepTheirDigits sends numbers that a float cannot hold through Ollama's
// types, on the way in and out.
func TestArgumentsOfCallsKeepTheirDigits(t *testing.T) {
	const arguments = `{"n":18446744073709551617,"inner":{"z":1.0,"a":[9007199254740993]},"x":1e400}`
	var q ollama.ChatRequest
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
	set := answer.NewSet(1)
	set.Add(0, engine.Event{Done: &engine.Result{Finish: engine.FinishTools},
		Calls: []engine.CallDelta{{Name: "f", Arguments: arguments, Done: true}}})
	out, err := json.Marshal(ollama.NewChat(&q, time.Now(), 0).Document(set))
	if err != nil || !strings.Contains(string(out), `"arguments":`+arguments) {
		t.Errorf("out: %s %v", out, err)
	}
}
