package server

import (
	"fmt"

	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/engine/server/internal/failure"
	"github.com/eyelet-engine/eyelet/engine/server/internal/fields"
	"github.com/eyelet-engine/eyelet/engine/server/internal/openai"
)

// sound returns the sound of a part.
func (t *talk) sound(s *openai.Sound, param string) (engine.Content, error) {
	if s.Data == "" {
		return engine.Content{}, failure.Field(param+".data",
			"%s has no data; send a WAV, MP3 or FLAC file in base64", param)
	}
	return t.number(param, func(name string) (*engine.Image, error) {
		image, err := t.s.pictures.inline(s.Data, name, param+".data")
		if err == nil && !image.IsSound() {
			err = failure.Wrong(param+".data", "is no sound that is known: WAV, MP3 or FLAC")
		}
		return image, err
	})
}

// isSystem reports whether a role of OpenAI's is what models know as system.
func isSystem(role string) bool { return role == "system" || role == "developer" }

// content turns the parts of a message into the engine's.
func (t *talk) content(parts openai.Content, param string) ([]engine.Content, error) {
	var out []engine.Content
	for i, p := range parts {
		at := fmt.Sprintf("%s[%d]", param, i)
		switch p.Type {
		case "text", "input_text", "output_text":
			out = append(out, engine.Text(p.Text))
		case "refusal":
			out = append(out, engine.Text(p.Refusal))
		case "image_url", "input_image":
			if p.InlineFile().ID != "" && p.ImageURL.URL == "" {
				return nil, failure.Field(at+".file_id",
					"%s names a picture by its id; this server keeps no files, so send image_url",
					at)
			}
			c, err := t.picture(p.ImageURL.URL, at+".image_url")
			if err != nil {
				return nil, err
			}
			if c.Image.Tokens, err = fields.Detail(p.PictureDetail(), at); err != nil {
				return nil, err
			}
			out = append(out, c)
		case "file", "input_file":
			f := p.InlineFile()
			if p.Type == "file" {
				f, at = &p.File, at+".file"
			}
			c, err := t.file(f, at)
			if err != nil {
				return nil, err
			}
			out = append(out, c)
		case "input_audio":
			c, err := t.sound(&p.Sound, at+".input_audio")
			if err != nil {
				return nil, err
			}
			out = append(out, c)
		case "":
			return nil, failure.Wrong(at, "has no type; give text or image_url")
		default:
			return nil, failure.Wrong(at,
				"is %.40q; this server takes text, pictures, sounds and PDF files", p.Type)
		}
	}
	return out, nil
}

// file returns the file of a part: a document or a picture.
func (t *talk) file(f *openai.File, param string) (engine.Content, error) {
	switch {
	case f.Data != "":
		return t.number(param, func(name string) (*engine.Image, error) {
			image, err := t.s.pictures.inline(f.Data, name, param+".file_data")
			return t.fileOnly(image, err, f.Name, param)
		})
	case f.URL != "":
		return t.number(param, func(name string) (*engine.Image, error) {
			image, err := t.s.pictures.get(t.ctx, f.URL, name, param+".file_url")
			return t.fileOnly(image, err, f.Name, param)
		})
	case f.ID != "":
		return engine.Content{}, failure.Field(param+".file_id",
			"%s names a file by its id; this server keeps no files, so send file_data", param)
	}
	return engine.Content{},
		failure.Wrong(param, "has no file_data; send data:application/pdf;base64,…")
}

// fileOnly refuses files that are shown to no model here.
func (t *talk) fileOnly(image *engine.Image, err error, name, param string) (*engine.Image, error) {
	if err != nil {
		return nil, err
	}
	if !isPicture(image.Data) {
		return nil, failure.Field(param,
			"%s (%.60q) is neither a PDF nor a picture, which are the files that this server takes",
			image.Name, name)
	}
	return image, nil
}
