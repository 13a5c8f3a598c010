package server

import (
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/eyelet-engine/eyelet/engine/server/internal/failure"
)

// echo takes the place of a server's routes: it decodes a body and answers "ok".
func echo(s *Server) {
	s.handler = s.chain(func(w http.ResponseWriter, r *http.Request) error {
		var v struct{ A any }
		if err := s.decode(w, r, &v); err != nil {
			return err
		}
		return s.writeJSON(w, http.StatusOK, "ok")
	})
}

func TestBodies(t *testing.T) {
	ts := serveAs(t, echo, func(o *Options) {
		o.Limits.Body, o.Limits.Memory, o.Limits.ReadTime = 1<<20, 4<<20, 300*time.Millisecond
	})
	for _, c := range []struct {
		name, body string
		status     int
		says       string
	}{
		{"an object", `{"a": [1, 2, {"b": "\"]}"}]}`, 200, "ok"},
		{"unknown fields", `{"b": 1}`, 200, "ok"},
		{"nothing", "  ", 400, "empty"},
		{"an array", "[]", 400, "send an object"},
		{"not JSON", "{'a': 1}", 400, "not JSON"},
		{"an object that does not end", `{"a": 1`, 400, "not JSON"},
		{"a string that does not end", `{"a": "1`, 400, "not JSON"},
		{"two objects", `{"a": 1}{"a": 2}`, 400, "not JSON"},
		{"deep", `{"a":` + strings.Repeat("[", 65) + strings.Repeat("]", 65) + "}", 400, "deeper"},
		{"wide", `{"a":[0` + strings.Repeat(",0", maxValues) + "]}", 400, "values"},
		{"large", `{"a":"` + strings.Repeat("x", 1<<20) + `"}`, 413, "1 MiB"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := ts.do(t, "POST", "/api/chat", c.body)
			if r.status != c.status || !strings.Contains(r.text, c.says) {
				t.Errorf("%d %s, want %d and %q", r.status, r.text, c.status, c.says)
			}
		})
	}
	t.Run("a body that stops coming", func(t *testing.T) {
		c, err := net.Dial("tcp", strings.TrimPrefix(ts.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := c.Write(
			[]byte("POST /api/chat HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n{")); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 64)
		if n, err := c.Read(buf); err != nil || !strings.Contains(string(buf[:n]), " 408 ") {
			t.Errorf("%q %v", buf[:n], err)
		}
	})
	if !ts.memory.TryAcquire(4 << 20) {
		t.Error("memory of bodies is still held")
	}
}

func TestStringsOfJSONEndAtTheirQuote(t *testing.T) {
	for text, want := range map[string]int{`a"`: 1, `\"a"`: 3, `\\"a"`: 2, `a\\\"b"`: 6, `a`: -1,
		`a\"`: -1, `"`: 0} {
		if got := stringEnd([]byte(text)); got != want {
			t.Errorf("%s: %d, want %d", text, got, want)
		}
	}
}

// FuzzDecodeJSON compares what the decoder takes with encoding/json: it must refuse all that is no
// object, and take what it does take as encoding/json does.
func FuzzDecodeJSON(f *testing.F) {
	for _, s := range []string{`{}`, `{"a":"\\\""}`, `[1]`, `{"a":[[[[]]]]}`, `{"a":1}x`, "\xff",
		`{"a":"\ud800"}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var got, want map[string]any
		err := decodeJSON(data, &got)
		if err != nil {
			if fail, ok := errors.AsType[*failure.Failure](err); !ok ||
				fail.Status != http.StatusBadRequest || fail.Text == "" {
				t.Fatalf("%v is no failure for the client", err)
			}
			return
		}
		if e := json.Unmarshal(data, &want); e != nil {
			t.Fatalf("taken, but encoding/json says %v", e)
		}
	})
}
