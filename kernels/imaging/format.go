package imaging

import (
	"bytes"
	"context"
	"image"
	"image/png"
	"io"
	"slices"

	"github.com/eyelet-engine/eyelet/kernels/imaging/internal/bmp"
	"github.com/eyelet-engine/eyelet/kernels/imaging/internal/raster"
	"github.com/eyelet-engine/eyelet/kernels/imaging/internal/tiff"
)

// A format is one kind of picture file: how to know it, and who decodes it.
type format struct {
	name string
	// match looks at the first bytes of the file.
	match func(head []byte) bool
	// size reads the picture's size from the header without decoding it.
	size func(data []byte) (w, h int, err error)
	// decode returns the first, or only, frame, as it is stored, over the background.
	decode func(data []byte, opt Options) (*RGB, error)
	// direct, where it is set, decodes in place of decode, at a scale of so many eighths.
	direct func(ctx context.Context, data []byte, eighths int) (*RGB, error)
	// metadata finds the EXIF block and the XMP packet that may state an orientation. It is
	// nil where there is none to apply: HEIC's own rotation is applied by its decoder, and
	// its EXIF tag only repeats it.
	metadata func(data []byte) (exif, xmp []byte)
	// turn, where it is set, states the orientation in place of metadata.
	turn func(data []byte) int
	// pages reads the structure of a file that can hold several pictures. It is nil for a format
	// of single ones.
	pages func(data []byte, opt Options) (pages, error)
}

// formats is looked through in order. It is filled once all parts of the package stand.
var formats []format

func init() {
	formats = []format{
		jpegFormat(),
		{name: "PNG", match: prefix("\x89PNG\r\n\x1a\n"), size: configSize(png.DecodeConfig), decode: flattened(png.Decode), metadata: pngMetadata, pages: apngFrames},
		{name: "GIF", match: prefix("GIF8"), size: gifSize, decode: decodeGIF, pages: gifFrames},
		{name: "WebP", match: isWebP, size: webpSize, decode: decodeWebP, metadata: webpMetadata, pages: webpFrames},
		{name: "BMP", match: prefix("BM"), size: bmp.Size, decode: composed(bmp.Decode)},
		tiffFormat(tiff.ReadDirectory),
		{name: "HEIC", match: isHEIC, size: heicSize, decode: flattened(decodeHEIC)},
	}
}

func formatNamed(name string) *format {
	i := slices.IndexFunc(formats, func(f format) bool { return f.name == name })
	return &formats[i]
}

// supported lists the names of the formats for error texts.
const supported = "JPEG, PNG, GIF, WebP, BMP, TIFF, HEIC"

// flattened is the decode of a format whose decoder returns any image.
func flattened(decode func(io.Reader) (image.Image, error)) func([]byte, Options) (*RGB, error) {
	return func(data []byte, opt Options) (*RGB, error) {
		img, err := decode(bytes.NewReader(data))
		if err != nil {
			return nil, err
		}
		return flatten(img, opt.background()), nil
	}
}

// composed is the decode of a format whose decoder is our own.
func composed(decode func([]byte) (*raster.Image, error)) func([]byte, Options) (*RGB, error) {
	return func(data []byte, opt Options) (*RGB, error) {
		m, err := decode(data)
		if err != nil {
			return nil, err
		}
		return compose(m, opt.background()), nil
	}
}

func prefix(magic string) func([]byte) bool {
	return func(head []byte) bool { return bytes.HasPrefix(head, []byte(magic)) }
}

// isTIFF knows TIFF and BigTIFF in either byte order.
func isTIFF(head []byte) bool {
	return slices.ContainsFunc([]string{"II*\x00", "MM\x00*", "II+\x00", "MM\x00+"}, func(magic string) bool {
		return prefix(magic)(head)
	})
}

// formatOf finds the format of a file by its first bytes.
func formatOf(data []byte) (*format, error) {
	for i := range formats {
		if formats[i].match(data) {
			return &formats[i], nil
		}
	}
	switch {
	case len(data) == 0:
		return nil, faultf(ErrNotImage, "not an image: the file is empty; supported: %s", supported)
	case isAVIF(data):
		return nil, faultf(ErrNotImage, "AVIF is not supported; supported: %s", supported)
	}
	return nil, faultf(ErrNotImage, "not an image (first bytes % x); supported: %s", data[:min(8, len(data))], supported)
}

func configSize(config func(io.Reader) (image.Config, error)) func([]byte) (int, int, error) {
	return func(data []byte) (int, int, error) {
		c, err := config(bytes.NewReader(data))
		return c.Width, c.Height, err
	}
}
