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
	"github.com/eyelet-engine/eyelet/kernels/imaging/internal/wasm"
)

// A format is one kind of picture file: how to know it, and who decodes it.
type format struct {
	name string
	// match looks at the first bytes of the file.
	match func(head []byte) bool
	// size reads the picture's size from the header without decoding it; nil where the machine
	// does.
	size func(data []byte) (w, h int, err error)
	// decode returns the first, or only, frame, as it is stored, over the background.
	decode func(data []byte, opt Options) (*RGB, error)
	// machine, where it is set, decodes in place of decode, in WebAssembly.
	machine *wasm.Decoder
	// direct, where it is set, decodes in place of decode, at a scale of so many eighths.
	direct func(ctx context.Context, data []byte, eighths int) (*RGB, error)
	// stored, where it is set, reads the sides before the crops and turns that the machine carries
	// out, 0 where they are not told.
	stored func(data []byte) (w, h int)
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
		{name: "PNG", match: prefix("\x89PNG\r\n\x1a\n"), size: configSize(png.DecodeConfig),
			decode: flattened(png.Decode), metadata: pngMetadata, pages: apngFrames},
		{name: "GIF", match: prefix("GIF8"), size: gifSize, decode: decodeGIF, pages: gifFrames},
		{name: "WebP", match: isWebP, size: webpSize, decode: decodeWebP, metadata: webpMetadata,
			pages: webpFrames},
		{name: "BMP", match: prefix("BM"), size: bmp.Size, decode: composed(bmp.Decode)},
		tiffFormat(tiff.ReadDirectory),
		{name: "AVIF", match: isAVIF, machine: wasm.AVIF, turn: avifTurn},
		{name: "JPEG XL", match: isJPEGXL, machine: wasm.JPEGXL},
		{name: "HEIC", match: isHEIC, machine: wasm.HEIC, stored: heicStored},
	}
}

func formatNamed(name string) *format {
	i := slices.IndexFunc(formats, func(f format) bool { return f.name == name })
	return &formats[i]
}

// supported lists the names of the formats for error texts.
const supported = "JPEG, PNG, GIF, WebP, BMP, TIFF, HEIC, AVIF, JPEG XL"

// flattened is the decode of a format whose decoder returns any image.
func flattened(decode func(io.Reader) (image.Image, error)) func([]byte, Options) (*RGB, error) {
	return func(data []byte, opt Options) (*RGB, error) {
		img, err := decode(bytes.NewReader(data))
		if err != nil {
			return nil, err
		}
		return flatten(img, opt.Ground()), nil
	}
}

// composed is the decode of a format whose decoder is our own.
func composed(decode func([]byte) (*raster.Image, error)) func([]byte, Options) (*RGB, error) {
	return func(data []byte, opt Options) (*RGB, error) {
		m, err := decode(data)
		if err != nil {
			return nil, err
		}
		return compose(m, opt.Ground()), nil
	}
}

func prefix(magic string) func([]byte) bool {
	return func(head []byte) bool { return bytes.HasPrefix(head, []byte(magic)) }
}

// IsTIFF knows TIFF and BigTIFF in either byte order by their first bytes.
func IsTIFF(head []byte) bool {
	return slices.ContainsFunc([]string{"II*\x00", "MM\x00*", "II+\x00", "MM\x00+"},
		func(magic string) bool {
			return prefix(magic)(head)
		})
}

// Known reports whether data begins as a file of a format that this package decodes.
func Known(data []byte) bool {
	return slices.ContainsFunc(formats, func(f format) bool { return f.match(data) })
}

// formatOf finds the format of a file by its first bytes.
func formatOf(data []byte) (*format, error) {
	for i := range formats {
		if formats[i].match(data) {
			return &formats[i], nil
		}
	}
	if len(data) == 0 {
		return nil, faultf(ErrNotImage, "not an image: the file is empty; supported: %s", supported)
	}
	for _, k := range refused {
		if k.match(data) {
			return nil, faultf(ErrNotImage, "%s; supported: %s", k.text, supported)
		}
	}
	return nil, faultf(ErrNotImage, "not an image (first bytes % x); supported: %s",
		data[:min(8, len(data))], supported)
}

// refused are formats that people give for pictures, with what to do about it.
var refused = []struct {
	match func(head []byte) bool
	text  string
}{
	{isSVG, "SVG is a drawing, not pixels: make a picture of it first, as with rsvg-convert drawing.svg -o drawing.png"},
	{prefix("\x00\x00\x00\x0cjP  \r\n"), "JPEG 2000 is not supported: save it as PNG or JPEG"},
	{prefix("8BPS"), "a Photoshop document is not supported: save it as PNG or JPEG"},
	{prefix("%!PS"), "PostScript is not supported: make a PDF of it first, as with ps2pdf"},
	{prefix("\x00\x00\x01\x00"), "an icon (ICO) is not supported: save it as PNG"},
	{IsVideo, "this is a video, of which single frames are taken by eyelet run --image FILM (with ffmpeg)"},
}

// isSVG looks for an element svg near the beginning of a text, behind declarations and comments.
func isSVG(head []byte) bool {
	head = bytes.TrimLeft(bytes.TrimPrefix(head[:min(len(head), 4096)], []byte("\xef\xbb\xbf")),
		" \t\r\n")
	return bytes.HasPrefix(head, []byte("<")) && bytes.Contains(head, []byte("<svg"))
}

// IsVideo knows films by their first bytes; see [VideoFormat].
func IsVideo(head []byte) bool { return VideoFormat(head) != "" }

// VideoFormat tells by the first bytes of a file, of which 16 are enough, what film it is, in
// ffmpeg's words: mov (MP4 and its kin), matroska (WebM too), avi, mpeg, mpegvideo or flv; "" if it
// is none that is known.
func VideoFormat(head []byte) string {
	switch brand := isoBrand(head); {
	case brand != "" && (isHEIC(head) || isAVIF(head)):
		return ""
	case brand != "":
		return "mov"
	case len(head) >= 12 && string(head[:4]) == "RIFF" && string(head[8:12]) == "AVI ":
		return "avi"
	// QuickTime without a brand
	case len(head) >= 8 && slices.Contains([]string{"moov", "mdat", "wide"}, string(head[4:8])):
		return "mov"
	}
	for _, f := range []struct{ magic, name string }{
		{"\x1a\x45\xdf\xa3", "matroska"}, {"\x00\x00\x01\xba", "mpeg"},
		{"\x00\x00\x01\xb3", "mpegvideo"}, {"FLV\x01", "flv"},
	} {
		if prefix(f.magic)(head) {
			return f.name
		}
	}
	return ""
}

func configSize(config func(io.Reader) (image.Config, error)) func([]byte) (int, int, error) {
	return func(data []byte) (int, int, error) {
		c, err := config(bytes.NewReader(data))
		return c.Width, c.Height, err
	}
}
