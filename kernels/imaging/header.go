package imaging

import (
	"context"

	"github.com/eyelet-engine/eyelet/cgo/jpeg"
)

// Header is what a picture file tells before its pixels are decoded.
type Header struct {
	// W and H are the sides of the upright picture: those of [Picture.OriginalW] and OriginalH.
	W, H int
	// Bytes is about the most memory that decoding takes, the picture included.
	Bytes int64

	pixels int64 // to decode: those of the picture before it is cropped
}

// ReadHeader checks a file as [DecodePicture] does before it decodes, with the same errors, and
// returns what its header tells. It takes time and memory for the file's tables alone, and ends
// with ctx.
func ReadHeader(ctx context.Context, data []byte, opt Options) (Header, error) {
	opt = opt.WithDefaults()
	f, err := opt.open(data)
	if err != nil {
		return Header{}, err
	}
	h, _, err := f.header(ctx, data, opt)
	return h, err
}

// header reads and checks the header, and returns the orientation too.
func (f *format) header(ctx context.Context, data []byte, opt Options) (h Header, turn int,
	err error) {
	w, d, err := f.checkedSize(ctx, data, opt)
	if err != nil {
		return h, 0, err
	}
	pixels := int64(w) * int64(d)
	if f.stored != nil {
		if sw, sh := f.stored(data); sw > 0 && sh > 0 {
			if err := f.checkSize(sw, sh, len(data), opt); err != nil {
				return h, 0, err
			}
			pixels = max(pixels, int64(sw)*int64(sh))
		}
	}
	if turn = f.orientation(data); turn >= 5 {
		w, d = d, w
	}
	h = Header{W: w, H: d, pixels: pixels}
	h.Bytes = f.decodingBytes(data, h.pixels, int64(opt.eighths(w, d)))
	if turn > 1 {
		h.Bytes *= 2 // turning copies the picture
	}
	return h, turn, nil
}

// decodingBytes estimates the memory that decoding takes. A baseline JPEG file is read row by row;
// of a progressive one all coefficients are kept, two bytes each. The other decoders keep up to
// eight bytes a pixel beside the RGB.
func (f *format) decodingBytes(data []byte, pixels, eighths int64) int64 {
	switch {
	case f.machine != nil:
		return f.machine.Bytes(len(data), pixels)
	case f.direct == nil:
		return 12 * pixels
	}
	n := 3 * pixels * eighths * eighths / 64
	if head, err := jpeg.ReadHeader(data); err == nil && head.Progressive {
		n += 2 * int64(head.Components) * pixels
	}
	return n
}
