package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/eyelet-engine/eyelet/engine/kv/disk"
	"github.com/eyelet-engine/eyelet/engine/media"
	"github.com/eyelet-engine/eyelet/models/chat"
	"github.com/eyelet-engine/eyelet/models/reply"
	"github.com/eyelet-engine/eyelet/models/vision"
)

// prompt is a request made ready: what the language model reads, in order. Its pictures are known
// by their headers alone.
type prompt struct {
	stretches []Stretch        // tokens, and the places of pictures
	pictures  []*media.Picture // which Stretch.Image counts
	n         int              // tokens, image tokens included
	images    int              // image tokens
	thinking  bool             // the template has opened the model's thoughts
	spent     spent
}

func (p *prompt) add(list ...Stretch) {
	for _, s := range list {
		p.n += len(s.Tokens)
		if s.Image >= 0 {
			p.n += p.pictures[s.Image].Tokens
			p.images += p.pictures[s.Image].Tokens
		}
	}
	p.stretches = append(p.stretches, list...)
}

// prompt makes a request ready, and checks that it fits.
func (m *Model) prompt(ctx context.Context, r *Request) (*prompt, error) {
	p, err := m.compose(ctx, r)
	if err != nil {
		return nil, err
	}
	return p, m.checkLength(p, r)
}

// compose makes a request ready: the template is rendered, pictures are planned by their headers,
// text is tokenized.
func (m *Model) compose(ctx context.Context, r *Request) (*prompt, error) {
	if err := m.checkTokens(r.Before); err != nil {
		return nil, err
	}
	p := &prompt{}
	if len(r.Before) > 0 {
		p.add(Stretch{Tokens: r.Before, Image: -1})
	}
	var parts []chat.Part
	var err error
	images := r.Images
	if len(r.Messages) == 0 {
		parts, err = m.rawParts(r)
	} else {
		parts, images, err = m.chatParts(ctx, r)
		p.thinking = err == nil && m.opensThoughts(parts)
	}
	if err == nil {
		parts, p.pictures, err = layOut(parts, images,
			func(image *Image) (*vision.Plan, []*media.Picture, error) {
				if err := ctx.Err(); err != nil {
					return nil, nil, err
				}
				return m.planPicture(ctx, image, r.ImageTokens, &p.spent)
			})
	}
	if err != nil {
		return nil, err
	}
	list := []Stretch(nil)
	if len(r.Messages) == 0 {
		list, err = m.tokenizeRaw(parts, len(r.Before) == 0)
	} else {
		list, err = m.dialogue.tokenize(parts, p.n == 0)
	}
	if err != nil {
		return nil, err
	}
	p.add(list...)
	return p, nil
}

// chatParts renders a request's conversation.
func (m *Model) chatParts(ctx context.Context, r *Request) ([]chat.Part, []*Image, error) {
	messages, images, err := m.chatMessages(r.Messages)
	if err != nil {
		return nil, nil, err
	}
	options := chat.RenderOptions{AddGenerationPrompt: true}
	if messages, err = m.offerTools(ctx, messages, r, &options); err != nil {
		return nil, nil, err
	}
	parts, err := m.render(ctx, messages, options, r.Template, len(images))
	if err != nil {
		return nil, nil, err
	}
	return m.prefill(parts, r.Prefill), images, nil
}

// chatMessages are the messages as the template package takes them, and the pictures in reading
// order.
func (m *Model) chatMessages(messages []Message) ([]chat.Message, []*Image, error) {
	var out []chat.Message
	var images []*Image
	for i, msg := range messages {
		if msg.Role == "" {
			return nil, nil, fmt.Errorf("%w: message %d has no role", ErrRequest, i+1)
		}
		cm := chat.Message{Role: chat.Role(msg.Role), Reasoning: msg.Reasoning,
			ToolCallID: msg.ToolCallID, Name: msg.Name}
		for _, c := range msg.ToolCalls {
			arguments, _ := reply.Complete(c.Arguments) // checkCalls has approved them
			cm.ToolCalls = append(cm.ToolCalls, chat.ToolCall{ID: c.ID, Name: c.Name,
				Arguments: json.RawMessage(arguments)})
		}
		for _, c := range msg.Content {
			if c.Image == nil {
				cm.Content = append(cm.Content, chat.Text(c.Text))
				continue
			}
			if err := m.checkEncoder(c.Image); err != nil {
				return nil, nil, err
			}
			cm.Content = append(cm.Content, chat.Image())
			images = append(images, c.Image)
		}
		if m.picturesFirst() && !msg.KeepOrder {
			cm.Content = chat.PicturesFirst(cm.Content)
		}
		out = append(out, cm)
	}
	return out, images, nil
}

// limit is the most tokens of a request's prompt and answer together.
func (m *Model) limit(r *Request) int {
	if r.Context > 0 {
		return min(r.Context, m.cells)
	}
	return m.cells
}

var errEmptyPrompt = fmt.Errorf("%w: the prompt is empty", ErrRequest)

// checkLength checks that a prompt leaves room for an answer, of one token at least.
func (m *Model) checkLength(p *prompt, r *Request) error {
	if p.n == 0 {
		return errEmptyPrompt
	}
	if n := m.limit(r); p.n >= n {
		hint := "shorten it or give a larger context"
		if train := m.lm.NCtxTrain(); train > 0 && p.n >= train {
			hint = fmt.Sprintf("shorten it; the model was trained for %d tokens", train)
		}
		return fmt.Errorf("%w: it has %d tokens, %d of them of pictures, and the context holds %d; %s", ErrContextLength, p.n, p.images, n, hint)
	}
	return nil
}

// check finds contradictions in a request before any work is done.
func (r *Request) check() error {
	switch {
	case len(r.Messages) == 0 && r.Prompt == "" && len(r.Before) == 0:
		return fmt.Errorf("%w: neither Messages nor Prompt is set", ErrRequest)
	case len(r.Messages) > 0 && r.Prompt != "":
		return fmt.Errorf("%w: both Messages and Prompt are set", ErrRequest)
	case len(r.Messages) > 0 && len(r.Images) > 0:
		return fmt.Errorf("%w: Images belong to Prompt; those of Messages are part of them",
			ErrRequest)
	case r.Prefill != "" && len(r.Messages) == 0:
		return fmt.Errorf("%w: Prefill needs Messages; a Prompt holds the beginning of the answer itself", ErrRequest)
	case r.Prefill != "" && (r.Grammar != "" || len(r.Schema) > 0 ||
		r.ToolChoice == ToolsRequired || r.ToolName != ""):
		return fmt.Errorf("%w: the answer has begun already, and cannot be held to a format or to calls of tools", ErrRequest)
	case len(r.Tools) > 0 && len(r.Messages) == 0:
		return fmt.Errorf("%w: tools need Messages", ErrRequest)
	case r.Grammar != "" && len(r.Schema) > 0:
		return fmt.Errorf("%w: both Grammar and Schema are set", ErrRequest)
	case r.Session != "" && disk.CheckName(r.Session) != nil:
		return fmt.Errorf("%w: the session's name: %w", ErrRequest, disk.CheckName(r.Session))
	case r.MaxTokens < 0:
		return fmt.Errorf("%w: MaxTokens is %d", ErrRequest, r.MaxTokens)
	case r.Threads < 0:
		return fmt.Errorf("%w: Threads is %d", ErrRequest, r.Threads)
	case r.Context < 0:
		return fmt.Errorf("%w: Context is %d", ErrRequest, r.Context)
	case r.TopLogprobs < 0 || r.TopLogprobs > 1000:
		return fmt.Errorf("%w: TopLogprobs is %d; give 0 to 1000", ErrRequest, r.TopLogprobs)
	}
	if err := checkCalls(r.Messages); err != nil {
		return err
	}
	for _, s := range r.Stop {
		if s == "" {
			return fmt.Errorf("%w: an empty stop text", ErrRequest)
		}
	}
	return nil
}

// isCancelled reports whether err means that the caller gave up.
func isCancelled(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}
