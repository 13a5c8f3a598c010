package prompt

import (
	"fmt"
	"regexp"
	"strconv"

	"github.com/eyelet-engine/eyelet/engine/internal/fault"
	"github.com/eyelet-engine/eyelet/models/chat"
)

// imageMarker is where a picture stands in a raw prompt, as in Ollama's: [img-0] is the first of
// Request.Images.
var imageMarker = regexp.MustCompile(`\[img-(\d{1,9})\]`)

// rawParts cuts Request.Text, which no template renders, at its pictures.
func (c *Composer) rawParts(r *Request) (list []chat.Part, err error) {
	if len(r.Images) == 0 {
		return []chat.Part{{Text: r.Text, Special: true}}, nil
	}
	for _, image := range r.Images {
		if err := c.Planner.Check(image); err != nil {
			return nil, err
		}
	}
	type place struct{ from, to, image int }
	var places []place
	marked := make([]bool, len(r.Images))
	for _, at := range imageMarker.FindAllStringSubmatchIndex(r.Text, -1) {
		n, err := strconv.Atoi(r.Text[at[2]:at[3]])
		if err != nil || n >= len(r.Images) {
			return nil, fmt.Errorf(
				"%w: the prompt has the marker %s, and %d pictures, which count from 0",
				fault.ErrRequest, r.Text[at[0]:at[1]], len(r.Images))
		}
		places, marked[n] = append(places, place{at[0], at[1], n}), true
	}
	for i := range r.Images { // those without a place come first
		if !marked[i] {
			list = append(list, chat.Part{Kind: chat.KindImage, Image: i})
		}
	}
	end := 0
	for _, at := range places {
		list = append(list, chat.Part{Text: r.Text[end:at.from], Special: true},
			chat.Part{Kind: chat.KindImage, Image: at.image})
		end = at.to
	}
	if end == len(r.Text) {
		return nil, fmt.Errorf(
			"%w: the prompt ends with a picture, after which the model cannot answer",
			fault.ErrRequest)
	}
	return append(list, chat.Part{Text: r.Text[end:], Special: true}), nil
}

// tokenizeRaw cuts raw text into tokens, control tokens by their names. Texts that stand together
// are cut together.
func (d *Dialogue) tokenizeRaw(parts []chat.Part, begin bool) (list []Stretch, err error) {
	text, first := "", begin
	flush := func() error {
		if text == "" && !first {
			return nil
		}
		tokens, err := d.vocab.Tokenize(text, first, true)
		if err != nil {
			return fmt.Errorf("%w: %w", fault.ErrRequest, err)
		}
		// A prompt that was written with the token that begins texts must not get a second one.
		if bos := d.vocab.BOS(); first && d.vocab.AddBOS() && len(tokens) > 1 && tokens[0] == bos &&
			tokens[1] == bos {
			tokens = tokens[1:]
		}
		if len(tokens) > 0 {
			list = append(list, Stretch{Tokens: tokens, Image: -1})
		}
		text, first = "", false
		return nil
	}
	for _, part := range parts {
		if part.Kind == chat.KindText {
			text += part.Text
			continue
		}
		if err := flush(); err != nil {
			return nil, err
		}
		list = append(list, Stretch{Image: part.Image})
	}
	return list, flush()
}
