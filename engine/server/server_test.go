package server

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

func TestErrorsOfRouting(t *testing.T) {
	ts := serve(t)
	for _, c := range []struct {
		name, method, path string
		status             int
		says               string
	}{
		{"no such path", "GET", "/api/nothing", http.StatusNotFound, "docs/api.md"},
		{"no such path of no API", "GET", "/nothing", http.StatusNotFound, "docs/api.md"},
		{"another method", "DELETE", "/api/version", http.StatusMethodNotAllowed, "GET"},
		{"a path that climbs", "POST", "/api/blobs/..%2f..%2fetc%2fpasswd", http.StatusBadRequest,
			"digest"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := ts.do(t, c.method, c.path, "")
			if r.status != c.status || !strings.Contains(r.ollamaError(t), c.says) {
				t.Errorf("%d %s, want %d and %q", r.status, r.text, c.status, c.says)
			}
			if r.header.Get("X-Request-Id") == "" {
				t.Error("no request id")
			}
		})
	}
}

func TestHealthAndReadiness(t *testing.T) {
	ts := serve(t)
	for _, path := range []string{"/healthz", "/readyz", "/"} {
		if r := ts.do(t, "GET", path, ""); r.status != http.StatusOK {
			t.Errorf("%s: %d %s", path, r.status, r.text)
		}
	}
	ts.ending.Store(true)
	defer ts.ending.Store(false)
	if r := ts.do(t, "GET", "/readyz", ""); r.status != http.StatusServiceUnavailable ||
		r.header.Get("Retry-After") == "" {
		t.Errorf("while the server ends: %d %v", r.status, r.header)
	}
}

func TestARequestsIDIsKeptWhereItIsFitForALog(t *testing.T) {
	ts := serve(t)
	if r := ts.do(t, "GET", "/healthz", "", "X-Request-Id",
		"job-17"); r.header.Get("X-Request-Id") != "job-17" {
		t.Errorf("%v", r.header)
	}
	if r := ts.do(t, "GET", "/healthz", "", "X-Request-Id",
		"a b\tc"); strings.Contains(r.header.Get("X-Request-Id"), " ") {
		t.Errorf("%v", r.header)
	}
	if log := ts.log.String(); !strings.Contains(log, "id=job-17") ||
		!strings.Contains(log, "path=/healthz") {
		t.Errorf("the log: %s", log)
	}
}

func TestAPanicInTheMiddleOfAnAnswerCutsItOff(t *testing.T) {
	for name, begin := range map[string]func(http.ResponseWriter){
		"of unknown length": func(w http.ResponseWriter) {
			_, _ = w.Write([]byte(`{"half": `))
			_ = http.NewResponseController(w).Flush()
		},
		"not sent yet": func(w http.ResponseWriter) { _, _ = w.Write([]byte(`{"half": `)) },
		"header alone": func(w http.ResponseWriter) { w.WriteHeader(http.StatusOK) },
	} {
		t.Run(name, func(t *testing.T) {
			ts := serveAs(t, func(s *Server) {
				s.handler = s.chain(func(w http.ResponseWriter, _ *http.Request) error {
					begin(w)
					panic("boom")
				})
			})
			resp, err := http.Get(ts.url + "/api/version")
			if err != nil {
				return // not even the header came
			}
			defer resp.Body.Close()
			if body, err := io.ReadAll(resp.Body); err == nil {
				t.Errorf("half an answer looks whole: %q", body)
			}
			if !strings.Contains(ts.log.String(), "boom") || !strings.Contains(ts.log.String(),
				"path=/api/version") {
				t.Errorf("the log: %s", ts.log.String())
			}
		})
	}
}

func TestAPanicIsAnErrorOfTheServerAndNothingElseEnds(t *testing.T) {
	ts := serveAs(t, func(s *Server) {
		s.handler = s.chain(func(http.ResponseWriter, *http.Request) error {
			panic("boom at 0xdead")
		})
	})
	for range 2 {
		if r := ts.do(t, "GET", "/api/version", ""); r.status != http.StatusInternalServerError ||
			strings.Contains(r.text, "boom") {
			t.Errorf("%d %s", r.status, r.text)
		}
	}
	if !strings.Contains(ts.log.String(), "boom at 0xdead") {
		t.Error("the log does not tell of the panic")
	}
}
