package prompt

import (
	"context"
	"fmt"
	"strings"

	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/models/chat"
)

// Rendered is a request's prompt before it is computed.
type Rendered struct {
	// with [img-0], [img-1] … where pictures stand, and without a beginning-of-sequence token that
	// is added
	Text   string
	Tokens []llama.Token // pictures left out
	Images int
}

// Render writes out the prompt of a request as Compose would make it. Pictures are not looked at.
func (c *Composer) Render(ctx context.Context, r *Request) (*Rendered, error) {
	if err := CheckTokens(c.Dialogue.vocab, r.Before); err != nil {
		return nil, err
	}
	parts, images, err := c.parts(ctx, r)
	if err != nil {
		return nil, err
	}
	list, err := c.tokenize(r, parts)
	if err != nil {
		return nil, err
	}
	out := &Rendered{Tokens: append([]llama.Token{}, r.Before...), Text: r.Text,
		Images: len(images)}
	for _, s := range list {
		out.Tokens = append(out.Tokens, s.Tokens...)
	}
	if len(r.Messages) == 0 {
		return out, nil
	}
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
