package vision

import (
	"context"

	"github.com/eyelet-engine/eyelet/cgo/onednn"
	"github.com/eyelet-engine/eyelet/kernels/nn"
)

// nativeJob is the encoding of one Input. Its tiles go through the tower in batches, one after the other: a batch has as many tiles as
// keep all threads busy, and no more, so that steps stay short and memory small. A step is the embedding of a batch, one of its blocks,
// or its projector.
type nativeJob struct {
	tower    *Native
	in       *Input
	batch    int // tiles of a batch
	batches  int
	state    *nn.State      // the batch in hand; the last batch may have fewer tiles
	features *onednn.Buffer // what the projector reads, where it is not the state itself
	out      []float32      // rows of all tiles
	done     int            // steps
	closed   bool
}

// rowsOfThread is how many rows a thread needs to be well used.
const rowsOfThread = 256

// Begin implements [Encoder].
func (n *Native) Begin(in *Input, part int) (Job, error) {
	if err := n.check(in, part); err != nil {
		return nil, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return nil, errClosed
	}
	c := n.plan.Config()
	batch := (c.Threads*rowsOfThread + c.Tokens - 1) / c.Tokens
	j := &nativeJob{tower: n, in: in, batch: min(batch, len(in.Tiles), nn.MaxTiles)}
	j.batches = (len(in.Tiles) + j.batch - 1) / j.batch
	if err := j.open(j.batch); err != nil {
		return nil, wrap(err)
	}
	j.out = make([]float32, 0, len(in.Tiles)*n.info.TileTokens*n.info.Width)
	return j, nil
}

// open makes room for a batch.
func (j *nativeJob) open(tiles int) (err error) {
	n := j.tower
	j.state.Close()
	j.features.Close()
	if j.state, err = n.plan.NewState(tiles); err != nil {
		return err
	}
	if !n.readsLastState() {
		j.features, err = onednn.Alloc(4 * tiles * n.plan.Config().Tokens * n.info.Hidden * len(n.hp.Features))
	}
	return err
}

// readsLastState reports whether the projector reads the state after the last block and nothing else, as LLaVA's does.
func (n *Native) readsLastState() bool { return len(n.hp.Features) == 1 }

// stepsOfBatch are the embedding, the blocks and the projector.
func (j *nativeJob) stepsOfBatch() int { return j.tower.info.Blocks + 2 }

// Progress implements [Job].
func (j *nativeJob) Progress() (done, total int) { return j.done, j.batches * j.stepsOfBatch() }

// Advance implements [Job].
func (j *nativeJob) Advance(ctx context.Context, steps int) error {
	if j.closed {
		return errJobClosed
	}
	n := j.tower
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return errClosed
	}
	_, total := j.Progress()
	for end := j.done + min(max(steps, 0), total-j.done); j.done < end; j.done++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := j.step(j.done/j.stepsOfBatch(), j.done%j.stepsOfBatch()); err != nil {
			return wrap(err)
		}
	}
	return nil
}

// step does one step of a batch: 0 is the embedding, k the k-th block, and after the blocks comes the projector.
func (j *nativeJob) step(batch, k int) error {
	n := j.tower
	first := batch * j.batch
	tiles := j.in.Tiles[first:min(first+j.batch, len(j.in.Tiles))]
	switch {
	case k == 0:
		if len(tiles) != j.state.Tiles() {
			if err := j.open(len(tiles)); err != nil {
				return err
			}
		}
		if err := n.patches.Run(tiles, j.state.Buffer()); err != nil {
			return err
		}
		if n.pre != nil {
			if err := n.plan.RunNorm(n.pre, j.state); err != nil {
				return err
			}
		}
	case k <= n.info.Blocks:
		if err := n.plan.RunBlock(n.blocks[k-1], j.state); err != nil {
			return err
		}
	default:
		return j.project(len(tiles))
	}
	if n.post != nil && k == n.info.Blocks {
		if err := n.plan.RunNorm(n.post, j.state); err != nil {
			return err
		}
	}
	j.collect(k)
	return nil
}

// collect copies the hidden states into the columns of features that want them from this depth.
func (j *nativeJob) collect(depth int) {
	n := j.tower
	if n.readsLastState() {
		return
	}
	x, hidden := j.state.X(), n.info.Hidden
	width := hidden * len(n.hp.Features)
	for i, f := range n.hp.Features {
		if f != depth {
			continue
		}
		for r := range len(x) / hidden {
			copy(j.features.Float32()[r*width+i*hidden:], x[r*hidden:(r+1)*hidden])
		}
	}
}

// project appends the batch's image tokens to the result, a row a patch.
func (j *nativeJob) project(tiles int) error {
	n := j.tower
	from := j.features
	if n.readsLastState() {
		from = j.state.Buffer()
	}
	tokens, patches := n.plan.Config().Tokens, n.hp.patches()
	rows, err := n.plan.RunMLP(n.project, from, tiles, nn.Rows{Stride: tokens, Skip: tokens - patches, Count: patches})
	if err != nil {
		return err
	}
	defer rows.Close()
	j.out = append(j.out, rows.Float32()[:tiles*patches*n.info.Width]...)
	return nil
}

// Rows implements [Job].
func (j *nativeJob) Rows() ([]float32, error) {
	if j.closed {
		return nil, errJobClosed
	}
	if done, total := j.Progress(); done < total {
		return nil, errUnfinished
	}
	return j.tower.assemble(j.in, j.out)
}

// Close implements [Job].
func (j *nativeJob) Close() error {
	j.closed = true
	if j.state != nil {
		j.state.Close()
	}
	j.features.Close()
	j.in, j.out = nil, nil
	return nil
}
