// Package multimodal holds the pictures and sounds of requests: their files and pages, bounds of
// their tokens, and what a prompt has in their place, which is planned before anything is decoded.
package multimodal

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/eyelet-engine/eyelet/engine/internal/fault"
	"github.com/eyelet-engine/eyelet/engine/media"
	"github.com/eyelet-engine/eyelet/kernels/imaging"
	"github.com/eyelet-engine/eyelet/kernels/imaging/document"
	"github.com/eyelet-engine/eyelet/models/vision"
	"github.com/eyelet-engine/eyelet/models/vision/libmtmd"
)

// Planner plans what the prompts of a model have in the place of pictures and sounds. It may be
// used from several goroutines.
type Planner struct {
	// Tower encodes pictures; nil for a model that cannot see. Ears encode sounds; nil for one that
	// cannot hear.
	Tower vision.Encoder
	Ears  *libmtmd.Ears
	// Identity names all that decides a picture's embeddings beside its file and layout.
	Identity string
	// Exact decodes photos at full size.
	Exact bool
	// Flat says that the model's positions have one dimension: the rows of a part follow each
	// other.
	Flat bool
	// Path is the model's file, and Name what to call it, for errors.
	Path, Name string
	// Kept is what is kept between requests.
	Kept *Kept
}

// Spent is the time that decoding the pictures of a request took, wherever that was done, in
// nanoseconds.
type Spent struct{ Decode, Preprocess atomic.Int64 }

// Check refuses a picture or a sound that the model has no encoder for. Errors wrap engine's
// ErrNoVision.
func (p *Planner) Check(image *Image) error {
	none, other := fault.ErrNoVision, "no vision tower, only an encoder of sounds"
	if image.IsSound() {
		none, other = fault.ErrNoSound, "no encoder of sounds, only one of pictures"
	}
	switch {
	case image.IsSound() && p.Ears != nil || !image.IsSound() && p.Tower != nil:
		return nil
	case p.Tower == nil && p.Ears == nil:
		return fmt.Errorf("%w: %s was loaded without a projector; give its mmproj file", none,
			p.Path)
	}
	return fmt.Errorf("%w: the projector of %s has %s", none, p.Name, other)
}

// Plan returns what a prompt has in a picture's place: the plan, and a picture for each of its
// parts. Of a picture the header is read and nothing decoded: the pictures say how that is done,
// should their embeddings not be known. Errors wrap engine's ErrImage.
func (p *Planner) Plan(ctx context.Context, image *Image, budget Budget,
	t *Spent) (*vision.Plan, []*media.Picture, error) {
	if image.IsSound() && p.Ears != nil {
		return p.planSound(ctx, image, t)
	}
	head, plan, err := p.Look(ctx, image, budget)
	if err != nil {
		return nil, nil, err
	}
	source, _ := p.source(image, head, plan, t)
	return plan, p.partsOf(plan, source), nil
}

// partsOf returns the pictures of a plan's parts.
func (p *Planner) partsOf(plan *vision.Plan, source *media.Source) (pictures []*media.Picture) {
	for i, part := range plan.Parts {
		if p.Flat && part.Places != nil {
			part.Places, part.Advance = nil, part.Tokens
		}
		pictures = append(pictures, &media.Picture{Part: part, Source: source, Index: i})
	}
	return pictures
}

// source is what a picture's embeddings are made of, and how it is decoded if that has not been
// done ahead.
func (p *Planner) source(image *Image, head imaging.Header, plan *vision.Plan,
	t *Spent) (s *media.Source, open func(context.Context) (*vision.Input, error)) {
	options := p.decoding()
	if plan.W != head.W || plan.H != head.H {
		options.Target = func(int, int) (int, int) { return plan.W, plan.H }
	}
	open = func(ctx context.Context) (*vision.Input, error) {
		return decode(ctx, p.Tower, image, head, plan, options, t)
	}
	s = &media.Source{
		Name: image.Name, Data: image.Data, Identity: p.Identity + " " + plan.Layout +
			image.pageIdentity() + budgetIdentity(plan, head.W, head.H), Bytes: head.Bytes,
		Begin: p.Tower.Begin,
		Slow:  document.IsPDF(image.Data),
	}
	s.Open = func(ctx context.Context) (*vision.Input, error) {
		if in := p.Kept.claim(ctx, image.Data, s.Identity); in != nil {
			return in, nil
		}
		return open(ctx)
	}
	return s, open
}

// decoding is how pictures are decoded for the tower.
func (p *Planner) decoding() imaging.Options {
	return imaging.Options{Target: vision.Target(p.Tower), Exact: p.Exact}
}

// Look reads a picture's header, and plans what the prompt has in its place within the picture's
// own budget, or else the given one. Errors wrap engine's ErrImage.
func (p *Planner) Look(ctx context.Context, image *Image,
	budget Budget) (head imaging.Header, plan *vision.Plan, err error) {
	if image.Tokens != (Budget{}) {
		budget = image.Tokens
	}
	if err := budget.check(); err != nil {
		return head, nil, err
	}
	if head, err = image.header(ctx, p.decoding()); err == nil {
		plan, err = budget.Plan(p.Tower, head.W, head.H)
	}
	switch {
	case err == nil:
		return head, plan, nil
	case ctx.Err() != nil:
		return head, nil, ctx.Err()
	}
	return head, nil, badPicture(image.Name, err)
}

// decode decodes a picture and makes ready what the tower sees of it. A picture that is not of the
// size that its header states is damaged: the prompt was made for another one.
func decode(ctx context.Context, tower vision.Encoder, image *Image, head imaging.Header,
	plan *vision.Plan, options imaging.Options, t *Spent) (*vision.Input, error) {
	start := time.Now()
	img, err := image.decode(ctx, options)
	t.Decode.Add(int64(time.Since(start)))
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err == nil && (img.OriginalW != head.W || img.OriginalH != head.H):
		err = fmt.Errorf("it has %d x %d pixels, and its header says %d x %d", img.OriginalW,
			img.OriginalH, head.W, head.H)
	}
	if err != nil {
		return nil, badFile(err)
	}
	start = time.Now()
	rgb := img.RGB
	if plan.W != head.W || plan.H != head.H {
		if rgb, err = shown(ctx, rgb, plan); err != nil {
			return nil, err
		}
	}
	in, err := tower.Prepare(ctx, plan, rgb)
	t.Preprocess.Add(int64(time.Since(start)))
	if err != nil && ctx.Err() == nil {
		err = fmt.Errorf("%w: %w", fault.ErrImage, err)
	}
	return in, err
}
