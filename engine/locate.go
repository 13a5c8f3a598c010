package engine

import (
	"context"
	"fmt"

	"github.com/eyelet-engine/eyelet/kernels/imaging"
	"github.com/eyelet-engine/eyelet/kernels/imaging/document"
	"github.com/eyelet-engine/eyelet/models/vision/boxes"
)

// Frame says what the numbers count by which the model's answers tell where things are in a picture
// that is shown to it under a budget: [boxes.Find] reads them back to pixels of the upright
// picture. Nothing is decoded. Its errors are those of Generate.
func (m *Model) Frame(ctx context.Context, image *Image, budget Budget) (boxes.Frame, error) {
	return whileOpen(ctx, m, func(ctx context.Context) (f boxes.Frame, err error) {
		if m.vision == nil {
			return f, fmt.Errorf("%w: %s was loaded without a projector; give its mmproj file",
				ErrNoVision, m.lm.Path())
		}
		head, plan, err := m.planOf(ctx, image, budget)
		if err != nil {
			return f, err
		}
		return boxes.FrameOf(m.vision.Info(), plan, head.W, head.H), nil
	})
}

// Pixels decodes a picture at its full size, upright. Errors match ErrImage.
func Pixels(ctx context.Context, image *Image) (*imaging.RGB, error) {
	img, err := document.Decode(ctx, image.Data, image.Page, imaging.Options{Exact: true})
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		return nil, badPicture(image.Name, err)
	}
	return img.RGB, nil
}
