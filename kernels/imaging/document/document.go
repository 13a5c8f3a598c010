// Package document opens what people ask about: picture files of one page or many, and PDF files.
//
//	d, err := document.Open(ctx, data, imaging.Options{})
//	for i := range d.Len() {
//		page, err := d.Decode(ctx, i, document.Render{})
//	}
//
// Bytes say what they are, not names. A document is opened without decoding any page; each page is
// decoded when it is asked for, alone, at the size that its reader can see. Formats that are no
// pictures but might be given for one, such as SVG and video, are refused with a hint.
package document

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/eyelet-engine/eyelet/kernels/imaging"
)

// ErrLocked says that a PDF file needs a password, or is encrypted in a way that is not supported.
// Its text says what to do. It is a kind of imaging.ErrDamaged.
var ErrLocked = fmt.Errorf("%w: locked", imaging.ErrDamaged)

// Document is an opened file. It may be used by several goroutines.
type Document struct {
	file *imaging.File // nil for a PDF
	pdf  *pdf
}

// Open reads how many pages a file has. The limits of opt are those of all pages, and data must
// stay as it is. Errors match the kinds of package imaging. The first PDF file of a process takes a
// while: its reader is compiled, or read from the cache folder.
func Open(ctx context.Context, data []byte, opt imaging.Options) (*Document, error) {
	if IsPDF(data) {
		p, err := openPDF(ctx, data, opt)
		if err != nil {
			return nil, err
		}
		return &Document{pdf: p}, nil
	}
	f, err := imaging.Open(data, opt)
	switch {
	case errors.Is(err, imaging.ErrNotImage):
		return nil, fmt.Errorf("%w, PDF", err) // the text ends in a list of formats
	case err != nil:
		return nil, err
	}
	return &Document{file: f}, nil
}

// HeadSize is how many of a file's first bytes say what it is: the header of a PDF file may begin
// so far into it.
const HeadSize = 1024

// IsPDF knows PDF files, whose header may have something before it.
func IsPDF(data []byte) bool {
	return bytes.Contains(data[:min(len(data), HeadSize)], []byte("%PDF-")) && !imaging.Known(data)
}

// Paged reports whether the file that begins with head is of a format with pages, PDF or TIFF, each
// of which stands for itself, unlike the frames of an animation. It looks at [HeadSize] bytes at
// most.
func Paged(head []byte) bool { return IsPDF(head) || imaging.IsTIFF(head) }

// Format is the name of the file's format.
func (d *Document) Format() string {
	if d.pdf != nil {
		return "PDF"
	}
	return d.file.Format()
}

// Len is the number of pages or frames.
func (d *Document) Len() int {
	if d.pdf != nil {
		return d.pdf.pages
	}
	return d.file.Len()
}

// Moving reports whether the pages are frames of an animation, of which one usually stands for all.
func (d *Document) Moving() bool {
	if d.pdf != nil || d.Len() == 1 {
		return false
	}
	return d.Format() != "TIFF"
}

// Header returns what is known of a page, counted from 0, before it is decoded. A page of a PDF
// file has 144 dots an inch, fewer if it is very large.
func (d *Document) Header(ctx context.Context, i int, r Render) (imaging.Header, error) {
	if d.pdf != nil {
		return d.pdf.header(ctx, i, r)
	}
	return d.file.Header(ctx, i, r.Target, r.Exact)
}

// Times says when a frame of an animation begins and how long it lasts, 0 and 0 for pages.
func (d *Document) Times(i int) (start, lasts time.Duration) {
	if d.pdf != nil {
		return 0, 0
	}
	return d.file.Times(i)
}

// Render says what a page is decoded for, in the words of [imaging.Options].
type Render struct {
	// Target is the size that the page is going to be resampled to. A page of a PDF file is drawn
	// accordingly, and larger than its header says where the target is.
	Target func(w, h int) (int, int)
	Exact  bool
}

// Decode returns a page, counted from 0. When ctx is done it gives up with ctx's error.
func (d *Document) Decode(ctx context.Context, i int, r Render) (*imaging.Picture, error) {
	if d.pdf != nil {
		return d.pdf.decode(ctx, i, r)
	}
	return d.file.Decode(ctx, i, r.Target, r.Exact)
}

// Decode opens a file and decodes one page, counted from 0.
func Decode(ctx context.Context, data []byte, page int,
	opt imaging.Options) (*imaging.Picture, error) {
	d, err := Open(ctx, data, opt)
	if err != nil {
		return nil, err
	}
	return d.Decode(ctx, page, Render{Target: opt.Target, Exact: opt.Exact})
}
