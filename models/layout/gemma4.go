package layout

import (
	"fmt"
	"math"

	"github.com/eyelet-engine/eyelet/kernels/imaging"
	"github.com/eyelet-engine/eyelet/models/gguf"
)

// gemma4 lays out for Gemma 4: Gemma4ImageProcessor of transformers 5.24. The picture keeps its
// shape, as nearly as sides allow that are multiples of a token's, and is made as large as the
// budget of tokens allows, small ones too.
type gemma4 struct {
	patch, pool int // a token is pool x pool patches
	soft        int // the budget
}

// gemma4Budgets are the budgets that the model was trained for.
var gemma4Budgets = []int{1120, 560, 280, 140, 70}

func newGemma4(f *gguf.File, opt Options) (Layout, error) {
	patch, err := number(f, "patch_size", 1, maxPatch, 0)
	if err != nil {
		return nil, err
	}
	pool, err := number(f, "projector.scale_factor", 1, maxMerge, 3)
	if err != nil {
		return nil, err
	}
	l := &gemma4{patch: patch, pool: pool, soft: 280}
	if opt.Tokens > 0 {
		l.lower(opt.Tokens)
	}
	return l, nil
}

// lower takes the largest of the budgets that is no more than that many tokens, if the present one
// is.
func (l *gemma4) lower(tokens int) {
	if tokens >= l.soft {
		return
	}
	l.soft = gemma4Budgets[len(gemma4Budgets)-1]
	for _, n := range gemma4Budgets {
		if n <= tokens {
			l.soft = n
			return
		}
	}
}

// Within implements [Bounded]: max_soft_tokens of the processor.
func (l *gemma4) Within(_, _, tokens int) Layout {
	b := *l
	b.lower(tokens)
	return &b
}

func (l *gemma4) Variable() bool { return true }
func (l *gemma4) MaxTokens() int { return l.soft }
func (l *gemma4) String() string {
	return fmt.Sprintf("gemma4 patch %d pool %d tokens %d", l.patch, l.pool, l.soft)
}

// Plan follows get_aspect_ratio_preserving_size of image_processing_gemma4.py.
func (l *gemma4) Plan(w, h int) (*Plan, error) {
	if err := checkPicture(w, h); err != nil {
		return nil, err
	}
	side := l.pool * l.patch
	most := l.soft * l.pool * l.pool * l.patch * l.patch
	factor := math.Sqrt(float64(most) / float64(w*h))
	down := func(n int) int { return int(math.Floor(factor*float64(n)/float64(side))) * side }
	tw, th := down(w), down(h)
	switch {
	case tw == 0 && th == 0:
		return nil, refuse("%d x %d pixels", w, h)
	case th == 0:
		tw, th = min(w/h, l.soft)*side, side
	case tw == 0:
		tw, th = side, min(h/w, l.soft)*side
	}
	if tw*th > most {
		return nil, refuse("%d x %d pixels", w, h)
	}
	return whole(tw, th, imaging.Bicubic, tw/side*(th/side), "<|image>", "<image|>"), nil
}
