package imaging

import (
	"bytes"
	"compress/lzw"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"io"
	"time"
)

// gifFile is what a GIF file says beside its pixels (GIF89a specification).
type gifFile struct {
	w, h       int
	palette    []byte // of all frames without one of their own; red, green, blue
	background int    // an index
	frames     []gifFrame
	cut        bool // the file ends within a block; one that only lacks the trailer is whole
}

// gifFrame is one picture of a GIF file, in its place on the canvas, which it may go beyond.
type gifFrame struct {
	rect        image.Rectangle
	palette     []byte
	transparent int // an index, -1 for none
	disposal    byte
	delay       time.Duration
	interlaced  bool
	codeBits    int
	codes       []byte // in blocks, each behind its length
}

// What becomes of a frame before the next one.
const (
	disposeToBackground = 2
	disposeToPrevious   = 3
)

// readGIF reads the structure of a file up to so many frames.
func readGIF(data []byte, most int) (*gifFile, error) {
	const extension, imageDescriptor, trailer = 0x21, 0x2c, 0x3b
	r := gifReader{rest: data}
	head := r.take(13)
	if head == nil {
		return nil, io.ErrUnexpectedEOF
	}
	if v := string(head[:6]); v != "GIF87a" && v != "GIF89a" {
		return nil, fmt.Errorf("version %q", v)
	}
	f := &gifFile{w: int(binary.LittleEndian.Uint16(head[6:])),
		h: int(binary.LittleEndian.Uint16(head[8:])), background: int(head[11])}
	f.palette = r.palette(head[10])
	frame := gifFrame{transparent: -1}
	for len(f.frames) < most && !f.cut {
		switch kind := r.take(1); {
		case kind == nil:
			most = 0
		case kind[0] == trailer:
			most = 0
		case kind[0] == extension:
			r.extension(&frame)
		case kind[0] == imageDescriptor:
			d := r.take(9)
			if d == nil {
				break
			}
			if r.frame(d, &frame); frame.palette == nil {
				frame.palette = f.palette
			}
			if bits := r.take(1); bits != nil {
				frame.codeBits = int(bits[0])
				frame.codes = r.blocks()
				f.frames = append(f.frames, frame)
			}
			frame = gifFrame{transparent: -1}
		default: // bytes between blocks, which Pillow goes past
		}
		f.cut = r.short && most > 0
	}
	if len(f.frames) == 0 {
		if r.short {
			return nil, io.ErrUnexpectedEOF
		}
		return nil, errors.New("no picture in it")
	}
	return f, nil
}

// gifReader takes pieces off a file. short tells that one was not there.
type gifReader struct {
	rest  []byte
	short bool
}

// extension reads an extension block, of which one kind is about the frame that follows.
func (r *gifReader) extension(frame *gifFrame) {
	const graphicControl = 0xf9
	label := r.take(1)
	block := r.block()
	if label != nil && label[0] == graphicControl && len(block) >= 4 {
		frame.disposal = block[0] >> 2 & 7
		frame.delay = time.Duration(binary.LittleEndian.Uint16(block[1:])) * 10 * time.Millisecond
		if frame.transparent = -1; block[0]&1 != 0 {
			frame.transparent = int(block[3])
		}
	}
	for len(block) > 0 {
		block = r.block()
	}
}

// frame reads a frame's place and its palette, nil for that of the file, behind the descriptor.
func (r *gifReader) frame(descriptor []byte, frame *gifFrame) {
	number := func(at int) int { return int(binary.LittleEndian.Uint16(descriptor[at:])) }
	at := image.Pt(number(0), number(2))
	frame.rect = image.Rectangle{Min: at, Max: at.Add(image.Pt(number(4), number(6)))}
	frame.interlaced = descriptor[8]&0x40 != 0
	frame.palette = r.palette(descriptor[8])
}

func (r *gifReader) take(n int) []byte {
	if n > len(r.rest) {
		r.short, r.rest = true, nil
		return nil
	}
	piece := r.rest[:n]
	r.rest = r.rest[n:]
	return piece
}

// palette takes the palette that flags announce, nil for none.
func (r *gifReader) palette(flags byte) []byte {
	if flags&0x80 == 0 {
		return nil
	}
	return r.take(3 << (flags&7 + 1))
}

// block takes one block of data, empty at the end of a row of them.
func (r *gifReader) block() []byte {
	n := r.take(1)
	if n == nil {
		return nil
	}
	return r.take(int(n[0]))
}

// blocks takes a row of blocks, with their lengths.
func (r *gifReader) blocks() []byte {
	from := r.rest
	for len(r.block()) > 0 {
	}
	return from[:len(from)-len(r.rest)]
}

// blockReader reads the contents of blocks.
type blockReader struct {
	blocks []byte
	left   int // of the block that is being read
}

func (r *blockReader) Read(dst []byte) (int, error) {
	if r.left == 0 {
		if len(r.blocks) == 0 || r.blocks[0] == 0 {
			return 0, io.EOF
		}
		r.left, r.blocks = int(r.blocks[0]), r.blocks[1:]
	}
	n := min(len(dst), r.left, len(r.blocks))
	if n == 0 {
		return 0, io.EOF
	}
	copy(dst, r.blocks[:n])
	r.blocks, r.left = r.blocks[n:], r.left-n
	return n, nil
}

// indices decodes the frame's pixels, row after row.
func (f *gifFrame) indices() ([]byte, error) {
	w, h := f.rect.Dx(), f.rect.Dy()
	if f.codeBits < 1 || f.codeBits > 8 {
		return nil, fmt.Errorf("codes of %d bits", f.codeBits)
	}
	pix := make([]byte, w*h)
	r := lzw.NewReader(&blockReader{blocks: f.codes}, lzw.LSB, f.codeBits)
	defer r.Close()
	if _, err := io.ReadFull(r, pix); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, io.ErrUnexpectedEOF
		}
		return nil, err
	}
	if f.interlaced {
		pix = uninterlaced(pix, w, h)
	}
	return pix, nil
}

// uninterlaced puts the rows of the four passes in order: every eighth, the eighths
// between them, then every fourth and second between those.
func uninterlaced(pix []byte, w, h int) []byte {
	out := make([]byte, len(pix))
	for _, pass := range [4]struct{ first, step int }{{0, 8}, {4, 8}, {2, 4}, {1, 2}} {
		for y := pass.first; y < h; y += pass.step {
			copy(out[y*w:(y+1)*w], pix)
			pix = pix[w:]
		}
	}
	return out
}

// colours returns what the frame's indices show over a background, and which of them hide
// what is below. A frame without any palette is grey.
func (f *gifFrame) colours(bg [3]uint8) (table [256][3]uint8, opaque [256]bool) {
	for i := range table {
		opaque[i] = i != f.transparent
		switch {
		case !opaque[i]:
			table[i] = bg
		case f.palette == nil:
			table[i] = [3]uint8{uint8(i), uint8(i), uint8(i)}
		case 3*i+3 <= len(f.palette):
			copy(table[i][:], f.palette[3*i:])
		}
	}
	return table, opaque
}

// gifSize returns the sides of the canvas.
func gifSize(data []byte) (w, h int, err error) {
	if len(data) < 10 {
		return 0, 0, io.ErrUnexpectedEOF
	}
	if !bytes.HasPrefix(data, []byte("GIF8")) {
		return 0, 0, errors.New("no GIF header")
	}
	return int(binary.LittleEndian.Uint16(data[6:])), int(binary.LittleEndian.Uint16(data[8:])), nil
}
