package chat

import "strings"

// IsJinja tells whether the template of a manifest is in Jinja, as those of model files are. All
// others are in Go's language, as Ollama's are, or in none. What has no statement is no chat
// template in Jinja, but may be a mistake in Go's language that Jinja would read.
func IsJinja(source string) bool {
	if !strings.Contains(source, "{%") {
		return false
	}
	if _, err := ParseGo(source, Options{}); err == nil {
		return false
	}
	_, err := Parse(source, Options{})
	return err == nil
}
