package server

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/eyelet-engine/eyelet/engine/server/internal/anthropic"
	"github.com/eyelet-engine/eyelet/engine/server/internal/failure"
)

// isAnthropic reports whether a client says that it speaks Anthropic's API, where paths are the
// same as OpenAI's.
func isAnthropic(r *http.Request) bool { return r.Header.Get("Anthropic-Version") != "" }

// anthropic describes the model under the name that a client uses.
func (m *model) anthropic(name string) anthropic.Model {
	return anthropic.Model{Type: "model", ID: name, Name: name,
		Created: m.modified.UTC().Truncate(time.Second)}
}

// anthropicModels lists the models, page by page if the client wants that: limit, after_id,
// before_id.
func (s *Server) anthropicModels(w http.ResponseWriter, r *http.Request) error {
	all, err := s.models.all()
	if err != nil {
		return err
	}
	list := anthropic.Models{Data: []anthropic.Model{}}
	for _, m := range all {
		list.Data = append(list.Data, m.anthropic(strings.TrimSuffix(m.name, ":latest")))
	}
	at := func(id string) int {
		return slices.IndexFunc(list.Data, func(m anthropic.Model) bool { return m.ID == id })
	}
	limit := len(list.Data)
	if text := r.FormValue("limit"); text != "" {
		if limit, err = strconv.Atoi(text); err != nil || limit < 1 || limit > 1000 {
			return failure.Wrong("limit", "is %.20q; give 1 to 1000", text)
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
