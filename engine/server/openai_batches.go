package server

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/eyelet-engine/eyelet/engine/batch"
)

// openaiBatch is a batch as OpenAI describes it.
type openaiBatch struct {
	ID         string            `json:"id"`
	Object     string            `json:"object"`
	Endpoint   string            `json:"endpoint"`
	Errors     *openaiBatchFault `json:"errors"`
	Input      string            `json:"input_file_id"`
	Window     string            `json:"completion_window"`
	Status     string            `json:"status"`
	Output     *string           `json:"output_file_id"`
	ErrorFile  *string           `json:"error_file_id"`
	Created    int64             `json:"created_at"`
	Begun      *int64            `json:"in_progress_at"`
	Expires    *int64            `json:"expires_at"`
	Finalizing *int64            `json:"finalizing_at"`
	Completed  *int64            `json:"completed_at"`
	Failed     *int64            `json:"failed_at"`
	Expired    *int64            `json:"expired_at"`
	Cancelling *int64            `json:"cancelling_at"`
	Cancelled  *int64            `json:"cancelled_at"`
	Counts     requestCounts     `json:"request_counts"`
	Metadata   map[string]string `json:"metadata"`

	Owner string `json:"owner,omitempty"` // as of a file
}

type requestCounts struct {
	Total     int `json:"total"`
	Completed int `json:"completed"`
	Failed    int `json:"failed"`
}

// openaiBatchFault says why a batch was not begun.
type openaiBatchFault struct {
	Object string                 `json:"object"`
	Data   []openaiBatchFaultLine `json:"data"`
}

type openaiBatchFaultLine struct {
	Code    string  `json:"code"`
	Line    *int    `json:"line"`
	Message string  `json:"message"`
	Param   *string `json:"param"`
}

// States of a batch.
const (
	batchValidating = "validating"
	batchFailed     = "failed"
	batchRunning    = "in_progress"
	batchFinalizing = "finalizing"
	batchCompleted  = "completed"
	batchCancelling = "cancelling"
	batchCancelled  = "cancelled"
)

// ended reports whether nothing more happens to the batch.
func (o *openaiBatch) ended() bool {
	return o.Status == batchFailed || o.Status == batchCompleted || o.Status == batchCancelled
}

// shown is the batch as clients see it.
func (o *openaiBatch) shown() *openaiBatch {
	c := *o
	c.Owner = ""
	return &c
}

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
		return refuseField("endpoint", "endpoint is %.60q; this server runs batches of %s",
			q.Endpoint, strings.Join(batch.Endpoints, ", "))
	case q.Window != "24h":
		return refuseField("completion_window", "completion_window is %.20q; give 24h", q.Window)
	case len(q.Metadata) > maxMetadata:
		return refuseField("metadata", "metadata has %d pairs; give at most %d", len(q.Metadata),
			maxMetadata)
	}
	for k, v := range q.Metadata {
		if len(k) > 64 || len(v) > 512 {
			return refuseField("metadata",
				"metadata has a name of more than 64 characters, or a value of more than 512")
		}
	}
	f := b.file(q.Input, ownerOf(r))
	if f == nil {
		return refuseField("input_file_id", "there is no file %.80q", q.Input)
	}
	created := now()
	expires := created + 24*60*60
	o := &openaiBatch{
		ID: newID("batch_"), Object: "batch", Endpoint: q.Endpoint, Input: f.ID, Window: q.Window,
		Status:  batchValidating,
		Created: created, Expires: &expires, Metadata: q.Metadata, Owner: ownerOf(r),
	}
	if err := b.begin(o); err != nil {
		return err
	}
	return s.writeJSON(w, http.StatusOK, b.state(o))
}

// openaiBatchOf is the batch that a path names.
func (s *Server) openaiBatchOf(r *http.Request) (*batches, *openaiBatch, error) {
	b, err := s.batches.ready()
	if err != nil {
		return nil, nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	o := b.list[r.PathValue("id")]
	if o == nil || o.Owner != ownerOf(r) {
		return nil, nil, &failure{status: http.StatusNotFound, kind: kindNotFound, param: "id",
			text: fmt.Sprintf("No batch found with id '%.80s'.", r.PathValue("id"))}
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
	var list []*openaiBatch
	b.mu.Lock()
	for _, o := range b.list {
		if o.Owner == ownerOf(r) {
			list = append(list, o.shown())
		}
	}
	b.mu.Unlock()
	slices.SortFunc(list, func(x, y *openaiBatch) int {
		return cmp.Or(cmp.Compare(y.Created, x.Created), cmp.Compare(y.ID, x.ID))
	})
	page, more, err := pageOf(list, r, 20, func(o *openaiBatch) string { return o.ID })
	if err != nil {
		return err
	}
	if page == nil {
		page = []*openaiBatch{}
	}
	return s.writeJSON(w, http.StatusOK, listOf(page, more, func(o *openaiBatch) string {
		return o.ID
	}))
}
