package server

import (
	"net/http"
	"strings"
	"time"
)

// anthropic is Anthropic's API: https://docs.anthropic.com/en/api/messages.
func (s *Server) anthropic() family {
	return family{
		prefix: "/v1/messages",
		routes: map[string]handler{
			"POST /v1/messages":              s.anthropicMessages,
			"POST /v1/messages/count_tokens": s.anthropicCount,
		},
		fail: func(w http.ResponseWriter, f *failure) error { return s.writeJSON(w, f.status, anthropicErrorOf(f)) },
	}
}

// anthropicError is an error in Anthropic's shape.
type anthropicError struct {
	Type  string `json:"type"` // "error"
	Error struct {
		Type    string `json:"type"`
		Message string `json:"message"`
	} `json:"error"`
}

var anthropicKinds = map[string]string{
	kindAuth: "authentication_error", kindForbidden: "permission_error", kindNotFound: "not_found_error", kindNoModel: "not_found_error",
	kindTooLarge: "request_too_large", kindRate: "rate_limit_error", kindBusy: "overloaded_error", kindTimeout: "timeout_error",
	kindInternal: "api_error", kindUnsupported: "api_error", kindSchema: "api_error",
}

// anthropicErrorOf puts a failure into Anthropic's words.
func anthropicErrorOf(f *failure) anthropicError {
	e := anthropicError{Type: "error"}
	e.Error.Type, e.Error.Message = anthropicKinds[f.kind], f.text
	if e.Error.Type == "" {
		e.Error.Type = "invalid_request_error"
	}
	return e
}

// anthropicModels lists the models for clients that say they speak Anthropic's API.
func (s *Server) anthropicModels(w http.ResponseWriter) error {
	type info struct {
		Type    string    `json:"type"`
		ID      string    `json:"id"`
		Name    string    `json:"display_name"`
		Created time.Time `json:"created_at"`
	}
	all, err := s.models.all()
	if err != nil {
		return err
	}
	list := struct {
		Data  []info  `json:"data"`
		More  bool    `json:"has_more"`
		First *string `json:"first_id"`
		Last  *string `json:"last_id"`
	}{Data: []info{}}
	for _, m := range all {
		name := strings.TrimSuffix(m.name, ":latest")
		list.Data = append(list.Data, info{"model", name, name, m.modified.UTC()})
	}
	if n := len(list.Data); n > 0 {
		list.First, list.Last = &list.Data[0].ID, &list.Data[n-1].ID
	}
	return s.writeJSON(w, http.StatusOK, list)
}
