package engine

import "github.com/eyelet-engine/eyelet/models/chat"

// TakeTemplate sets the template of a stored model, in Jinja or in Go's language; "" leaves the
// model's own.
func (spec *ModelSpec) TakeTemplate(source string) {
	switch {
	case source == "":
	case chat.IsJinja(source):
		spec.ChatTemplate = source
	default:
		spec.GoTemplate = source
	}
}
