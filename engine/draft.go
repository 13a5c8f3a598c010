package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/engine/compute"
	"github.com/eyelet-engine/eyelet/engine/modelspec"
	"github.com/eyelet-engine/eyelet/engine/placement"
)

// drafter is what guesses tokens ahead for a model, and the small model that it has or borrows.
type drafter struct {
	*compute.Drafter
	lm     *llama.Model
	lender *Model            // whose lm is; nil if it is the drafter's own
	shares []placement.Share // of its own lm, on devices
}

// openDrafter loads the draft model of spec for m.
func openDrafter(ctx context.Context, spec ModelSpec, m *Model) (d *drafter, err error) {
	if _, err := modelspec.CheckLanguageModel(spec.Draft); err != nil {
		return nil, err
	}
	// on this machine: a guess must be quick
	load := ModelSpec{GPULayers: spec.GPULayers, Device: spec.Device}
	if spec.RPC != "" {
		load.Device = ""
	}
	load.Model, load.Context, load.Notice = spec.Draft, m.lc.NCtx(), spec.Notice
	loading, err := placement.Begin(ctx, &load)
	if err != nil {
		return nil, err
	}
	defer func() { loading.End(err == nil) }()
	d = &drafter{shares: loading.Shares}
	if d.lm, err = llama.LoadModel(ctx, spec.Draft, loading.Params); err != nil {
		if ctx.Err() != nil {
			return nil, err
		}
		return nil, fmt.Errorf("%w: %w", ErrModelFile, err)
	}
	if err = d.open(ctx, m, spec.Parallel); err != nil {
		_ = m.engine.thread.Do(context.Background(), d.lm.Close)
		return nil, err
	}
	return d, nil
}

// open makes the drafter's context, with as many sequences as answers run at a time.
func (d *drafter) open(ctx context.Context, m *Model, sequences int) (err error) {
	d.Drafter, err = compute.NewDrafter(ctx, m.engine.thread, d.lm, m.lm,
		llama.ContextParams{NCtx: m.lc.NCtx(), NSeqMax: sequences, Threads: m.engine.threads})
	return err
}

// Close frees the context, and the model if it is the drafter's own, on the compute thread.
func (d *drafter) Close() error {
	err := d.Drafter.Close()
	if d.lender == nil {
		err = errors.Join(err, d.lm.Close())
	}
	return err
}
