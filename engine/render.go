package engine

import (
	"context"
	"fmt"
	"strings"

	"github.com/eyelet-engine/eyelet/models/chat"
)

// Rendered is a request's prompt before it is computed.
type Rendered struct {
	// with [img-0], [img-1] … where pictures stand, and without a beginning-of-sequence token that
	// is added
	Text   string
	Tokens []Token // pictures left out
	Images int
}

// Render writes out the prompt of a request as Generate would compute it. Pictures are not looked
// at. Errors are those of Generate, but for the length.
func (m *Model) Render(ctx context.Context, r Request) (*Rendered, error) {
	return whileOpen(ctx, m, func(ctx context.Context) (*Rendered, error) {
		if err := r.check(); err != nil {
			return nil, err
		}
		return m.renderWhole(ctx, &r)
	})
}

func (m *Model) renderWhole(ctx context.Context, r *Request) (*Rendered, error) {
	if err := m.checkTokens(r.Before); err != nil {
		return nil, err
	}
	out := &Rendered{Tokens: append([]Token{}, r.Before...)}
	if len(r.Messages) == 0 {
		parts, err := m.rawParts(r)
		if err != nil {
			return nil, err
		}
		list, err := m.tokenizeRaw(parts, len(r.Before) == 0)
		out.add(list)
		out.Text, out.Images = r.Prompt, len(r.Images)
		return out, err
	}
	parts, images, err := m.chatParts(ctx, r)
	if err != nil {
		return nil, err
	}
	list, err := m.dialogue.tokenize(parts, len(r.Before) == 0)
	if err != nil {
		return nil, err
	}
	out.add(list)
	out.Images = len(images)
	var text strings.Builder
	for _, part := range parts {
		if part.Kind == chat.KindImage {
			fmt.Fprintf(&text, "[img-%d]", part.Image)
			continue
		}
		text.WriteString(part.Text)
	}
	out.Text = text.String()
	return out, nil
}

// add adds the tokens of a prompt's stretches.
func (r *Rendered) add(list []Stretch) {
	for _, s := range list {
		r.Tokens = append(r.Tokens, s.Tokens...)
	}
}

// prefill adds the beginning of an answer to a rendered conversation. Thoughts that the template
// has opened are closed first.
func (m *Model) prefill(parts []chat.Part, text string) []chat.Part {
	if text == "" {
		return parts
	}
	if m.opensThoughts(parts) {
		parts = append(parts, chat.Part{Text: "\n" + m.style().Close + "\n\n", Special: true})
	}
	return append(parts, chat.Part{Text: text})
}
