package engine

import (
	"fmt"
	"regexp"
	"strconv"

	"github.com/eyelet-engine/eyelet/cgo/llama"
)

// imageMarker is where a picture stands in a raw prompt, as in Ollama's: [img-0] is the first of Request.Images.
var imageMarker = regexp.MustCompile(`\[img-(\d{1,9})\]`)

// rawStretches are the tokens and pictures of Request.Prompt, which no template renders.
func (m *Model) rawStretches(r *Request) (list []Stretch, err error) {
	begin := len(r.Before) == 0
	if len(r.Images) == 0 {
		return m.addText(nil, r.Prompt, begin)
	}
	if m.vision == nil {
		return nil, fmt.Errorf("%w: %s was loaded without a projector; give its mmproj file (--mmproj)", ErrNoVision, m.lm.Path())
	}
	type place struct{ from, to, image int }
	var places []place
	marked := make([]bool, len(r.Images))
	for _, at := range imageMarker.FindAllStringSubmatchIndex(r.Prompt, -1) {
		n, err := strconv.Atoi(r.Prompt[at[2]:at[3]])
		if err != nil || n >= len(r.Images) {
			return nil, fmt.Errorf("%w: the prompt has the marker %s, and %d pictures, which count from 0", ErrRequest, r.Prompt[at[0]:at[1]], len(r.Images))
		}
		places, marked[n] = append(places, place{at[0], at[1], n}), true
	}
	if vocab := m.lm.Vocab(); begin && vocab.AddBOS() && vocab.BOS() != llama.NoToken {
		list = append(list, Stretch{Tokens: []llama.Token{vocab.BOS()}, Image: -1})
	}
	for i := range r.Images { // those without a place come first
		if !marked[i] {
			list = append(list, Stretch{Image: i})
		}
	}
	end := 0
	for _, at := range places {
		if list, err = m.addText(list, r.Prompt[end:at.from], false); err != nil {
			return nil, err
		}
		list = append(list, Stretch{Image: at.image})
		end = at.to
	}
	if end == len(r.Prompt) {
		return nil, fmt.Errorf("%w: the prompt ends with a picture, after which the model cannot answer", ErrRequest)
	}
	return m.addText(list, r.Prompt[end:], false)
}

// addText adds the tokens of a raw text, control tokens by their names.
func (m *Model) addText(list []Stretch, text string, begin bool) ([]Stretch, error) {
	if text == "" && !begin {
		return list, nil
	}
	tokens, err := m.lm.Vocab().Tokenize(text, begin, true)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRequest, err)
	}
	return append(list, Stretch{Tokens: tokens, Image: -1}), nil
}
