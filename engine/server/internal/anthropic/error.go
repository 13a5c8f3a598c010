// Package anthropic holds what Anthropic's API reads and writes: the bodies of its requests, what
// they ask of an engine, and the renderer of its answers.
// https://docs.anthropic.com/en/api/messages describes it.
package anthropic

import (
	"cmp"

	"github.com/eyelet-engine/eyelet/engine/server/internal/failure"
)

// Error is an error in Anthropic's shape.
type Error struct {
	Type  string `json:"type"` // "error"
	Error struct {
		Type    string `json:"type"`
		Message string `json:"message"`
	} `json:"error"`
}

// errorTypes has the type of each kind of failure that is no "invalid_request_error".
var errorTypes = map[string]string{
	failure.KindAuth:        "authentication_error",
	failure.KindForbidden:   "permission_error",
	failure.KindNotFound:    "not_found_error",
	failure.KindNoModel:     "not_found_error",
	failure.KindTooLarge:    "request_too_large",
	failure.KindRate:        "rate_limit_error",
	failure.KindBusy:        "overloaded_error",
	failure.KindTimeout:     "timeout_error",
	failure.KindInternal:    "api_error",
	failure.KindUnsupported: "api_error",
	failure.KindStorage:     "api_error",
	failure.KindSchema:      "api_error",
}

// ErrorBody puts a failure into Anthropic's words.
func ErrorBody(f *failure.Failure) any {
	e := Error{Type: "error"}
	e.Error.Type = cmp.Or(errorTypes[f.Kind], "invalid_request_error")
	e.Error.Message = f.Text
	return e
}
