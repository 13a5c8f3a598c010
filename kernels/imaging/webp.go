package imaging

import (
	"bytes"
	"encoding/binary"
	"errors"
	"image"
	"io"
	"iter"
	"time"

	"golang.org/x/image/webp"
)

func isWebP(head []byte) bool {
	return len(head) >= 12 && string(head[:4]) == "RIFF" && string(head[8:12]) == "WEBP"
}

// webpChunk is one piece of a WebP file (RFC 9649).
type webpChunk struct {
	kind string
	body []byte
	from []byte // the file from this chunk on
}

// webpChunks yields the chunks that are whole, and the last one as far as it goes.
func webpChunks(rest []byte) iter.Seq[webpChunk] {
	return func(yield func(webpChunk) bool) {
		for range maxChunks {
			if len(rest) < 8 {
				return
			}
			size := int64(binary.LittleEndian.Uint32(rest[4:]))
			end := min(8+size, int64(len(rest)))
			if !yield(webpChunk{string(rest[:4]), rest[8:end], rest}) {
				return
			}
			rest = rest[min(8+size+size%2, int64(len(rest))):]
		}
	}
}

// webpFile is a WebP file: its canvas, and a frame with its place on that.
type webpFile struct {
	w, h int // of the canvas
	webpFrame
	transparent    bool // alpha is to be obeyed
	extended, anim bool
}

// webpFrame is a frame before it is decoded.
type webpFrame struct {
	frame   image.Rectangle
	alpha   []byte // the chunk ALPH
	pixels  webpChunk
	lasts   time.Duration
	replace bool // do not blend
	erase   bool // to the background, behind the frame
}

var errNoWebPFrame = errors.New("no picture in it")

// readWebP reads the structure of a file up to its first frame.
func readWebP(data []byte) (*webpFile, error) {
	f := &webpFile{}
	err := f.read(data[min(12, len(data)):])
	return f, err
}

func (f *webpFile) read(chunks []byte) error {
	for chunk := range webpChunks(chunks) {
		b := chunk.body
		switch chunk.kind {
		case "VP8X":
			if f.extended || len(b) < 10 {
				continue
			}
			f.extended, f.anim, f.transparent = true, b[0]&0x02 != 0, b[0]&0x10 != 0
			f.w, f.h = 1+uint24(b[4:]), 1+uint24(b[7:])
		case "ANMF":
			if f.anim && len(b) >= 16 {
				return f.readFrame(b)
			}
		case "ALPH", "VP8 ", "VP8L":
			if !f.anim {
				return f.readPixels(chunk.from)
			}
		}
	}
	return io.ErrUnexpectedEOF
}

// readFrame reads the chunk ANMF: the frame's place, its time and its flags, and its own chunks.
func (f *webpFile) readFrame(b []byte) error {
	at := image.Pt(2*uint24(b), 2*uint24(b[3:]))
	f.webpFrame = webpFrame{
		frame:   image.Rectangle{Min: at, Max: at.Add(image.Pt(1+uint24(b[6:]), 1+uint24(b[9:])))},
		lasts:   time.Duration(uint24(b[12:])) * time.Millisecond,
		replace: b[15]&2 != 0,
		erase:   b[15]&1 != 0,
	}
	return f.readPixels(b[16:])
}

// readPixels reads a frame's own chunks.
func (f *webpFile) readPixels(chunks []byte) error {
	for chunk := range webpChunks(chunks) {
		switch chunk.kind {
		case "ALPH":
			f.alpha = chunk.body
			f.transparent = f.transparent || !f.anim
			continue
		case "VP8L":
			if len(chunk.body) < 5 {
				return io.ErrUnexpectedEOF
			}
			if !f.anim {
				f.transparent = chunk.body[4]&0x10 != 0
			}
		case "VP8 ":
		default:
			continue
		}
		f.pixels = chunk
		w, h, err := chunk.size()
		if err != nil {
			return err
		}
		if !f.anim {
			f.frame = image.Rect(0, 0, w, h)
		}
		if !f.extended {
			f.w, f.h = w, h
		}
		if f.frame.Size() != image.Pt(w, h) || !f.anim && (f.w != w || f.h != h) {
			return errors.New("its chunks disagree about its size")
		}
		return nil
	}
	return errNoWebPFrame
}

func uint24(b []byte) int { return int(b[0]) | int(b[1])<<8 | int(b[2])<<16 }

// size reads the sides from the first bytes of a VP8 or VP8L bit stream.
func (c webpChunk) size() (w, h int, err error) {
	b := c.body
	if c.kind == "VP8L" {
		bits := binary.LittleEndian.Uint32(b[1:])
		return 1 + int(bits&0x3fff), 1 + int(bits>>14&0x3fff), nil
	}
	if len(b) < 10 {
		return 0, 0, io.ErrUnexpectedEOF
	}
	return int(binary.LittleEndian.Uint16(b[6:]) & 0x3fff),
		int(binary.LittleEndian.Uint16(b[8:]) & 0x3fff), nil
}

func webpSize(data []byte) (w, h int, err error) {
	f, err := readWebP(data)
	if err != nil {
		return 0, 0, err
	}
	return f.w, f.h, nil
}

// decodeWebP returns the picture, of an animation the first frame in its place on the
// canvas. The frame is handed to the decoder as a file that holds nothing else.
func decodeWebP(data []byte, opt Options) (*RGB, error) {
	f, err := readWebP(data)
	if err != nil {
		return nil, err
	}
	if err := formatNamed("WebP").checkSize(f.frame.Dx(), f.frame.Dy(), len(data),
		opt); err != nil {
		return nil, err
	}
	m, alpha, err := f.decodeFrame()
	if err != nil {
		return nil, err
	}
	if alpha == nil && f.frame == image.Rect(0, 0, f.w, f.h) {
		return m, nil
	}
	canvas := newAnimation(f.w, f.h, opt.Ground())
	canvas.put(&layer{at: f.frame.Min, m: m, alpha: alpha, replace: true}, false)
	return canvas.shown, nil
}

// decodeFrame decodes the frame; alpha is nil where all is opaque.
func (f *webpFile) decodeFrame() (m *RGB, alpha []uint8, err error) {
	img, err := webp.Decode(bytes.NewReader(f.still()))
	if err != nil {
		return nil, nil, err
	}
	switch img := img.(type) {
	case *image.YCbCr:
		return fromStudioRange(img), nil, nil
	case *image.NYCbCrA:
		m = fromStudioRange(&img.YCbCr)
		alpha = make([]uint8, m.W*m.H)
		for y := range m.H {
			copy(alpha[y*m.W:(y+1)*m.W], img.A[y*img.AStride:])
		}
		return m, alpha, nil
	}
	m, alpha = separate(img)
	if !f.transparent {
		alpha = nil
	}
	return m, alpha, nil
}

// webpAnimation is an animated WebP file as frames.
type webpAnimation struct {
	file *webpFile
	list []webpFrame
	n    int // bytes of the file
	opt  Options
}

// webpFrames reads the structure of all frames of an animation.
func webpFrames(data []byte, opt Options) (pages, error) {
	f, err := readWebP(data)
	if err != nil {
		return nil, err
	}
	if !f.anim {
		return nil, nil
	}
	a := &webpAnimation{file: f, n: len(data), opt: opt}
	first := true
	for chunk := range webpChunks(data[12:]) {
		if chunk.kind != "ANMF" || len(chunk.body) < 16 {
			continue
		}
		one := *f
		if err := one.readFrame(chunk.body); err != nil {
			if first {
				return nil, err
			}
			break // the file is damaged from here on
		}
		first = false
		if a.list = append(a.list, one.webpFrame); len(a.list) > opt.MaxFrames {
			break
		}
	}
	if err := formatNamed("WebP").checkSize(f.w, f.h, len(data), opt); err != nil {
		return nil, err
	}
	return &animated{frames: a, w: f.w, h: f.h, turn: formatNamed("WebP").orientation(data)}, nil
}

func (a *webpAnimation) count() int { return len(a.list) }

func (a *webpAnimation) lasts(i int) time.Duration { return a.list[i].lasts }

func (a *webpAnimation) coded(i int) (w, h int) {
	return a.list[i].frame.Dx(), a.list[i].frame.Dy()
}

func (a *webpAnimation) show(on *animation, i int, seen bool) (*RGB, error) {
	one := *a.file
	one.webpFrame = a.list[i]
	if err := formatNamed("WebP").checkSize(one.frame.Dx(), one.frame.Dy(), a.n,
		a.opt); err != nil {
		return nil, err
	}
	m, alpha, err := one.decodeFrame()
	if err != nil {
		return nil, err
	}
	l := &layer{at: one.frame.Min, m: m, alpha: alpha, replace: one.replace}
	if one.erase {
		l.dispose = eraseLayer
	}
	return on.put(l, seen), nil
}

// still returns the frame as a file of its own.
func (f *webpFile) still() []byte {
	chunk := func(out []byte, kind string, body []byte) []byte {
		out = binary.LittleEndian.AppendUint32(append(out, kind...), uint32(len(body)))
		out = append(out, body...)
		return append(out, make([]byte, len(body)%2)...)
	}
	out := []byte("RIFF\x00\x00\x00\x00WEBP")
	if f.alpha != nil && f.transparent && f.pixels.kind == "VP8 " {
		w, h := f.frame.Dx()-1, f.frame.Dy()-1
		out = chunk(out, "VP8X", []byte{0x10, 0, 0, 0, byte(w), byte(w >> 8), byte(w >> 16),
			byte(h), byte(h >> 8), byte(h >> 16)})
		out = chunk(out, "ALPH", f.alpha)
	}
	out = chunk(out, f.pixels.kind, f.pixels.body)
	binary.LittleEndian.PutUint32(out[4:], uint32(len(out)-8))
	return out
}

// fromStudioRange converts a lossy picture to RGB as libwebp does, in every byte. WebP stores
// luma in 16..235 and chroma in 16..240 (ITU-R BT.601; RFC 9649 calls for it), where
// [image.YCbCr] means JPEG's full range. Chroma, of half the width and height, is
// interpolated ("fancy upsampling"): of the four samples around a pixel the nearest
// counts nine sixteenths, its neighbours three each and the one across one. The arithmetic is
// that of libwebp 1.5 (src/dsp/yuv.h, src/dsp/upsampling.c): 14 fractional bits, the upper 8
// of a product dropped first.
func fromStudioRange(m *image.YCbCr) *RGB {
	out := NewRGB(m.Rect.Dx(), m.Rect.Dy())
	high := func(v uint8, factor int) int { return int(v) * factor >> 8 }
	clip := func(v int) uint8 { return uint8(min(max(v>>6, 0), 255)) }
	chromaH := (out.H + 1) / 2
	us, vs := make([]uint8, out.W), make([]uint8, out.W)
	for y := range out.H {
		near, far := y/2, y/2-1+2*(y&1)
		far = min(max(far, 0), chromaH-1)
		upsample(us, m.Cb[near*m.CStride:], m.Cb[far*m.CStride:])
		upsample(vs, m.Cr[near*m.CStride:], m.Cr[far*m.CStride:])
		dst, luma := out.row(y), m.Y[y*m.YStride:]
		for x := range out.W {
			l, u, v := high(luma[x], 19077), us[x], vs[x]
			dst[3*x] = clip(l + high(v, 26149) - 14234)
			dst[3*x+1] = clip(l - high(u, 6419) - high(v, 13320) + 8708)
			dst[3*x+2] = clip(l + high(u, 33050) - 17685)
		}
	}
	return out
}

// upsample interpolates a row of chroma between its nearest row of samples and the next one.
func upsample(dst, near, far []uint8) {
	last := (len(dst) - 1) / 2
	for x := range dst {
		i := x / 2
		side := i - 1 + 2*(x&1)
		if side < 0 || side > last {
			dst[x] = uint8((3*int(near[i]) + int(far[i]) + 2) >> 2)
			continue
		}
		n, h, v, d := int(near[i]), int(near[side]), int(far[i]), int(far[side])
		dst[x] = uint8(((n+h+v+d+8+2*(h+v))>>3 + n) >> 1)
	}
}
