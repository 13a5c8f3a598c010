package imaging

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"io"
	"strings"
)

// Limits that apply where [Options] leaves a field at zero.
const (
	DefaultMaxBytes  = 64 << 20
	DefaultMaxPixels = 100_000_000
)

// Options bound what [Decode] accepts. The zero value takes the defaults.
type Options struct {
	// MaxBytes is the largest file, in bytes.
	MaxBytes int64
	// MaxPixels is the largest product of width and height. Decoding takes up to
	// about 18 bytes of memory a pixel (a progressive JPEG without chroma
	// subsampling), 6 for the usual photo.
	MaxPixels int64
}

func (o Options) withDefaults() Options {
	if o.MaxBytes <= 0 {
		o.MaxBytes = DefaultMaxBytes
	}
	if o.MaxPixels <= 0 {
		o.MaxPixels = DefaultMaxPixels
	}
	return o
}

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

func faultf(kind error, format string, args ...any) error {
	return &fault{kind, fmt.Sprintf(format, args...)}
}

// Read reads a picture file to its end and decodes it; see [Decode]. It stops
// reading at the first byte over the limit.
func Read(r io.Reader, opt Options) (*RGB, error) {
	limit := opt.withDefaults().MaxBytes
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, fmt.Errorf("imaging: %w", err)
	}
	if int64(len(data)) > limit {
		return nil, faultf(ErrTooLarge, "the file is larger than the limit of %d bytes", limit)
	}
	return Decode(data, opt)
}

// Decode returns the picture in a JPEG (baseline or progressive; colour, grey or
// CMYK), PNG, GIF, WebP, BMP, TIFF or HEIC file: upright, as 8-bit RGB. Of an
// animation or a multi-page file it returns the first frame; animated WebP is
// refused. Deeper samples keep their upper 8 bits, as in Pillow. Transparent
// pixels are laid over white. The file's format is found from its first bytes.
//
// Size limits are checked against the file's header before the picture is
// decoded. Errors satisfy errors.Is with [ErrNotImage], [ErrTooLarge] or
// [ErrDamaged].
func Decode(data []byte, opt Options) (*RGB, error) {
	opt = opt.withDefaults()
	if int64(len(data)) > opt.MaxBytes {
		return nil, faultf(ErrTooLarge, "the file has %d bytes; the limit is %d", len(data), opt.MaxBytes)
	}
	f, err := formatOf(data)
	if err != nil {
		return nil, err
	}
	img, err := f.safeDecode(data, opt)
	if err != nil {
		return nil, err
	}
	return flatten(img).oriented(orientation(data, f.exif)), nil
}

// safeDecode decodes after checking the header's size, and turns a panic of a
// decoder that trusts its input too far into an error.
func (f *format) safeDecode(data []byte, opt Options) (img image.Image, err error) {
	defer func() {
		if p := recover(); p != nil {
			img, err = nil, faultf(ErrDamaged, "corrupt %s (its decoder panicked: %v)", f.name, p)
		}
	}()
	if isAnimatedWebP(data) {
		return nil, faultf(ErrDamaged, "animated WebP is not supported")
	}
	w, h, err := f.size(data)
	if err != nil {
		return nil, f.describe(err)
	}
	if err := f.checkSize(w, h, opt); err != nil {
		return nil, err
	}
	img, err = f.decode(bytes.NewReader(data))
	if err != nil {
		return nil, f.describe(err)
	}
	// The header may have lied to the size function and not to the decoder.
	b := img.Bounds()
	return img, f.checkSize(b.Dx(), b.Dy(), opt)
}

func (f *format) checkSize(w, h int, opt Options) error {
	switch {
	case w <= 0 || h <= 0:
		return faultf(ErrDamaged, "%s of %d x %d pixels", f.name, w, h)
	case int64(w) > opt.MaxPixels/int64(h):
		return faultf(ErrTooLarge, "%s of %d x %d pixels; the limit is %d pixels", f.name, w, h, opt.MaxPixels)
	}
	return nil
}

// describe words a decoder's error. The decoders agree neither on error values
// nor on words for a file that ends too early, hence the look at the text.
func (f *format) describe(err error) error {
	text := err.Error()
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		strings.Contains(text, "unexpected EOF") || strings.Contains(text, "not enough") ||
		strings.Contains(text, "short Huffman data") {
		return faultf(ErrDamaged, "truncated %s", f.name)
	}
	return faultf(ErrDamaged, "corrupt or unusual %s: %s", f.name, text)
}

// flatten converts any image to RGB over white. It works in bands of rows, so
// that the RGBA copy which package draw needs stays small.
func flatten(img image.Image) *RGB {
	const bandRows = 64
	b := img.Bounds()
	out := NewRGB(b.Dx(), b.Dy())
	band := image.NewRGBA(image.Rect(0, 0, out.W, min(bandRows, out.H)))
	white := image.NewUniform(color.White)
	for y0 := 0; y0 < out.H; y0 += bandRows {
		r := image.Rect(0, 0, out.W, min(bandRows, out.H-y0))
		draw.Draw(band, r, white, image.Point{}, draw.Src)
		draw.Draw(band, r, img, image.Pt(b.Min.X, b.Min.Y+y0), draw.Over)
		for y := range r.Dy() {
			dst, src := out.row(y0+y), band.Pix[y*band.Stride:]
			for x := range out.W {
				copy(dst[3*x:3*x+3], src[4*x:4*x+3])
			}
		}
	}
	return out
}
