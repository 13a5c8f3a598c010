package pictures

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/cli"
	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/kernels/imaging"
	"github.com/eyelet-engine/eyelet/kernels/imaging/document"
	"github.com/eyelet-engine/eyelet/kernels/sound"
)

// Open reads one picture from a file, or from stdin if path is "-", for commands that are
// about single ones: of a document with several pages, the one that the path chooses, as in
// doc.pdf#3.
func Open(ctx context.Context, path string,
	stdin io.Reader) (picture *engine.Image, err error) {
	file, own := path, ""
	if path == "-" {
		picture, err = engine.ImageReader("stdin", stdin)
	} else if file, own, err = SplitPages(path); err == nil {
		picture, err = imageFile(file)
	}
	if err != nil {
		return nil, err
	}
	if own == "" && !document.Paged(picture.Data) {
		return picture, Check(ctx, picture)
	}
	d, err := openDocument(ctx, picture)
	if err != nil {
		return nil, err
	}
	if own == "" && d.Len() > 1 {
		return nil, cli.Inputf("%s has %s, and this command takes one: say which, as %s#1",
			picture.Name, cli.Plural(d.Len(), "page"), picture.Name)
	}
	pages, err := new(Material).chosen(d, cmp.Or(own, "1"), false)
	if err != nil {
		return nil, err
	}
	if len(pages) != 1 {
		return nil, cli.Inputf("%s: this command takes one page, not %d", path, len(pages))
	}
	picture = d.Page(pages[0])
	return picture, Check(ctx, picture)
}

// ReadFile reads a picture from a file and makes sure that it is one: a model may take minutes
// to load, and mistakes should be told before.
func ReadFile(ctx context.Context, path string) (*engine.Image, error) {
	picture, err := imageFile(path)
	if err == nil {
		err = Check(ctx, picture)
	}
	return picture, err
}

// ReadSound reads a sound from a file, and decodes it to make sure that it is whole.
func ReadSound(ctx context.Context, path string) (*engine.Image, error) {
	s, err := imageFile(path)
	if err != nil {
		return nil, err
	}
	if !s.IsSound() {
		return nil, &cli.InputError{Err: fmt.Errorf("%s is no sound that is known", path),
			Remedy: "sounds are WAV, MP3 or FLAC files (ffmpeg -i IN OUT.wav makes one)"}
	}
	return s, checkSound(ctx, s)
}

// checkSound decodes a sound, and returns the error of that alone.
func checkSound(ctx context.Context, s *engine.Image) error {
	_, err := sound.Decode(ctx, s.Data, sound.Options{})
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return cli.Inputf("%s: %w", s.Name, err)
	}
	return nil
}

// RefusePDF refuses a PDF file, for commands about single pictures.
func RefusePDF(picture *engine.Image) error {
	if !document.IsPDF(picture.Data) {
		return nil
	}
	return &cli.InputError{
		Err:    fmt.Errorf("%s is a PDF file, which this command does not take", picture.Name),
		Remedy: `make a picture of the page first, as with pdftoppm -r 144 -png ("eyelet run" takes PDF files)`,
	}
}

// imageFile reads a file.
func imageFile(path string) (*engine.Image, error) {
	picture, err := engine.ImageFile(path)
	if fault, ok := errors.AsType[*fs.PathError](err); ok {
		return nil, cli.Inputf("%s: %w", path, fault.Err)
	}
	if errors.Is(err, imaging.ErrTooLarge) {
		remedy := "make it smaller"
		if document.IsPDF(cli.HeadOf(path, document.HeadSize)) {
			remedy = splitRemedy
		}
		return nil, &cli.InputError{Err: err, Remedy: remedy}
	}
	return picture, err
}

// splitRemedy is what to do about a PDF file that is too large.
const splitRemedy = "split it into files of fewer pages, as with qpdf --split-pages=20 IN.pdf OUT.pdf"

// Check returns what is wrong with a picture. It decodes the picture, or draws a page at a small
// size. If decoding would take long it reads the header alone, and leaves other faults to the
// decoding that follows.
func Check(ctx context.Context, picture *engine.Image) error {
	if picture.IsSound() {
		return checkSound(ctx, picture)
	}
	var err error
	if imaging.Slow(picture.Data) {
		_, err = imaging.ReadHeader(ctx, picture.Data, imaging.Options{})
	} else {
		_, err = document.Decode(ctx, picture.Data, picture.Page,
			imaging.Options{Target: func(int, int) (int, int) { return 64, 64 }})
	}
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err == nil:
		return nil
	}
	return pictureError(picture, err)
}

// pictureError adds to an error the picture's name and what to do about it.
func pictureError(picture *engine.Image, err error) error {
	name, pdf := picture.Name, document.IsPDF(picture.Data)
	remedy := ""
	switch {
	case errors.Is(err, document.ErrLocked): // which says it
	case pdf && errors.Is(err, imaging.ErrDamaged):
		remedy = "copy it again, or print it to a new PDF file"
	case errors.Is(err, imaging.ErrDamaged):
		remedy = "copy it again, or save it again in a picture editor"
	case errors.Is(err, imaging.ErrTooLarge):
		remedy = "make it smaller"
	}
	text := strings.TrimPrefix(err.Error(), engine.ErrImage.Error()+": "+name+": ")
	return &cli.InputError{Err: fmt.Errorf("%s: %s", name, strings.TrimPrefix(text, "imaging: ")),
		Remedy: remedy}
}
