// Package failure holds what a client of the server gets in place of an answer, whatever API it
// speaks, and makes it of any error.
package failure

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/engine/draw"
	"github.com/eyelet-engine/eyelet/engine/faults"
	"github.com/eyelet-engine/eyelet/engine/pool"
	"github.com/eyelet-engine/eyelet/models/store"
)

// Kinds of failures. APIs that have words of their own for errors translate these.
const (
	KindRequest     = "invalid_request"
	KindAuth        = "authentication"
	KindForbidden   = "forbidden"
	KindNotFound    = "not_found"
	KindNoModel     = "model_not_found"
	KindTooLarge    = "too_large"
	KindContext     = "context_length_exceeded"
	KindRate        = "rate_limit"
	KindBusy        = "overloaded"
	KindTimeout     = "timeout"
	KindStorage     = "storage" // of the server
	KindUnsupported = "unsupported"
	KindSchema      = "schema_not_satisfied"
	KindInternal    = "internal"
)

// Failure is an error as a client is told of it.
type Failure struct {
	Status int    // of HTTP
	Kind   string // one of the constants
	Text   string // a sentence that says what to do
	Param  string // the field of the request at fault, where that is known
	Retry  time.Duration
	Cause  error // for the log; clients do not see it
}

// Error returns the text that the client is told.
func (f *Failure) Error() string { return f.Text }

// Unwrap returns the cause.
func (f *Failure) Unwrap() error { return f.Cause }

// New makes a failure. format and args make its text.
func New(status int, kind, format string, args ...any) *Failure {
	return &Failure{Status: status, Kind: kind, Text: fmt.Sprintf(format, args...)}
}

// At returns the failure as the fault of a field of the request.
func (f *Failure) At(param string) *Failure {
	f.Param = param
	return f
}

// Again returns the failure with the time after which the client may try again.
func (f *Failure) Again(after time.Duration) *Failure {
	f.Retry = after
	return f
}

// By returns the failure with its cause.
func (f *Failure) By(cause error) *Failure {
	f.Cause = cause
	return f
}

// Refuse makes a failure that is the client's fault.
func Refuse(format string, args ...any) *Failure {
	return New(http.StatusBadRequest, KindRequest, format, args...)
}

// Field makes a failure that is the fault of a field of the request.
func Field(param, format string, args ...any) *Failure {
	return Refuse(format, args...).At(param)
}

// Wrong makes a failure that is the fault of a field of the request. Its text is the field's name,
// and then format and args, which say what is wrong with it.
func Wrong(param, format string, args ...any) *Failure {
	return Field(param, "%s "+format, append([]any{param}, args...)...)
}

// Busy makes a failure that tells the client to come back.
func Busy(format string, args ...any) *Failure {
	return New(http.StatusServiceUnavailable, KindBusy, format, args...).Again(time.Second)
}

// MissingModel makes a failure that says that there is no model of a name, in Ollama's words, which
// clients look for.
func MissingModel(name string) *Failure {
	return New(http.StatusNotFound, KindNoModel, "model '%.200s' not found", name).At("model").
		By(fmt.Errorf("%w: %.200q", pool.ErrUnknownModel, name))
}

// ErrShutdown is why requests end when the server does.
var ErrShutdown = errors.New("the server is shutting down")

// StatusClientClosed is the status of a request whose client went away. The log alone shows it.
const StatusClientClosed = 499

// classes maps the errors that an error can wrap to what the client gets. The first match counts.
var classes = []struct {
	status int
	kind   string
	errors []error
	text   string // in the place of the error's own
}{
	{http.StatusNotImplemented, KindUnsupported, []error{draw.ErrNotSetUp},
		Text(draw.ErrNotSetUp)},
	// the path of the program is no business of clients
	{http.StatusNotImplemented, KindUnsupported, []error{draw.ErrProgram}, draw.ErrProgram.Error()},
	{http.StatusInternalServerError, KindInternal, []error{draw.ErrChild}, ""},
	{http.StatusBadRequest, KindRequest, []error{draw.ErrRequest, draw.ErrImage}, ""},
	{http.StatusInsufficientStorage, KindStorage, []error{syscall.ENOSPC, syscall.EDQUOT,
		store.ErrSpace}, "the server has no room left on its disk; the operator has to make some"},
	{http.StatusForbidden, KindForbidden, []error{syscall.EROFS, fs.ErrPermission},
		"the server may not read or write a file that this needs; the operator has to allow it"},
	{http.StatusServiceUnavailable, KindBusy, []error{engine.ErrBusy, engine.ErrClosed,
		engine.ErrDeviceLost, ErrShutdown, store.ErrBusy}, ""},
	{http.StatusNotFound, KindNoModel, []error{pool.ErrUnknownModel, store.ErrNotFound}, ""},
	{http.StatusBadRequest, KindContext, []error{engine.ErrContextLength, llama.ErrNoRoom}, ""},
	{http.StatusBadRequest, KindRequest, []error{engine.ErrRequest, engine.ErrImage,
		engine.ErrNoVision, store.ErrName, store.ErrDigest, store.ErrExists}, ""},
	{http.StatusUnprocessableEntity, KindSchema, []error{engine.ErrSchema}, ""},
	{http.StatusForbidden, KindForbidden, []error{store.ErrPolicy}, ""},
	{http.StatusInternalServerError, KindUnsupported, append([]error{engine.ErrMismatch,
		engine.ErrTemplateLimit, engine.ErrModel, llama.ErrSampling, llama.ErrNoMemory},
		faults.Model...), ""},
}

// Of returns the failure that an error is, or makes one of it. ctx is the request's.
func Of(ctx context.Context, err error) *Failure {
	if f, ok := errors.AsType[*Failure](err); ok {
		return f
	}
	if cause := context.Cause(ctx); cause != nil && (errors.Is(err, context.Canceled) ||
		errors.Is(err, context.DeadlineExceeded) || errors.Is(err, cause)) {
		switch {
		case errors.Is(cause, ErrShutdown):
			err = ErrShutdown
		case errors.Is(cause, context.DeadlineExceeded):
			return New(http.StatusGatewayTimeout, KindTimeout,
				"the request took longer than the server allows").By(err)
		default:
			return New(StatusClientClosed, KindInternal, "the client went away").By(err)
		}
	}
	for _, c := range classes {
		if !slices.ContainsFunc(c.errors, func(e error) bool { return errors.Is(err, e) }) {
			continue
		}
		f := &Failure{Status: c.status, Kind: c.kind, Text: cmp.Or(c.text, Text(err)), Cause: err}
		if c.status == http.StatusServiceUnavailable {
			f.Retry = time.Second
		}
		return f
	}
	return New(http.StatusInternalServerError, KindInternal,
		"something went wrong in the server; its log says more").By(err)
}

// Text returns the text of an error as clients see it: on one line, without the names of packages,
// and without what is the server's own business.
func Text(err error) string {
	return strings.TrimPrefix(withoutServer(faults.Text(err)), "bad request: ")
}

var (
	// paths matches paths on the server's disk: of two names at least, so that a lone slash in a
	// text is none.
	paths = regexp.MustCompile(`(^|[\s"'(=:])(?:/[^\s/"'():;,]+)*/[^\s/"'():;,]+/([^\s/"'():;,]+)`)
	// flags matches hints at flags of the command line: in parentheses, or a clause of their own.
	flags = regexp.MustCompile(` \((?:[^()]*\s)?--[a-z][^()]*\)|; [^;]*--[a-z][^;]*`)
)

// withoutServer leaves out of a text where the server's files are, of which the names stay, and the
// flags of its command line.
func withoutServer(text string) string {
	return paths.ReplaceAllString(flags.ReplaceAllString(text, ""), "$1$2")
}
