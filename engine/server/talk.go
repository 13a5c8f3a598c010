package server

import (
	"context"
	"strings"

	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/engine/server/internal/failure"
)

// talk collects the turns of a conversation as the engine takes them, its pictures numbered and
// counted.
type talk struct {
	s        *Server
	ctx      context.Context
	messages []engine.Message
	pictures int
}

// newTalk begins a conversation with what the model itself brings.
func (s *Server) newTalk(ctx context.Context, m *model, hasSystem bool) *talk {
	t := &talk{s: s, ctx: ctx}
	t.messages, t.pictures = m.beginning(hasSystem)
	return t
}

// picture returns a picture by its address, as content.
func (t *talk) picture(address, param string) (engine.Content, error) {
	return t.number(param, func(name string) (*engine.Image, error) {
		return t.s.pictures.get(t.ctx, address, name, param)
	})
}

// number gives a picture its number and counts it.
func (t *talk) number(param string, get func(name string) (*engine.Image, error)) (engine.Content,
	error) {
	if t.pictures++; t.pictures > t.s.limits.Images {
		return engine.Content{}, failure.Field(param, "the request has more than %d pictures",
			t.s.limits.Images)
	}
	image, err := get(pictureName(t.pictures, param))
	if err == nil {
		image.Name = fileName(t.pictures, param, image.Data)
	}
	return engine.Picture(image), err
}

// prefill takes the beginning of the answer out of a conversation that ends with one: the last
// message is the assistant's, and a text. It reports whether there was one.
func prefill(r *engine.Request) bool {
	n := len(r.Messages) - 1
	if n < 1 || r.Messages[n].Role != "assistant" || len(r.Messages[n].ToolCalls) > 0 {
		return false
	}
	text := ""
	for _, c := range r.Messages[n].Content {
		if c.Image != nil {
			return false
		}
		text += c.Text
	}
	// Models begin words with their blanks, and would not find one behind another.
	if text = strings.TrimRight(text, " \t\r\n"); text == "" {
		return false
	}
	r.Messages, r.Prefill = r.Messages[:n:n], text
	return true
}

// isHeld reports whether an answer is held to a format or to calls, with which it must begin.
func isHeld(r *engine.Request) bool {
	return len(r.Schema) > 0 || r.Grammar != "" || r.ToolChoice == engine.ToolsRequired ||
		r.ToolName != ""
}
