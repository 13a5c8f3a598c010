package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/eyelet-engine/eyelet/models/chat"
)

// picturesFirst reports whether the model's family was trained with the pictures of a turn before
// its text. LLaVA's training data move the mark of a picture to the beginning
// (preprocess_multimodal in https://github.com/haotian-liu/LLaVA), and the chat template of its
// processor in transformers renders "all images first"; the families that were built on LLaVA share
// its projectors.
func (m *Model) picturesFirst() bool {
	return m.vision != nil && slices.Contains([]string{"mlp", "mlp_norm", "ldp", "ldpv2"},
		m.vision.Info().Projector)
}

// withPicturesFirst is content with its pictures before its text, each in the order it had.
func withPicturesFirst(content []chat.Content) []chat.Content {
	var pictures, texts []chat.Content
	for _, c := range content {
		if c.Image {
			pictures = append(pictures, c)
		} else {
			texts = append(texts, c)
		}
	}
	return append(pictures, texts...)
}

// hasPicture reports whether there is a picture in content.
func hasPicture(content []chat.Content) bool {
	return slices.ContainsFunc(content, func(c chat.Content) bool { return c.Image })
}

// What stands beside pictures that had to leave the result of a tool.
const (
	pictureFollows = "(a picture, which follows)"
	pictureOfTool  = "This is what the tool returned."
)

// picturesToUsers moves pictures out of all turns that are not a user's into the user's turn that
// follows, or into one that is put in where none does. Their order stays. It returns false if there
// are none to move.
func picturesToUsers(messages []chat.Message) (moved []chat.Message, any bool) {
	var pending []chat.Content
	tool := false // there is one of a tool among pending
	turn := func() {
		if len(pending) > 0 {
			if tool {
				pending = append(pending, chat.Text(pictureOfTool))
			}
			moved = append(moved, chat.Message{Role: chat.User, Content: pending})
			pending, tool = nil, false
		}
	}
	for _, msg := range messages {
		switch {
		case msg.Role == chat.User:
			msg.Content = append(pending, msg.Content...)
			pending, tool = nil, false
		case msg.Role == chat.Assistant:
			turn()
		}
		if msg.Role != chat.User && hasPicture(msg.Content) {
			any = true
			var rest []chat.Content
			for _, c := range msg.Content {
				if c.Image {
					pending = append(pending, c)
				} else {
					rest = append(rest, c)
				}
			}
			if msg.Role == chat.Tool {
				tool = true
				if len(rest) == 0 {
					rest = append(rest, chat.Text(pictureFollows))
				}
			}
			msg.Content = rest
		}
		moved = append(moved, msg)
	}
	turn()
	return moved, any
}

// render renders a conversation with n pictures. Where the template has no place for a picture of a
// tool's, an assistant's or the system's turn, or writes it without the mark that it has for
// pictures, the picture moves to the user's turn that follows.
func (m *Model) render(ctx context.Context, messages []chat.Message, options chat.RenderOptions,
	other *chat.Template, n int) ([]chat.Part, error) {
	parts, err := m.dialogue.render(ctx, messages, options, other)
	if n > 0 && (err != nil || unmarked(parts) > 0) && ctx.Err() == nil && !errors.Is(err,
		chat.ErrLimit) {
		if moved, any := picturesToUsers(messages); any {
			again, e := m.dialogue.render(ctx, moved, options, other)
			if e == nil && (err != nil || unmarked(again) < unmarked(parts)) {
				parts, err = again, nil
			}
		}
	}
	if err != nil {
		return nil, err
	}
	return parts, checkPictures(parts, n)
}

// unmarked counts the pictures for which a template wrote no mark of its own.
func unmarked(parts []chat.Part) (n int) {
	for _, p := range parts {
		if p.Kind == chat.KindImage && p.Text == "" {
			n++
		}
	}
	return n
}

// checkPictures is the guard against answers about the wrong picture: a prompt has the n pictures
// of its conversation, each once and in their order.
func checkPictures(parts []chat.Part, n int) error {
	next := 0
	for _, p := range parts {
		if p.Kind != chat.KindImage {
			continue
		}
		if p.Image != next {
			return fmt.Errorf("%w: the chat template puts picture %d of the conversation where picture %d belongs", ErrRequest, p.Image+1, next+1)
		}
		next++
	}
	if next != n {
		return fmt.Errorf("%w: the conversation has %d pictures and the chat template renders %d of them", ErrRequest, n, next)
	}
	return nil
}
