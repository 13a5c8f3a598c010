package prompt

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/eyelet-engine/eyelet/engine/internal/fault"
	"github.com/eyelet-engine/eyelet/models/chat"
)

// picturesFirst reports whether the model's family was trained with the pictures of a turn before
// its text. LLaVA's training data move the mark of a picture to the beginning
// (preprocess_multimodal in https://github.com/haotian-liu/LLaVA), and the chat template of its
// processor in transformers renders "all images first"; the families that were built on LLaVA share
// its projectors.
func (c *Composer) picturesFirst() bool {
	tower := c.Planner.Tower
	return tower != nil && slices.Contains([]string{"mlp", "mlp_norm", "ldp", "ldpv2"},
		tower.Info().Projector)
}

// render renders a conversation with n pictures. Where the template has no place for a picture of a
// tool's, an assistant's or the system's turn, or writes it without the mark that it has for
// pictures, the picture moves to the user's turn that follows.
func (c *Composer) render(ctx context.Context, messages []chat.Message, options chat.RenderOptions,
	other *chat.Template, n int) ([]chat.Part, error) {
	parts, err := c.Dialogue.render(ctx, messages, options, other)
	if n > 0 && (err != nil || unmarked(parts) > 0) && ctx.Err() == nil && !errors.Is(err,
		chat.ErrLimit) {
		if moved, any := chat.PicturesToUsers(messages); any {
			again, e := c.Dialogue.render(ctx, moved, options, other)
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
			return fmt.Errorf("%w: the chat template puts picture %d of the conversation where "+
				"picture %d belongs", fault.ErrRequest, p.Image+1, next+1)
		}
		next++
	}
	if next != n {
		return fmt.Errorf("%w: the conversation has %d pictures and the chat template renders %d "+
			"of them", fault.ErrRequest, n, next)
	}
	return nil
}
