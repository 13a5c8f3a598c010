package server

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// limitWrite gives the client a time to take what is written next.
func (s *Server) limitWrite(w http.ResponseWriter) {
	// What the time ran out for is an error of the writing; that a writer knows no deadlines, as of
	// a test, is none.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(s.limits.WriteTime))
}

// writeJSON answers with a JSON document.
func (s *Server) writeJSON(w http.ResponseWriter, status int, v any) error {
	data, err := marshal(v)
	if err != nil {
		return err
	}
	s.limitWrite(w)
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, err = w.Write(data)
	return err
}

// marshal writes JSON with a newline, and leaves <, > and & as they are: the answer is no web page.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, fmt.Errorf("server: %w", err)
	}
	return b.Bytes(), nil
}

// stream sends an answer piece by piece. The header goes with the first piece, so that an error
// before it has a status of its own.
type stream struct {
	s     *Server
	w     http.ResponseWriter
	rc    *http.ResponseController
	mime  string
	begun bool
}

func (s *Server) newStream(w http.ResponseWriter, mime string) *stream {
	return &stream{s: s, w: w, rc: http.NewResponseController(w), mime: mime}
}

// write sends a piece now. A client that went away, or that does not take it in time, is an error.
func (t *stream) write(p []byte) error {
	t.s.limitWrite(t.w)
	if !t.begun {
		t.begun = true
		h := t.w.Header()
		h.Set("Content-Type", t.mime)
		h.Set("Cache-Control", "no-cache")
		h.Set("X-Accel-Buffering", "no") // of nginx, which would hold pieces back
		t.w.WriteHeader(http.StatusOK)
	}
	if _, err := t.w.Write(p); err != nil {
		return err
	}
	if err := t.rc.Flush(); err != nil {
		return err
	}
	// which HTTP/2 heeds while nothing is written too: the next piece may take longer to compute
	_ = t.rc.SetWriteDeadline(time.Time{})
	return nil
}

// lines is a stream of JSON documents, one a line.
type lines struct{ stream }

func (s *Server) newLines(w http.ResponseWriter) *lines {
	return &lines{*s.newStream(w, "application/x-ndjson")}
}

// send writes a document.
func (t *lines) send(v any) error {
	data, err := marshal(v)
	if err != nil {
		return err
	}
	return t.write(data)
}

// events is a stream of server-sent events:
// https://html.spec.whatwg.org/multipage/server-sent-events.html.
type events struct{ stream }

func (s *Server) newEvents(w http.ResponseWriter) *events {
	return &events{*s.newStream(w, "text/event-stream")}
}

// send writes an event with a JSON document. name may be empty.
func (t *events) send(name string, v any) error {
	data, err := marshal(v)
	if err != nil {
		return err
	}
	return t.raw(name, bytes.TrimSuffix(data, []byte("\n")))
}

// raw writes an event of one line of data.
func (t *events) raw(name string, data []byte) error {
	var b bytes.Buffer
	if name != "" {
		fmt.Fprintf(&b, "event: %s\n", name)
	}
	b.WriteString("data: ")
	b.Write(data)
	b.WriteString("\n\n")
	return t.write(b.Bytes())
}
