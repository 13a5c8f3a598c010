package multimodal

import (
	"context"
	"fmt"
	"time"

	"github.com/eyelet-engine/eyelet/kernels/imaging"
	"github.com/eyelet-engine/eyelet/kernels/imaging/document"
)

// Document is a file of one picture or several: the pages of a PDF or TIFF file, the frames of an
// animation. It decodes nothing by itself: its pages are pictures of a request, decoded when their
// embeddings are not known.
type Document struct {
	name string
	data []byte
	doc  *document.Document
}

// OpenDocument reads how many pages a file has, which name describes in errors. They match
// engine's ErrImage. data must stay as it is.
func OpenDocument(ctx context.Context, name string, data []byte) (*Document, error) {
	doc, err := document.Open(ctx, data, imaging.Options{})
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, badPicture(name, err)
	}
	return &Document{name: name, data: data, doc: doc}, nil
}

// Name is what the document was opened as.
func (d *Document) Name() string { return d.name }

// Format is the name of the file's format, as PDF, TIFF or GIF.
func (d *Document) Format() string { return d.doc.Format() }

// Len is the number of pages or frames.
func (d *Document) Len() int { return d.doc.Len() }

// Moving reports whether the pages are frames of an animation, of which the first usually stands
// for all.
func (d *Document) Moving() bool { return d.doc.Moving() }

// Page is a page as a picture of a request, counted from 0. Its name is the document's, with the
// page's number from 1 where there are several.
func (d *Document) Page(i int) *Image {
	name := d.name
	if d.Len() > 1 {
		name = fmt.Sprintf("%s#%d", name, i+1)
	}
	return &Image{Name: name, Data: d.data, Page: i, document: d.doc}
}

// Time says when a frame of an animation begins.
func (d *Document) Time(i int) time.Duration {
	start, _ := d.doc.Times(i)
	return start
}
