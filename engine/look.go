package engine

import (
	"context"

	"github.com/eyelet-engine/eyelet/engine/multimodal"
	"github.com/eyelet-engine/eyelet/models/vision/boxes"
)

// planner returns what plans the pictures and sounds of prompts.
func (m *Model) planner() *multimodal.Planner {
	return &multimodal.Planner{Tower: m.vision, Ears: m.ears, Identity: m.pictureIdentity,
		Exact: m.spec.ExactImages, Flat: m.lm.NPosPerEmbd() < 2, Path: m.lm.Path(),
		Name: m.info.Name,
		Kept: &m.kept}
}

// Ahead decodes a picture that is going to be asked about, under a budget, while others are
// computed: the next request about it, of the same bytes in memory, finds it ready. Few pictures
// are kept. It returns when the picture is decoded, or cannot be, which that request will tell.
func (m *Model) Ahead(ctx context.Context, image *Image, budget Budget) {
	if !m.enter() {
		return
	}
	defer m.requests.Done()
	ctx, cancel := m.untilClosed(ctx)
	defer cancel()
	m.planner().Ahead(ctx, image, budget)
}

// FixedImageTokens returns the number of image tokens of every picture where the model's family
// gives all the same, so that no Budget has an effect. fixed is false where the number depends on
// the picture, and for a text model.
func (m *Model) FixedImageTokens() (tokens int, fixed bool) {
	if m.vision == nil {
		return 0, false
	}
	return multimodal.FixedTokens(m.vision)
}

// Frame says what the numbers count by which the model's answers tell where things are in a picture
// that is shown to it under a budget: [boxes.Find] reads them back to pixels of the upright
// picture. Nothing is decoded. Its errors are those of Generate.
func (m *Model) Frame(ctx context.Context, image *Image, budget Budget) (boxes.Frame, error) {
	return whileOpen(ctx, m, func(ctx context.Context) (f boxes.Frame, err error) {
		p := m.planner()
		if m.vision == nil {
			return f, p.Check(&Image{})
		}
		head, plan, err := p.Look(ctx, image, budget)
		if err != nil {
			return f, err
		}
		return boxes.FrameOf(m.vision.Info(), plan, head.W, head.H), nil
	})
}
