package prompt

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/engine/internal/fault"
	"github.com/eyelet-engine/eyelet/models/chat"
	"github.com/eyelet-engine/eyelet/models/reply"
)

// Dialogue turns conversations into what a language model reads: the chat template, and the
// vocabulary's control tokens, which only the template may use. It may be used from several
// goroutines.
type Dialogue struct {
	vocab    *llama.Vocab
	template *chat.Template
	special  map[string]llama.Token // control tokens by their text
	names    []string               // keys of special
	text     string                 // the template
	broken   error                  // why the template does not parse; then template is nil
	source   string

	styled sync.Once
	style  reply.Style // see Style
}

// Stretch is a part of a prompt: tokens, or the place of a picture.
type Stretch struct {
	Tokens []llama.Token
	Image  int // the picture's index in reading order, -1 for tokens
}

// Source says where the template comes from: "given", "model", "ollama", or the name of a fallback.
func (d *Dialogue) Source() string { return d.source }

// Control returns the control token that has a text.
func (d *Dialogue) Control(text string) (llama.Token, bool) {
	t, ok := d.special[text]
	return t, ok
}

// Style returns what answers mean beside their text, which is found out once.
func (d *Dialogue) Style() reply.Style {
	d.styled.Do(func() {
		d.style.Calls = reply.Tagged
		if d.template != nil {
			d.style = reply.Detect(context.Background(), d.template, d.text)
		}
	})
	return d.style
}

// NewDialogue finds the chat template of a model: source, Jinja or the name of a known one, where
// it is not empty, else the model's own, else one that its name and the kind of its projector
// suggest. A source that does not parse is an error; a template of the model's own that does not
// parse fails what renders with it, and nothing else.
func NewDialogue(lm *llama.Model, source, projector string) (*Dialogue, error) {
	d := &Dialogue{vocab: lm.Vocab(), special: map[string]llama.Token{}, source: "given"}
	for t := range llama.Token(d.vocab.N()) {
		if d.vocab.Attr(t)&(llama.AttrControl|llama.AttrUserDefined) == 0 {
			continue
		}
		if text := string(d.vocab.Piece(t, true)); text != "" {
			if _, ok := d.special[text]; !ok {
				d.special[text] = t
				d.names = append(d.names, text)
			}
		}
	}
	if source == "" {
		source, _ = lm.ChatTemplate("")
		d.source = "model"
	}
	name := source
	if source == "" {
		name = chat.Guess(d.metadata(lm, projector))
	}
	if text, err := chat.Fallback(name); err == nil {
		source, d.source = text, name
	}
	d.text = source
	var err error
	if d.template, err = chat.Parse(source, d.options()); err != nil {
		d.broken = fmt.Errorf("%w: %s: %w; give another chat template", fault.ErrModelFile,
			lm.Path(), err)
		if d.source == "given" {
			return nil, d.broken
		}
	}
	return d, nil
}

func (d *Dialogue) metadata(lm *llama.Model, projector string) chat.Metadata {
	meta := lm.Metadata()
	m := chat.Metadata{Architecture: meta["general.architecture"], ProjectorType: projector,
		Vocabulary: func(s string) bool { _, ok := d.special[s]; return ok }}
	for _, key := range []string{"general.name", "general.basename", "general.finetune"} {
		if meta[key] != "" {
			m.Names = append(m.Names, meta[key])
		}
	}
	return m
}

// Prompt renders a conversation, with the opening of an answer at its end, and tokenizes it.
func (d *Dialogue) Prompt(ctx context.Context, messages []chat.Message) ([]Stretch, error) {
	parts, err := d.render(ctx, messages, chat.RenderOptions{AddGenerationPrompt: true}, nil)
	if err != nil {
		return nil, err
	}
	return d.tokenize(parts, true)
}

// UseGo puts a template in Ollama's language, which the manifest of the named model gives, in the
// place of the one that was found. It is called before anything else.
func (d *Dialogue) UseGo(source, model string) {
	d.text, d.source, d.broken = source, "ollama", nil
	var err error
	if d.template, err = chat.ParseGo(source, d.options()); err != nil {
		d.broken = fmt.Errorf("%w: the template that Ollama's manifest gives %s: %w",
			fault.ErrModelFile, model, err)
	}
}

// options are what a template is told of the vocabulary.
func (d *Dialogue) options() chat.Options {
	text := func(t llama.Token) string { return string(d.vocab.Piece(t, true)) }
	return chat.Options{BOS: text(d.vocab.BOS()), EOS: text(d.vocab.EOS())}
}

// render renders a conversation with the template, or with another one where that is not nil.
func (d *Dialogue) render(ctx context.Context, messages []chat.Message, options chat.RenderOptions,
	other *chat.Template) ([]chat.Part, error) {
	template := d.template
	if other != nil {
		template = other
	}
	if template == nil {
		return nil, d.broken
	}
	parts, err := template.Render(ctx, messages, options)
	switch {
	case err == nil:
		return parts, nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case errors.Is(err, chat.ErrLimit) && other == nil: // another one is the request's
		return nil, fmt.Errorf("%w: %w", fault.ErrTemplateLimit, err)
	}
	return nil, fmt.Errorf("%w: %w", fault.ErrRequest, err)
}

// tokenize makes control tokens only of what the template wrote. With begin nothing comes before
// the parts.
func (d *Dialogue) tokenize(parts []chat.Part, begin bool) (list []Stretch, err error) {
	var tokens []llama.Token
	flush := func() {
		if len(tokens) > 0 {
			list = append(list, Stretch{Tokens: tokens, Image: -1})
			tokens = nil
		}
	}
	// The model may want its BOS token first; a template that writes it itself must not get a
	// second one.
	bos := llama.NoToken
	if d.vocab.AddBOS() {
		bos = d.vocab.BOS()
	}
	if bos != llama.NoToken && begin {
		tokens = append(tokens, bos)
	}
	first := bos != llama.NoToken
	for _, part := range chat.Split(parts, d.names) {
		switch {
		case part.Kind == chat.KindImage:
			flush()
			list = append(list, Stretch{Image: part.Image})
		case part.Special:
			if t := d.special[part.Text]; !first || t != bos {
				tokens = append(tokens, t)
			}
		default:
			more, err := d.vocab.Tokenize(part.Text, false, false)
			if err != nil {
				return nil, fmt.Errorf("%w: %w", fault.ErrRequest, err)
			}
			tokens = append(tokens, more...)
		}
		first = false
	}
	flush()
	if n := len(list); n > 0 && list[n-1].Image >= 0 {
		return nil, fmt.Errorf("%w: the chat template ends the prompt with a picture, after which "+
			"the model cannot answer", fault.ErrRequest)
	}
	return list, nil
}
