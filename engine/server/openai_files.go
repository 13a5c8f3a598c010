package server

import (
	"cmp"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"os"
	"slices"
	"strconv"

	"github.com/eyelet-engine/eyelet/engine/server/internal/failure"
	"github.com/eyelet-engine/eyelet/engine/server/internal/openai"
)

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
		return failure.Refuse(
			"the body is a form (multipart/form-data) with purpose and the file \"file\"")
	}
	body := s.newTimedBody(w, r, http.MaxBytesReader(w, r.Body, maxBatchFile+(1<<20)))
	defer body.end()
	form := multipart.NewReader(body, params["boundary"])
	purpose, upload := "", (*openai.FileObject)(nil)
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
				return discard(failure.Field("file",
					"the form has two files; upload one at a time"))
			}
			upload = &openai.FileObject{ID: newID("file-"), Object: "file", Created: now(),
				Name: cmp.Or(part.FileName(), "file"), Status: "processed", Owner: ownerOf(r)}
			if upload.Bytes, err = b.receive(upload.ID, part); err != nil {
				return discard(uploadFault(err))
			}
		}
	}
	switch {
	case upload == nil:
		return failure.Field("file", "the form has no file")
	case purpose != "batch":
		return discard(failure.Field("purpose",
			"purpose is %.40q; this server keeps files of the purpose batch", purpose))
	}
	upload.Purpose = purpose
	if err := b.addFile(upload); err != nil {
		return discard(err)
	}
	return s.writeJSON(w, http.StatusOK, upload.Shown())
}

// uploadFault says what is wrong with a form that breaks off.
func uploadFault(err error) error {
	if f, ok := errors.AsType[*failure.Failure](err); ok {
		return f
	}
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return failure.New(http.StatusRequestEntityTooLarge, failure.KindTooLarge,
			"the file is larger than %d MiB; split it into several batches", maxBatchFile>>20)
	}
	if _, disk := errors.AsType[*os.PathError](err); disk {
		return err
	}
	return failure.Refuse("the form of the body cannot be read, or has more than %d fields",
		maxFields).By(err)
}

// openaiFiles answers GET /v1/files, newest first.
func (s *Server) openaiFiles(w http.ResponseWriter, r *http.Request) error {
	b, err := s.batches.ready()
	if err != nil {
		return err
	}
	query := r.URL.Query()
	list := b.filesOf(ownerOf(r))
	list = slices.DeleteFunc(list, func(f *openai.FileObject) bool {
		return query.Has("purpose") && f.Purpose != query.Get("purpose")
	})
	if query.Get("order") == "asc" {
		slices.Reverse(list)
	}
	page, more, err := pageOf(list, r, 10_000, func(f *openai.FileObject) string { return f.ID })
	if err != nil {
		return err
	}
	data := []*openai.FileObject{}
	for _, f := range page {
		data = append(data, f.Shown())
	}
	return s.writeJSON(w, http.StatusOK, openai.ListOf(data, more,
		func(f *openai.FileObject) string {
			return f.ID
		}))
}

// pageOf is the part of a list that "after" and "limit" ask for.
func pageOf[T any](list []T, r *http.Request, limit int, id func(T) string) (page []T, more bool,
	err error) {
	query := r.URL.Query()
	if text := query.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > 10_000 {
			return nil, false, failure.Field("limit", "limit is %.20q; give 1 to 10000", text)
		}
		limit = n
	}
	if after := query.Get("after"); after != "" {
		i := slices.IndexFunc(list, func(v T) bool { return id(v) == after })
		if i < 0 {
			return nil, false, failure.Field("after", "there is no %.80q to list after", after)
		}
		list = list[i+1:]
	}
	if len(list) > limit {
		return list[:limit], true, nil
	}
	return list, false, nil
}

// openaiFileOf returns the file that a path names.
func (s *Server) openaiFileOf(r *http.Request) (*batches, *openai.FileObject, error) {
	b, err := s.batches.ready()
	if err != nil {
		return nil, nil, err
	}
	f := b.file(r.PathValue("id"), ownerOf(r))
	if f == nil {
		return nil, nil, failure.New(http.StatusNotFound, failure.KindNotFound,
			"No such File object: %.80s", r.PathValue("id")).At("id")
	}
	return b, f, nil
}

// openaiFileInfo answers GET /v1/files/ID.
func (s *Server) openaiFileInfo(w http.ResponseWriter, r *http.Request) error {
	_, f, err := s.openaiFileOf(r)
	if err != nil {
		return err
	}
	return s.writeJSON(w, http.StatusOK, f.Shown())
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
	return s.writeJSON(w, http.StatusOK, openai.Deleted{ID: f.ID, Object: "file", Deleted: true})
}
