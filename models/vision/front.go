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
// tower, and the layout of pictures, which is LLaVA 1.5's (see package llava).
type front struct {
	info   Info
	layout llava.Layout
}

// newFront makes the front of a tower from its metadata. Width and Identity are
// known only when the tensors are read.
func newFront(hp *hyperparameters, backend, precision string) (front, error) {
	// To the layout a tile is one patch: package llava wants patches to divide a tile,
	// which SigLIP's do not (see hyperparameters.patches), and here it only cuts tiles.
	layout, err := llava.New(hp.ImageSize, hp.ImageSize, hp.Mean)
	if err != nil {
		return front{}, err
	}
	return front{layout: layout, info: Info{
		Family: hp.Family, Projector: hp.Projector, Backend: backend, Precision: precision,
		ImageSize: hp.ImageSize, PatchSize: hp.PatchSize, TileTokens: hp.patches(),
		Blocks: hp.depth(), Hidden: hp.Hidden,
	}}, nil
}

// Info implements [Encoder].
func (f *front) Info() Info { return f.info }

// Tokens implements [Encoder].
func (f *front) Tokens(w, h int) int { return f.layout.Tokens(w, h) * f.info.TileTokens }

// Preprocess implements [Encoder].
func (f *front) Preprocess(ctx context.Context, img *imaging.RGB) (*Input, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	tiles, err := f.layout.Tiles(img)
	if err != nil {
		return nil, err
	}
	return &Input{Tokens: len(tiles) * f.info.TileTokens, Tiles: tiles}, nil
}

// check tells whether the tower can take an Input.
func (f *front) check(in *Input) error {
	if len(in.Tiles) == 0 {
		return errors.New("vision: the input has no tiles")
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
