package ollama

import "github.com/eyelet-engine/eyelet/engine/server/internal/failure"

// ErrorBody returns an error in Ollama's shape.
func ErrorBody(f *failure.Failure) any {
	return struct {
		Error string `json:"error"`
	}{f.Text}
}
