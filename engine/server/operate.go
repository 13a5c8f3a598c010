package server

import "net/http"

// operating are the endpoints for those who run the server.
func (s *Server) operating() family {
	return family{
		prefix: "/",
		routes: map[string]handler{
			"GET /healthz": s.healthz,
			"GET /readyz":  s.readyz,
			"GET /metrics": s.serveMetrics,
		},
		fail: s.failPlain,
	}
}

// failPlain tells of an error as Ollama does, where a path belongs to no API.
func (s *Server) failPlain(w http.ResponseWriter, f *failure) error { return s.failOllama(w, f) }

// healthz says that the process answers.
func (s *Server) healthz(w http.ResponseWriter, _ *http.Request) error {
	return s.writeText(w, http.StatusOK, "ok\n")
}

// readyz says whether requests are welcome.
func (s *Server) readyz(w http.ResponseWriter, _ *http.Request) error {
	if s.ending.Load() {
		return errShutdown
	}
	if n := s.loading.Load(); n > 0 {
		return busyFailure("%d models are being loaded", n)
	}
	return s.writeText(w, http.StatusOK, "ready\n")
}

func (s *Server) writeText(w http.ResponseWriter, status int, text string) error {
	s.limitWrite(w)
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, err := w.Write([]byte(text))
	return err
}
