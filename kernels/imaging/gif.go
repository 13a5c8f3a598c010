package imaging

import (
	"bytes"
	"image"
	"time"
)

// gifAnimation is a GIF file as frames. Each is as Pillow's ImageSequence converts it to RGB. Three
// rare kinds of file differ: where the first frame leaves part of the canvas uncovered and where a
// frame is erased to transparency from an animation that begins without any, the background shows,
// and Pillow has a colour of the palette; and what a frame has beyond the canvas is cut off, where
// Pillow enlarges the canvas.
type gifAnimation struct {
	*gifFile
	f   *format
	n   int // bytes of the file
	opt Options
}

// gifFrames reads the structure of a GIF file.
func gifFrames(data []byte, opt Options) (pages, error) {
	f := formatNamed("GIF")
	file, err := readGIF(data, opt.MaxFrames+1)
	if err != nil {
		return nil, err
	}
	if file.cut && len(file.frames) > 1 {
		file.frames = file.frames[:len(file.frames)-1] // the last one may lack a part
	}
	if len(file.frames) == 1 {
		return nil, nil
	}
	if err := f.checkSize(file.w, file.h, len(data), opt); err != nil {
		return nil, err
	}
	return &animated{frames: &gifAnimation{gifFile: file, f: f, n: len(data), opt: opt}, w: file.w,
		h: file.h, turn: 1}, nil
}

func (a *gifAnimation) count() int { return len(a.frames) }

func (a *gifAnimation) lasts(i int) time.Duration { return a.frames[i].delay }

func (a *gifAnimation) coded(i int) (w, h int) {
	return a.frames[i].rect.Dx(), a.frames[i].rect.Dy()
}

func (a *gifAnimation) show(on *animation, i int, seen bool) (*RGB, error) {
	frame := &a.frames[i]
	if err := a.f.checkFrame(frame, a.n, a.opt); err != nil {
		return nil, err
	}
	return on.show(frame, a.background, seen)
}

// checkFrame holds the size of a frame, which may be larger than the canvas, against the limits.
func (f *format) checkFrame(frame *gifFrame, n int, opt Options) error {
	if frame.rect.Empty() {
		return nil
	}
	return f.checkSize(frame.rect.Dx(), frame.rect.Dy(), n, opt)
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
	a := newAnimation(file.w, file.h, opt.Ground())
	if err := a.lay(&file.frames[0]); err != nil {
		return nil, err
	}
	return a.shown, nil
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

// show lays a frame on the canvas, returns a copy of what is seen then if that is asked for, and
// disposes of the frame.
func (a *animation) show(frame *gifFrame, backgroundIndex int, seen bool) (*RGB, error) {
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
	var m *RGB
	if seen {
		m = a.copy()
	}
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
	return m, nil
}
