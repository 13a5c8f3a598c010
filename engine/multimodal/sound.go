package multimodal

import (
	"context"
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/eyelet-engine/eyelet/engine/internal/fault"
	"github.com/eyelet-engine/eyelet/engine/media"
	"github.com/eyelet-engine/eyelet/kernels/sound"
	"github.com/eyelet-engine/eyelet/models/vision"
)

// planSound plans what the prompt has in a sound's place. The length of a sound is known when it is
// decoded; that is done once, and again should it have to be encoded.
func (p *Planner) planSound(ctx context.Context, image *Image,
	t *Spent) (*vision.Plan, []*media.Picture, error) {
	sum := sha256.Sum256(image.Data)
	plan := p.Kept.plan(sum)
	if plan == nil {
		var in *vision.Input
		var err error
		if plan, in, err = p.hear(ctx, image, t); err != nil {
			if ctx.Err() != nil {
				return nil, nil, ctx.Err()
			}
			return nil, nil, badSound(image.Name, err)
		}
		if err := in.Close(); err != nil {
			return nil, nil, err
		}
		p.Kept.keepPlan(sum, plan)
	}
	source := &media.Source{
		Name: image.Name, Data: image.Data, Identity: "sound " + p.Ears.Info().Identity,
		Bytes: 16 * int64(len(image.Data)), Begin: p.Ears.Begin, Slow: true,
		Open: func(ctx context.Context) (*vision.Input, error) {
			_, in, err := p.hear(ctx, image, t)
			if err != nil && ctx.Err() == nil {
				err = fmt.Errorf("%w: %w", fault.ErrSound, err)
			}
			return in, err
		},
	}
	return plan, p.partsOf(plan, source), nil
}

// hear decodes a sound and lets the encoder take it in.
func (p *Planner) hear(ctx context.Context, image *Image,
	t *Spent) (*vision.Plan, *vision.Input, error) {
	start := time.Now()
	samples, err := sound.Decode(ctx, image.Data, sound.Options{Rate: p.Ears.Rate()})
	t.Decode.Add(int64(time.Since(start)))
	if err != nil {
		return nil, nil, err
	}
	start = time.Now()
	defer func() { t.Preprocess.Add(int64(time.Since(start))) }()
	return p.Ears.Hear(ctx, samples)
}
