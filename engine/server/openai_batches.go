package server

import (
	"net/http"
	"slices"
	"strings"

	"github.com/eyelet-engine/eyelet/engine/batch"
	"github.com/eyelet-engine/eyelet/engine/server/internal/failure"
	"github.com/eyelet-engine/eyelet/engine/server/internal/openai"
)

// maxMetadata bounds the pairs of a batch's metadata, as OpenAI does.
const maxMetadata = 16

// batchRequest is the body of POST /v1/batches.
type batchRequest struct {
	Input    string            `json:"input_file_id"`
	Endpoint string            `json:"endpoint"`
	Window   string            `json:"completion_window"`
	Metadata map[string]string `json:"metadata"`
	Expiry   *openai.Expiry    `json:"output_expires_after"`
}

// openaiCreateBatch answers POST /v1/batches.
func (s *Server) openaiCreateBatch(w http.ResponseWriter, r *http.Request, q *batchRequest) error {
	b, err := s.batches.ready()
	if err != nil {
		return err
	}
	switch {
	case !slices.Contains(batch.Endpoints, q.Endpoint):
		return failure.Wrong("endpoint", "is %.60q; this server runs batches of %s", q.Endpoint,
			strings.Join(batch.Endpoints, ", "))
	case q.Window != "24h":
		return failure.Wrong("completion_window", "is %.20q; give 24h", q.Window)
	case len(q.Metadata) > maxMetadata:
		return failure.Wrong("metadata", "has %d pairs; give at most %d", len(q.Metadata),
			maxMetadata)
	}
	for k, v := range q.Metadata {
		if len(k) > 64 || len(v) > 512 {
			return failure.Wrong("metadata",
				"has a name of more than 64 characters, or a value of more than 512")
		}
	}
	life, err := q.Expiry.Life("output_expires_after")
	if err != nil {
		return err
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
		OutputLife: life,
	}
	if err := b.begin(o); err != nil {
		return err
	}
	return s.writeJSON(w, http.StatusOK, b.state(o))
}

// batchOf returns the batch that a path names.
func (b *batches) batchOf(r *http.Request) (*openai.Batch, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	o := b.list[r.PathValue("id")]
	if o == nil || o.Owner != ownerOf(r) {
		return nil, failure.New(http.StatusNotFound, failure.KindNotFound,
			"No batch found with id '%.80s'.", r.PathValue("id")).At("id")
	}
	return o, nil
}

// answerBatch answers GET /v1/batches/ID.
func (b *batches) answerBatch(w http.ResponseWriter, r *http.Request) error {
	o, err := b.batchOf(r)
	if err != nil {
		return err
	}
	return b.s.writeJSON(w, http.StatusOK, b.state(o))
}

// answerCancel answers POST /v1/batches/ID/cancel.
func (b *batches) answerCancel(w http.ResponseWriter, r *http.Request) error {
	o, err := b.batchOf(r)
	if err == nil {
		err = b.stop(o)
	}
	if err != nil {
		return err
	}
	return b.s.writeJSON(w, http.StatusOK, b.state(o))
}

// answerBatches answers GET /v1/batches, newest first.
func (b *batches) answerBatches(w http.ResponseWriter, r *http.Request) error {
	var list []*openai.Batch
	b.mu.Lock()
	for _, o := range b.list {
		if o.Owner == ownerOf(r) {
			list = append(list, o.Shown())
		}
	}
	b.mu.Unlock()
	newestFirst(list)
	return answerList(b.s, w, r, list, 20)
}
