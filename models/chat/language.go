package chat

import "strings"

// IsJinja reports whether the template of a manifest is in Jinja, the language of templates in
// model files. Others are in Go's language, as Ollama's are, or in none. A text without a statement
// does not count as Jinja, which would accept it: it may be a mistake in Go's language.
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
