package multimodal

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/eyelet-engine/eyelet/engine/internal/fault"
	"github.com/eyelet-engine/eyelet/kernels/imaging"
	"github.com/eyelet-engine/eyelet/kernels/imaging/document"
	"github.com/eyelet-engine/eyelet/kernels/sound"
)

// Image is a picture file in memory (JPEG, PNG, GIF, WebP, BMP, TIFF, HEIC, AVIF, JPEG XL,
// PDF) or a sound (WAV, MP3, FLAC), or a page of a file of several; see [OpenDocument].
type Image struct {
	Name string // where it came from, for error messages
	Data []byte
	Page int // of a file of several pictures, counted from 0
	// Tokens bounds its image tokens, in the place of what the request says of all.
	Tokens Budget

	document *document.Document // of the data, where it is open already
}

// File reads a picture from a file. A file that is larger than the decoder accepts is refused
// without being read.
func File(path string) (*Image, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", fault.ErrImage, err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", fault.ErrImage, err)
	}
	if info.IsDir() {
		return nil, fmt.Errorf("%w: %s is a directory", fault.ErrImage, path)
	}
	return Read(path, f)
}

// Read reads a picture from r, which name describes in errors.
func Read(name string, r io.Reader) (*Image, error) {
	limit := int64(imaging.DefaultMaxBytes)
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", fault.ErrImage, name, err)
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("%w: %w", fault.ErrImage, imaging.Fault(imaging.ErrTooLarge,
			"%s is larger than %d MB", name, limit>>20))
	}
	if len(data) == 0 {
		return nil, fmt.Errorf("%w: %s is empty", fault.ErrImage, name)
	}
	return &Image{Name: name, Data: data}, nil
}

// IsSound reports whether it is a sound by its bytes: WAV, MP3 or FLAC.
func (image *Image) IsSound() bool { return sound.Is(image.Data) }

// several reports whether a picture is a page that package imaging alone does not decode.
func (image *Image) several() bool { return image.Page != 0 || document.IsPDF(image.Data) }

// pageIdentity tells the pages of a file apart, whose bytes are the same.
func (image *Image) pageIdentity() string {
	if image.Page == 0 {
		return ""
	}
	return fmt.Sprintf(" page %d", image.Page)
}

// header is imaging.ReadHeader for the picture's page.
func (image *Image) header(ctx context.Context, options imaging.Options) (imaging.Header, error) {
	if !image.several() {
		return imaging.ReadHeader(ctx, image.Data, options)
	}
	doc, err := image.open(ctx)
	if err != nil {
		return imaging.Header{}, err
	}
	return doc.Header(ctx, image.Page, document.Render{Target: options.Target,
		Exact: options.Exact})
}

// decode is imaging.DecodePicture for the picture's page.
func (image *Image) decode(ctx context.Context, options imaging.Options) (*imaging.Picture, error) {
	if !image.several() {
		return imaging.DecodePicture(ctx, image.Data, options)
	}
	doc, err := image.open(ctx)
	if err != nil {
		return nil, err
	}
	return doc.Decode(ctx, image.Page, document.Render{Target: options.Target,
		Exact: options.Exact})
}

func (image *Image) open(ctx context.Context) (*document.Document, error) {
	if image.document != nil {
		return image.document, nil
	}
	return document.Open(ctx, image.Data, imaging.Options{})
}

// Pixels decodes a picture at its full size, upright. Errors match engine's ErrImage.
func Pixels(ctx context.Context, image *Image) (*imaging.RGB, error) {
	img, err := document.Decode(ctx, image.Data, image.Page, imaging.Options{Exact: true})
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		return nil, badPicture(image.Name, err)
	}
	return img.RGB, nil
}
