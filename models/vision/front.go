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

// Plan implements [Encoder].
func (f *front) Plan(w, h int) (*Plan, error) {
	own, err := f.layout.Plan(w, h)
	if err != nil {
		return nil, fmt.Errorf("vision: %w", err)
	}
	p := &Plan{W: w, H: h, Parts: []Part{{Tokens: len(own.Rows), Advance: len(own.Rows)}}}
	if p.TargetW, p.TargetH = f.layout.Target(w, h); !f.sameShrunk(own, w, h) {
		p.TargetW, p.TargetH = 0, 0
	}
	return p, nil
}

// sameShrunk reports whether a picture is laid out alike when it is decoded to a half, a quarter or an eighth.
func (f *front) sameShrunk(own llava.Plan, w, h int) bool {
	if f.layout.Aspect != llava.AnyRes {
		return true
	}
	for n := 2; n <= 8 && w%n == 0 && h%n == 0; n *= 2 {
		if small, err := f.layout.Plan(w/n, h/n); err == nil && (small.Resolution != own.Resolution || len(small.Rows) != len(own.Rows)) {
			return false
		}
	}
	return true
}

// Prepare implements [Encoder].
func (f *front) Prepare(ctx context.Context, plan *Plan, img *imaging.RGB) (*Input, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	own, err := f.layout.Plan(plan.W, plan.H)
	if err != nil {
		return nil, fmt.Errorf("vision: %w", err)
	}
	tiles, err := f.layout.TilesContext(ctx, img)
	if err != nil {
		return nil, err
	}
	if len(tiles) != own.Tiles || len(own.Rows) != plan.Tokens() {
		return nil, fmt.Errorf("vision: %d x %d pixels are laid out as %d tiles, and the %d x %d of the plan as %d", img.W, img.H, len(tiles), plan.W, plan.H, own.Tiles)
	}
	return &Input{Tokens: len(own.Rows), Parts: 1, Tiles: tiles, plan: own}, nil
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

// check tells whether the tower can take a part of an Input.
func (f *front) check(in *Input, part int) error {
	if err := in.checkPart(part); err != nil {
		return err
	}
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
