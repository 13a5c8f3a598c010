package vision

import (
	"context"
	"errors"
	"fmt"

	"github.com/eyelet-engine/eyelet/kernels/imaging"
	"github.com/eyelet-engine/eyelet/models/llava"
)

var (
	// errClosed is what a closed tower answers.
	errClosed = errors.New("vision: the tower is closed")
	// errJobClosed is what a closed job answers, errUnfinished one that has no rows yet.
	errJobClosed  = errors.New("vision: the job is closed")
	errUnfinished = errors.New("vision: the picture is not fully encoded; advance the job to its end first")
)

// front is what the implementations of [Encoder] share: the description of the
// tower, and the layout of pictures (see package llava).
type front struct {
	info    Info
	layout  llava.Layout
	newline []float32 // the newline embedding, where the layout has one
}

// newFront makes the front of a tower from its metadata. Width and Identity are
// known only when the tensors are read.
func newFront(hp *hyperparameters, backend, precision string) (front, error) {
	layout, err := llava.FromMetadata(llava.Metadata{
		Size: hp.ImageSize, Patch: hp.PatchSize, Mean: hp.Mean,
		AspectRatio: hp.Tiling.AspectRatio, MergeType: hp.Tiling.MergeType, GridPinpoints: hp.Tiling.Pinpoints,
	})
	if errors.Is(err, llava.ErrUnsupported) {
		return front{}, fmt.Errorf("%w (%w)", ErrUnknownTower, err)
	}
	if err != nil {
		return front{}, fmt.Errorf("vision: %w", err)
	}
	return front{layout: layout, info: Info{
		Family: hp.Family, Projector: hp.Projector, Layout: layout.Aspect.String(), Backend: backend, Precision: precision,
		ImageSize: hp.ImageSize, PatchSize: hp.PatchSize, TileTokens: hp.patches(),
		Blocks: hp.depth(), Hidden: hp.Hidden,
	}}, nil
}

// setHead takes what the head tells about the layout.
func (f *front) setHead(h *head) error {
	f.info.Width = h.width()
	if !f.layout.HasNewline() {
		return nil
	}
	if h.newline == nil {
		return fmt.Errorf("vision: no tensor %s, which the merge type spatial_unpad needs", newlineNames[0])
	}
	f.newline = h.newline
	return nil
}

// Info implements [Encoder].
func (f *front) Info() Info { return f.info }

// Tokens implements [Encoder].
func (f *front) Tokens(w, h int) int { return f.layout.Tokens(w, h) }

// Target implements [Encoder].
func (f *front) Target(w, h int) (int, int) { return f.layout.Target(w, h) }

// Preprocess implements [Encoder].
func (f *front) Preprocess(ctx context.Context, img *imaging.RGB) (*Input, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := img.Check(); err != nil {
		return nil, fmt.Errorf("vision: %w", err)
	}
	plan, err := f.layout.Plan(img.W, img.H)
	if err != nil {
		return nil, fmt.Errorf("vision: %w", err)
	}
	tiles, err := f.layout.TilesContext(ctx, img)
	if err != nil {
		return nil, err
	}
	return &Input{Tokens: len(plan.Rows), Tiles: tiles, plan: plan}, nil
}

// assemble makes image tokens of the tower's rows of all tiles. It may return rows
// itself.
func (f *front) assemble(in *Input, rows []float32) ([]float32, error) {
	if in.plan.Tiles <= 1 {
		return rows, nil // one tile, whose rows are the tokens in order
	}
	tokens := make([]float32, len(in.plan.Rows)*f.info.Width)
	if err := in.plan.Assemble(tokens, rows, f.newline, f.info.Width); err != nil {
		return nil, fmt.Errorf("vision: %w", err)
	}
	return tokens, nil
}

// check tells whether the tower can take an Input.
func (f *front) check(in *Input) error {
	if len(in.Tiles) == 0 {
		return errors.New("vision: the input has no tiles")
	}
	if in.plan.Tiles > 0 && in.plan.Tiles != len(in.Tiles) {
		return fmt.Errorf("vision: %d tiles, laid out as %d", len(in.Tiles), in.plan.Tiles)
	}
	for i, tile := range in.Tiles {
		if err := tile.Check(); err != nil {
			return fmt.Errorf("vision: tile %d: %w", i, err)
		}
		if s := f.info.ImageSize; tile.W != s || tile.H != s {
			return fmt.Errorf("vision: tile %d has %d x %d pixels; the tower takes %d x %d", i, tile.W, tile.H, s, s)
		}
	}
	return nil
}
