// Package imaging turns the bytes of a picture file into pixels that a vision
// tower can take.
//
// The way of a picture is short:
//
//	Decode     bytes of a JPEG, PNG, GIF, WebP, BMP, TIFF, HEIC, AVIF or JPEG XL file to
//	           8-bit RGB, upright (EXIF orientation applied), transparency laid over white;
//	           of JPEG files scaled down on the way, where [Options.Target] allows it
//	PadSquare  the picture centred on a square of one colour
//	CenterCrop the middle of the picture
//	Resize     resampling to another size, equal to Pillow in every byte
//
// Vision towers were trained on pictures that Pillow resampled, so a resampler
// that differs from it, even by a little, feeds the tower pictures of a kind it
// has never seen. [Resize] therefore repeats Pillow's fixed-point arithmetic
// rather than compute a better answer.
//
// For the same reason JPEG files, of which most photos are, go through
// libjpeg-turbo, the decoder that Pillow uses; pixels are the same in every byte. A
// build without it (tag nojpegturbo) uses image/jpeg, which interpolates no chroma:
// samples then differ from Pillow's by up to 5 of 255 in the mean where chroma is
// subsampled, more at edges of colour. Exact to the byte are PNG, GIF, BMP, TIFF and WebP in
// either build, but for the JPEG streams inside some TIFF files; HEIC and AVIF differ a little.
//
// Picture files come from outside and are not to be trusted: [Decode] checks
// sizes from the header before it spends memory, and says what is wrong with a
// file it refuses.
package imaging

import "fmt"

// RGB is an 8-bit picture without alpha: H rows of W pixels of three bytes, red,
// green, blue, rows one after the other without padding. The colour space is the
// file's own (sRGB in practice): towers were trained on raw values, without
// colour management.
type RGB struct {
	W, H int
	// Pix holds 3*W*H bytes; pixel (x, y) starts at 3*(y*W+x).
	Pix []uint8
}

// NewRGB returns a black picture of w by h pixels. It panics if a side is negative.
func NewRGB(w, h int) *RGB {
	return &RGB{W: w, H: h, Pix: make([]uint8, 3*w*h)}
}

// Check reports whether the sides are positive and Pix has the length that they
// ask for, so that code which takes pictures from a caller can refuse a
// misshapen one before indexing into it.
func (m *RGB) Check() error {
	switch {
	case m == nil:
		return fmt.Errorf("imaging: no picture")
	case m.W <= 0 || m.H <= 0:
		return fmt.Errorf("imaging: picture of %d x %d pixels", m.W, m.H)
	case len(m.Pix)%3 != 0 || len(m.Pix)/3/m.W != m.H || len(m.Pix)/3%m.W != 0:
		return fmt.Errorf("imaging: picture of %d x %d pixels holds %d bytes", m.W, m.H, len(m.Pix))
	}
	return nil
}

// row returns the 3*W bytes of row y.
func (m *RGB) row(y int) []uint8 { return m.Pix[3*m.W*y : 3*m.W*(y+1)] }
