package server

import (
	"net/http"
	"strings"
	"time"

	"github.com/eyelet-engine/eyelet/engine/page"
	"github.com/eyelet-engine/eyelet/engine/server/internal/anthropic"
	"github.com/eyelet-engine/eyelet/engine/server/internal/failure"
	"github.com/eyelet-engine/eyelet/engine/server/internal/ollama"
	"github.com/eyelet-engine/eyelet/engine/server/internal/openai"
)

// handler answers a request. What it returns as an error is told in the shape of the API that the
// path belongs to, unless the answer has begun.
type handler func(w http.ResponseWriter, r *http.Request) error

// reading returns a handler that reads the JSON object in a request's body, and has answer answer
// the request.
func reading[Q any](s *Server,
	answer func(w http.ResponseWriter, r *http.Request, q *Q) error) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		q := new(Q)
		recordOf(r.Context()).began = time.Now()
		if err := s.decode(w, r, q); err != nil {
			return err
		}
		return answer(w, r, q)
	}
}

// keeping returns a handler about the files and batches that the server keeps, if it keeps any.
func (s *Server) keeping(
	answer func(b *batches, w http.ResponseWriter, r *http.Request) error) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		b, err := s.batches.ready()
		if err != nil {
			return err
		}
		return answer(b, w, r)
	}
}

// access says who may call a route of a server that demands API keys. All may where it demands
// none.
type access int

const (
	withKey access = iota
	// anyone is a supervisor too, whom the server answers even where it is busy or about to end.
	anyone
	// browsers get the files of the page without a key: the page holds no secret, and asks for it.
	browsers
)

// route is a row of the table of what the server serves.
type route struct {
	pattern string // method and path, of [http.ServeMux]
	handle  handler
	access  access
}

// table returns all that the server serves.
func (s *Server) table() []route {
	rows := []route{
		// For those who run the server.
		{"GET /healthz", s.healthz, anyone},
		{"GET /readyz", s.readyz, anyone},
		{"GET /metrics", s.serveMetrics, withKey},

		// Ollama's API.
		{"GET /api/version", s.ollamaVersions, withKey},
		{"GET /api/status", s.ollamaStatus, withKey},
		{"POST /api/chat", reading(s, s.ollamaChat), withKey},
		{"POST /api/generate", reading(s, s.ollamaGenerate), withKey},
		{"GET /api/tags", s.ollamaTags, withKey},
		{"GET /api/ps", s.ollamaPs, withKey},
		{"POST /api/show", reading(s, s.ollamaShow), withKey},
		{"POST /api/embed", reading(s, s.ollamaEmbed), withKey},
		{"POST /api/embeddings", reading(s, s.ollamaEmbeddings), withKey},
		{"HEAD /api/blobs/{digest}", s.ollamaHasBlob, withKey},
		{"POST /api/blobs/{digest}", s.ollamaPutBlob, withKey},
		{"POST /api/create", reading(s, s.ollamaCreate), withKey},
		{"POST /api/copy", reading(s, s.ollamaCopy), withKey},
		{"DELETE /api/delete", reading(s, s.ollamaDelete), withKey},
		{"POST /api/pull", reading(s, s.ollamaPull), withKey},
		{"POST /api/push", s.ollamaTransfer, withKey},

		// OpenAI's API.
		{"GET /v1/models", s.openaiModels, withKey}, // and Anthropic's
		{"GET /v1/models/{name...}", s.openaiModel, withKey},
		{"POST /v1/chat/completions", reading(s, s.openaiChat), withKey},
		{"POST /v1/completions", reading(s, s.openaiComplete), withKey},
		{"POST /v1/embeddings", reading(s, s.openaiEmbed), withKey},
		{"POST /v1/images/generations", reading(s, s.openaiGenerateImages), withKey},
		{"POST /v1/images/edits", s.openaiEditImages, withKey},
		{"POST /v1/responses", reading(s, s.openaiRespond), withKey},
		{"POST /v1/responses/input_tokens", reading(s, s.openaiCountResponse), withKey},
		{"GET /v1/responses/{id}", noResponses, withKey},
		{"DELETE /v1/responses/{id}", noResponses, withKey},
		{"POST /v1/files", s.keeping((*batches).answerUpload), withKey},
		{"GET /v1/files", s.keeping((*batches).answerFiles), withKey},
		{"GET /v1/files/{id}", s.keeping((*batches).answerFile), withKey},
		{"GET /v1/files/{id}/content", s.keeping((*batches).answerContent), withKey},
		{"DELETE /v1/files/{id}", s.keeping((*batches).answerDelete), withKey},
		{"POST /v1/batches", reading(s, s.openaiCreateBatch), withKey},
		{"GET /v1/batches", s.keeping((*batches).answerBatches), withKey},
		{"GET /v1/batches/{id}", s.keeping((*batches).answerBatch), withKey},
		{"POST /v1/batches/{id}/cancel", s.keeping((*batches).answerCancel), withKey},

		// Anthropic's API.
		{"POST /v1/messages", reading(s, s.anthropicMessages), withKey},
		{"POST /v1/messages/count_tokens", reading(s, s.anthropicCount), withKey},

		// Of llama-server and vLLM.
		{"POST /tokenize", reading(s, s.tokenize), withKey},
		{"POST /detokenize", reading(s, s.detokenize), withKey},

		// What the page asks for, which serves the page of the same version and nobody else.
		{"GET /{$}", s.root, browsers}, // programs get Ollama's text, with a key
		{"GET /page/api/models", s.pageModels, withKey},
		{"GET /page/api/state", s.pageState, withKey},
		{"GET /page/api/reports", s.pageReports, withKey},
		{"GET /page/api/reports/{name}", s.pageReport, withKey},
		{"POST /page/api/chat", reading(s, s.pageChat), withKey},
		{"POST /page/api/estimate", reading(s, s.pageEstimate), withKey},
		{"POST /page/api/view", s.pageView, withKey},
		{"POST /page/api/draw", reading(s, s.pageDraw), withKey},
		{"POST /page/api/blob", s.pageBlob, withKey},
	}
	for _, path := range page.Paths() {
		if path != "/" {
			rows = append(rows, route{"GET " + path, s.pageFile, browsers})
		}
	}
	return rows
}

// errorShapes has the shape of errors under each prefix of paths. The longest prefix that fits
// counts.
var errorShapes = []struct {
	prefix string
	shape  func(*failure.Failure) any
}{
	{"/", ollama.ErrorBody},
	{"/v1/", openai.ErrorBody},
	{"/v1/messages", anthropic.ErrorBody},
	{"/tokenize", openai.ErrorBody},
	{"/detokenize", openai.ErrorBody},
}

// fail answers with an error in the shape of the API that a path belongs to.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, f *failure.Failure) error {
	path := r.URL.Path
	if strings.HasPrefix(path, "/v1/models") && isAnthropic(r) {
		path = "/v1/messages"
	}
	best := errorShapes[0]
	for _, e := range errorShapes {
		if strings.HasPrefix(path, e.prefix) && len(e.prefix) > len(best.prefix) {
			best = e
		}
	}
	return s.writeJSON(w, f.Status, best.shape(f))
}
