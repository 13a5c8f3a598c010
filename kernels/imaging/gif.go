package imaging

import (
	"bytes"
	"image"
	"io"
)

// DecodeFrames returns all frames of an animated GIF, in order, each as it is seen:
// upright RGB of the size of the canvas, laid over what the frames before it left
// there, with transparency over the background. Frames are those of Pillow's
// ImageSequence converted to RGB. Three rare kinds of file differ: where the first frame
// leaves part of the canvas uncovered and where a frame is erased to transparency
// from an animation that begins without any, the background shows, and Pillow has
// a colour of the palette; and what a frame has beyond the canvas is cut off, where Pillow
// enlarges the canvas. Files of other formats give their one frame, as [Decode] does.
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
	file, err := readGIF(data, opt.MaxFrames+1)
	if err != nil {
		return nil, f.describe(err)
	}
	if file.cut {
		return nil, f.describe(io.ErrUnexpectedEOF)
	}
	if err := f.checkSize(w, h, len(file.frames), len(data), opt); err != nil {
		return nil, err
	}
	coded := int64(0) // pixels of frames, which may be larger than the canvas
	for i := range file.frames {
		if err := f.checkFrame(&file.frames[i], len(data), opt); err != nil {
			return nil, err
		}
		coded += int64(file.frames[i].rect.Dx()) * int64(file.frames[i].rect.Dy())
	}
	if coded > opt.MaxPixels {
		return nil, faultf(ErrTooLarge, "%s whose frames have %d pixels; the limit is %d pixels", f.name, coded, opt.MaxPixels)
	}
	canvas := newAnimation(w, h, opt.background())
	for i := range file.frames {
		seen, err := canvas.show(&file.frames[i], file.background)
		if err != nil {
			return nil, f.describe(err)
		}
		frames = append(frames, seen)
	}
	return frames, nil
}

// checkFrame holds the size of a frame, which may be larger than the canvas, against the limits.
func (f *format) checkFrame(frame *gifFrame, n int, opt Options) error {
	if frame.rect.Empty() {
		return nil
	}
	return f.checkSize(frame.rect.Dx(), frame.rect.Dy(), 1, n, opt)
}

// decodeGIF returns the first frame in its place on the canvas.
func decodeGIF(data []byte, opt Options) (*RGB, error) {
	f := formatNamed("GIF")
	file, err := readGIF(data, 1)
	if err != nil {
		return nil, err
	}
	if err := f.checkFrame(&file.frames[0], len(data), opt); err != nil {
		return nil, err
	}
	a := newAnimation(file.w, file.h, opt.background())
	if err := a.lay(&file.frames[0]); err != nil {
		return nil, err
	}
	return a.shown, nil
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

// lay draws a frame on the canvas.
func (a *animation) lay(frame *gifFrame) error {
	if frame.rect.Empty() {
		return nil
	}
	pix, err := frame.indices()
	if err != nil {
		return err
	}
	table, opaque := frame.colours(a.bg)
	r := a.covered(frame)
	for y := r.Min.Y; y < r.Max.Y; y++ {
		dst := a.shown.row(y)[3*r.Min.X:]
		row := pix[(y-frame.rect.Min.Y)*frame.rect.Dx():]
		for x, index := range row[r.Min.X-frame.rect.Min.X:][:r.Dx()] {
			if opaque[index] {
				copy(dst[3*x:3*x+3], table[index][:])
			}
		}
	}
	return nil
}

// covered returns the part of the canvas below a frame.
func (a *animation) covered(frame *gifFrame) image.Rectangle {
	return frame.rect.Intersect(image.Rect(0, 0, a.shown.W, a.shown.H))
}

// show lays a frame on the canvas, returns a copy of what is seen then, and
// disposes of the frame.
func (a *animation) show(frame *gifFrame, backgroundIndex int) (*RGB, error) {
	// A frame that does not say how it is disposed of goes as the one before it: Pillow's rule.
	if frame.disposal != 0 {
		a.disposal = frame.disposal
	}
	first := !a.started
	a.started = true
	var before []uint8
	if a.disposal >= disposeToPrevious && !first {
		before = bytes.Clone(a.shown.Pix)
	}
	if err := a.lay(frame); err != nil {
		return nil, err
	}
	seen := &RGB{W: a.shown.W, H: a.shown.H, Pix: bytes.Clone(a.shown.Pix)}
	switch {
	case before != nil:
		a.shown.Pix = before
	case a.disposal >= disposeToBackground && frame.transparent >= 0:
		a.fill(a.covered(frame), a.bg)
	case a.disposal == disposeToBackground: // the palette's background colour, as in Pillow
		table, _ := frame.colours(a.bg)
		if 3*backgroundIndex+3 > len(frame.palette) {
			backgroundIndex = 0
		}
		a.fill(a.covered(frame), table[backgroundIndex])
	}
	return seen, nil
}

// paste copies a picture to a place on the canvas; what goes beyond it is cut off.
func (a *animation) paste(m *RGB, at image.Point) {
	r := image.Rect(0, 0, m.W, m.H).Add(at).Intersect(image.Rect(0, 0, a.shown.W, a.shown.H))
	for y := r.Min.Y; y < r.Max.Y; y++ {
		copy(a.shown.row(y)[3*r.Min.X:3*r.Max.X], m.row(y - at.Y)[3*(r.Min.X-at.X):])
	}
}

func (a *animation) fill(r image.Rectangle, c [3]uint8) {
	for y := r.Min.Y; y < r.Max.Y; y++ {
		dst := a.shown.row(y)[3*r.Min.X : 3*r.Max.X]
		for ; len(dst) > 0; dst = dst[3:] {
			copy(dst, c[:])
		}
	}
}
