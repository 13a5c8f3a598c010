package server

import (
	"bytes"
	"context"
	"strings"

	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/kernels/imaging/document"
)

// isDocument looks at the first bytes of a file for those of documents, all of whose pages a
// request is about: PDF and TIFF. Of an animation, the first frame is enough.
func isDocument(data []byte) bool {
	return document.IsPDF(data) || bytes.HasPrefix(data, []byte("II")) ||
		bytes.HasPrefix(data, []byte("MM"))
}

// withPages puts the pages of documents in their place, in messages that are the caller's own.
// Pages count as pictures.
func (s *Server) withPages(ctx context.Context, messages []engine.Message) error {
	pictures := 0
	for i := range messages {
		var content []engine.Content
		for _, c := range messages[i].Content {
			if c.Image == nil {
				content = append(content, c)
				continue
			}
			pages, err := s.pagesOf(ctx, c.Image, &pictures)
			if err != nil {
				return err
			}
			for _, page := range pages {
				content = append(content, engine.Picture(page))
			}
		}
		messages[i].Content = content
	}
	return nil
}

// pagesOf are the pages of a document, or the picture itself. n counts the pictures of the request.
func (s *Server) pagesOf(ctx context.Context, image *engine.Image,
	n *int) ([]*engine.Image, error) {
	if !isDocument(image.Data) || image.Page != 0 {
		if *n++; *n > s.limits.Images {
			return nil, refuse("the request has more than %d pictures, pages of documents included",
				s.limits.Images)
		}
		return []*engine.Image{image}, nil
	}
	d, err := engine.OpenDocument(ctx, image.Name, image.Data)
	if err != nil {
		return nil, err
	}
	if *n += d.Len(); *n > s.limits.Images {
		return nil, refuse("%s is a %s of %d pages, with which the request has more than %d pictures; send fewer pages", image.Name, d.Format(), d.Len(), s.limits.Images)
	}
	var pages []*engine.Image
	for i := range d.Len() {
		pages = append(pages, d.Page(i))
	}
	return pages, nil
}

// pagesOfAll puts the pages of documents in their place among the pictures of a raw prompt. It
// refuses those whose pages would move the numbers that the prompt calls later pictures by.
func (s *Server) pagesOfAll(ctx context.Context,
	images []*engine.Image) (out []*engine.Image, err error) {
	n := 0
	for _, image := range images {
		pages, err := s.pagesOf(ctx, image, &n)
		if err != nil {
			return nil, err
		}
		if len(pages) > 1 && len(images) > 1 {
			return nil, refuseField(
				"images", "%s has %d pages, and a raw prompt calls its pictures by number; send the pages as pictures", image.Name, len(pages))
		}
		out = append(out, pages...)
	}
	return out, nil
}

// openaiFile is a file of a message's: within "file" in chat completions, in the part itself in
// responses.
type openaiFile struct {
	Data string `json:"file_data"`
	URL  string `json:"file_url"`
	ID   string `json:"file_id"`
	Name string `json:"filename"`
}

// file returns the file of a part: a document or a picture.
func (t *talk) file(f *openaiFile, param string) (engine.Content, error) {
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
		return engine.Content{}, refuseField(param+".file_id",
			"%s names a file by its id; this server keeps no files, so send file_data", param)
	}
	return engine.Content{},
		refuseField(param, "%s has no file_data; send data:application/pdf;base64,…", param)
}

// fileOnly refuses files that are shown to no model here.
func (t *talk) fileOnly(image *engine.Image, err error, name, param string) (*engine.Image, error) {
	if err != nil {
		return nil, err
	}
	if !isPicture(image.Data) {
		return nil, refuseField(param,
			"%s (%.60q) is neither a PDF nor a picture, which are the files that this server takes",
			image.Name, name)
	}
	return image, nil
}

// anthropicDocument is a document as content: its title, what is said about it, and its text, its
// blocks or its pages.
func (t *talk) anthropicDocument(b *anthropicBlock, param string) ([]engine.Content, error) {
	var content []engine.Content
	if about := strings.TrimSpace(b.Title + "\n" + b.Context); about != "" {
		content = append(content, engine.Text(about+"\n"))
	}
	switch {
	case b.Source == nil:
		return nil, refuseField(param, "%s has no source", param)
	case b.Source.Type == "text":
		return append(content, engine.Text(b.Source.Data)), nil
	case b.Source.Type == "content":
		inner, err := t.anthropicContent(b.Source.Content, param+".source.content", "is")
		return append(content, inner...), err
	case b.Source.Type == "file":
		return nil, refuseField(param,
			"%s names a file by its id; this server keeps no files, so send it in base64", param)
	}
	c, err := t.anthropicPicture(b, param)
	if err != nil {
		return nil, err
	}
	return append(content, c), nil
}
