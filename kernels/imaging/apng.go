package imaging

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/png"
	"io"
	"iter"
	"time"
)

// pngChunk is one piece of a PNG file.
type pngChunk struct {
	kind string
	body []byte
}

// pngChunks yields the chunks that are whole, from the first one on.
func pngChunks(data []byte) iter.Seq[pngChunk] {
	return func(yield func(pngChunk) bool) {
		rest := data[min(8, len(data)):]
		for range maxChunks {
			if len(rest) < 12 {
				return
			}
			size := int64(binary.BigEndian.Uint32(rest))
			if size > int64(len(rest)-12) || !yield(pngChunk{string(rest[4:8]), rest[8 : 8+size]}) {
				return
			}
			rest = rest[12+size:]
		}
	}
}

// apngFrame is a frame of an animated PNG file before it is decoded.
type apngFrame struct {
	rect    image.Rectangle
	lasts   time.Duration
	dispose disposal
	blend   bool
	data    [][]byte // of the chunks IDAT, or of fdAT without their numbers
}

// apng is an animated PNG file as frames (PNG specification, third edition, 11.3.6). A default
// picture that is not part of the animation comes before it, as in Pillow: it is what other
// programs show.
type apng struct {
	header []byte // IHDR
	tables []pngChunk
	list   []apngFrame
	n      int // bytes of the file
	opt    Options
}

// apngFrames reads the structure of all frames. Files without an animation have no pages.
func apngFrames(data []byte, opt Options) (pages, error) {
	a := &apng{n: len(data), opt: opt}
	if err := a.read(data); err != nil || len(a.list) < 2 {
		return nil, err
	}
	w, h := int(binary.BigEndian.Uint32(a.header)), int(binary.BigEndian.Uint32(a.header[4:]))
	f := formatNamed("PNG")
	if err := f.checkSize(w, h, len(data), opt); err != nil {
		return nil, err
	}
	return &animated{frames: a, w: w, h: h, turn: f.orientation(data)}, nil
}

func (a *apng) read(data []byte) error {
	animated, began := false, false // acTL and the first IDAT were seen
	last := func() *apngFrame { return &a.list[len(a.list)-1] }
	for chunk := range pngChunks(data) {
		switch b := chunk.body; chunk.kind {
		case "IHDR":
			if a.header == nil {
				if len(b) < 13 {
					return io.ErrUnexpectedEOF
				}
				a.header = b[:13]
			}
		case "PLTE", "tRNS":
			if !began {
				a.tables = append(a.tables, chunk)
			}
		case "acTL":
			animated = !began
		case "IDAT":
			if a.header == nil {
				return io.ErrUnexpectedEOF
			}
			if !began && len(a.list) == 0 { // a default picture, which is not of the animation
				w, h := int(binary.BigEndian.Uint32(a.header)),
					int(binary.BigEndian.Uint32(a.header[4:]))
				a.list = append(a.list, apngFrame{rect: image.Rect(0, 0, w, h),
					dispose: eraseLayer})
			}
			began = true
			if len(a.list) == 1 {
				last().data = append(last().data, b)
			}
		case "fcTL":
			if !animated || a.header == nil {
				continue
			}
			frame, ok := readFrameControl(b)
			if !ok {
				return a.dropped()
			}
			if a.list = append(a.list, frame); len(a.list) > a.opt.MaxFrames {
				return nil
			}
		case "fdAT":
			if len(b) >= 4 && len(a.list) > 0 && began {
				last().data = append(last().data, b[4:])
			}
		}
	}
	return a.dropped()
}

// dropped leaves frames out that have no data, as at the end of a file that is cut off.
func (a *apng) dropped() error {
	for i := range a.list {
		if len(a.list[i].data) == 0 {
			a.list = a.list[:i]
			break
		}
	}
	return nil
}

// readFrameControl reads the chunk fcTL. It refuses a frame of no pixels, or out of all bounds.
func readFrameControl(b []byte) (f apngFrame, ok bool) {
	if len(b) < 26 {
		return f, false
	}
	field := func(i int) int64 { return int64(binary.BigEndian.Uint32(b[i:])) }
	w, h, x, y := field(4), field(8), field(12), field(16)
	const most = 1 << 30
	if w == 0 || h == 0 || w > most || h > most || x > most || y > most {
		return f, false
	}
	f.rect = image.Rect(int(x), int(y), int(x+w), int(y+h))
	delay, unit := time.Duration(binary.BigEndian.Uint16(b[20:])),
		time.Duration(binary.BigEndian.Uint16(b[22:]))
	if unit == 0 {
		unit = 100
	}
	f.lasts = delay * time.Second / unit
	f.dispose = map[byte]disposal{1: eraseLayer, 2: restoreBefore}[b[24]]
	f.blend = b[25] == 1
	return f, true
}

func (a *apng) count() int { return len(a.list) }

func (a *apng) lasts(i int) time.Duration { return a.list[i].lasts }

func (a *apng) coded(i int) (w, h int) { return a.list[i].rect.Dx(), a.list[i].rect.Dy() }

func (a *apng) show(on *animation, i int, seen bool) (*RGB, error) {
	f := &a.list[i]
	if err := formatNamed("PNG").checkSize(f.rect.Dx(), f.rect.Dy(), a.n, a.opt); err != nil {
		return nil, err
	}
	img, err := png.Decode(bytes.NewReader(a.still(f)))
	if err != nil {
		return nil, err
	}
	m, alpha := separate(img)
	dispose := f.dispose
	if i == 0 && dispose == restoreBefore {
		dispose = eraseLayer
	}
	return on.put(&layer{at: f.rect.Min, m: m, alpha: alpha, replace: !f.blend, dispose: dispose},
		seen), nil
}

// still returns a frame as a file of its own.
func (a *apng) still(f *apngFrame) []byte {
	chunk := func(out []byte, kind string, parts ...[]byte) []byte {
		n := 0
		for _, p := range parts {
			n += len(p)
		}
		out = binary.BigEndian.AppendUint32(out, uint32(n))
		from := len(out)
		out = append(out, kind...)
		for _, p := range parts {
			out = append(out, p...)
		}
		return binary.BigEndian.AppendUint32(out, crc32.ChecksumIEEE(out[from:]))
	}
	header := bytes.Clone(a.header)
	binary.BigEndian.PutUint32(header, uint32(f.rect.Dx()))
	binary.BigEndian.PutUint32(header[4:], uint32(f.rect.Dy()))
	out := chunk([]byte("\x89PNG\r\n\x1a\n"), "IHDR", header)
	for _, t := range a.tables {
		out = chunk(out, t.kind, t.body)
	}
	return chunk(chunk(out, "IDAT", f.data...), "IEND")
}
