package server

import (
	"net/http"
	"strings"
	"time"

	"github.com/eyelet-engine/eyelet/engine/server/internal/failure"
	"github.com/eyelet-engine/eyelet/engine/server/internal/openai"
)

// noResponses answers requests about responses of earlier: none are kept.
func noResponses(http.ResponseWriter, *http.Request) error {
	return failure.New(http.StatusNotFound, failure.KindNotFound,
		"this server keeps no responses; send the whole conversation as input")
}

// openai describes the model.
func (m *model) openai() openai.Model {
	return openai.Model{ID: strings.TrimSuffix(m.name, ":latest"), Object: "model",
		Created: m.modified.Unix(), OwnedBy: "library"}
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
	list := openai.Models{Object: "list", Data: []openai.Model{}}
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

// now returns the time in the unit of OpenAI's answers.
func now() int64 { return time.Now().Unix() }
