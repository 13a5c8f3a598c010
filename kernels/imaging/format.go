package imaging

import (
	"bytes"
	"context"
	"image"
	"image/gif"
	"image/png"
	"io"

	"github.com/bep/imagemeta"
	"golang.org/x/image/bmp"
	"golang.org/x/image/tiff"
	"golang.org/x/image/webp"
)

// A format is one kind of picture file: how to know it, and who decodes it.
type format struct {
	name string
	// match looks at the first bytes of the file.
	match func(head []byte) bool
	// size reads the picture's size from the header without decoding it.
	size func(data []byte) (w, h int, err error)
	// decode returns the first, or only, frame.
	decode func(r io.Reader) (image.Image, error)
	// direct, where it is set, decodes in place of decode, straight to RGB and at a
	// scale of so many eighths.
	direct func(ctx context.Context, data []byte, eighths int) (*RGB, error)
	// exif names the container that may hold an EXIF orientation. It is
	// ImageFormatAuto where there is none to apply: HEIC's own rotation is
	// applied by its decoder, and its EXIF tag only repeats it.
	exif imagemeta.ImageFormat
}

// formats is looked through in order.
var formats = []format{
	jpegFormat(),
	{"PNG", prefix("\x89PNG\r\n\x1a\n"), configSize(png.DecodeConfig), png.Decode, nil, imagemeta.PNG},
	{"GIF", prefix("GIF8"), configSize(gif.DecodeConfig), decodeGIF, nil, imagemeta.ImageFormatAuto},
	{"WebP", isWebP, configSize(webp.DecodeConfig), decodeWebP, nil, imagemeta.WebP},
	{"BMP", prefix("BM"), configSize(bmp.DecodeConfig), bmp.Decode, nil, imagemeta.ImageFormatAuto},
	{"TIFF", isTIFF, configSize(tiff.DecodeConfig), tiff.Decode, nil, imagemeta.TIFF},
	{"HEIC", isHEIC, heicSize, decodeHEIC, nil, imagemeta.ImageFormatAuto},
}

// supported lists the names of the formats for error texts.
const supported = "JPEG, PNG, GIF, WebP, BMP, TIFF, HEIC"

func prefix(magic string) func([]byte) bool {
	return func(head []byte) bool { return bytes.HasPrefix(head, []byte(magic)) }
}

func isTIFF(head []byte) bool {
	return prefix("II*\x00")(head) || prefix("MM\x00*")(head)
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
