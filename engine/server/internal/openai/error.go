// Package openai holds what OpenAI's API reads and writes: the bodies of its requests, what they
// ask of an engine, and the renderers of its answers.
// https://platform.openai.com/docs/api-reference describes it.
package openai

import (
	"cmp"

	"github.com/eyelet-engine/eyelet/engine/server/internal/failure"
)

// wordedError is an error in OpenAI's words.
type wordedError struct {
	Message string  `json:"message"`
	Type    string  `json:"type"`
	Param   *string `json:"param"`
	Code    *string `json:"code"`
}

// errorWords has the type and the code of each kind of failure that is no plain
// "invalid_request_error".
var errorWords = map[string]struct{ kind, code string }{
	failure.KindAuth:        {"", "invalid_api_key"},
	failure.KindForbidden:   {"permission_error", ""},
	failure.KindNoModel:     {"", "model_not_found"},
	failure.KindContext:     {"", "context_length_exceeded"},
	failure.KindRate:        {"rate_limit_error", "rate_limit_exceeded"},
	failure.KindBusy:        {"server_error", "overloaded"},
	failure.KindTimeout:     {"server_error", "timeout"},
	failure.KindSchema:      {"server_error", "schema_not_satisfied"},
	failure.KindUnsupported: {"server_error", "model_unusable"},
	failure.KindStorage:     {"server_error", "insufficient_storage"},
	failure.KindInternal:    {"server_error", ""},
}

// errorOf puts a failure into OpenAI's words.
func errorOf(f *failure.Failure) wordedError {
	words := errorWords[f.Kind]
	e := wordedError{Message: f.Text, Type: cmp.Or(words.kind, "invalid_request_error")}
	if words.code != "" {
		e.Code = &words.code
	}
	if f.Param != "" {
		e.Param = &f.Param
	}
	return e
}

// ErrorBody returns the body of an answer that is an error.
func ErrorBody(f *failure.Failure) any {
	return struct {
		Error wordedError `json:"error"`
	}{errorOf(f)}
}
