// Package jpeg decodes JPEG files to RGB with libjpeg-turbo, several times as fast
// as image/jpeg, at full size or scaled down by eighths while decoding: the
// inverse transform of a block of 8 x 8 coefficients then yields fewer pixels,
// and most of the work of colour and memory falls away.
//
// Baseline and progressive files of grey, colour or CMYK, 8 bits a sample, with
// Huffman or arithmetic coding and any subsampling of chroma are decoded as
// Pillow does, which uses the same library with the same settings: chroma
// interpolated ("fancy upsampling"), the accurate integer transform.
//
// Files come from outside. libjpeg's ways with a damaged file are to call exit or
// to fill the missing part with grey; here both are an error. The scans of a
// progressive file, the memory for its coefficients and the pixels are bounded.
//
// With the build tag nojpegturbo, which scripts/env sets where there is no
// libjpeg-turbo to link, [Available] is false and nothing is decoded. It serves
// callers on the floors above that fall back to image/jpeg.
package jpeg

import "errors"

// The kinds of fault, for errors.Is. Other errors mean a corrupt file.
var (
	// ErrTruncated: the file ends before the picture does.
	ErrTruncated = errors.New("truncated")
	// ErrTooLarge: the picture is over a limit of [Options].
	ErrTooLarge = errors.New("too large")
	// ErrUnsupported: the file uses a feature that is not decoded, such as samples of 12 bits.
	ErrUnsupported = errors.New("unsupported")
)

// Limits that apply where [Options] leaves a field at zero.
const (
	DefaultMaxPixels = 100_000_000
	// Encoders write about ten scans; scripts that search for the smallest file, some tens.
	DefaultMaxScans = 100
)

// Header is what a file says of its picture.
type Header struct {
	// Width and Height are those of the stored picture, in pixels, before any turn
	// that EXIF asks for.
	Width, Height int
	// Components is 1 for grey, 3 for colour, 4 for CMYK.
	Components int
	// Precision is the number of bits of a sample. [Decode] does 8.
	Precision int
	// Progressive says that all coefficients are held in memory while decoding:
	// up to 2 bytes for each pixel and component.
	Progressive bool
}

// Options bound and scale what [Decode] does. The zero value decodes at full size.
type Options struct {
	// Eighths is the scale, 1 (an eighth of each side) to 8 (full size). 0 is 8. 1, 2
	// and 4 have vector code; the others may take longer than the next larger one of these.
	Eighths int
	// MaxPixels is the largest product of the stored width and height.
	MaxPixels int64
	// MaxScans is the largest number of scans. Each one walks over all of the
	// picture, for as little as some bytes of the file.
	MaxScans int
}

// Scaled returns the length of a side of n pixels that is decoded at a scale of so
// many eighths: rounded up.
func Scaled(n, eighths int) int { return (n*eighths + 7) / 8 }
