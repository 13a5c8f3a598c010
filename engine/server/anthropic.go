package server

import (
	"net/http"
	"slices"
	"strconv"
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
		fail: func(w http.ResponseWriter, f *failure) error {
			return s.writeJSON(w, f.status, anthropicErrorOf(f))
		},
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
	kindAuth: "authentication_error", kindForbidden: "permission_error",
	kindNotFound: "not_found_error", kindNoModel: "not_found_error",
	kindTooLarge: "request_too_large", kindRate: "rate_limit_error", kindBusy: "overloaded_error",
	kindTimeout:  "timeout_error",
	kindInternal: "api_error", kindUnsupported: "api_error", kindStorage: "api_error",
	kindSchema: "api_error",
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

// isAnthropic reports whether a client says that it speaks Anthropic's API, where paths are the
// same as OpenAI's.
func isAnthropic(r *http.Request) bool { return r.Header.Get("Anthropic-Version") != "" }

// anthropicModel is a model as Anthropic describes it.
type anthropicModel struct {
	Type    string    `json:"type"`
	ID      string    `json:"id"`
	Name    string    `json:"display_name"`
	Created time.Time `json:"created_at"`
}

// anthropic describes the model under the name that a client uses.
func (m *model) anthropic(name string) anthropicModel {
	return anthropicModel{"model", name, name, m.modified.UTC().Truncate(time.Second)}
}

// anthropicModels lists the models, page by page if the client wants that: limit, after_id,
// before_id.
func (s *Server) anthropicModels(w http.ResponseWriter, r *http.Request) error {
	all, err := s.models.all()
	if err != nil {
		return err
	}
	list := struct {
		Data  []anthropicModel `json:"data"`
		More  bool             `json:"has_more"`
		First *string          `json:"first_id"`
		Last  *string          `json:"last_id"`
	}{Data: []anthropicModel{}}
	for _, m := range all {
		list.Data = append(list.Data, m.anthropic(strings.TrimSuffix(m.name, ":latest")))
	}
	at := func(id string) int {
		return slices.IndexFunc(list.Data, func(m anthropicModel) bool { return m.ID == id })
	}
	limit := len(list.Data)
	if text := r.FormValue("limit"); text != "" {
		if limit, err = strconv.Atoi(text); err != nil || limit < 1 || limit > 1000 {
			return refuseField("limit", "limit is %.20q; give 1 to 1000", text)
		}
	}
	if after := at(r.FormValue("after_id")); after >= 0 {
		list.Data = list.Data[after+1:]
	}
	if before := at(r.FormValue("before_id")); before >= 0 {
		list.Data = list.Data[:before]
		list.More = before > limit
		list.Data = list.Data[max(0, before-limit):]
	}
	if len(list.Data) > limit {
		list.Data, list.More = list.Data[:limit], true
	}
	if n := len(list.Data); n > 0 {
		list.First, list.Last = &list.Data[0].ID, &list.Data[n-1].ID
	}
	return s.writeJSON(w, http.StatusOK, list)
}
