package server

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"os"
	"slices"
	"strconv"
)

// openaiFileObject is a file that a client has uploaded, or that a batch has made, as OpenAI
// describes it.
type openaiFileObject struct {
	ID      string `json:"id"`
	Object  string `json:"object"`
	Bytes   int64  `json:"bytes"`
	Created int64  `json:"created_at"`
	Name    string `json:"filename"`
	Purpose string `json:"purpose"`
	Status  string `json:"status"`

	Owner string `json:"owner,omitempty"` // the name of the API key; left out of what clients see
}

// Bounds of uploads for batches.
const (
	maxBatchFile  = 1 << 30 // bytes
	maxBatchFiles = 10_000
)

// ownerOf is who a file or batch belongs to: the API key, where keys are demanded.
func ownerOf(r *http.Request) string {
	if key := recordOf(r.Context()).key; key != nil {
		return key.Name
	}
	return ""
}

// openaiUpload answers POST /v1/files. The file goes to disk as it comes.
func (s *Server) openaiUpload(w http.ResponseWriter, r *http.Request) error {
	b, err := s.batches.ready()
	if err != nil {
		return err
	}
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/form-data" || params["boundary"] == "" {
		return refuse("the body is a form (multipart/form-data) with purpose and the file \"file\"")
	}
	body := s.newTimedBody(w, r, http.MaxBytesReader(w, r.Body, maxBatchFile+(1<<20)))
	defer body.end()
	form := multipart.NewReader(body, params["boundary"])
	purpose, upload := "", (*openaiFileObject)(nil)
	discard := func(err error) error {
		if upload != nil {
			_ = os.Remove(b.content(upload.ID))
		}
		return err
	}
	for i := 0; ; i++ {
		part, err := form.NextPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil || i >= maxFields {
			return discard(uploadFault(err))
		}
		switch part.FormName() {
		case "purpose":
			text, err := io.ReadAll(io.LimitReader(part, 256))
			if err != nil {
				return discard(uploadFault(err))
			}
			purpose = string(text)
		case "file":
			if upload != nil {
				return discard(refuseField("file", "the form has two files; upload one at a time"))
			}
			upload = &openaiFileObject{ID: newID("file-"), Object: "file", Created: now(),
				Name: cmp.Or(part.FileName(), "file"), Status: "processed", Owner: ownerOf(r)}
			if upload.Bytes, err = b.receive(upload.ID, part); err != nil {
				return discard(uploadFault(err))
			}
		}
	}
	switch {
	case upload == nil:
		return refuseField("file", "the form has no file")
	case purpose != "batch":
		return discard(refuseField("purpose",
			"purpose is %.40q; this server keeps files of the purpose batch", purpose))
	}
	upload.Purpose = purpose
	if err := b.addFile(upload); err != nil {
		return discard(err)
	}
	return s.writeJSON(w, http.StatusOK, upload.shown())
}

// uploadFault says what is wrong with a form that breaks off.
func uploadFault(err error) error {
	if f, ok := errors.AsType[*failure](err); ok {
		return f
	}
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return &failure{status: http.StatusRequestEntityTooLarge, kind: kindTooLarge,
			text: fmt.Sprintf("the file is larger than %d MiB; split it into several batches",
				maxBatchFile>>20)}
	}
	if _, disk := errors.AsType[*os.PathError](err); disk {
		return err
	}
	f := refuse("the form of the body cannot be read, or has more than %d fields", maxFields)
	f.cause = err
	return f
}

// shown is the file as clients see it.
func (f *openaiFileObject) shown() *openaiFileObject {
	c := *f
	c.Owner = ""
	return &c
}

// openaiFiles answers GET /v1/files, newest first.
func (s *Server) openaiFiles(w http.ResponseWriter, r *http.Request) error {
	b, err := s.batches.ready()
	if err != nil {
		return err
	}
	query := r.URL.Query()
	list := b.filesOf(ownerOf(r))
	list = slices.DeleteFunc(list, func(f *openaiFileObject) bool {
		return query.Has("purpose") && f.Purpose != query.Get("purpose")
	})
	if query.Get("order") == "asc" {
		slices.Reverse(list)
	}
	page, more, err := pageOf(list, r, 10_000, func(f *openaiFileObject) string { return f.ID })
	if err != nil {
		return err
	}
	data := []*openaiFileObject{}
	for _, f := range page {
		data = append(data, f.shown())
	}
	return s.writeJSON(w, http.StatusOK, listOf(data, more, func(f *openaiFileObject) string {
		return f.ID
	}))
}

// openaiList is a list as OpenAI's clients page through it.
type openaiList[T any] struct {
	Object  string  `json:"object"`
	Data    []T     `json:"data"`
	FirstID *string `json:"first_id"`
	LastID  *string `json:"last_id"`
	HasMore bool    `json:"has_more"`
}

func listOf[T any](data []T, more bool, id func(T) string) openaiList[T] {
	l := openaiList[T]{Object: "list", Data: data, HasMore: more}
	if len(data) > 0 {
		first, last := id(data[0]), id(data[len(data)-1])
		l.FirstID, l.LastID = &first, &last
	}
	return l
}

// pageOf is the part of a list that "after" and "limit" ask for.
func pageOf[T any](list []T, r *http.Request, limit int, id func(T) string) (page []T, more bool,
	err error) {
	query := r.URL.Query()
	if text := query.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > 10_000 {
			return nil, false, refuseField("limit", "limit is %.20q; give 1 to 10000", text)
		}
		limit = n
	}
	if after := query.Get("after"); after != "" {
		i := slices.IndexFunc(list, func(v T) bool { return id(v) == after })
		if i < 0 {
			return nil, false, refuseField("after", "there is no %.80q to list after", after)
		}
		list = list[i+1:]
	}
	if len(list) > limit {
		return list[:limit], true, nil
	}
	return list, false, nil
}

// openaiFileOf is the file that a path names.
func (s *Server) openaiFileOf(r *http.Request) (*batches, *openaiFileObject, error) {
	b, err := s.batches.ready()
	if err != nil {
		return nil, nil, err
	}
	f := b.file(r.PathValue("id"), ownerOf(r))
	if f == nil {
		return nil, nil, &failure{status: http.StatusNotFound, kind: kindNotFound, param: "id",
			text: fmt.Sprintf("No such File object: %.80s", r.PathValue("id"))}
	}
	return b, f, nil
}

// openaiFileInfo answers GET /v1/files/ID.
func (s *Server) openaiFileInfo(w http.ResponseWriter, r *http.Request) error {
	_, f, err := s.openaiFileOf(r)
	if err != nil {
		return err
	}
	return s.writeJSON(w, http.StatusOK, f.shown())
}

// openaiFileContent answers GET /v1/files/ID/content.
func (s *Server) openaiFileContent(w http.ResponseWriter, r *http.Request) error {
	b, f, err := s.openaiFileOf(r)
	if err != nil {
		return err
	}
	content, err := os.Open(b.content(f.ID))
	if err != nil {
		return err
	}
	defer content.Close()
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", strconv.FormatInt(f.Bytes, 10))
	buffer := make([]byte, 256<<10)
	for {
		n, err := content.Read(buffer)
		if n > 0 {
			s.limitWrite(w) // each piece has a time of its own
			if _, err := w.Write(buffer[:n]); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// openaiDeleteFile answers DELETE /v1/files/ID.
func (s *Server) openaiDeleteFile(w http.ResponseWriter, r *http.Request) error {
	b, f, err := s.openaiFileOf(r)
	if err == nil {
		err = b.removeFile(f)
	}
	if err != nil {
		return err
	}
	return s.writeJSON(w, http.StatusOK, struct {
		ID      string `json:"id"`
		Object  string `json:"object"`
		Deleted bool   `json:"deleted"`
	}{f.ID, "file", true})
}
