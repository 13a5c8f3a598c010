package server

import (
	"encoding/json"
	"testing"
	"time"
)

func TestKeepAliveIsReadAsClientsWriteIt(t *testing.T) {
	for text, want := range map[string]time.Duration{
		`300`: 5 * time.Minute, `"300"`: 5 * time.Minute, `300.0`: 5 * time.Minute,
		`"5m"`: 5 * time.Minute, `"1h30m"`: 90 * time.Minute, `0.5`: 500 * time.Millisecond,
		`" 10s "`: 10 * time.Second,
		`0`:       0, `"0"`: 0, `"0s"`: 0, `-1`: forEver, `"-1"`: forEver, `"-1m"`: forEver,
		`-0.5`: forEver,
	} {
		var q struct{ KeepAlive *keepAlive }
		if err := json.Unmarshal([]byte(`{"KeepAlive":`+text+`}`), &q); err != nil ||
			q.KeepAlive.keep() == nil || *q.KeepAlive.keep() != want ||
			q.KeepAlive.unloads() != (want == 0) {
			t.Errorf("%s: %v %+v, want %v", text, err, q.KeepAlive, want)
		}
	}
	for _, text := range []string{`""`, `null`, `" "`} {
		var q struct{ KeepAlive *keepAlive }
		if err := json.Unmarshal([]byte(`{"KeepAlive":`+text+`}`), &q); err != nil ||
			q.KeepAlive.keep() != nil || q.KeepAlive.unloads() {
			t.Errorf("%s: %v %+v", text, err, q.KeepAlive)
		}
	}
	if err := json.Unmarshal([]byte(`1e300`), &keepAlive{}); err != nil {
		t.Error(err)
	}
	for _, text := range []string{`"soon"`, `"5 parsecs"`, `true`, `{}`, `"inf"`} {
		if err := decodeJSON([]byte(`{"keep_alive":`+text+`}`), &ollamaChatRequest{}); err == nil ||
			err.(*failure).param != "keep_alive" {
			t.Errorf("%s: %v", text, err)
		}
	}
}
