package server

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/eyelet-engine/eyelet/engine/server/internal/failure"
	"github.com/eyelet-engine/eyelet/models/store"
)

// uploadMemory is what an upload takes in memory, whatever its size.
const uploadMemory = 4 << 20

// changing returns the store, if requests may change it.
func (s *Server) changing() (*store.Store, error) {
	if s.models.store == nil || s.options.ReadOnly {
		return nil, failure.New(http.StatusForbidden, failure.KindForbidden,
			"this server's models cannot be changed over HTTP")
	}
	return s.models.store, nil
}

// digestOf returns the digest that a path names. Nothing else of it reaches the file system.
func digestOf(r *http.Request) (store.Digest, error) {
	d, err := store.ParseDigest(r.PathValue("digest"))
	if err != nil {
		return "", failure.Field("digest",
			"%.100q is no digest; give sha256: and 64 hexadecimal digits", r.PathValue("digest"))
	}
	return d, nil
}

// ollamaHasBlob answers HEAD /api/blobs/{digest}.
func (s *Server) ollamaHasBlob(w http.ResponseWriter, r *http.Request) error {
	d, err := digestOf(r)
	if err != nil {
		return err
	}
	if s.models.store == nil || !s.models.store.HasBlob(d) {
		return failure.New(http.StatusNotFound, failure.KindNotFound, "blob %q not found", d)
	}
	w.WriteHeader(http.StatusOK)
	return nil
}

// ollamaPutBlob answers POST /api/blobs/{digest}: a file that a model is to be made of. It can be
// seen once all of it is there and has the digest.
func (s *Server) ollamaPutBlob(w http.ResponseWriter, r *http.Request) error {
	d, err := digestOf(r)
	if err != nil {
		return err
	}
	st, err := s.changing()
	if err != nil {
		return err
	}
	if err := st.AllowUnsigned("uploads"); err != nil {
		return err
	}
	if st.HasBlob(d) {
		w.WriteHeader(http.StatusOK)
		return nil
	}
	body, err := s.blobBody(w, r)
	if err != nil {
		return err
	}
	defer body.end()
	if err := st.PutBlob(r.Context(), d, body); err != nil {
		return s.blobFailure(body, err)
	}
	w.WriteHeader(http.StatusCreated)
	return nil
}

// blobBody returns the body of a request that uploads a blob, whose memory it asks for. end must be
// called.
func (s *Server) blobBody(w http.ResponseWriter, r *http.Request) (*timedBody, error) {
	if r.ContentLength > s.limits.Blob {
		return nil, s.blobTooLarge()
	}
	if err := recordOf(r.Context()).memory.reserve(uploadMemory); err != nil {
		return nil, err
	}
	return s.newTimedBody(w, r, http.MaxBytesReader(w, r.Body, s.limits.Blob)), nil
}

func (s *Server) blobTooLarge() *failure.Failure {
	return failure.New(http.StatusRequestEntityTooLarge, failure.KindTooLarge,
		"the blob is larger than %d GiB", s.limits.Blob>>30)
}

// blobFailure says what was wrong with a body that could not be stored.
func (s *Server) blobFailure(body *timedBody, err error) error {
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return s.blobTooLarge()
	}
	if body.late.Load() {
		return failure.New(http.StatusRequestTimeout, failure.KindTimeout, "nothing came for %v",
			s.limits.ReadTime).By(err)
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return failure.New(http.StatusBadRequest, failure.KindRequest,
			"the body ends early").By(err)
	}
	return err
}

// timedBody is a body of any length that must keep coming.
type timedBody struct {
	r    io.Reader
	rc   *http.ResponseController
	ctx  context.Context
	time time.Duration
	stop func() bool

	late atomic.Bool // a read took too long
	mu   sync.Mutex  // over the deadline, which the end of the request brings forward
}

func (s *Server) newTimedBody(w http.ResponseWriter, r *http.Request, body io.Reader) *timedBody {
	b := &timedBody{r: body, rc: http.NewResponseController(w), ctx: r.Context(),
		time: s.limits.ReadTime}
	b.stop = context.AfterFunc(b.ctx, func() { b.deadline(time.Unix(1, 0)) })
	return b
}

// deadline sets until when the next read may take. A connection that knows none, as of a test, is
// no danger.
func (b *timedBody) deadline(t time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ctx.Err() != nil {
		t = time.Unix(1, 0)
	}
	_ = b.rc.SetReadDeadline(t)
}

// Read implements [io.Reader].
func (b *timedBody) Read(p []byte) (int, error) {
	until := time.Now().Add(b.time)
	b.deadline(until)
	n, err := b.r.Read(p)
	if errors.Is(err, os.ErrDeadlineExceeded) && !time.Now().Before(until) {
		b.late.Store(true) // which ends the request's context as well
	}
	return n, err
}

// end leaves the connection without a deadline, for its next request.
func (b *timedBody) end() {
	b.stop()
	b.deadline(time.Time{})
}
