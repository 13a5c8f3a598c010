package batch

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// Limits of what is submitted.
const (
	MaxID       = 512      // bytes of a custom_id
	MaxLine     = 64 << 20 // bytes of a line of requests
	MaxPictures = 64       // files that a body names
)

// Endpoints are the routes whose requests can be items of a batch.
var Endpoints = []string{"/v1/chat/completions", "/v1/completions", "/v1/embeddings",
	"/v1/responses", "/v1/images/generations"}

// ErrLine marks a line of requests that is none.
var ErrLine = errors.New("batch: bad line")

// ErrUTF8 says that a line is in another encoding than JSON's.
var ErrUTF8 = errors.New("it is not in UTF-8; save the file in that")

// Item is one request of a batch, as its submitter has it.
type Item struct {
	ID    string          // custom_id, which no other item of the batch has
	URL   string          // the endpoint, one of Endpoints
	Model string          // that the body names
	Body  json.RawMessage // the request, a JSON object
	// Pictures are files that Body names as the addresses eyelet:0, eyelet:1 and so on.
	Pictures []Source
	// Fault, where not nil, is why the item cannot be asked. It becomes the item's result.
	Fault *Fault
}

// Source is a picture file, or a page of a document.
type Source struct {
	Name string // for errors
	Path string
	Page int // counted from 0; -1 for the whole file
}

// Fault is why an item has no answer. Its shape is that of OpenAI's batches.
type Fault struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// Response is what the endpoint answered.
type Response struct {
	Status    int             `json:"status_code"`
	RequestID string          `json:"request_id"`
	Body      json.RawMessage `json:"body"`
}

// Result is what became of an item: a line of the output or of the errors, in the shape of OpenAI's
// batches.
type Result struct {
	ID       string    `json:"id"`
	CustomID string    `json:"custom_id"`
	Response *Response `json:"response"`
	Error    *Fault    `json:"error"`
}

// OK reports whether the endpoint answered with success.
func (r *Result) OK() bool {
	return r.Error == nil && r.Response != nil && r.Response.Status/100 == 2
}

// Reason is why there is no answer, "" where there is one.
func (r *Result) Reason() (code, text string) {
	switch {
	case r.OK():
		return "", ""
	case r.Error != nil:
		return r.Error.Code, r.Error.Message
	case r.Response == nil:
		return "no_response", "there is no response"
	}
	var body struct {
		Error struct {
			Message string  `json:"message"`
			Type    string  `json:"type"`
			Code    *string `json:"code"`
		} `json:"error"`
	}
	_ = json.Unmarshal(r.Response.Body, &body) // an error of another shape is told by its status
	if body.Error.Message == "" {
		return "status", fmt.Sprintf("the endpoint answered with status %d", r.Response.Status)
	}
	if body.Error.Code != nil && *body.Error.Code != "" {
		return *body.Error.Code, body.Error.Message
	}
	return body.Error.Type, body.Error.Message
}

// job is an item as it lies in the queue.
type job struct {
	Batch string          `json:"batch"`
	ID    string          `json:"custom_id"`
	URL   string          `json:"url"`
	Body  json.RawMessage `json:"body,omitempty"`
	// in the place of Body: its name in the object store
	Object   string    `json:"body_object,omitempty"`
	Pictures []picture `json:"pictures,omitempty"`
	Tries    int       `json:"tries"` // how often it is tried at most
}

// picture is a Source as it lies in the queue: a path that all machines share, or an object.
type picture struct {
	Name   string `json:"name"`
	Path   string `json:"path,omitempty"`
	Object string `json:"object,omitempty"`
	Page   int    `json:"page"`
}

// PictureAddress is how a body names one of Item.Pictures.
func PictureAddress(i int) string { return fmt.Sprintf("eyelet:%d", i) }

// hashOf is the token of subjects that stands for an id, whatever characters that has.
func hashOf(id string) string {
	sum := sha256.Sum256([]byte(id))
	return hex.EncodeToString(sum[:16])
}

// checkID refuses ids that cannot be told apart later, or flood logs.
func checkID(id string) error {
	switch {
	case id == "":
		return fmt.Errorf("%w: custom_id is missing", ErrLine)
	case len(id) > MaxID:
		return fmt.Errorf("%w: custom_id has %d bytes; give at most %d", ErrLine, len(id), MaxID)
	case !utf8.ValidString(id):
		return fmt.Errorf("%w: custom_id is not UTF-8", ErrLine)
	}
	return nil
}

// NewScanner returns a scanner of lines of requests, each of at most [MaxLine] bytes. The mark that
// programs on Windows put before UTF-8 is no part of the first line.
func NewScanner(r io.Reader) *bufio.Scanner {
	const mark = "\xef\xbb\xbf"
	in := bufio.NewReader(r)
	if begin, _ := in.Peek(len(mark)); string(begin) == mark {
		_, _ = in.Discard(len(mark)) // which were just seen
	}
	s := bufio.NewScanner(in)
	s.Buffer(make([]byte, 64<<10), MaxLine)
	return s
}

// ObjectFault says in words why package json could not read a line as an object.
func ObjectFault(err error) string {
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		if e.Field == "" {
			return fmt.Sprintf("it is not a JSON object, but a JSON %s", e.Value)
		}
		return fmt.Sprintf("%s is a JSON %s, which it cannot be", e.Field, e.Value)
	}
	return fmt.Sprintf("it is not a JSON object: %v", err)
}

// ParseLine reads a line of OpenAI's batch format: an object with custom_id, method, url and body.
// Errors wrap ErrLine and repeat nothing of the line but its method or url.
func ParseLine(line []byte) (Item, error) {
	if len(line) > MaxLine {
		return Item{}, fmt.Errorf("%w: it is longer than %d MiB", ErrLine, MaxLine>>20)
	}
	if !utf8.Valid(line) { // of which package json would make other texts
		return Item{}, fmt.Errorf("%w: %w", ErrLine, ErrUTF8)
	}
	var l struct {
		ID     *string         `json:"custom_id"`
		Method *string         `json:"method"`
		URL    *string         `json:"url"`
		Body   json.RawMessage `json:"body"`
	}
	if err := json.Unmarshal(line, &l); err != nil {
		return Item{}, fmt.Errorf("%w: %s", ErrLine, ObjectFault(err))
	}
	if l.ID == nil {
		return Item{}, fmt.Errorf("%w: custom_id is missing", ErrLine)
	}
	it := Item{ID: *l.ID, Body: l.Body}
	if err := checkID(it.ID); err != nil {
		return Item{}, err
	}
	switch {
	case l.Method == nil:
		return it, fmt.Errorf("%w: method is missing; it is POST", ErrLine)
	case !strings.EqualFold(*l.Method, "POST"):
		return it, fmt.Errorf("%w: method is %.20q, not POST", ErrLine, *l.Method)
	case l.URL == nil:
		return it, fmt.Errorf("%w: url is missing; give one of %s", ErrLine,
			strings.Join(Endpoints, ", "))
	case !slices.Contains(Endpoints, *l.URL):
		return it, fmt.Errorf("%w: url is %.60q; give one of %s", ErrLine, *l.URL,
			strings.Join(Endpoints, ", "))
	case len(l.Body) == 0:
		return it, fmt.Errorf("%w: body is missing", ErrLine)
	}
	it.URL = *l.URL
	var body struct {
		Model  *string         `json:"model"`
		Stream json.RawMessage `json:"stream"`
	}
	if l.Body[0] != '{' {
		return it, fmt.Errorf("%w: body is not a JSON object", ErrLine)
	}
	if err := json.Unmarshal(l.Body, &body); err != nil {
		return it, fmt.Errorf("%w: the model in the body is not a text", ErrLine)
	}
	if string(body.Stream) == "true" {
		return it, fmt.Errorf("%w: stream is true, and a batch has no streams", ErrLine)
	}
	if body.Model != nil {
		it.Model = *body.Model
	}
	return it, nil
}
