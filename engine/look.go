package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/eyelet-engine/eyelet/engine/internal/fault"
	"github.com/eyelet-engine/eyelet/engine/media"
	"github.com/eyelet-engine/eyelet/kernels/imaging"
	"github.com/eyelet-engine/eyelet/kernels/imaging/document"
	"github.com/eyelet-engine/eyelet/models/vision"
)

// planner returns what a prompt has in a picture's place: the plan, and a picture for each of its
// parts.
type planner func(*Image) (*vision.Plan, []*media.Picture, error)

// spent is the time that decoding the pictures of a request took, wherever that was done.
type spent struct{ decode, preprocess atomic.Int64 }

// planPicture reads a picture's header, and plans what the prompt has in its place. Nothing is
// decoded: the pictures say how that is done, should their embeddings not be known.
func (m *Model) planPicture(ctx context.Context, image *Image, budget Budget,
	t *spent) (*vision.Plan, []*media.Picture, error) {
	if image.IsSound() && m.ears != nil {
		return m.hear(ctx, image, t)
	}
	head, plan, err := m.planOf(ctx, image, budget)
	if err != nil {
		return nil, nil, err
	}
	source, _ := m.source(image, head, plan, t)
	return plan, m.partsOf(plan, source), nil
}

// partsOf returns the pictures of a plan's parts. Models whose positions have one dimension put the
// rows of a part one after the other.
func (m *Model) partsOf(plan *vision.Plan, source *media.Source) (pictures []*media.Picture) {
	for i, part := range plan.Parts {
		if m.lm.NPosPerEmbd() < 2 && part.Places != nil {
			part.Places, part.Advance = nil, part.Tokens
		}
		pictures = append(pictures, &media.Picture{Part: part, Source: source, Index: i})
	}
	return pictures
}

// source is what a picture's embeddings are made of, and how it is decoded if that has not been
// done ahead.
func (m *Model) source(image *Image, head imaging.Header, plan *vision.Plan,
	t *spent) (s *media.Source, open func(context.Context) (*vision.Input, error)) {
	options := m.decoding()
	if plan.W != head.W || plan.H != head.H {
		options.Target = func(int, int) (int, int) { return plan.W, plan.H }
	}
	open = func(ctx context.Context) (*vision.Input, error) {
		return decode(ctx, m.vision, image, head, plan, options, t)
	}
	s = &media.Source{
		Name: image.Name, Data: image.Data, Identity: m.pictureIdentity + " " + plan.Layout +
			image.pageIdentity() + budgetIdentity(plan, head.W, head.H), Bytes: head.Bytes,
		Begin: m.vision.Begin,
		Slow:  document.IsPDF(image.Data),
	}
	s.Open = func(ctx context.Context) (*vision.Input, error) {
		if in := m.ahead.claim(ctx, image.Data, s.Identity); in != nil {
			return in, nil
		}
		return open(ctx)
	}
	return s, open
}

// decoding is how pictures are decoded for the tower.
func (m *Model) decoding() imaging.Options {
	return imaging.Options{Target: vision.Target(m.vision), Exact: m.exactImages}
}

// planOf reads a picture's header, and plans what the prompt has in its place within the picture's
// own budget, or else the given one.
func (m *Model) planOf(ctx context.Context, image *Image,
	budget Budget) (head imaging.Header, plan *vision.Plan, err error) {
	if image.Tokens != (Budget{}) {
		budget = image.Tokens
	}
	if err := budget.check(); err != nil {
		return head, nil, err
	}
	if head, err = image.header(ctx, m.decoding()); err == nil {
		plan, err = budget.plan(m.vision, head.W, head.H)
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
	plan *vision.Plan, options imaging.Options, t *spent) (*vision.Input, error) {
	start := time.Now()
	img, err := image.decode(ctx, options)
	t.decode.Add(int64(time.Since(start)))
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err == nil && (img.OriginalW != head.W || img.OriginalH != head.H):
		err = fmt.Errorf("it has %d x %d pixels, and its header says %d x %d", img.OriginalW,
			img.OriginalH, head.W, head.H)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %s", ErrImage, strings.TrimPrefix(err.Error(), "imaging: "))
	}
	start = time.Now()
	rgb := img.RGB
	if plan.W != head.W || plan.H != head.H {
		if rgb, err = shown(ctx, rgb, plan); err != nil {
			return nil, err
		}
	}
	in, err := tower.Prepare(ctx, plan, rgb)
	t.preprocess.Add(int64(time.Since(start)))
	if err != nil && ctx.Err() == nil {
		err = fmt.Errorf("%w: %w", ErrImage, err)
	}
	return in, err
}

// badPicture is the error of a picture that cannot be read, with its name.
func badPicture(name string, err error) error {
	text := strings.TrimPrefix(strings.TrimPrefix(err.Error(), ErrImage.Error()+": "), "imaging: ")
	return fmt.Errorf("%w: %s: %w", ErrImage, name, fault.Named{Kind: err, Text: text})
}

// pictureFault is err as the caller of a request understands it, if it is about one of the
// request's pictures.
func pictureFault(err error) error {
	var bad *media.Fault
	switch {
	case !errors.As(err, &bad):
		return err
	case errors.Is(err, ErrSound):
		return badSound(bad.Name, bad.Err)
	case errors.Is(err, ErrImage):
		return badPicture(bad.Name, bad.Err)
	}
	return fmt.Errorf("engine: %s: %w", bad.Name, bad.Err)
}
