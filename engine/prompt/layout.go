package prompt

import (
	"strings"

	"github.com/eyelet-engine/eyelet/engine/media"
	"github.com/eyelet-engine/eyelet/engine/multimodal"
	"github.com/eyelet-engine/eyelet/models/chat"
	"github.com/eyelet-engine/eyelet/models/vision"
)

// planner returns what a prompt has in a picture's place: the plan, and a picture for each of its
// parts.
type planner func(*multimodal.Image) (*vision.Plan, []*media.Picture, error)

// layOut puts what the family's processor writes around the pictures of a rendered conversation
// among its parts: so texts that touch are cut into tokens together, as in training. The image
// parts of the result count the pictures that were planned.
func layOut(parts []chat.Part, images []*multimodal.Image,
	plan planner) (out []chat.Part, pictures []*media.Picture, err error) {
	for i, part := range parts {
		if part.Kind != chat.KindImage {
			out = append(out, part)
			continue
		}
		picture, list, err := plan(images[part.Image])
		if err != nil {
			return nil, nil, err
		}
		write := func(text string) {
			if text != "" {
				out = append(out, chat.Part{Text: text, Special: true})
			}
		}
		before, after := templateText(out, len(out)-1), templateText(parts, i+1)
		for j, p := range list {
			text := p.Before
			if j == 0 {
				text = withoutBeginning(text, before)
			}
			write(text)
			out = append(out, chat.Part{Kind: chat.KindImage, Image: len(pictures)})
			pictures = append(pictures, p)
		}
		write(withoutEnd(picture.After, after))
	}
	return out, pictures, nil
}

// templateText is a part's text if the template wrote it; a user's text says nothing about markers.
func templateText(parts []chat.Part, i int) string {
	if i < 0 || i >= len(parts) || parts[i].Kind != chat.KindText || !parts[i].Special {
		return ""
	}
	return parts[i].Text
}

// withoutBeginning takes off the markers at the beginning of a text that the template has already
// written before it: all up to the end of a control token.
func withoutBeginning(text, before string) string {
	for n := len(text); n > 0; n-- {
		if (text[n-1] == '>' || text[n-1] == ']') && strings.HasSuffix(before, text[:n]) {
			return text[n:]
		}
	}
	return text
}

// withoutEnd is withoutBeginning for markers at the end of a text.
func withoutEnd(text, after string) string {
	for n := range len(text) {
		if (text[n] == '<' || text[n] == '[') && strings.HasPrefix(after, text[n:]) {
			return text[:n]
		}
	}
	return text
}
