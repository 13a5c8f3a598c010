package machine

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
)

// The process that computes answers each line: it takes this machine's choices and no others.
func TestTheWorkerTakesChoicesOfItsKindOfMachine(t *testing.T) {
	t.Setenv("EYELET_CACHE", t.TempDir())
	if err := ggml.Load(); err != nil {
		t.Fatal(err)
	}
	own, ok := ggml.ChoicesFor("../../../../models/builtin/eyelet-builtin-q8_0.gguf")
	if !ok {
		t.Skip("there is no accelerator")
	}
	line, err := json.Marshal(own)
	if err != nil {
		t.Fatal(err)
	}
	var replies strings.Builder
	obey(strings.NewReader(`{"machine": "another"}`+"\n"+string(line)+"\nnothing\n"), &replies)
	if got := replies.String(); got != "false\ntrue\nfalse\n" {
		t.Errorf("%q", got)
	}
}
