package server

import (
	"net/http"
	"strings"
	"time"

	"github.com/eyelet-engine/eyelet/engine"
)

// openai is OpenAI's API: https://platform.openai.com/docs/api-reference.
func (s *Server) openai() family {
	return family{
		prefix: "/v1/",
		routes: map[string]handler{
			"GET /v1/models":                  s.openaiModels,
			"GET /v1/models/{name...}":        s.openaiModel,
			"POST /v1/chat/completions":       s.openaiChat,
			"POST /v1/completions":            s.openaiComplete,
			"POST /v1/embeddings":             s.openaiEmbed,
			"POST /v1/images/generations":     s.openaiGenerateImages,
			"POST /v1/images/edits":           s.openaiEditImages,
			"POST /v1/responses":              s.openaiRespond,
			"POST /v1/responses/input_tokens": s.openaiCountResponse,
			"GET /v1/responses/{id}":          noResponses,
			"POST /v1/files":                  s.openaiUpload,
			"GET /v1/files":                   s.openaiFiles,
			"GET /v1/files/{id}":              s.openaiFileInfo,
			"GET /v1/files/{id}/content":      s.openaiFileContent,
			"DELETE /v1/files/{id}":           s.openaiDeleteFile,
			"POST /v1/batches":                s.openaiCreateBatch,
			"GET /v1/batches":                 s.openaiBatches,
			"GET /v1/batches/{id}":            s.openaiBatchInfo,
			"POST /v1/batches/{id}/cancel":    s.openaiCancelBatch,
			"DELETE /v1/responses/{id}":       noResponses,
		},
		fail: s.failOpenAI,
	}
}

// openaiError is an error in OpenAI's shape.
type openaiError struct {
	Message string  `json:"message"`
	Type    string  `json:"type"`
	Param   *string `json:"param"`
	Code    *string `json:"code"`
}

// openaiErrorOf puts a failure into OpenAI's words.
func openaiErrorOf(f *failure) openaiError {
	e := openaiError{Message: f.text, Type: "invalid_request_error"}
	code := ""
	switch f.kind {
	case kindAuth:
		code = "invalid_api_key"
	case kindForbidden:
		e.Type = "permission_error"
	case kindNoModel:
		code = "model_not_found"
	case kindContext:
		code = "context_length_exceeded"
	case kindRate:
		e.Type, code = "rate_limit_error", "rate_limit_exceeded"
	case kindBusy:
		e.Type, code = "server_error", "overloaded"
	case kindTimeout:
		e.Type, code = "server_error", "timeout"
	case kindSchema:
		e.Type, code = "server_error", "schema_not_satisfied"
	case kindUnsupported:
		e.Type, code = "server_error", "model_unusable"
	case kindStorage:
		e.Type, code = "server_error", "insufficient_storage"
	case kindInternal:
		e.Type = "server_error"
	case kindRequest, kindTooLarge, kindNotFound:
	}
	if code != "" {
		e.Code = &code
	}
	if f.param != "" {
		e.Param = &f.param
	}
	return e
}

// failOpenAI tells of an error in OpenAI's shape.
func (s *Server) failOpenAI(w http.ResponseWriter, f *failure) error {
	return s.writeJSON(w, f.status, struct {
		Error openaiError `json:"error"`
	}{openaiErrorOf(f)})
}

// noResponses answers requests about responses of earlier: none are kept.
func noResponses(http.ResponseWriter, *http.Request) error {
	return &failure{status: http.StatusNotFound, kind: kindNotFound,
		text: "this server keeps no responses; send the whole conversation as input"}
}

// openaiModelInfo is a model as OpenAI describes it.
type openaiModelInfo struct {
	ID      string `json:"id"`
	Object  string `json:"object"`
	Created int64  `json:"created"`
	OwnedBy string `json:"owned_by"`
}

func (m *model) openai() openaiModelInfo {
	return openaiModelInfo{strings.TrimSuffix(m.name, ":latest"), "model", m.modified.Unix(),
		"library"}
}

// openaiModels answers GET /v1/models.
func (s *Server) openaiModels(w http.ResponseWriter, r *http.Request) error {
	if isAnthropic(r) {
		return s.anthropicModels(w, r)
	}
	all, err := s.models.all()
	if err != nil {
		return err
	}
	list := struct {
		Object string            `json:"object"`
		Data   []openaiModelInfo `json:"data"`
	}{"list", []openaiModelInfo{}}
	for _, m := range all {
		list.Data = append(list.Data, m.openai())
	}
	return s.writeJSON(w, http.StatusOK, list)
}

// openaiModel answers GET /v1/models/NAME.
func (s *Server) openaiModel(w http.ResponseWriter, r *http.Request) error {
	m, err := s.models.find(r.PathValue("name"))
	if err != nil {
		return err
	}
	if isAnthropic(r) {
		return s.writeJSON(w, http.StatusOK, m.anthropic(r.PathValue("name")))
	}
	info := m.openai()
	info.ID = r.PathValue("name")
	return s.writeJSON(w, http.StatusOK, info)
}

// openaiUsage counts tokens in OpenAI's words.
type openaiUsage struct {
	Prompt     int `json:"prompt_tokens"`
	Completion int `json:"completion_tokens"`
	Total      int `json:"total_tokens"`
	Details    struct {
		Cached int `json:"cached_tokens"`
		Image  int `json:"image_tokens"` // of pictures, as vLLM and others count them
	} `json:"prompt_tokens_details"`
}

// add counts one answer in. The prompt of several answers counts once.
func (u *openaiUsage) add(e engine.Usage) {
	if u.Prompt == 0 {
		u.Prompt, u.Details.Cached, u.Details.Image = e.Prompt, e.Cached, e.Image
	}
	u.Completion += e.Completion
	u.Total = u.Prompt + u.Completion
}

// now is the time in the unit of OpenAI's answers.
func now() int64 { return time.Now().Unix() }
