package imaging

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/gif"
	"io"
)

// DecodeFrames returns all frames of an animated GIF, in order, each as it is seen:
// upright RGB of the size of the canvas, laid over what the frames before it left
// there, with transparency over the background. Frames are those of Pillow's
// ImageSequence converted to RGB. Two rare files differ: where the first frame
// leaves part of the canvas uncovered and where a frame is erased to transparency
// from an animation that begins without any, the background shows, and Pillow has
// a colour of the palette. Files of other formats give their one frame, as [Decode] does.
//
// The number of frames and the pixels of all of them together are limited by
// [Options], before memory is spent. A GIF file is decoded at full size; Target
// counts for the other formats alone.
func DecodeFrames(data []byte, opt Options) ([]*RGB, error) {
	opt = opt.withDefaults()
	f, err := opt.open(data)
	if err != nil {
		return nil, err
	}
	if f.name == "GIF" {
		return f.gifFrames(data, opt)
	}
	m, err := Decode(data, opt)
	if err != nil {
		return nil, err
	}
	return []*RGB{m}, nil
}

func (f *format) gifFrames(data []byte, opt Options) (frames []*RGB, err error) {
	defer f.recover(&err)
	w, h, err := f.checkedSize(data, opt)
	if err != nil {
		return nil, err
	}
	if err := f.checkSize(w, h, max(1, countFrames(data)), len(data), opt); err != nil {
		return nil, err
	}
	file, err := gif.DecodeAll(bytes.NewReader(data))
	if err != nil {
		return nil, f.describe(err)
	}
	// The count may have stopped early at what the decoder went past.
	if err := f.checkSize(w, h, len(file.Image), len(data), opt); err != nil {
		return nil, err
	}
	canvas := newAnimation(w, h, opt.background())
	for i, frame := range file.Image {
		frames = append(frames, canvas.show(frame, file.Disposal[i], file.BackgroundIndex))
	}
	return frames, nil
}

// countFrames counts the image descriptors of a GIF file (GIF89a specification,
// appendix A) without decoding them.
func countFrames(data []byte) (frames int) {
	const (
		extension       = 0x21
		imageDescriptor = 0x2c
	)
	skip := func(n int) bool {
		if n > len(data) {
			return false
		}
		data = data[n:]
		return true
	}
	colours := func(flags byte) int { // bytes of the colour table that these flags announce
		if flags&0x80 == 0 {
			return 0
		}
		return 3 << (flags&7 + 1)
	}
	subBlocks := func() bool {
		for len(data) > 0 && data[0] != 0 {
			if !skip(1 + int(data[0])) {
				return false
			}
		}
		return skip(1)
	}
	if len(data) < 13 || !skip(13+colours(data[10])) {
		return 0
	}
	for len(data) > 0 {
		switch data[0] {
		case extension:
			if !skip(2) || !subBlocks() {
				return frames
			}
		case imageDescriptor:
			frames++
			if len(data) < 10 || !skip(10+colours(data[9])+1) || !subBlocks() {
				return frames
			}
		default: // the trailer, or damage, which the decoder will name
			return frames
		}
	}
	return frames
}

// animation is the canvas on which the frames of a GIF file are laid.
type animation struct {
	shown    *RGB
	bg       [3]uint8
	disposal byte // of the latest frame
	started  bool
}

func newAnimation(w, h int, bg [3]uint8) *animation {
	a := &animation{shown: NewRGB(w, h), bg: bg}
	a.fill(image.Rect(0, 0, w, h), bg)
	return a
}

// show lays a frame on the canvas, returns a copy of what is seen then, and
// disposes of the frame.
func (a *animation) show(frame *image.Paletted, disposal byte, backgroundIndex byte) *RGB {
	// A frame that does not say how it is disposed of goes as the one before it: Pillow's rule.
	if disposal != 0 {
		a.disposal = disposal
	}
	first := !a.started
	a.started = true
	var before []uint8
	if a.disposal > gif.DisposalBackground && !first {
		before = bytes.Clone(a.shown.Pix)
	}
	var table [256][3]uint8
	var opaque [256]bool
	transparent := false
	for i, c := range frame.Palette[:min(len(frame.Palette), 256)] {
		_, _, _, alpha := c.RGBA()
		table[i], opaque[i] = overBackground(c, a.bg), alpha != 0
		transparent = transparent || !opaque[i]
	}
	r := frame.Rect.Intersect(image.Rect(0, 0, a.shown.W, a.shown.H))
	for y := r.Min.Y; y < r.Max.Y; y++ {
		dst := a.shown.row(y)[3*r.Min.X:]
		for x, index := range frame.Pix[frame.PixOffset(r.Min.X, y):][:r.Dx()] {
			if opaque[index] {
				copy(dst[3*x:3*x+3], table[index][:])
			}
		}
	}
	seen := &RGB{W: a.shown.W, H: a.shown.H, Pix: bytes.Clone(a.shown.Pix)}

	switch {
	case before != nil:
		a.shown.Pix = before
	case a.disposal >= gif.DisposalBackground && transparent:
		a.fill(r, a.bg)
	case a.disposal == gif.DisposalBackground && len(frame.Palette) > 0: // the palette's background colour, as in Pillow
		index := int(backgroundIndex)
		if index >= len(frame.Palette) {
			index = 0
		}
		a.fill(r, table[index])
	}
	return seen
}

func (a *animation) fill(r image.Rectangle, c [3]uint8) {
	for y := r.Min.Y; y < r.Max.Y; y++ {
		dst := a.shown.row(y)[3*r.Min.X : 3*r.Max.X]
		for ; len(dst) > 0; dst = dst[3:] {
			copy(dst, c[:])
		}
	}
}

// decodeGIF returns the first frame in its place on the canvas. [gif.Decode]
// returns the frame alone, which may be smaller than the picture.
func decodeGIF(r io.Reader) (image.Image, error) {
	data, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	c, err := gif.DecodeConfig(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	frame, err := gif.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	m, ok := frame.(*image.Paletted)
	if !ok {
		return nil, fmt.Errorf("a frame of type %T", frame)
	}
	if b := image.Rect(0, 0, c.Width, c.Height); m.Bounds() != b {
		return canvas{m, b}, nil
	}
	return m, nil
}

// canvas shows an image on a larger, transparent ground.
type canvas struct {
	image.Image
	bounds image.Rectangle
}

func (c canvas) Bounds() image.Rectangle { return c.bounds }

func (c canvas) At(x, y int) color.Color {
	if !image.Pt(x, y).In(c.Image.Bounds()) {
		return color.Transparent
	}
	return c.Image.At(x, y)
}
