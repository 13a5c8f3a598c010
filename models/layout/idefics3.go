package layout

import (
	"fmt"
	"math"

	"github.com/eyelet-engine/eyelet/kernels/imaging"
	"github.com/eyelet-engine/eyelet/models/gguf"
)

// idefics3 lays out for Idefics3 and SmolVLM: Idefics3ImageProcessor, SmolVLMImageProcessor and
// their processors of transformers 5.24. The longer side is brought to a fixed length, then both
// sides are stretched up to whole tiles, which are cut; a view of the whole, made of the stretched
// picture, follows. Where the processor's do_image_splitting is false, the second step makes one
// tile of it.
type idefics3 struct {
	grid
	longest int  // pixels of the longer side
	whole   bool // no tiles
}

// SplittingKey, false in a projector file, says that pictures are not cut into tiles
// (do_image_splitting). It is of Eyelet's own; others cut all the same.
const SplittingKey = "eyelet.vision.image_splitting"

// idefics3Limit bounds the longer side whatever the file says: MAX_IMAGE_SIZE of
// image_processing_idefics3.py.
const idefics3Limit = 4096

func newIdefics3(f *gguf.File, _ Options) (Layout, error) {
	g, err := readGrid(f, "projector.scale_factor", 2)
	if err != nil {
		return nil, err
	}
	l := &idefics3{grid: g}
	if l.longest, err = number(f, "preproc_image_size", 1, maxTile, 4*g.size); err != nil {
		return nil, err
	}
	if side := (min(l.longest, idefics3Limit) + g.size - 1) / g.size; side > 64 {
		return nil, fmt.Errorf("clip.vision.preproc_image_size %d makes %d tiles of %d a side",
			l.longest, side, g.size)
	}
	if split, ok := f.Bool(SplittingKey); ok {
		l.whole = !split
	}
	return l, nil
}

func (l *idefics3) Variable() bool { return false }
func (l *idefics3) MaxTokens() int { return l.tokens() }
func (l *idefics3) String() string {
	if l.whole {
		return fmt.Sprintf("idefics3 %d whole, longest %d", l.size, l.longest)
	}
	return fmt.Sprintf("idefics3 %d longest %d", l.size, l.longest)
}

func (l *idefics3) Plan(w, h int) (*Plan, error) {
	if err := checkPicture(w, h); err != nil {
		return nil, err
	}
	fw, fh := l.scaled(w, h)
	cw, ch := l.size, l.size
	if !l.whole {
		cw, ch = l.tiled(fw, fh)
	}
	p := &Plan{
		Steps: []Step{{From: Original, W: fw, H: fh, Filter: imaging.Lanczos},
			{From: 0, W: cw, H: ch, Filter: imaging.Lanczos}},
		After: "<fake_token_around_image>",
	}
	overview := View{Of: 1, W: cw, H: ch, Tokens: l.tokens(),
		Before: "<fake_token_around_image><global-img>"}
	if cols, rows := cw/l.size, ch/l.size; cols*rows > 1 {
		for i := range cols * rows {
			row, col := i/cols, i%cols
			before := fmt.Sprintf("<fake_token_around_image><row_%d_col_%d>", row+1, col+1)
			if col == 0 && row > 0 {
				before = "\n" + before
			}
			p.Views = append(p.Views, View{Before: before, Of: 1, X: col * l.size, Y: row * l.size,
				W: l.size, H: l.size, Tokens: l.tokens()})
		}
		p.Steps = append(p.Steps, Step{From: 1, W: l.size, H: l.size, Filter: imaging.Lanczos})
		overview.Of, overview.W, overview.H = 2, l.size, l.size
		overview.Before = "\n\n" + overview.Before
	}
	p.Views = append(p.Views, overview)
	return p, nil
}

// Within implements [Bounded]: the size's longest_edge of the processor, by whole tiles, and
// do_image_splitting.
func (l *idefics3) Within(w, h, tokens int) Layout {
	b := *l
	for side := (min(l.longest, idefics3Limit) + l.size - 1) / l.size; side > 1; side-- {
		b.longest = min(l.longest, side*l.size)
		if p, err := b.Plan(w, h); err != nil || p.Tokens() <= tokens {
			return &b
		}
	}
	b.longest, b.whole = min(l.longest, l.size), true
	return &b
}

// scaled is the size after the first step: _resize_output_size_rescale_to_max_len, which makes the
// shorter side even, and _resize_output_size_scale_below_upper_bound.
func (l *idefics3) scaled(w, h int) (int, int) {
	long, short := &w, &h
	if h > w {
		long, short = &h, &w
	}
	shape := float64(w) / float64(h)
	other := func(n int) int {
		if long == &w {
			return int(float64(n) / shape)
		}
		return int(float64(n) * shape)
	}
	*long, *short = l.longest, other(l.longest)
	*short += *short % 2
	*short = max(*short, 1)
	if *long > idefics3Limit {
		shape = float64(w) / float64(h)
		*long, *short = idefics3Limit, max(other(idefics3Limit), 1)
	}
	return w, h
}

// tiled is the size after the second step: resize_for_vision_encoder.
func (l *idefics3) tiled(w, h int) (int, int) {
	up := func(n int) int { return int(math.Ceil(float64(n)/float64(l.size))) * l.size }
	shape := float64(w) / float64(h)
	if w >= h {
		w = up(w)
		return w, max(up(int(float64(w)/shape)), l.size)
	}
	h = up(h)
	return max(up(int(float64(h)*shape)), l.size), h
}
