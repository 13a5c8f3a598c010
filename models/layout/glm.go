package layout

import (
	"github.com/eyelet-engine/eyelet/kernels/imaging"
	"github.com/eyelet-engine/eyelet/models/gguf"
)

// glm lays out for GLM-4V: Glm4vImageProcessor of transformers 5.24, which is Qwen's, but for tiny
// pictures, which are first enlarged, and for pixels, which count twice as those of the two frames
// that a picture becomes.
type glm struct{ smart }

func newGLM4V(f *gguf.File, opt Options) (Layout, error) {
	l, err := newSmart(f, opt, smart{name: "glm4v", least: 112 * 112, most: 28 * 28 * 15000,
		frames: 2, before: "<|begin_of_image|>", after: "<|end_of_image|>"})
	if err != nil {
		return nil, err
	}
	return &glm{*l.(*smart)}, nil
}

func (l *glm) Plan(w, h int) (*Plan, error) {
	if err := checkPicture(w, h); err != nil {
		return nil, err
	}
	ew, eh := w, h
	if w < l.factor || h < l.factor {
		scale := max(float64(l.factor)/float64(h), float64(l.factor)/float64(w))
		ew, eh = int(float64(w)*scale), int(float64(h)*scale)
	}
	if err := checkPicture(ew, eh); err != nil {
		return nil, refuse("%d x %d pixels", w, h)
	}
	sw, sh, err := l.resize(ew, eh)
	if err != nil {
		return nil, err
	}
	return whole(sw, sh, imaging.Bicubic, sw/l.factor*(sh/l.factor), l.before, l.after), nil
}
