package imaging

import (
	"context"
	"image"
	"slices"
)

// Slow reports whether a picture of a file takes several times as long to decode as others: where
// its decoder runs in WebAssembly.
func Slow(data []byte) bool {
	return slices.ContainsFunc(formats, func(f format) bool {
		return f.machine != nil && f.match(data)
	})
}

// decodeInMachine decodes a file whose header states so many pixels, the first picture of several.
func (f *format) decodeInMachine(ctx context.Context, data []byte, pixels int64,
	opt Options) (m *RGB, err error) {
	err = f.machine.Decode(ctx, data, pixels, func(img image.Image) error {
		b := img.Bounds()
		if err := f.checkSize(b.Dx(), b.Dy(), len(data), opt); err != nil {
			return err
		}
		m = flatten(img, opt.Ground())
		return nil
	})
	if err != nil {
		return nil, f.describe(err)
	}
	return m, nil
}

// isJPEGXL knows a bare stream and the container.
func isJPEGXL(head []byte) bool {
	return prefix("\xff\x0a")(head) || prefix("\x00\x00\x00\x0cJXL \r\n\x87\n")(head)
}
