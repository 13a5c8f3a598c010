package server

import (
	"net/http"

	"github.com/ollama/ollama/api"
)

// ollamaVersion is the version of Ollama whose API is served. Clients compare it to learn what they
// can ask for.
const ollamaVersion = "0.17.4"

// ollamaRoot is what programs look at to see that the server runs; some compare it letter by
// letter.
func (s *Server) ollamaRoot(w http.ResponseWriter, _ *http.Request) error {
	return s.writeText(w, http.StatusOK, "Ollama is running")
}

// ollamaStatus tells whether models elsewhere can be used: none, ever.
func (s *Server) ollamaStatus(w http.ResponseWriter, _ *http.Request) error {
	return s.writeJSON(w, http.StatusOK, api.StatusResponse{Cloud: api.CloudStatus{Disabled: true,
		Source: "config"}})
}

// ollamaVersions tells the version of the API, and that of this program beside it.
func (s *Server) ollamaVersions(w http.ResponseWriter, _ *http.Request) error {
	return s.writeJSON(w, http.StatusOK, struct {
		Version string `json:"version"`
		Eyelet  string `json:"eyelet,omitempty"`
	}{ollamaVersion, s.options.Version})
}
