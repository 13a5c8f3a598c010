package server

import (
	"net/http"

	"github.com/eyelet-engine/eyelet/engine/server/internal/failure"
)

// healthz says that the process answers.
func (s *Server) healthz(w http.ResponseWriter, _ *http.Request) error {
	return s.writeText(w, http.StatusOK, "ok\n")
}

// readyz says whether requests are welcome.
func (s *Server) readyz(w http.ResponseWriter, _ *http.Request) error {
	if s.ending.Load() {
		return failure.ErrShutdown
	}
	if n := s.loading.Load(); n > 0 {
		return failure.Busy("%d models are being loaded", n)
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
