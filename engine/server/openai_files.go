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

// uploadFields are what a form says beside the file that it brings.
type uploadFields struct {
	purpose string
	expiry  *openai.Expiry // nil for none
}

// set sets a field.
func (u *uploadFields) set(name, value string) {
	if name == "purpose" {
		u.purpose = value
		return
	}
	if u.expiry == nil {
		u.expiry = &openai.Expiry{}
	}
	if name == "expires_after[anchor]" {
		u.expiry.Anchor = value
		return
	}
	// what is no number is none of those that may be
	u.expiry.Seconds, _ = strconv.ParseInt(value, 10, 64)
}

// answerUpload answers POST /v1/files. The file goes to disk as it comes.
func (b *batches) answerUpload(w http.ResponseWriter, r *http.Request) error {
	s := b.s
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/form-data" || params["boundary"] == "" {
		return failure.Refuse(
			"the body is a form (multipart/form-data) with purpose and the file \"file\"")
	}
	body := s.newTimedBody(w, r, http.MaxBytesReader(w, r.Body, maxBatchFile+(1<<20)))
	defer body.end()
	form := multipart.NewReader(body, params["boundary"])
	var fields uploadFields
	var upload *openai.FileObject
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
		switch name := part.FormName(); name {
		case "purpose", "expires_after[anchor]", "expires_after[seconds]":
			text, err := io.ReadAll(io.LimitReader(part, 256))
			if err != nil {
				return discard(uploadFault(err))
			}
			fields.set(name, string(text))
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
	case fields.purpose != "batch":
		return discard(failure.Wrong("purpose",
			"is %.40q; this server keeps files of the purpose batch", fields.purpose))
	}
	life, err := fields.expiry.Life("expires_after")
	if err != nil {
		return discard(err)
	}
	upload.Purpose = fields.purpose
	upload.Keep(life)
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

// answerFiles answers GET /v1/files, newest first.
func (b *batches) answerFiles(w http.ResponseWriter, r *http.Request) error {
	query := r.URL.Query()
	list := slices.DeleteFunc(b.filesOf(ownerOf(r)), func(f *openai.FileObject) bool {
		return query.Has("purpose") && f.Purpose != query.Get("purpose")
	})
	if query.Get("order") == "asc" {
		slices.Reverse(list)
	}
	return answerList(b.s, w, r, list, 10_000)
}

// listed is what clients page through lists of.
type listed[T any] interface {
	// Place returns when the entry was made, and its id.
	Place() (created int64, id string)
	// Shown returns the entry as clients see it.
	Shown() T
}

// newestFirst sorts a list.
func newestFirst[T listed[T]](list []T) {
	slices.SortFunc(list, func(x, y T) int {
		atX, idX := x.Place()
		atY, idY := y.Place()
		return cmp.Or(cmp.Compare(atY, atX), cmp.Compare(idY, idX))
	})
}

// answerList answers with the part of a list that "after" and "limit" ask for.
func answerList[T listed[T]](s *Server, w http.ResponseWriter, r *http.Request, list []T,
	limit int) error {
	query := r.URL.Query()
	if text := query.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > 10_000 {
			return failure.Wrong("limit", "is %.20q; give 1 to 10000", text)
		}
		limit = n
	}
	if after := query.Get("after"); after != "" {
		i := slices.IndexFunc(list, func(v T) bool { _, id := v.Place(); return id == after })
		if i < 0 {
			return failure.Field("after", "there is no %.80q to list after", after)
		}
		list = list[i+1:]
	}
	out := openai.List[T]{Object: "list", Data: []T{}, HasMore: len(list) > limit}
	for i, v := range list[:min(len(list), limit)] {
		_, id := v.Place()
		if out.LastID = &id; i == 0 {
			out.FirstID = &id
		}
		out.Data = append(out.Data, v.Shown())
	}
	return s.writeJSON(w, http.StatusOK, out)
}

// fileOf returns the file that a path names.
func (b *batches) fileOf(r *http.Request) (*openai.FileObject, error) {
	f := b.file(r.PathValue("id"), ownerOf(r))
	if f == nil {
		return nil, failure.New(http.StatusNotFound, failure.KindNotFound,
			"No such File object: %.80s", r.PathValue("id")).At("id")
	}
	return f, nil
}

// answerFile answers GET /v1/files/ID.
func (b *batches) answerFile(w http.ResponseWriter, r *http.Request) error {
	f, err := b.fileOf(r)
	if err != nil {
		return err
	}
	return b.s.writeJSON(w, http.StatusOK, f.Shown())
}

// pacedWriter gives the client a time of its own for each piece.
type pacedWriter struct {
	s *Server
	w http.ResponseWriter
}

func (p pacedWriter) Write(b []byte) (int, error) {
	p.s.limitWrite(p.w)
	return p.w.Write(b)
}

// answerContent answers GET /v1/files/ID/content.
func (b *batches) answerContent(w http.ResponseWriter, r *http.Request) error {
	f, err := b.fileOf(r)
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
	_, err = io.CopyBuffer(pacedWriter{b.s, w}, struct{ io.Reader }{content},
		make([]byte, 256<<10))
	return err
}

// answerDelete answers DELETE /v1/files/ID.
func (b *batches) answerDelete(w http.ResponseWriter, r *http.Request) error {
	f, err := b.fileOf(r)
	if err == nil {
		err = b.removeFile(f)
	}
	if err != nil {
		return err
	}
	return b.s.writeJSON(w, http.StatusOK,
		openai.Deleted{ID: f.ID, Object: "file", Deleted: true})
}
