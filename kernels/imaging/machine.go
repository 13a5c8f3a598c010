package imaging

import (
	"context"
	"encoding/binary"
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

// isAVIF looks at the brands of an ISO base media file (AV1 Image File Format 1.1, section 6). Of
// those that name the structure alone, the compatible brands say who codes the pixels.
func isAVIF(head []byte) bool {
	switch isoBrand(head) {
	case "avif", "avis":
		return true
	case "mif1", "msf1":
		end := min(len(head), int(min(binary.BigEndian.Uint32(head), 1<<10)))
		for brand := range slices.Chunk(head[min(16, end):end], 4) {
			if string(brand) == "avif" || string(brand) == "avis" {
				return true
			}
		}
	}
	return false
}

// avifTurn returns how the primary picture of an AVIF file is turned and mirrored, in that order,
// as an EXIF orientation (ISO/IEC 23008-12, 6.5.10 and 6.5.12). The EXIF block does not count.
func avifTurn(data []byte) int {
	file, err := readHEIC(data)
	if err != nil || file.items[file.primary] == nil {
		return 1
	}
	angle, mirror := 0, 0 // in quarters, against the clock; 1 top to bottom, 2 left to right
	for p := range file.propertiesOf(file.items[file.primary]) {
		switch {
		case len(p.body) == 0:
		case p.kind == "irot":
			angle = int(p.body[0] & 3)
		case p.kind == "imir":
			mirror = 1 + int(p.body[0]&1)
		}
	}
	return [4][3]int{{1, 4, 2}, {8, 5, 7}, {3, 2, 4}, {6, 7, 5}}[angle][mirror]
}

// isJPEGXL knows a bare stream and the container.
func isJPEGXL(head []byte) bool {
	return prefix("\xff\x0a")(head) || prefix("\x00\x00\x00\x0cJXL \r\n\x87\n")(head)
}
