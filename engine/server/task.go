package server

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"

	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/engine/batch"
	"github.com/eyelet-engine/eyelet/engine/server/internal/failure"
)

// batchPriority puts the requests of batches behind those that somebody waits for.
const batchPriority = -1

// maxTaskAnswer bounds the answer to a task, in bytes.
const maxTaskAnswer = 64 << 20

// Answer carries out a task of a batch as the route of its endpoint would, behind requests that
// come over HTTP. It has the signature of [batch.WorkerOptions]. Pictures of the task stand where
// the body names them by [batch.PictureAddress].
func (s *Server) Answer(ctx context.Context, t batch.Task) (*batch.Response, *batch.Fault) {
	// As those of a connection, the request's contexts end with it: ctx may live as long as the
	// program, and would keep what hangs on each of them, pictures included.
	ctx, end := context.WithCancel(ctx)
	defer end()
	pictures, fault := s.taskPictures(ctx, t.Pictures)
	if fault != nil {
		return nil, fault
	}
	body, err := withModel(t.Body, t.Model.Name)
	if err != nil {
		return nil, &batch.Fault{Code: "invalid_request", Message: "the body is not a JSON object"}
	}
	rec := &record{id: "batch-" + rand.Text(), client: "batch " + t.Batch,
		memory: held{of: s.memory}, waits: &s.waits, priority: batchPriority, pictures: pictures}
	defer rec.memory.release()
	r, err := http.NewRequestWithContext(context.WithValue(ctx, recordKey{}, rec), http.MethodPost,
		t.URL, bytes.NewReader(body))
	if err != nil {
		return nil, &batch.Fault{Code: "invalid_request", Message: err.Error()}
	}
	w := &taskWriter{header: http.Header{}}
	rec.header = w.header
	s.perform(w, r)
	if w.over {
		return nil, &batch.Fault{Code: "too_large",
			Message: fmt.Sprintf("the answer is larger than %d MiB", maxTaskAnswer>>20)}
	}
	answer := bytes.TrimSpace(w.body.Bytes())
	if !json.Valid(answer) {
		return nil, &batch.Fault{Code: "server_error",
			Message: "the endpoint answered with something else than JSON"}
	}
	response := &batch.Response{Status: w.status, RequestID: rec.id, Body: answer}
	if w.picture && len(pictures) > 0 { // a file of the task, as one that cannot be opened
		_, text := (&batch.Result{Response: response}).Reason()
		return nil, &batch.Fault{Code: badPicture, Message: text}
	}
	return response, nil
}

// badPicture is the code of a task with a picture file that is none, or is damaged.
const badPicture = "bad_picture"

// perform lets the routes answer a request that came by no connection.
func (s *Server) perform(w *taskWriter, r *http.Request) {
	fail := func(err error) {
		w.picture = errors.Is(err, engine.ErrImage)
		if w.status == 0 {
			_ = s.fail(w, r, failure.Of(r.Context(), err)) // into memory
		}
	}
	defer func() {
		if v := recover(); v != nil {
			s.log.Error("panic", "id", recordOf(r.Context()).id, "value", fmt.Sprint(v), "stack",
				string(debug.Stack()))
			w.status = 0
			w.body.Reset()
			fail(errors.New("panic"))
		}
	}()
	if err := s.routed(w, r); err != nil {
		fail(err)
	}
}

// taskPictures opens the pictures of a task.
func (s *Server) taskPictures(ctx context.Context,
	files []batch.File) (map[string]*engine.Image, *batch.Fault) {
	pictures := map[string]*engine.Image{}
	for i, f := range files {
		image, err := s.docs.page(ctx, f, s.limits.ImageBytes)
		if err != nil {
			if ctx.Err() != nil {
				return nil, &batch.Fault{Code: "interrupted", Message: ctx.Err().Error()}
			}
			return nil, &batch.Fault{Code: badPicture, Message: failure.Text(err)}
		}
		pictures[batch.PictureAddress(i)] = image
	}
	return pictures, nil
}

// withModel returns a body whose model is called as it is here.
func withModel(body []byte, name string) ([]byte, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(body, &fields); err != nil || fields == nil {
		return nil, errors.New("no object")
	}
	var said string
	if json.Unmarshal(fields["model"], &said) == nil && said == name || name == "" {
		return body, nil
	}
	fields["model"], _ = json.Marshal(name) // a text
	return json.Marshal(fields)
}

// taskWriter keeps an answer in memory.
type taskWriter struct {
	header http.Header
	status int
	body   bytes.Buffer
	over   bool
	// picture says that the answer is an error about a picture
	picture bool
}

func (w *taskWriter) Header() http.Header { return w.header }

func (w *taskWriter) WriteHeader(status int) {
	if w.status == 0 && status >= 200 {
		w.status = status
	}
}

func (w *taskWriter) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	if w.body.Len()+len(p) > maxTaskAnswer {
		w.over = true
		return 0, errors.New("the answer is too large")
	}
	return w.body.Write(p)
}

// Resolve finds the model that the body of a task names. It has the signature of
// [batch.Submission].
func (s *Server) Resolve(_ context.Context, name string) (batch.Model, error) {
	m, err := s.models.find(name)
	if err != nil {
		return batch.Model{}, failure.Of(context.Background(), err)
	}
	return batch.Model{Name: name, Digest: m.digest}, nil
}

// Shared reports whether another machine can know a model by its digest: those of the store and the
// built-in one, and not one that is a file here.
func (s *Server) Shared(name string) (bool, error) {
	m, err := s.models.find(name)
	if err != nil {
		return false, err
	}
	return m.shared(), nil
}

func (m *model) shared() bool { return m.stored != nil || m.builtin }

// SharedModels lists the models that other machines can know by their digests.
func (s *Server) SharedModels(context.Context) ([]batch.Model, error) {
	all, err := s.models.all()
	if err != nil {
		return nil, err
	}
	var list []batch.Model
	for _, m := range all {
		if m.shared() {
			list = append(list, batch.Model{Name: m.name, Digest: m.digest})
		}
	}
	return list, nil
}
