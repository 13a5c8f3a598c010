// Package prompt turns what a request asks into what a language model reads: the chat template is
// rendered, texts become tokens, and pictures take their places, of which only headers are read. It
// also says what of a conversation may go to make it fit a context.
package prompt

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/engine/internal/fault"
	"github.com/eyelet-engine/eyelet/engine/kv"
	"github.com/eyelet-engine/eyelet/engine/media"
	"github.com/eyelet-engine/eyelet/engine/multimodal"
	"github.com/eyelet-engine/eyelet/models/chat"
	"github.com/eyelet-engine/eyelet/models/reply"
	"github.com/eyelet-engine/eyelet/models/vision"
)

// Request is what decides a prompt: engine's Request says what each field means. Either Messages or
// Text is set.
type Request struct {
	Messages    []Message
	Template    *chat.Template
	Text        string // raw, as engine's Request.Prompt
	Prefill     string
	Images      []*multimodal.Image // of Text
	ImageTokens multimodal.Budget
	Before      []llama.Token
	Tools       []Tool
	ToolChoice  ToolChoice
	ToolName    string
	Thinking    Thinking
}

// Check finds contradictions in a request before any work is done. Errors wrap engine's ErrRequest.
func (r *Request) Check() error {
	switch {
	case len(r.Messages) == 0 && r.Text == "" && len(r.Before) == 0:
		return fmt.Errorf("%w: neither Messages nor Prompt is set", fault.ErrRequest)
	case len(r.Messages) > 0 && r.Text != "":
		return fmt.Errorf("%w: both Messages and Prompt are set", fault.ErrRequest)
	case len(r.Messages) > 0 && len(r.Images) > 0:
		return fmt.Errorf("%w: Images belong to Prompt; those of Messages are part of them",
			fault.ErrRequest)
	case r.Prefill != "" && len(r.Messages) == 0:
		return fmt.Errorf("%w: Prefill needs Messages; a Prompt holds the beginning of the answer "+
			"itself", fault.ErrRequest)
	case r.Prefill != "" && (r.ToolChoice == ToolsRequired || r.ToolName != ""):
		return fmt.Errorf("%w: the answer has begun already, and cannot be held to calls of tools",
			fault.ErrRequest)
	case len(r.Tools) > 0 && len(r.Messages) == 0:
		return fmt.Errorf("%w: tools need Messages", fault.ErrRequest)
	}
	return checkCalls(r.Messages)
}

// CheckTokens finds tokens that are not in a vocabulary. Errors wrap engine's ErrRequest.
func CheckTokens(vocab *llama.Vocab, tokens []llama.Token) error {
	n := vocab.N()
	for i, t := range tokens {
		if t < 0 || int(t) >= n {
			return fmt.Errorf("%w: number %d is token %d, and the vocabulary has %d",
				fault.ErrRequest, i+1, t, n)
		}
	}
	return nil
}

// Prompt is a request made ready: what the language model reads, in order. Its pictures are known
// by their headers alone.
type Prompt struct {
	Stretches []Stretch        // tokens, and the places of pictures
	Pictures  []*media.Picture // which Stretch.Image counts
	N         int              // tokens, image tokens included
	Images    int              // image tokens
	Thinking  bool             // the template has opened the model's thoughts
	Spent     multimodal.Spent
}

// Add appends stretches, whose pictures are among the prompt's.
func (p *Prompt) Add(list ...Stretch) {
	for _, s := range list {
		p.N += len(s.Tokens)
		if s.Image >= 0 {
			p.N += p.Pictures[s.Image].Tokens
			p.Images += p.Pictures[s.Image].Tokens
		}
	}
	p.Stretches = append(p.Stretches, list...)
}

// Tokens returns the tokens of a prompt, pictures left out.
func (p *Prompt) Tokens() []llama.Token {
	tokens := []llama.Token{}
	for _, s := range p.Stretches {
		tokens = append(tokens, s.Tokens...)
	}
	return tokens
}

// CheckEmpty refuses a prompt of nothing. Errors wrap engine's ErrRequest.
func (p *Prompt) CheckEmpty() error {
	if p.N == 0 {
		return fmt.Errorf("%w: the prompt is empty", fault.ErrRequest)
	}
	return nil
}

// CheckLength checks that a prompt leaves room for an answer, of one token at least, in a context
// of so many cells, of a model that was trained for trained tokens. Errors wrap engine's ErrRequest
// and ErrContextLength.
func (p *Prompt) CheckLength(cells, trained int) error {
	if p.N < cells {
		return p.CheckEmpty()
	}
	hint := "shorten it or give a larger context"
	if trained > 0 && p.N >= trained {
		hint = fmt.Sprintf("shorten it; the model was trained for %d tokens", trained)
	}
	return fmt.Errorf("%w: it has %d tokens, %d of them of pictures, and the context holds %d; %s",
		fault.ErrContextLength, p.N, p.Images, cells, hint)
}

// Items returns the prompt as the KV cache counts it, and its pictures where they stand in it, with
// their keys, for which their files are hashed.
func (p *Prompt) Items(numbers *kv.Pictures) (items *kv.Prompt, pictures []*media.Picture) {
	items = &kv.Prompt{}
	for _, s := range p.Stretches {
		for _, token := range s.Tokens {
			items.Add(kv.TokenItem(token))
		}
		if s.Image >= 0 {
			picture := p.Pictures[s.Image]
			picture.Identify()
			addPicture(items, picture, numbers.Number(picture.Key))
			pictures = append(pictures, picture)
		}
	}
	return items, pictures
}

// addPicture appends the items of a picture.
func addPicture(items *kv.Prompt, p *media.Picture, number uint32) {
	p.From = len(items.Items)
	for k := range p.Tokens {
		pos := items.Next + llama.Pos(k)
		if p.Places != nil {
			pos = items.Next + llama.Pos(p.Places[k][0])
		}
		items.Items = append(items.Items, kv.Item{Picture: number, Value: int32(k)})
		items.Pos = append(items.Pos, pos)
	}
	items.Next += llama.Pos(p.Advance)
	if p.Whole || p.Places != nil {
		items.Whole = append(items.Whole, [2]int{p.From, p.To()})
	}
}

// Composer makes the prompts of a model.
type Composer struct {
	Dialogue *Dialogue
	Planner  *multimodal.Planner
}

// Compose makes a request ready: the template is rendered, pictures are planned by their headers,
// text is tokenized. Errors wrap engine's: ErrRequest, ErrImage, ErrNoVision, ErrModelFile and
// ErrTemplateLimit.
func (c *Composer) Compose(ctx context.Context, r *Request) (*Prompt, error) {
	if err := CheckTokens(c.Dialogue.vocab, r.Before); err != nil {
		return nil, err
	}
	p := &Prompt{}
	if len(r.Before) > 0 {
		p.Add(Stretch{Tokens: r.Before, Image: -1})
	}
	parts, images, err := c.parts(ctx, r)
	if err != nil {
		return nil, err
	}
	p.Thinking = len(r.Messages) > 0 && c.Dialogue.opensThoughts(parts)
	parts, p.Pictures, err = layOut(parts, images,
		func(image *multimodal.Image) (*vision.Plan, []*media.Picture, error) {
			if err := ctx.Err(); err != nil {
				return nil, nil, err
			}
			return c.Planner.Plan(ctx, image, r.ImageTokens, &p.Spent)
		})
	if err != nil {
		return nil, err
	}
	list, err := c.tokenize(r, parts)
	if err != nil {
		return nil, err
	}
	p.Add(list...)
	return p, nil
}

// tokenize cuts the texts among parts into tokens.
func (c *Composer) tokenize(r *Request, parts []chat.Part) ([]Stretch, error) {
	if len(r.Messages) == 0 {
		return c.Dialogue.tokenizeRaw(parts, len(r.Before) == 0)
	}
	return c.Dialogue.tokenize(parts, len(r.Before) == 0)
}

// parts returns texts and pictures in order: of a rendered conversation, or of raw text.
func (c *Composer) parts(ctx context.Context, r *Request) ([]chat.Part, []*multimodal.Image,
	error) {
	if len(r.Messages) == 0 {
		parts, err := c.rawParts(r)
		return parts, r.Images, err
	}
	messages, images, err := c.chatMessages(r.Messages)
	if err != nil {
		return nil, nil, err
	}
	options := chat.RenderOptions{AddGenerationPrompt: true}
	if messages, err = c.offerTools(ctx, messages, r, &options); err != nil {
		return nil, nil, err
	}
	parts, err := c.render(ctx, messages, options, r.Template, len(images))
	if err != nil {
		return nil, nil, err
	}
	return c.Dialogue.prefill(parts, r.Prefill), images, nil
}

// chatMessages are the messages as the template package takes them, and the pictures in reading
// order.
func (c *Composer) chatMessages(messages []Message) ([]chat.Message, []*multimodal.Image,
	error) {
	var out []chat.Message
	var images []*multimodal.Image
	for i, msg := range messages {
		if msg.Role == "" {
			return nil, nil, fmt.Errorf("%w: message %d has no role", fault.ErrRequest, i+1)
		}
		cm := chat.Message{Role: chat.Role(msg.Role), Reasoning: msg.Reasoning,
			ToolCallID: msg.ToolCallID, Name: msg.Name}
		for _, call := range msg.ToolCalls {
			arguments, _ := reply.Complete(call.Arguments) // checkCalls has approved them
			cm.ToolCalls = append(cm.ToolCalls, chat.ToolCall{ID: call.ID, Name: call.Name,
				Arguments: json.RawMessage(arguments)})
		}
		for _, piece := range msg.Content {
			if piece.Image == nil {
				cm.Content = append(cm.Content, chat.Text(piece.Text))
				continue
			}
			if err := c.Planner.Check(piece.Image); err != nil {
				return nil, nil, err
			}
			cm.Content = append(cm.Content, chat.Image())
			images = append(images, piece.Image)
		}
		if c.picturesFirst() && !msg.KeepOrder {
			cm.Content = chat.PicturesFirst(cm.Content)
		}
		out = append(out, cm)
	}
	return out, images, nil
}
