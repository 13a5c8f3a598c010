package wasm

import (
	"bytes"
	"image"
)

// untouched stands where a program writes how long a frame lasts: a mark of whether anything was
// decoded. Of an AVIF file whose pixels are damaged, the program returns success.
var untouched = bytes.Repeat([]byte{0xff}, 8)

// readAVIF calls the function of libavif's program, whose samples are of two bytes, the lower one
// first, where they have more than 8 bits. Alpha is multiplied into the colours.
func readAVIF(m *machine, file []byte, whole bool) (w, h int, picture image.Image, err error) {
	wide := func(bits uint32) bool { return bits > 8 }
	w, h, pix, deep, err := readFrames(m, file, whole, wide)
	if pix == nil {
		return w, h, nil, err
	}
	r := image.Rect(0, 0, w, h)
	if !deep {
		return w, h, &image.RGBA{Pix: pix, Stride: 4 * w, Rect: r}, nil
	}
	for i := 0; i < len(pix); i += 2 {
		pix[i], pix[i+1] = pix[i+1], pix[i]
	}
	return w, h, &image.RGBA64{Pix: pix, Stride: 8 * w, Rect: r}, nil
}

// readJPEGXL calls the function of libjxl's program, whose samples are of two bytes, the upper one
// first, where they have 16 bits.
func readJPEGXL(m *machine, file []byte, whole bool) (w, h int, picture image.Image, err error) {
	wide := func(bits uint32) bool { return bits == 16 }
	w, h, pix, deep, err := readFrames(m, file, whole, wide)
	r := image.Rect(0, 0, w, h)
	switch {
	case pix == nil:
		return w, h, nil, err
	case deep:
		return w, h, &image.NRGBA64{Pix: pix, Stride: 8 * w, Rect: r}, nil
	}
	return w, h, &image.NRGBA{Pix: pix, Stride: 4 * w, Rect: r}, nil
}

// readFrames calls the function that the programs of AVIF and JPEG XL have:
//
//	int decode(file, bytes, header_only, all_frames, *w, *h, *bits, *frames, *delays, *pixels)
//
// It returns the pixels of the first frame where the whole of it is wanted: rows of pixels of four
// samples, red, green, blue, alpha, of one byte or of two.
func readFrames(m *machine, file []byte, whole bool, wide func(bits uint32) bool) (w, h int,
	pix []byte, deep bool, err error) {
	// How long frames last is written for each, and is of no use here.
	const delays = 1 << 20
	in, head, lasts := m.put(file), m.allocate(16), m.allocate(delays)
	if in == 0 || head == 0 || lasts == 0 || !m.write(lasts, untouched) {
		return 0, 0, nil, false, ErrDamaged
	}
	args := []uint64{in, uint64(len(file)), 1, 0, head, head + 4, head + 8, head + 12, lasts, 0}
	if m.call("decode", args...) != 1 {
		return 0, 0, nil, false, ErrDamaged
	}
	says := m.numbers(head, 3)
	w, h, deep = int(says[0]), int(says[1]), wide(says[2])
	if !whole {
		return w, h, nil, deep, nil
	}
	size := 4 * uint64(says[0]) * uint64(says[1])
	if deep {
		size *= 2
	}
	args[2], args[9] = 0, m.allocate(size)
	if args[9] == 0 || !m.write(lasts, untouched) || m.call("decode", args...) != 1 {
		return 0, 0, nil, false, ErrDamaged
	}
	again := m.numbers(head, 3)
	pix = m.lend(args[9], size)
	if pix == nil || [3]uint32(again) != [3]uint32(says) ||
		bytes.Equal(m.lend(lasts, 4), untouched[:4]) {
		return 0, 0, nil, false, ErrDamaged
	}
	return w, h, pix, deep, nil
}

// Kinds of colours and of their subsampling, by libheif's numbers (heif_colorspace, heif_chroma).
const (
	heifYCbCr      = 0
	heifMonochrome = 2
	heifRGB        = 1
	heif420        = 1
	heif422        = 2
	heif444        = 3
)

// heifMark stands at the end of the room for planes, and behind it. The program writes as many
// bytes as the planes have that it decoded: more or fewer than there is room for, where a picture
// is wider or narrower than its header says.
var heifMark = bytes.Repeat([]byte{0xa5}, 64)

// readHEIC calls the function of libheif's program:
//
//	int decode(file, bytes, header_only, *w, *h, *colours, *chroma, *premultiplied, *pixels)
//
// It writes planes of bytes as libheif 1.18 lays them out.
func readHEIC(m *machine, file []byte, whole bool) (w, h int, picture image.Image, err error) {
	in, head := m.put(file), m.allocate(20)
	if in == 0 || head == 0 {
		return 0, 0, nil, ErrDamaged
	}
	args := []uint64{in, uint64(len(file)), 1, head, head + 4, head + 8, head + 12, head + 16, 0}
	if m.call("decode", args...) != 1 {
		return 0, 0, nil, ErrDamaged
	}
	says := m.numbers(head, 5)
	w, h = int(says[0]), int(says[1])
	if !whole {
		return w, h, nil, nil
	}
	if w < 1 || h < 1 || w > 1<<20 || h > 1<<20 {
		return 0, 0, nil, ErrDamaged
	}
	planes, ok := heifLayout(w, h, says[2], says[3])
	if !ok {
		return 0, 0, nil, ErrDamaged
	}
	total := uint64(planes.size + 2*planes.chroma)
	out := m.allocate(total + uint64(len(heifMark)))
	args[2], args[8] = 0, out
	if out == 0 || !m.write(out+total-8, heifMark[:8]) || !m.write(out+total, heifMark) ||
		m.call("decode", args...) != 1 || [5]uint32(m.numbers(head, 5)) != [5]uint32(says) ||
		!bytes.Equal(m.lend(out+total, uint64(len(heifMark))), heifMark) ||
		bytes.Equal(m.lend(out+total-8, 8), heifMark[:8]) {
		return 0, 0, nil, ErrDamaged
	}
	pix := m.lend(out, total)
	if pix == nil {
		return 0, 0, nil, ErrDamaged
	}
	return w, h, planes.picture(pix, image.Rect(0, 0, w, h), says[4] == 1), nil
}

// heifPlanes is how a picture lies in memory: a plane, and of YCbCr two of chroma behind it.
type heifPlanes struct {
	colours              uint32
	stride, size         int // bytes of a row and of the plane
	chromaStride, chroma int
	ratio                image.YCbCrSubsampleRatio
}

// heifLayout returns the planes of a picture of w by h pixels; ok is false for colours or chroma
// that libheif does not write.
func heifLayout(w, h int, colours, subsampling uint32) (p heifPlanes, ok bool) {
	pixel, across, down := 1, 1, 1 // bytes of a pixel; pixels of a chroma sample
	switch colours {
	case heifMonochrome:
	case heifRGB:
		pixel = 4
	case heifYCbCr:
		switch subsampling {
		case heif420:
			across, down, p.ratio = 2, 2, image.YCbCrSubsampleRatio420
		case heif422:
			across, p.ratio = 2, image.YCbCrSubsampleRatio422
		case heif444:
			p.ratio = image.YCbCrSubsampleRatio444
		default:
			return p, false
		}
		p.chromaStride = heifStride((w+across-1)/across, 1)
		p.chroma = p.chromaStride * ((h + down - 1) / down)
	default:
		return p, false
	}
	p.colours, p.stride = colours, heifStride(w, pixel)
	p.size = p.stride * h
	return p, true
}

// picture returns the picture that planes in pix are.
func (p *heifPlanes) picture(pix []byte, r image.Rectangle, premultiplied bool) image.Image {
	switch {
	case p.colours == heifMonochrome:
		return &image.Gray{Pix: pix, Stride: p.stride, Rect: r}
	case p.colours == heifYCbCr:
		return &image.YCbCr{Y: pix[:p.size], Cb: pix[p.size : p.size+p.chroma],
			Cr: pix[p.size+p.chroma:], YStride: p.stride, CStride: p.chromaStride,
			SubsampleRatio: p.ratio, Rect: r}
	case premultiplied:
		return &image.RGBA{Pix: pix, Stride: p.stride, Rect: r}
	}
	return &image.NRGBA{Pix: pix, Stride: p.stride, Rect: r}
}

// heifStride is the length of a plane's row of w pixels of so many bytes, in bytes: 64 pixels at
// least, an even number of them, and whole groups of 16 bytes.
func heifStride(w, bytes int) int {
	w = max(64, w+w&1)
	return (w*bytes + 15) &^ 15
}
