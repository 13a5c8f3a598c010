// Package fault holds the kinds of errors that callers of package engine tell apart, for the
// packages that engine is made of. Engine's own names for them say what each means.
package fault

import "errors"

// The kinds, which engine exports under the same names.
var (
	ErrClosed        = errors.New("engine: use after Close")
	ErrModelFile     = errors.New("engine: bad model file")
	ErrMismatch      = errors.New("engine: projector and model do not fit")
	ErrNoVision      = errors.New("engine: the model cannot see pictures")
	ErrImage         = errors.New("engine: bad picture")
	ErrContextLength = errors.New("engine: the prompt is longer than the context")
	ErrModel         = errors.New("engine: the model fails")
	ErrBusy          = errors.New(
		"engine: the model is busy: too many requests are waiting; try again later")
	ErrRequest       = errors.New("engine: bad request")
	ErrSchema        = errors.New("engine: the answer is not valid under its schema")
	ErrTemplateLimit = errors.New("engine: the chat template runs over its limits")
	ErrDevice        = errors.New("engine: no such device")

	ErrSound   error = Named{ErrImage, "engine: bad sound"}
	ErrNoSound error = Named{ErrNoVision, "engine: the model cannot hear sounds"}
)

// Named is an error with a text of its own that is of the kind of another one.
type Named struct {
	Kind error
	Text string
}

// Error implements error.
func (n Named) Error() string { return n.Text }

// Unwrap returns the error whose kind it is of.
func (n Named) Unwrap() error { return n.Kind }
