package vision

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/eyelet-engine/eyelet/cgo/onednn"
	"github.com/eyelet-engine/eyelet/kernels/nn"
)

// nativeJob is the encoding of a part of an Input. Its tiles go through the tower in batches, one
// after the other.
type nativeJob struct {
	tower    *Native
	in       *Input
	batches  []*batch
	state    *nn.State        // of the batch in hand
	features []*onednn.Buffer // what the chains read that read more than one state, else nil
	rows     []float32        // that chains have made of the batch, in the order of the tower
	out      []float32        // of all tiles, in the order of the pictures
	at       int              // batch in hand
	step     int              // steps of it that are done
	done     int              // steps of all batches
	closed   bool
}

// batch is some tiles of the same size, as many as keep all threads busy, and no more, so that
// steps stay short and memory small.
type batch struct {
	first, tiles  int
	shape         *prepared
	own           bool          // the shape is the batch's to close
	full, windows *nn.Attention // windows is nil where all blocks attend to whole pictures
	steps         []step
}

// step is the embedding of a batch, or one of several parts of a block's or a chain's work.
type step struct {
	stage       Stage
	index       int // of the block or chain
	part, parts int
}

// rowsOfThread is how many rows a thread needs to be well used.
const rowsOfThread = 256

// workOfStep is about the most floating-point operations of a step, so that a scheduler can do
// other things in between: two blocks of LLaVA's tower over a tile.
const workOfStep = 3e10

// maxTiles bounds the tiles of a batch.
const maxTiles = 64

// Begin implements [Encoder].
func (n *Native) Begin(in *Input, part int) (_ Job, err error) {
	if err := n.check(in, part); err != nil {
		return nil, err
	}
	in = n.part(in, part)
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return nil, errClosed
	}
	j := &nativeJob{tower: n, in: in, features: make([]*onednn.Buffer, len(n.chains))}
	defer func() {
		if err != nil {
			j.free()
		}
	}()
	tokens := 0
	for first := 0; first < len(in.Tiles); {
		b, err := n.newBatch(in, first)
		if b != nil {
			j.batches = append(j.batches, b)
		}
		if err != nil {
			return nil, wrap(err)
		}
		first += b.tiles
		b.steps = n.stepsOf(b)
		tokens += b.tiles * n.d.tokensOf(b.shape.width, b.shape.height)
	}
	j.out = make([]float32, 0, tokens*n.info.Width)
	return j, j.open()
}

// newBatch plans a batch of the tiles from the first on. What it returns beside an error is to be
// closed.
func (n *Native) newBatch(in *Input, first int) (b *batch, err error) {
	tile := in.Tiles[first]
	b = &batch{first: first, shape: n.tile}
	if b.shape == nil {
		if b.shape, err = n.prepare(tile.W, tile.H); err != nil {
			return nil, err
		}
		b.own = true
	}
	rows := b.shape.length()
	limit := 1 // rotary positions are those of one picture
	if b.shape.rotary == nil {
		limit = cmp.Or(n.batchLimit, min((n.plan.Config().Threads*rowsOfThread+rows-1)/rows,
			maxTiles))
	}
	for b.tiles < limit && first+b.tiles < len(in.Tiles) && in.Tiles[first+b.tiles].W == tile.W &&
		in.Tiles[first+b.tiles].H == tile.H {
		b.tiles++
	}
	if b.full, err = n.plan.NewAttention(slices.Repeat([]int{rows}, b.tiles)); err != nil {
		return b, err
	}
	if b.shape.windows != nil {
		if b.windows, err = n.plan.NewAttention(b.shape.windows); err != nil {
			return b, err
		}
	}
	return b, nil
}

// attention is that of a block.
func (n *Native) attention(b *batch, block int) *nn.Attention {
	if b.windows != nil && !n.d.Full[block] {
		return b.windows
	}
	return b.full
}

// tokens is the number of tokens of a tile.
func (b *batch) tokens(n *Native) int {
	return b.shape.cols / n.d.Merge * (b.shape.rows / n.d.Merge)
}

// stepsOf lists the work of a batch. A chain runs as soon as the last state that it reads is there,
// since the next block changes it.
func (n *Native) stepsOf(b *batch) []step {
	list := []step{{stage: Embedding, parts: 1}}
	add := func(stage Stage, index int, work float64) {
		parts := int(math.Ceil(work / cmp.Or(n.stepLimit, workOfStep)))
		for part := range parts {
			list = append(list, step{stage, index, part, parts})
		}
	}
	tokens := b.tokens(n)
	reached := func(depth int) {
		for i, c := range n.chains {
			if slices.Max(n.d.Chains[i].Reads) == depth {
				add(Projecting, i, 2*float64(b.tiles*tokens)*c.Weights())
			}
		}
	}
	reached(0)
	for block := range n.info.Blocks {
		add(InBlocks, block, n.plan.BlockWork(n.attention(b, block)))
		reached(block + 1)
	}
	return list
}

// open makes room for the batch in hand.
func (j *nativeJob) open() (err error) {
	n, b := j.tower, j.batches[j.at]
	rows := b.full.Rows()
	if j.state.Rows() != rows {
		j.state.Close()
		if j.state, err = n.plan.NewState(rows); err != nil {
			return wrap(err)
		}
	}
	for i, c := range n.d.Chains {
		if size := 4 * rows * n.d.Hidden * len(c.Reads); len(c.Reads) > 1 &&
			j.features[i].Len() != size {
			j.features[i].Close()
			if j.features[i], err = onednn.Alloc(size); err != nil {
				return wrap(err)
			}
		}
	}
	j.rows = make([]float32, b.tiles*b.tokens(n)*n.info.Width)
	return nil
}

// Progress implements [Job].
func (j *nativeJob) Progress() (done, total int) {
	for _, b := range j.batches {
		total += len(b.steps)
	}
	return j.done, total
}

// Stage implements [Staged].
func (j *nativeJob) Stage() Stage {
	if j.at == len(j.batches) {
		return Projecting
	}
	return j.batches[j.at].steps[j.step].stage
}

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
		if err := j.run(); err != nil {
			return wrap(err)
		}
		if j.step++; j.step < len(j.batches[j.at].steps) {
			continue
		}
		j.finish()
		j.at, j.step = j.at+1, 0
		if j.at < len(j.batches) {
			if err := j.open(); err != nil {
				j.done++
				return err
			}
		}
	}
	return nil
}

// run does the next step of the batch in hand.
func (j *nativeJob) run() error {
	n, b := j.tower, j.batches[j.at]
	s := b.steps[j.step]
	switch s.stage {
	case Embedding:
		return j.embed()
	case Projecting:
		return j.project(s)
	}
	if err := n.plan.RunBlockPart(n.blocks[s.index], j.state, n.attention(b, s.index),
		b.shape.rotary, s.part, s.parts); err != nil {
		return err
	}
	if s.part < s.parts-1 {
		return nil
	}
	return j.reached(s.index + 1)
}

// embed makes the states before the first block.
func (j *nativeJob) embed() error {
	n, b := j.tower, j.batches[j.at]
	if err := n.patches.Run(b.shape.grid, j.in.Tiles[b.first:b.first+b.tiles],
		j.state.Buffer()); err != nil {
		return err
	}
	for _, norm := range []*nn.Norm{n.first, n.pre} {
		if norm == nil {
			continue
		}
		if err := n.plan.RunNorm(norm, j.state); err != nil {
			return err
		}
		if norm == n.first {
			for i, x := 0, j.state.X(); i < len(x); i += len(b.shape.later) {
				for k, v := range b.shape.later {
					x[i+k] += v
				}
			}
		}
	}
	return j.reached(0)
}

// reached does what follows a state after so many blocks: the last norm, and keeping it for chains
// that read several.
func (j *nativeJob) reached(depth int) error {
	n := j.tower
	if n.post != nil && depth == n.info.Blocks {
		if err := n.plan.RunNorm(n.post, j.state); err != nil {
			return err
		}
	}
	for i, c := range n.d.Chains {
		if len(c.Reads) > 1 {
			j.collect(i, depth)
		}
	}
	return nil
}

// collect copies the state into the columns of a chain's features that want it from this depth.
func (j *nativeJob) collect(chain, depth int) {
	x, hidden, reads := j.state.X(), j.tower.d.Hidden, j.tower.d.Chains[chain].Reads
	width := hidden * len(reads)
	for i, at := range reads {
		if at != depth {
			continue
		}
		to := j.features[chain].Float32()
		for r := range len(x) / hidden {
			copy(to[r*width+i*hidden:], x[r*hidden:(r+1)*hidden])
		}
	}
}

// project runs a chain over a part of the tokens of each tile.
func (j *nativeJob) project(s step) error {
	n, b, d := j.tower, j.batches[j.at], &j.tower.d.Chains[s.index]
	from, width := j.state.Buffer(), n.d.Hidden*len(d.Reads)
	if j.features[s.index] != nil {
		from = j.features[s.index]
	}
	tokens := b.tokens(n)
	first, end := tokens*s.part/s.parts, tokens*(s.part+1)/s.parts
	if first == end {
		return nil
	}
	rows := nn.Rows{Stride: b.shape.length(), Skip: b.shape.classes + first*n.d.Merge*n.d.Merge,
		Count: end - first, Width: width}
	if n.d.Pooled {
		rows.Pool = n.d.Merge * n.d.Merge
	}
	made, err := n.plan.RunMLP(n.chains[s.index], from, b.tiles, rows)
	if err != nil {
		return err
	}
	defer made.Close()
	column := 0
	for _, c := range n.chains[:s.index] {
		column += c.Out()
	}
	out := n.chains[s.index].Out()
	for tile := range b.tiles {
		for r := first; r < end; r++ {
			at := tile*(end-first) + r - first
			copy(j.rows[(tile*tokens+r)*n.info.Width+column:][:out], made.Float32()[at*out:])
		}
	}
	return nil
}

// finish appends the image tokens of the batch in hand, whose steps are done, to the result.
func (j *nativeJob) finish() {
	n, b := j.tower, j.batches[j.at]
	size := b.tokens(n) * n.info.Width
	for tile := range b.tiles {
		j.out = append(j.out, b.shape.tokens(n.d, j.rows[tile*size:][:size], n.rowEnd,
			n.info.Width)...)
	}
}

// Rows implements [Job].
func (j *nativeJob) Rows() ([]float32, error) {
	if j.closed {
		return nil, errJobClosed
	}
	if done, total := j.Progress(); done < total {
		return nil, errUnfinished
	}
	if n := len(j.out) / j.tower.info.Width; j.in.plan.Tiles == 0 && n != j.in.Tokens {
		return nil, fmt.Errorf("vision: the tiles make %d tokens; the input says %d", n,
			j.in.Tokens)
	}
	return j.tower.assemble(j.in, j.out)
}

// Close implements [Job].
func (j *nativeJob) Close() error {
	j.closed = true
	j.free()
	j.in, j.rows, j.out = nil, nil, nil
	return nil
}

// free frees what the kernels hold for the job.
func (j *nativeJob) free() {
	j.state.Close()
	for i, b := range j.features {
		b.Close()
		j.features[i] = nil
	}
	for _, b := range j.batches {
		b.full.Close()
		b.windows.Close()
		if b.own {
			b.shape.close()
		}
	}
}
