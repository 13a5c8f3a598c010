package engine

import (
	"context"
	"fmt"
	"regexp"
	"strconv"

	"github.com/eyelet-engine/eyelet/cgo/llama"
)

// imageMarker is where a picture stands in a raw prompt, as in Ollama's: [img-0] is the first of Request.Images.
var imageMarker = regexp.MustCompile(`\[img-(\d{1,9})\]`)

// rawPrompt adds Request.Prompt without a template, with its pictures.
func (m *Model) rawPrompt(ctx context.Context, p *prompt, r *Request, t *Timings) error {
	begin := len(r.Before) == 0
	if len(r.Images) == 0 {
		return m.addText(p, r.Prompt, begin)
	}
	if m.vision == nil {
		return fmt.Errorf("%w: %s was loaded without a projector; give its mmproj file (--mmproj)", ErrNoVision, m.lm.Path())
	}
	type place struct{ from, to, image int }
	var places []place
	marked := make([]bool, len(r.Images))
	for _, at := range imageMarker.FindAllStringSubmatchIndex(r.Prompt, -1) {
		n, err := strconv.Atoi(r.Prompt[at[2]:at[3]])
		if err != nil || n >= len(r.Images) {
			return fmt.Errorf("%w: the prompt has the marker %s, and %d pictures, which count from 0", ErrRequest, r.Prompt[at[0]:at[1]], len(r.Images))
		}
		places, marked[n] = append(places, place{at[0], at[1], n}), true
	}
	if vocab := m.lm.Vocab(); begin && vocab.AddBOS() && vocab.BOS() != llama.NoToken {
		p.add(piece{tokens: []llama.Token{vocab.BOS()}})
	}
	look := func(image int) error {
		pieces, err := m.lookAt(ctx, r.Images[image], t)
		p.add(pieces...)
		return err
	}
	for i := range r.Images { // those without a place come first
		if !marked[i] {
			if err := look(i); err != nil {
				return err
			}
		}
	}
	end := 0
	for _, at := range places {
		if err := m.addText(p, r.Prompt[end:at.from], false); err != nil {
			return err
		}
		if err := look(at.image); err != nil {
			return err
		}
		end = at.to
	}
	if end == len(r.Prompt) {
		return fmt.Errorf("%w: the prompt ends with a picture, after which the model cannot answer", ErrRequest)
	}
	return m.addText(p, r.Prompt[end:], false)
}

// addText adds the tokens of a raw text, control tokens by their names.
func (m *Model) addText(p *prompt, text string, begin bool) error {
	if text == "" && !begin {
		return nil
	}
	tokens, err := m.lm.Vocab().Tokenize(text, begin, true)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrRequest, err)
	}
	p.add(piece{tokens: tokens})
	return nil
}
