package server

import (
	"net/http"

	"github.com/ollama/ollama/api"
)

// ollamaVersion is the version of Ollama whose API is served. Clients compare it to learn what they
// can ask for.
const ollamaVersion = "0.17.4"

// ollama is Ollama's API: https://github.com/ollama/ollama/blob/main/docs/api.md.
func (s *Server) ollama() family {
	return family{
		prefix: "/api/",
		routes: map[string]handler{
			"GET /api/version":         s.ollamaVersions,
			"GET /api/status":          s.ollamaStatus,
			"POST /api/chat":           s.ollamaChat,
			"POST /api/generate":       s.ollamaGenerate,
			"GET /api/tags":            s.ollamaTags,
			"GET /api/ps":              s.ollamaPs,
			"POST /api/show":           s.ollamaShow,
			"POST /api/embed":          s.ollamaEmbed,
			"POST /api/embeddings":     s.ollamaEmbeddings,
			"HEAD /api/blobs/{digest}": s.ollamaHasBlob,
			"POST /api/blobs/{digest}": s.ollamaPutBlob,
			"POST /api/create":         s.ollamaCreate,
			"POST /api/copy":           s.ollamaCopy,
			"DELETE /api/delete":       s.ollamaDelete,
			"POST /api/pull":           s.ollamaPull,
			"POST /api/push":           s.ollamaTransfer,
		},
		fail: s.failOllama,
	}
}

// failOllama tells of an error in Ollama's shape.
func (s *Server) failOllama(w http.ResponseWriter, f *failure) error {
	return s.writeJSON(w, f.status, struct {
		Error string `json:"error"`
	}{f.text})
}

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
