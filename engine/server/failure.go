package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/engine/pool"
	"github.com/eyelet-engine/eyelet/models/gguf"
	"github.com/eyelet-engine/eyelet/models/store"
)

// Kinds of failures. APIs that have words of their own for errors translate these.
const (
	kindRequest     = "invalid_request"
	kindAuth        = "authentication"
	kindForbidden   = "forbidden"
	kindNotFound    = "not_found"
	kindNoModel     = "model_not_found"
	kindTooLarge    = "too_large"
	kindContext     = "context_length_exceeded"
	kindRate        = "rate_limit"
	kindBusy        = "overloaded"
	kindTimeout     = "timeout"
	kindStorage     = "storage" // of the server
	kindUnsupported = "unsupported"
	kindSchema      = "schema_not_satisfied"
	kindInternal    = "internal"
)

// failure is what a client gets in place of an answer.
type failure struct {
	status int    // of HTTP
	kind   string // one of the constants
	text   string // a sentence that says what to do
	param  string // the field of the request at fault, where that is known
	retry  time.Duration
	cause  error // for the log; clients do not see it
}

func (f *failure) Error() string { return f.text }
func (f *failure) Unwrap() error { return f.cause }

// refuse makes a failure that is the client's fault.
func refuse(format string, args ...any) *failure {
	return &failure{status: http.StatusBadRequest, kind: kindRequest, text: fmt.Sprintf(format,
		args...)}
}

// refuseField is refuse for a field of the request.
func refuseField(param, format string, args ...any) *failure {
	f := refuse(format, args...)
	f.param = param
	return f
}

// busyFailure tells a client to come back.
func busyFailure(format string, args ...any) *failure {
	return &failure{status: http.StatusServiceUnavailable, kind: kindBusy, text: fmt.Sprintf(format,
		args...), retry: time.Second}
}

// missingModel says that there is no model of a name, in Ollama's words, which clients look for.
func missingModel(name string) *failure {
	return &failure{status: http.StatusNotFound, kind: kindNoModel,
		text: fmt.Sprintf("model '%.200s' not found", name), param: "model",
		cause: fmt.Errorf("%w: %.200q", pool.ErrUnknownModel, name)}
}

// errShutdown is why requests end when the server does.
var errShutdown = errors.New("the server is shutting down")

// statusClientClosed is the status in the log of a request whose client went away; nobody sees it.
const statusClientClosed = 499

// classes maps what an error can wrap to what the client gets. The first match counts.
var classes = []struct {
	status int
	kind   string
	errors []error
	text   string // in the place of the error's own
}{
	{http.StatusInsufficientStorage, kindStorage, []error{syscall.ENOSPC, syscall.EDQUOT,
		store.ErrSpace}, "the server has no room left on its disk; the operator has to make some"},
	{http.StatusForbidden, kindForbidden, []error{syscall.EROFS, fs.ErrPermission},
		"the server may not read or write a file that this needs; the operator has to allow it"},
	{http.StatusServiceUnavailable, kindBusy, []error{engine.ErrBusy, engine.ErrClosed,
		engine.ErrDeviceLost, errShutdown, store.ErrBusy}, ""},
	{http.StatusNotFound, kindNoModel, []error{pool.ErrUnknownModel, store.ErrNotFound}, ""},
	{http.StatusBadRequest, kindContext, []error{engine.ErrContextLength, llama.ErrNoRoom}, ""},
	{http.StatusBadRequest, kindRequest, []error{engine.ErrRequest, engine.ErrImage,
		engine.ErrNoVision, store.ErrName, store.ErrDigest, store.ErrExists}, ""},
	{http.StatusUnprocessableEntity, kindSchema, []error{engine.ErrSchema}, ""},
	{http.StatusForbidden, kindForbidden, []error{store.ErrPolicy}, ""},
	{http.StatusInternalServerError, kindUnsupported, []error{
		engine.ErrModelFile, engine.ErrMismatch, engine.ErrTemplateLimit, store.ErrUnsupported,
		store.ErrUnusable, store.ErrManifest, store.ErrMissing,
		gguf.ErrNotGGUF, gguf.ErrTruncated, gguf.ErrCorrupt, gguf.ErrUnsupported, gguf.ErrLimit,
		engine.ErrModel, llama.ErrSampling, llama.ErrNoMemory,
	}, ""},
}

// failureOf makes a failure of any error. ctx is the request's.
func failureOf(ctx context.Context, err error) *failure {
	if f, ok := errors.AsType[*failure](err); ok {
		return f
	}
	if cause := context.Cause(ctx); cause != nil && (errors.Is(err, context.Canceled) ||
		errors.Is(err, context.DeadlineExceeded) || errors.Is(err, cause)) {
		switch {
		case errors.Is(cause, errShutdown):
			err = errShutdown
		case errors.Is(cause, context.DeadlineExceeded):
			return &failure{status: http.StatusGatewayTimeout, kind: kindTimeout,
				text: "the request took longer than the server allows", cause: err}
		default:
			return &failure{status: statusClientClosed, kind: kindInternal,
				text: "the client went away", cause: err}
		}
	}
	if f := drawFailure(err); f != nil {
		return f
	}
	for _, c := range classes {
		for _, target := range c.errors {
			if !errors.Is(err, target) {
				continue
			}
			f := &failure{status: c.status, kind: c.kind, text: cmp.Or(c.text, plain(err)),
				cause: err}
			if c.status == http.StatusServiceUnavailable {
				f.retry = time.Second
			}
			return f
		}
	}
	return &failure{status: http.StatusInternalServerError, kind: kindInternal,
		text: "something went wrong in the server; its log says more", cause: err}
}

// packageNames are the prefixes that packages of this module give their errors, at the start or
// after another error's text.
var packageNames = regexp.MustCompile(`(^|: )(?:(?:engine|rpc|draw|diffusion|gguf|llama|ggml|mtmd|libmtmd|builtin|store|imaging|sound|vision|llava|chat|grammar|server): )+`)

// plain is the text of an error without the names of packages.
func plain(err error) string {
	text := strings.Join(strings.FieldsFunc(err.Error(), func(r rune) bool {
		return r == '\n' || r == '\r'
	}), "; ")
	return strings.TrimPrefix(packageNames.ReplaceAllString(withoutServer(text), "$1"),
		"bad request: ")
}

var (
	// paths are those of the server's disk: two names at least, so that a lone slash in a text is
	// none.
	paths = regexp.MustCompile(`(^|[\s"'(=:])(?:/[^\s/"'():;,]+)*/[^\s/"'():;,]+/([^\s/"'():;,]+)`)
	// flags are hints at flags of the command line: in parentheses, or a clause of their own.
	flags = regexp.MustCompile(` \((?:[^()]*\s)?--[a-z][^()]*\)|; [^;]*--[a-z][^;]*`)
)

// withoutServer is a text without what is the server's own business: where its files are, of which
// the names stay, and flags of its command line.
func withoutServer(text string) string {
	return paths.ReplaceAllString(flags.ReplaceAllString(text, ""), "$1$2")
}
