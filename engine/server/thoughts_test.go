package server

import (
	"encoding/json"
	"testing"

	"github.com/eyelet-engine/eyelet/engine/server/internal/openai"
)

// TestThoughtsHandedBackReachTheEngine gives thoughts under each name and in each API's shape.
func TestThoughtsHandedBackReachTheEngine(t *testing.T) {
	for _, c := range []struct{ name, message, want string }{
		{"reasoning_content", `{"role":"assistant","content":"A","reasoning_content":"hm"}`, "hm"},
		{"thinking", `{"role":"assistant","content":"A","thinking":"hm"}`, "hm"},
		{"reasoning", `{"role":"assistant","content":"A","reasoning":"hm"}`, "hm"},
		{"the first that is there", `{"role":"assistant","content":"A","reasoning_content":null,"thinking":"one","reasoning":"two"}`, "one"},
		{"something else under the name",
			`{"role":"assistant","content":"A","reasoning":{"effort":"low"}}`, ""},
	} {
		var msg openai.Message
		if err := json.Unmarshal([]byte(c.message), &msg); err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		talk := &talk{}
		if err := (*Server)(nil).openaiTalk(talk, []openai.Message{msg}); err != nil ||
			talk.messages[0].Reasoning != c.want {
			t.Errorf("%s: %v %+v", c.name, err, talk.messages)
		}
	}

	var items openai.ResponseInput
	if err := json.Unmarshal([]byte(`[
		{"role":"user","content":"Q"},
		{"type":"reasoning","summary":[{"type":"summary_text","text":"short"}],"content":[{"type":"reasoning_text","text":"look it "},{"type":"reasoning_text","text":"up"}]},
		{"type":"function_call","call_id":"c","name":"f","arguments":"{}"},
		{"type":"function_call_output","call_id":"c","output":"7"},
		{"type":"reasoning","summary":[{"type":"summary_text","text":"seven"}]},
		{"role":"assistant","content":"7"}]`), &items); err != nil {
		t.Fatal(err)
	}
	talk := &talk{}
	if err := talk.responseTurns(items); err != nil || len(talk.messages) != 4 {
		t.Fatalf("%v %+v", err, talk.messages)
	}
	for i, want := range []string{"", "look it up", "", "seven"} {
		if got := talk.messages[i].Reasoning; got != want {
			t.Errorf("message %d was thought %q, want %q", i, got, want)
		}
	}
}
