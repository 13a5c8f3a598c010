package server

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/eyelet-engine/eyelet/engine/server/internal/failure"
	"github.com/eyelet-engine/eyelet/engine/server/internal/ollama"
)

func TestKeepAliveIsReadAsClientsWriteIt(t *testing.T) {
	for text, want := range map[string]time.Duration{
		`300`: 5 * time.Minute, `"300"`: 5 * time.Minute, `300.0`: 5 * time.Minute,
		`"5m"`: 5 * time.Minute, `"1h30m"`: 90 * time.Minute, `0.5`: 500 * time.Millisecond,
		`" 10s "`: 10 * time.Second,
		`0`:       0, `"0"`: 0, `"0s"`: 0, `-1`: ollama.ForEver, `"-1"`: ollama.ForEver,
		`"-1m"`: ollama.ForEver,
		`-0.5`:  ollama.ForEver,
	} {
		var q struct{ KeepAlive *ollama.KeepAlive }
		if err := json.Unmarshal([]byte(`{"KeepAlive":`+text+`}`), &q); err != nil ||
			q.KeepAlive.Time() == nil || *q.KeepAlive.Time() != want ||
			q.KeepAlive.Unloads() != (want == 0) {
			t.Errorf("%s: %v %+v, want %v", text, err, q.KeepAlive, want)
		}
	}
	for _, text := range []string{`""`, `null`, `" "`} {
		var q struct{ KeepAlive *ollama.KeepAlive }
		if err := json.Unmarshal([]byte(`{"KeepAlive":`+text+`}`), &q); err != nil ||
			q.KeepAlive.Time() != nil || q.KeepAlive.Unloads() {
			t.Errorf("%s: %v %+v", text, err, q.KeepAlive)
		}
	}
	if err := json.Unmarshal([]byte(`1e300`), &ollama.KeepAlive{}); err != nil {
		t.Error(err)
	}
	for _, text := range []string{`"soon"`, `"5 parsecs"`, `true`, `{}`, `"inf"`} {
		err := decodeJSON([]byte(`{"keep_alive":`+text+`}`), &ollama.ChatRequest{})
		if err == nil || err.(*failure.Failure).Param != "keep_alive" {
			t.Errorf("%s: %v", text, err)
		}
	}
}
