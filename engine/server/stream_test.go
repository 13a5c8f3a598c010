package server

import (
	"bufio"
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/eyelet-engine/eyelet/engine/server/internal/answer"
	"github.com/eyelet-engine/eyelet/engine/server/internal/failure"
)

func TestStreams(t *testing.T) {
	ts := serveAs(t, func(s *Server) {
		s.handler = s.chain(func(w http.ResponseWriter, r *http.Request) error {
			if r.URL.Path == "/lines" {
				out := s.newStream(w, asLines)
				return errors.Join(out.sendLine(map[string]string{"a": "<b>"}), out.sendLine(2))
			}
			return s.newStream(w, asEvents).send(answer.Piece{Data: 1},
				answer.Piece{Event: "done", Data: map[string]int{"n": 2}},
				answer.Piece{Data: answer.Verbatim("[DONE]")})
		})
	})
	if r := ts.do(t, "GET", "/lines", ""); r.text != "{\"a\":\"<b>\"}\n2\n" ||
		r.header.Get("Content-Type") != "application/x-ndjson" {
		t.Errorf("%q %v", r.text, r.header)
	}
	if r := ts.do(t, "GET", "/events",
		""); r.text != "data: 1\n\nevent: done\ndata: {\"n\":2}\n\ndata: [DONE]\n\n" ||
		r.header.Get("Content-Type") != "text/event-stream" {
		t.Errorf("%q %v", r.text, r.header)
	}
}

// endless sends lines until the client is gone, or does not take them, and tells why it ended.
func endless(ended chan error) func(*Server) {
	return func(s *Server) {
		s.handler = s.chain(func(w http.ResponseWriter, r *http.Request) error {
			out := s.newStream(w, asLines)
			for {
				if err := out.sendLine(strings.Repeat("x", 1<<16)); err != nil {
					ended <- err
					return err
				}
				if err := r.Context().Err(); err != nil {
					ended <- context.Cause(r.Context())
					return err
				}
			}
		})
	}
}

func TestAStreamEndsWithItsClient(t *testing.T) {
	ended := make(chan error, 1)
	ts := serveAs(t, endless(ended))
	for name, read := range map[string]bool{"that goes": true,
		"that does not take what is sent": false} {
		t.Run("a client "+name, func(t *testing.T) {
			ts.limits.WriteTime = 300 * time.Millisecond
			c, err := net.Dial("tcp", strings.TrimPrefix(ts.url, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if _, err := c.Write([]byte("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")); err != nil {
				t.Fatal(err)
			}
			if read {
				if _, err := bufio.NewReader(c).ReadString('\n'); err != nil {
					t.Fatal(err)
				}
				c.Close()
			}
			select {
			case <-ended:
			case <-time.After(20 * time.Second):
				t.Fatal("the stream goes on")
			}
		})
	}
}

func TestTheEndOfTheServerEndsStreams(t *testing.T) {
	ended := make(chan error, 1)
	ts := serveAs(t, endless(ended), func(o *Options) { o.Limits.Grace = 50 * time.Millisecond })
	w, err := ts.http.Get(ts.url + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer w.Body.Close()
	buf := make([]byte, 1<<16)
	for _, err = w.Body.Read(buf); err == nil; _, err = w.Body.Read(buf) {
		ts.end()
	}
	if err := <-ended; !errors.Is(err, failure.ErrShutdown) {
		t.Errorf("%v", err)
	}
}
