package server

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/eyelet-engine/eyelet/engine/server/internal/answer"
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

// How the pieces of a stream are told apart.
const (
	// asLines has a JSON document a line.
	asLines = "application/x-ndjson"
	// asEvents has server-sent events:
	// https://html.spec.whatwg.org/multipage/server-sent-events.html.
	asEvents = "text/event-stream"
)

// stream sends an answer piece by piece. The header goes with the first piece, so that an error
// before it has a status of its own.
type stream struct {
	s     *Server
	w     http.ResponseWriter
	rc    *http.ResponseController
	mime  string // asLines or asEvents
	begun bool
}

func (s *Server) newStream(w http.ResponseWriter, mime string) *stream {
	return &stream{s: s, w: w, rc: http.NewResponseController(w), mime: mime}
}

// streamIf returns a stream where one is asked for, and nil for an answer at once.
func (s *Server) streamIf(asked bool, w http.ResponseWriter, mime string) *stream {
	if !asked {
		return nil
	}
	return s.newStream(w, mime)
}

// send sends each piece at once.
func (t *stream) send(pieces ...answer.Piece) error {
	for _, p := range pieces {
		data, err := pieceData(p.Data)
		if err != nil {
			return err
		}
		if t.mime == asEvents {
			var b bytes.Buffer
			if p.Event != "" {
				fmt.Fprintf(&b, "event: %s\n", p.Event)
			}
			fmt.Fprintf(&b, "data: %s\n", data)
			data = b.Bytes()
		}
		if err := t.write(data); err != nil {
			return err
		}
	}
	return nil
}

// sendLine sends a JSON document, as a piece without a name.
func (t *stream) sendLine(v any) error { return t.send(answer.Piece{Data: v}) }

// pieceData returns the data of a piece, with a newline.
func pieceData(v any) ([]byte, error) {
	if text, ok := v.(answer.Verbatim); ok {
		return []byte(text + "\n"), nil
	}
	return marshal(v)
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
