package imaging

import (
	"bytes"
	"context"
	"image"
	"sync"
	"time"
)

// frames is what a format knows of its animations.
type frames interface {
	count() int
	lasts(i int) time.Duration
	// coded is the size that a frame is coded in.
	coded(i int) (w, h int)
	// show lays a frame on the canvas, returns what is seen then if that is asked for, and disposes
	// of the frame.
	show(on *animation, i int, seen bool) (*RGB, error)
}

// animated shows the frames of an animation: from the canvas as it was left behind the frame
// before, where that was the last one asked for, and else from the beginning on.
type animated struct {
	frames
	w, h int
	turn int // orientation of all frames

	mu     sync.Mutex
	next   int // frame that goes on the canvas
	canvas *animation
}

func (a *animated) times(i int) (start, lasts time.Duration) {
	for k := range i {
		start += a.lasts(k)
	}
	return start, a.lasts(i)
}

func (a *animated) header(i int, _ Options) (Header, error) {
	w, h := a.w, a.h
	if a.turn >= 5 {
		w, h = h, w
	}
	// The canvas, two copies of it, and the frame as it is coded and decoded.
	fw, fh := a.coded(i)
	return Header{W: w, H: h, Bytes: 9*int64(w)*int64(h) + 12*int64(fw)*int64(fh)}, nil
}

// maxFrameWork is how many times Options.MaxPixels the frames up to the one asked for may have
// together.
const maxFrameWork = 20

func (a *animated) decode(ctx context.Context, i int, opt Options) (*Picture, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.canvas == nil || i < a.next {
		a.canvas, a.next = newAnimation(a.w, a.h, opt.Ground()), 0
	}
	work := int64(0)
	for k := a.next; k <= i; k++ {
		w, h := a.coded(k)
		if work += int64(w)*int64(h) + int64(a.w)*int64(a.h); work > maxFrameWork*opt.MaxPixels {
			return nil, faultf(ErrTooLarge,
				"frame %d is too much work: the frames up to it have over %d pixels", i+1,
				maxFrameWork*opt.MaxPixels)
		}
	}
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		seen, err := a.show(a.canvas, a.next, a.next == i)
		if err != nil {
			a.canvas = nil
			return nil, err
		}
		if a.next++; a.next > i {
			m := seen.oriented(a.turn)
			return &Picture{RGB: m, OriginalW: m.W, OriginalH: m.H}, nil
		}
	}
}

// animation is the canvas on which the frames of an animation are laid.
type animation struct {
	shown    *RGB
	bg       [3]uint8
	disposal byte // of the latest frame of a GIF file
	started  bool
}

func newAnimation(w, h int, bg [3]uint8) *animation {
	a := &animation{shown: NewRGB(w, h), bg: bg}
	a.fill(image.Rect(0, 0, w, h), bg)
	return a
}

// copy is what is seen.
func (a *animation) copy() *RGB {
	return &RGB{W: a.shown.W, H: a.shown.H, Pix: bytes.Clone(a.shown.Pix)}
}

// layer is a frame of an animated WebP or PNG file, decoded.
type layer struct {
	at    image.Point
	m     *RGB
	alpha []uint8 // one a pixel, nil if all are opaque
	// replace puts transparent pixels in the place of what was there, which else shows through.
	replace bool
	dispose disposal
}

// disposal says what becomes of a layer before the next one.
type disposal int

const (
	keepLayer disposal = iota
	eraseLayer
	restoreBefore
)

// put lays a layer on the canvas, returns what is seen then if that is asked for, and disposes of
// the layer. Since transparency shows the background in the end, the canvas has it from the
// beginning.
func (a *animation) put(l *layer, seen bool) (out *RGB) {
	r := image.Rect(0, 0, l.m.W, l.m.H).Add(l.at).Intersect(image.Rect(0, 0, a.shown.W, a.shown.H))
	var before []uint8
	if l.dispose == restoreBefore {
		before = bytes.Clone(a.shown.Pix)
	}
	for y := r.Min.Y; y < r.Max.Y; y++ {
		dst, src := a.shown.row(y)[3*r.Min.X:3*r.Max.X], l.m.row(y - l.at.Y)[3*(r.Min.X-l.at.X):]
		if l.alpha == nil {
			copy(dst, src)
			continue
		}
		alpha := l.alpha[(y-l.at.Y)*l.m.W+r.Min.X-l.at.X:]
		for i := range dst {
			below := dst[i]
			if l.replace {
				below = a.bg[i%3]
			}
			dst[i] = over(src[i], below, alpha[i/3])
		}
	}
	if seen {
		out = a.copy()
	}
	switch l.dispose {
	case eraseLayer:
		a.fill(r, a.bg)
	case restoreBefore:
		a.shown.Pix = before
	}
	return out
}

func (a *animation) fill(r image.Rectangle, c [3]uint8) {
	for y := r.Min.Y; y < r.Max.Y; y++ {
		dst := a.shown.row(y)[3*r.Min.X : 3*r.Max.X]
		for ; len(dst) > 0; dst = dst[3:] {
			copy(dst, c[:])
		}
	}
}
