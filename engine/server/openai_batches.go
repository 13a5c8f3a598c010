package server

import (
	"cmp"
	"net/http"
	"slices"
	"strings"

	"github.com/eyelet-engine/eyelet/engine/batch"
	"github.com/eyelet-engine/eyelet/engine/server/internal/failure"
	"github.com/eyelet-engine/eyelet/engine/server/internal/openai"
)

// maxMetadata bounds the pairs of a batch's metadata, as OpenAI does.
const maxMetadata = 16

// openaiCreateBatch answers POST /v1/batches.
func (s *Server) openaiCreateBatch(w http.ResponseWriter, r *http.Request) error {
	b, err := s.batches.ready()
	if err != nil {
		return err
	}
	var q struct {
		Input    string            `json:"input_file_id"`
		Endpoint string            `json:"endpoint"`
		Window   string            `json:"completion_window"`
		Metadata map[string]string `json:"metadata"`
	}
	if err := s.decode(w, r, &q); err != nil {
		return err
	}
	switch {
	case !slices.Contains(batch.Endpoints, q.Endpoint):
		return failure.Field("endpoint", "endpoint is %.60q; this server runs batches of %s",
			q.Endpoint, strings.Join(batch.Endpoints, ", "))
	case q.Window != "24h":
		return failure.Field("completion_window", "completion_window is %.20q; give 24h", q.Window)
	case len(q.Metadata) > maxMetadata:
		return failure.Field("metadata", "metadata has %d pairs; give at most %d", len(q.Metadata),
			maxMetadata)
	}
	for k, v := range q.Metadata {
		if len(k) > 64 || len(v) > 512 {
			return failure.Field("metadata",
				"metadata has a name of more than 64 characters, or a value of more than 512")
		}
	}
	f := b.file(q.Input, ownerOf(r))
	if f == nil {
		return failure.Field("input_file_id", "there is no file %.80q", q.Input)
	}
	created := now()
	expires := created + 24*60*60
	o := &openai.Batch{
		ID: newID("batch_"), Object: "batch", Endpoint: q.Endpoint, Input: f.ID, Window: q.Window,
		Status:  openai.BatchValidating,
		Created: created, Expires: &expires, Metadata: q.Metadata, Owner: ownerOf(r),
	}
	if err := b.begin(o); err != nil {
		return err
	}
	return s.writeJSON(w, http.StatusOK, b.state(o))
}

// openaiBatchOf returns the batch that a path names.
func (s *Server) openaiBatchOf(r *http.Request) (*batches, *openai.Batch, error) {
	b, err := s.batches.ready()
	if err != nil {
		return nil, nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	o := b.list[r.PathValue("id")]
	if o == nil || o.Owner != ownerOf(r) {
		return nil, nil, failure.New(http.StatusNotFound, failure.KindNotFound,
			"No batch found with id '%.80s'.", r.PathValue("id")).At("id")
	}
	return b, o, nil
}

// openaiBatchInfo answers GET /v1/batches/ID.
func (s *Server) openaiBatchInfo(w http.ResponseWriter, r *http.Request) error {
	b, o, err := s.openaiBatchOf(r)
	if err != nil {
		return err
	}
	return s.writeJSON(w, http.StatusOK, b.state(o))
}

// openaiCancelBatch answers POST /v1/batches/ID/cancel.
func (s *Server) openaiCancelBatch(w http.ResponseWriter, r *http.Request) error {
	b, o, err := s.openaiBatchOf(r)
	if err == nil {
		err = b.stop(o)
	}
	if err != nil {
		return err
	}
	return s.writeJSON(w, http.StatusOK, b.state(o))
}

// openaiBatches answers GET /v1/batches, newest first.
func (s *Server) openaiBatches(w http.ResponseWriter, r *http.Request) error {
	b, err := s.batches.ready()
	if err != nil {
		return err
	}
	var list []*openai.Batch
	b.mu.Lock()
	for _, o := range b.list {
		if o.Owner == ownerOf(r) {
			list = append(list, o.Shown())
		}
	}
	b.mu.Unlock()
	slices.SortFunc(list, func(x, y *openai.Batch) int {
		return cmp.Or(cmp.Compare(y.Created, x.Created), cmp.Compare(y.ID, x.ID))
	})
	page, more, err := pageOf(list, r, 20, func(o *openai.Batch) string { return o.ID })
	if err != nil {
		return err
	}
	if page == nil {
		page = []*openai.Batch{}
	}
	return s.writeJSON(w, http.StatusOK, openai.ListOf(page, more, func(o *openai.Batch) string {
		return o.ID
	}))
}
