package server

import (
	"bytes"
	"context"

	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/engine/server/internal/failure"
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

// pagesOf returns the pages of a document, or the picture itself. n counts the pictures of the
// request.
func (s *Server) pagesOf(ctx context.Context, image *engine.Image,
	n *int) ([]*engine.Image, error) {
	if !isDocument(image.Data) || image.Page != 0 {
		if *n++; *n > s.limits.Images {
			return nil, failure.Refuse(
				"the request has more than %d pictures, pages of documents included",
				s.limits.Images)
		}
		return []*engine.Image{image}, nil
	}
	d, err := engine.OpenDocument(ctx, image.Name, image.Data)
	if err != nil {
		return nil, err
	}
	if *n += d.Len(); *n > s.limits.Images {
		return nil, failure.Refuse(
			"%s is a %s of %d pages, with which the request has more than %d pictures; send fewer pages",
			image.Name, d.Format(), d.Len(), s.limits.Images)
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
			return nil, failure.Field("images",
				"%s has %d pages, and a raw prompt calls its pictures by number; send the pages as pictures",
				image.Name, len(pages))
		}
		out = append(out, pages...)
	}
	return out, nil
}
