package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/eyelet-engine/eyelet/engine/server/internal/failure"
)

// Bounds of a JSON body beside its bytes: a small body can make a large structure.
const (
	maxDepth  = 64
	maxValues = 1 << 18
	bodyChunk = 256 << 10 // bytes for which room is asked at a time
)

// held is the memory for what comes from outside that a request holds. It counts against
// Limits.Memory until release, which [Server.admit] calls at the end of the request.
type held struct {
	of    *semaphore.Weighted
	bytes int64
	body  int64    // size of the body
	entry *portion // of the server's intake; nil for a small body
}

// release gives the memory back.
func (h *held) release() {
	h.entry.end()
	h.of.Release(h.bytes)
	h.bytes = 0
}

// count counts so many quarters of the body's size as what the request holds while it waits.
func (h *held) count(quarters int64) { h.entry.set(quarters * h.body / 4) }

// turn says that the request waits no more: what it holds is bounded by how many are computed at a
// time.
func (h *held) turn() { h.entry.end() }

// reserve counts n more bytes, or refuses them.
func (h *held) reserve(n int64) error {
	if !h.of.TryAcquire(n) {
		return failure.Busy(
			"the server is busy: too many large requests are under way; try again later")
	}
	h.bytes += n
	return nil
}

// readBody reads a body whole, within its limits of bytes and time.
func (s *Server) readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	tooLarge := failure.New(http.StatusRequestEntityTooLarge, failure.KindTooLarge,
		"the body is larger than %d MiB; send fewer or smaller pictures", s.limits.Body>>20)
	if r.ContentLength > s.limits.Body {
		return nil, tooLarge
	}
	memory := &recordOf(r.Context()).memory
	if err := s.letIn(r, memory); err != nil {
		return nil, err
	}
	late := time.AfterFunc(intakeTime, func() { memory.entry.set(0) })
	defer late.Stop()
	// The deadline must not outlast the reading: the connection is watched for its end while the
	// answer is computed.
	rc := http.NewResponseController(w)
	// a connection that has none, as of a test, is no danger
	_ = rc.SetReadDeadline(time.Now().Add(s.limits.ReadTime))
	defer func() { _ = rc.SetReadDeadline(time.Time{}) }()
	body, promised, err := s.unpack(w, r, http.MaxBytesReader(w, r.Body, s.limits.Body),
		s.limits.Body)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	data, err := memory.readAll(body, promised)
	if err == nil {
		late.Stop()
		memory.body = int64(len(data))
		memory.count(whileRead)
		return data, nil
	}
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return nil, tooLarge
	}
	if f := packed(err); f != nil {
		return nil, f
	}
	if _, ok := errors.AsType[*failure.Failure](err); ok {
		return nil, err
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return nil, failure.New(http.StatusRequestTimeout, failure.KindTimeout,
			"the body did not come within %v", s.limits.ReadTime).By(err)
	}
	return nil, failure.New(http.StatusBadRequest, failure.KindRequest,
		"the body ends early").By(err)
}

// letIn waits until there is room for a body.
func (s *Server) letIn(r *http.Request, memory *held) error {
	bytes := r.ContentLength * whileRead / 4
	switch {
	case r.ContentLength < 0 || r.Header.Get("Content-Encoding") != "":
		bytes = unknownBody
	case r.ContentLength <= smallBody:
		return nil
	}
	waiting, done := recordOf(r.Context()).waits.begin(r.Context())
	defer done()
	entry, err := s.intake.enter(waiting, recordOf(r.Context()).client, bytes)
	if err != nil {
		return refused(waiting, err)
	}
	memory.entry = entry
	return nil
}

// growth is how much room is made at most for a byte that has come, if more are promised.
const growth = 8

// readAll reads to the end. Room is made as bytes come, not as they are promised.
func (h *held) readAll(r io.Reader, promised int64) (data []byte, err error) {
	for {
		if room := int64(cap(data)); int64(len(data)) == room {
			grow := max(bodyChunk, room)
			if promised > 0 && promised < growth*room+bodyChunk {
				// one byte more, so that the end is found without growing
				grow = max(promised-room+1, 1)
			}
			if err := h.reserve(grow); err != nil {
				return nil, err
			}
			data = append(make([]byte, 0, room+grow), data...)
		}
		n, err := r.Read(data[len(data):cap(data)])
		data = data[:len(data)+n]
		if err == io.EOF {
			return data, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// decode reads the JSON object in a request's body into v. The body's memory stays counted, for
// what v holds was copied out of it.
func (s *Server) decode(w http.ResponseWriter, r *http.Request, v any) error {
	data, err := s.readBody(w, r)
	if err != nil {
		return err
	}
	err = decodeJSON(data, v)
	recordOf(r.Context()).memory.count(whileTaken)
	return err
}

// decodeJSON reads one JSON object and nothing else. Fields that v does not have are passed over:
// clients send more than any server knows.
func decodeJSON(data []byte, v any) error {
	if len(bytes.TrimSpace(data)) == 0 {
		return failure.Refuse("the body is empty; send a JSON object")
	}
	if err := checkShape(data); err != nil {
		return err
	}
	err := json.Unmarshal(data, v)
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		e.Field = fieldOf(e.Field)
		return failure.Field(e.Field, "%s", typeText(e))
	}
	if e, ok := errors.AsType[*json.SyntaxError](err); ok {
		return failure.Refuse("the body is not JSON: %v, at byte %d", e, e.Offset)
	}
	return failure.Refuse("the body cannot be used: %s", failure.Text(err)).By(err)
}

// fieldOf returns the path of a field as clients know it: without the structs that are embedded in
// others, whose names have capitals, which those of fields here never have.
func fieldOf(path string) string {
	parts := strings.Split(path, ".")
	return strings.Join(slices.DeleteFunc(parts, func(p string) bool {
		return strings.ToLower(p) != p
	}), ".")
}

func typeText(e *json.UnmarshalTypeError) string {
	if e.Field == "" {
		return fmt.Sprintf("the body is a JSON %s; send an object", e.Value)
	}
	return fmt.Sprintf("%s is a JSON %s, which it cannot be", e.Field, e.Value)
}

// checkShape bounds how deep JSON goes and how many values it has, without building any of them.
// Whether it is JSON at all is not its concern.
func checkShape(data []byte) error {
	depth, values := 0, 0
	for i := 0; i < len(data); i++ {
		switch data[i] {
		case '"':
			n := stringEnd(data[i+1:])
			if n < 0 {
				return nil // not JSON, as the decoder will say
			}
			i += 1 + n
		case '{', '[':
			if depth++; depth > maxDepth {
				return failure.Refuse("the JSON of the body is nested deeper than %d", maxDepth)
			}
			values++
		case '}', ']':
			depth--
		case ',':
			values++
		}
		if values > maxValues {
			return failure.Refuse("the JSON of the body has more than %d values", maxValues)
		}
	}
	return nil
}

// stringEnd returns the index of the quote that ends a string, or -1.
func stringEnd(data []byte) int {
	for from := 0; ; {
		n := bytes.IndexByte(data[from:], '"')
		if n < 0 {
			return -1
		}
		end := from + n
		slashes := 0
		for end-slashes > 0 && data[end-slashes-1] == '\\' {
			slashes++
		}
		if slashes%2 == 0 {
			return end
		}
		from = end + 1
	}
}
