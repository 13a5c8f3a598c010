package imaging

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/eyelet-engine/eyelet/cgo/jpeg"
	"github.com/eyelet-engine/eyelet/kernels/imaging/internal/raster"
	"github.com/eyelet-engine/eyelet/kernels/imaging/internal/wasm"
)

// The kinds of fault that [Decode] reports, for errors.Is. The error's text
// names the format and the fault itself.
var (
	// ErrNotImage: the bytes are of no format that this package decodes.
	ErrNotImage = errors.New("not an image")
	// ErrTooLarge: the file or the picture is over a limit of [Options].
	ErrTooLarge = errors.New("image too large")
	// ErrDamaged: the file is truncated, corrupt, or uses a feature of its format
	// that the decoder lacks.
	ErrDamaged = errors.New("damaged image")
)

// fault is an error whose text stands alone and whose kind errors.Is finds.
type fault struct {
	kind error
	text string
}

func (f *fault) Error() string { return "imaging: " + f.text }
func (f *fault) Unwrap() error { return f.kind }

// Fault is an error of a kind above, for decoders beside this package.
func Fault(kind error, format string, args ...any) error { return faultf(kind, format, args...) }

// IsFault reports whether an error has a kind of this package, and so says what is wrong with a
// file.
func IsFault(err error) bool {
	_, ok := errors.AsType[*fault](err)
	return ok
}

func faultf(kind error, format string, args ...any) error {
	return &fault{kind, fmt.Sprintf(format, args...)}
}

// Decode returns the picture in a JPEG (baseline or progressive; colour, grey or CMYK), PNG, GIF,
// WebP, BMP, TIFF, HEIC, AVIF or JPEG XL file: upright, as 8-bit RGB. Of an animation or a
// multi-page file it returns the first frame ([Open] gives all). Deeper samples keep their upper 8
// bits, as in Pillow.
// Transparent pixels are laid over the background. The file's format is found from its first bytes.
//
// Limits are checked against the file's header before the picture is decoded.
// Errors satisfy errors.Is with [ErrNotImage], [ErrTooLarge] or [ErrDamaged].
//
// The picture has its full size unless [Options.Target] asks for less, in which
// case its sides, like those of the file, are those of [DecodePicture].
func Decode(data []byte, opt Options) (*RGB, error) {
	p, err := DecodePicture(context.Background(), data, opt)
	if err != nil {
		return nil, err
	}
	return p.RGB, nil
}

// Picture is a decoded picture and the size that it has in the file.
type Picture struct {
	*RGB
	// OriginalW and OriginalH are the sides of the upright picture in the file.
	// They are W and H unless the picture was scaled while decoding.
	OriginalW, OriginalH int
}

// DecodePicture is [Decode] for callers that need the picture's size in the file
// or want to stop early: once ctx is done it returns the context's error, of a
// JPEG file within a row of blocks (libjpeg-turbo only), of HEIC, AVIF and JPEG XL
// files at once, of others before or after their decoding.
func DecodePicture(ctx context.Context, data []byte, opt Options) (*Picture, error) {
	opt = opt.WithDefaults()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	f, err := opt.open(data)
	if err != nil {
		return nil, err
	}
	return f.picture(ctx, data, opt)
}

// picture decodes the picture of a file whose length has been checked.
func (f *format) picture(ctx context.Context, data []byte, opt Options) (*Picture, error) {
	h, turn, err := f.header(ctx, data, opt)
	if err != nil {
		return nil, err
	}
	p := &Picture{OriginalW: h.W, OriginalH: h.H}
	switch {
	case f.direct != nil:
		p.RGB, err = f.direct(ctx, data, opt.eighths(p.OriginalW, p.OriginalH))
		if err != nil {
			return nil, f.describe(err)
		}
	case f.machine != nil:
		p.RGB, err = f.decodeInMachine(ctx, data, h.pixels, opt)
	default:
		p.RGB, err = f.safeDecode(data, opt)
	}
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return nil, err
	}
	if f.direct == nil { // the header may have lied to the size function and not to the decoder
		p.OriginalW, p.OriginalH = p.W, p.H
		if turn >= 5 {
			p.OriginalW, p.OriginalH = p.H, p.W
		}
	}
	p.RGB = p.oriented(turn)
	return p, nil
}

// open checks the file's length and finds its format.
func (o Options) open(data []byte) (*format, error) {
	if int64(len(data)) > o.MaxBytes {
		return nil, faultf(ErrTooLarge, "the file has %d bytes; the limit is %d", len(data),
			o.MaxBytes)
	}
	return formatOf(data)
}

// checkedSize reads the size from the header and holds it against the limits. It is that of the
// picture as its decoder returns it, before it is turned by what the file says beside.
func (f *format) checkedSize(ctx context.Context, data []byte, opt Options) (w, h int, err error) {
	defer f.recover(&err)
	if f.size != nil {
		w, h, err = f.size(data)
	} else {
		w, h, err = f.machine.Size(ctx, data)
	}
	if err != nil {
		return 0, 0, f.describe(err)
	}
	return w, h, f.checkSize(w, h, len(data), opt)
}

// safeDecode decodes a picture whose header has been checked.
func (f *format) safeDecode(data []byte, opt Options) (m *RGB, err error) {
	defer f.recover(&err)
	m, err = f.decode(data, opt)
	if err != nil {
		return nil, f.describe(err)
	}
	if err := f.checkSize(m.W, m.H, len(data), opt); err != nil {
		return nil, err
	}
	return m, nil
}

// recover turns a panic of a decoder that trusts its input too far into an error.
func (f *format) recover(err *error) {
	if p := recover(); p != nil {
		*err = faultf(ErrDamaged, "corrupt %s (its decoder panicked: %v)", f.name, p)
	}
}

// describe words a decoder's error. The decoders agree neither on error values
// nor on words for a file that ends too early, hence the look at the text.
func (f *format) describe(err error) error {
	text := err.Error()
	var kind *fault
	switch {
	case errors.As(err, &kind): // a limit of ours
		return err
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.Is(err, jpeg.ErrTooLarge), errors.Is(err, wasm.ErrMemory),
		errors.Is(err, wasm.ErrTime):
		return faultf(ErrTooLarge, "%s: %s", f.name, text)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF),
		errors.Is(err, jpeg.ErrTruncated),
		strings.Contains(text, "unexpected EOF"), strings.Contains(text, "not enough"),
		strings.Contains(text, "short Huffman data"):
		return faultf(ErrDamaged, "truncated %s", f.name)
	}
	if errors.Is(err, raster.ErrUnsupported) || errors.Is(err, wasm.ErrDamaged) {
		return faultf(ErrDamaged, "%s: %s", f.name, text)
	}
	return faultf(ErrDamaged, "corrupt or unusual %s: %s", f.name, text)
}
