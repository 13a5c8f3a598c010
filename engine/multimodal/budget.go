package multimodal

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/eyelet-engine/eyelet/engine/internal/fault"
	"github.com/eyelet-engine/eyelet/kernels/imaging"
	"github.com/eyelet-engine/eyelet/models/vision"
)

// Budget bounds the image tokens of a picture; a bound of 0 is left to the model's family. A
// picture that would take more is shown to the model smaller, one that would take fewer larger, as
// if its file had that size. Where the family gives every picture the same number, it has no
// effect; where it cuts pictures into tiles, the number moves by tiles, down to the fewest that
// there are.
type Budget struct {
	Min, Max int
}

// check finds bounds that contradict each other.
func (b Budget) check() error {
	if b.Min < 0 || b.Max < 0 || b.Max > 0 && b.Min > b.Max {
		return fmt.Errorf("%w: %d to %d image tokens a picture", fault.ErrRequest, b.Min, b.Max)
	}
	return nil
}

// maxShapeChange is how much the rounding of sides may stretch a picture that is resized: of a
// picture so small that it changes more, little can be seen.
const maxShapeChange = 1.1

// maxShownPixels bounds what a picture is enlarged to.
const maxShownPixels = 64_000_000

// Plan returns the tower's plan of a picture of w by h pixels, or of what it is resized to for the
// budget.
func (b Budget) Plan(tower vision.Encoder, w, h int) (*vision.Plan, error) {
	own, err := tower.Plan(w, h)
	if err != nil || b == (Budget{}) {
		return own, err
	}
	if t, ok := tower.(vision.Bounded); ok && b.Max > 0 && own.Tokens() > b.Max {
		if p, ok, err := t.PlanWithin(w, h, b.Max); ok || err != nil {
			return p, err
		}
	}
	at := func(scale float64) *vision.Plan {
		sw, sh := max(1, int(math.Round(float64(w)*scale))),
			max(1, int(math.Round(float64(h)*scale)))
		if shape := float64(sw) * float64(h) / float64(sh) / float64(w); shape > maxShapeChange ||
			shape < 1/maxShapeChange {
			return nil
		}
		p, err := tower.Plan(sw, sh)
		if err != nil { // a shape that the family refuses
			return nil
		}
		return p
	}
	fits := func(p *vision.Plan) bool { return p != nil && (b.Max == 0 || p.Tokens() <= b.Max) }
	enough := func(p *vision.Plan) bool { return p != nil && p.Tokens() >= b.Min }
	switch {
	case !fits(own):
		// The largest size that fits lies between one that does and one that does not.
		if p := closest(least(w, h, at), 1, at, fits); p != nil {
			return p, nil
		}
		return fewest(own, at), nil
	case !enough(own):
		// The smallest size that is enough, if it is not too much.
		if p := closest(math.Sqrt(maxShownPixels/float64(w)/float64(h)), 1, at, enough); fits(p) {
			return p, nil
		}
	}
	return own, nil
}

// FixedTokens returns the number of image tokens of every picture where a tower's family gives all
// the same, so that no Budget has an effect. fixed is false where the number depends on the
// picture.
func FixedTokens(tower vision.Encoder) (tokens int, fixed bool) {
	for _, size := range [][2]int{{64, 64}, {512, 512}, {3000, 2000}, {600, 1800}} {
		p, err := tower.Plan(size[0], size[1])
		if err != nil || tokens != 0 && p.Tokens() != tokens {
			return 0, false
		}
		tokens = p.Tokens()
	}
	return tokens, true
}

// least is the smallest scale of those that halve a picture which keeps its shape.
func least(w, h int, at func(float64) *vision.Plan) float64 {
	scale := 1.0
	for s := 0.5; s*float64(min(w, h)) >= 1; s /= 2 {
		if at(s) != nil {
			scale = s
		}
	}
	return scale
}

// fewest is the plan of the largest size that takes as few tokens as there can be, where even those
// of the smallest are too many, as with the tiles of LLaVA 1.6. Where a family cuts off padding,
// the rounding of sides moves the number by some rows: a difference of a 32nd does not count.
func fewest(own *vision.Plan, at func(float64) *vision.Plan) *vision.Plan {
	plans, few := []*vision.Plan{own}, own.Tokens()
	side := float64(min(own.W, own.H))
	for step := 1; ; step++ {
		scale := math.Exp2(-float64(step) / 8)
		if scale*side < 1 {
			break
		}
		if p := at(scale); p != nil {
			plans, few = append(plans, p), min(few, p.Tokens())
		}
	}
	return plans[slices.IndexFunc(plans, func(p *vision.Plan) bool {
		return p.Tokens() <= few+few/32
	})]
}

// closest goes from a scale that is good to one that is not, and returns the plan of the good one
// that is closest to that; nil if the first is not good either.
func closest(good, bad float64, at func(float64) *vision.Plan,
	is func(*vision.Plan) bool) *vision.Plan {
	best := at(good)
	if !is(best) {
		return nil
	}
	for range 16 {
		middle := math.Sqrt(good * bad)
		if p := at(middle); is(p) {
			good, best = middle, p
		} else {
			bad = middle
		}
	}
	return best
}

// shown resizes a decoded picture to the size that a budget gives it.
func shown(ctx context.Context, img *imaging.RGB, plan *vision.Plan) (*imaging.RGB, error) {
	if img.W == plan.W && img.H == plan.H {
		return img, nil
	}
	return imaging.ResizeContext(ctx, img, plan.W, plan.H, imaging.Bicubic)
}

// budgetIdentity tells pictures apart that budgets give other sizes.
func budgetIdentity(plan *vision.Plan, w, h int) string {
	if plan.W == w && plan.H == h {
		return ""
	}
	return fmt.Sprintf(" shown as %dx%d", plan.W, plan.H)
}

// See plans a picture within the budget and makes ready what a tower sees of it, which is the
// caller's to close. decoded is the time that reading the file's pixels took. Errors match
// engine's ErrImage.
func (b Budget) See(ctx context.Context, tower vision.Encoder,
	image *Image) (plan *vision.Plan, in *vision.Input, decoded time.Duration, err error) {
	options := imaging.Options{Target: vision.Target(tower)}
	head, err := image.header(ctx, options)
	if err == nil {
		plan, err = b.Plan(tower, head.W, head.H)
	}
	var t Spent
	if err == nil {
		in, err = decode(ctx, tower, image, head, plan, options, &t)
	}
	switch {
	case ctx.Err() != nil:
		return nil, nil, 0, ctx.Err()
	case err != nil:
		return nil, nil, 0, badPicture(image.Name, err)
	}
	return plan, in, time.Duration(t.Decode.Load()), nil
}
