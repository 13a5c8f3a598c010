package imaging

import (
	"context"
	"errors"
	"time"
)

// File is a picture file of one picture or several: the pages of a TIFF file, the frames of an
// animated GIF, WebP or PNG file. Each is decoded when it is asked for. A File may be used by
// several goroutines.
type File struct {
	f     *format
	data  []byte
	opt   Options
	pages pages // nil for a single picture
}

// pages is a file of several pictures. Numbers have been checked.
type pages interface {
	count() int
	// times says when a frame begins and how long it lasts; both are 0 for pages.
	times(i int) (start, lasts time.Duration)
	// header is that of the upright picture, held against the limits.
	header(i int, opt Options) (Header, error)
	decode(ctx context.Context, i int, opt Options) (*Picture, error)
}

// Open reads the structure of a picture file, and decodes nothing. What follows a picture and is
// damaged is left out: a file that is cut off has the pages before. The number of pictures is
// limited by [Options]. data must stay as it is.
func Open(data []byte, opt Options) (file *File, err error) {
	opt = opt.WithDefaults()
	f, err := opt.open(data)
	if err != nil {
		return nil, err
	}
	file = &File{f: f, data: data, opt: opt}
	defer f.recover(&err)
	if f.pages != nil {
		p, err := f.pages(data, opt)
		switch {
		case err != nil:
			return nil, f.describe(err)
		case p == nil || p.count() == 1: // which is Decode's
		case p.count() > opt.MaxFrames:
			return nil, faultf(ErrTooLarge, "%s of more than %d pictures, which is the limit",
				f.name, opt.MaxFrames)
		default:
			file.pages = p
		}
	}
	return file, nil
}

// Format is the name of the file's format.
func (f *File) Format() string { return f.f.name }

// Len is the number of pictures.
func (f *File) Len() int {
	if f.pages == nil {
		return 1
	}
	return f.pages.count()
}

// Header returns what the file tells of a picture, counted from 0, before it is decoded with that
// target and exactness. Errors are those of [ReadHeader].
func (f *File) Header(ctx context.Context, i int, target func(w, h int) (int, int),
	exact bool) (h Header, err error) {
	if err := f.check(i); err != nil {
		return Header{}, err
	}
	opt := f.opt
	opt.Target, opt.Exact = target, exact
	if f.pages == nil {
		h, _, err = f.f.header(ctx, f.data, opt)
		return h, err
	}
	defer f.f.recover(&err)
	return f.pages.header(i, opt)
}

// Times says when a frame of an animation begins and how long it lasts, 0 and 0 for pages.
func (f *File) Times(i int) (start, lasts time.Duration) {
	if f.pages == nil || f.check(i) != nil {
		return 0, 0
	}
	return f.pages.times(i)
}

// Decode returns a picture, counted from 0, as [DecodePicture] does. What target and exact ask for
// is that of [Options]; the limits are those of [Open]. Frames are cheapest in their order: one
// builds on those before it.
func (f *File) Decode(ctx context.Context, i int, target func(w, h int) (int, int),
	exact bool) (*Picture, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := f.check(i); err != nil {
		return nil, err
	}
	opt := f.opt
	opt.Target, opt.Exact = target, exact
	if f.pages == nil {
		return f.f.picture(ctx, f.data, opt)
	}
	return f.decodePage(ctx, i, opt)
}

func (f *File) decodePage(ctx context.Context, i int, opt Options) (p *Picture, err error) {
	defer f.f.recover(&err)
	p, err = f.pages.decode(ctx, i, opt)
	if err != nil {
		return nil, f.f.describe(err)
	}
	return p, nil
}

// ErrNoPage says that a file has fewer pictures than the number asked for.
var ErrNoPage = errors.New("no such page")

func (f *File) check(i int) error {
	if n := f.Len(); i < 0 || i >= n {
		if n == 1 {
			return faultf(ErrNoPage, "the %s holds one picture; there is no number %d", f.f.name,
				i+1)
		}
		return faultf(ErrNoPage, "the %s holds %d pictures; there is no number %d", f.f.name, n,
			i+1)
	}
	return nil
}
