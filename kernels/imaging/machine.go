package imaging

import (
	"context"
	"encoding/binary"
	"image"
	"slices"

	"github.com/eyelet-engine/eyelet/kernels/imaging/internal/wasm"
)

// machineFormat is a format whose decoder runs in WebAssembly. Of several pictures it decodes the
// first.
func machineFormat(name string, match func(head []byte) bool, d *wasm.Decoder,
	pixels func(*wasm.Picture) image.Image, turn func(data []byte) int) format {
	return format{name: name, match: match, machine: d, pixels: pixels, turn: turn,
		size: func(data []byte) (w, h int, err error) {
			return d.Size(context.Background(), data)
		}}
}

// decodeInMachine decodes a file whose header states so many pixels.
func (f *format) decodeInMachine(ctx context.Context, data []byte, pixels int64,
	opt Options) (*RGB, error) {
	p, err := f.machine.Decode(ctx, data, pixels)
	if err == nil {
		err = f.checkSize(p.W, p.H, len(data), opt)
	}
	if err != nil {
		return nil, f.describe(err)
	}
	return flatten(f.pixels(p), opt.Ground()), nil
}

// premultiplied is a picture whose alpha is multiplied into its colours.
func premultiplied(p *wasm.Picture) image.Image {
	r := image.Rect(0, 0, p.W, p.H)
	if p.Wide {
		return &image.RGBA64{Pix: p.Pix, Stride: 8 * p.W, Rect: r}
	}
	return &image.RGBA{Pix: p.Pix, Stride: 4 * p.W, Rect: r}
}

// straight is a picture whose alpha is not multiplied into its colours.
func straight(p *wasm.Picture) image.Image {
	r := image.Rect(0, 0, p.W, p.H)
	if p.Wide {
		return &image.NRGBA64{Pix: p.Pix, Stride: 8 * p.W, Rect: r}
	}
	return &image.NRGBA{Pix: p.Pix, Stride: 4 * p.W, Rect: r}
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
