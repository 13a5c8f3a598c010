package vision

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"slices"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
	"github.com/eyelet-engine/eyelet/cgo/ggml/graph"
	"github.com/eyelet-engine/eyelet/kernels/ref"
)

func defaultThreads() int { return runtime.GOMAXPROCS(0) }

// rowsOfGraph is about how many rows keep a device busy: so many tiles are computed together.
const rowsOfGraph = 4096

// stepsOfGraph is the most steps that are computed in one graph, between which nothing can be
// stopped.
const stepsOfGraph = 4

// graphJob is the encoding of a part of an Input. Its tiles go through the tower in batches, one
// after the other. A step is the embedding of a batch, one of its blocks, or its projectors; what
// Advance is asked for at a time becomes graphs of some steps each.
type graphJob struct {
	tower   *Graph
	in      *Input
	batches []graphBatch
	at      int // batch in hand
	step    int // steps of it that are done
	done    int // steps of all batches
	out     []float32
	closed  bool

	store *graph.Store // of the batch in hand, nil before its first step
	pixels, classes, positions,
	cosines, sines, state *graph.Tensor
	kept [][]*graph.Tensor // states that chains read beside others
	made []*graph.Tensor   // rows that chains have made
}

// graphBatch is some tiles of one size.
type graphBatch struct {
	first, tiles int
	shape        *shape
	groups       []group
}

// Begin implements [Encoder].
func (t *Graph) Begin(in *Input, part int) (Job, error) {
	if err := t.check(in, part); err != nil {
		return nil, err
	}
	in = t.part(in, part)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return nil, errClosed
	}
	j := &graphJob{tower: t, in: in}
	for first := 0; first < len(in.Tiles); {
		tile := in.Tiles[first]
		b := graphBatch{first: first, shape: t.d.newShape(tile.W, tile.H)}
		limit := max(1, rowsOfGraph/b.shape.length())
		if b.shape.windows != nil {
			limit = 1
			b.groups = b.shape.groupWindows(t.d)
		}
		for b.tiles < limit && first+b.tiles < len(in.Tiles) &&
			in.Tiles[first+b.tiles].W == tile.W && in.Tiles[first+b.tiles].H == tile.H {
			b.tiles++
		}
		j.batches = append(j.batches, b)
		first += b.tiles
	}
	t.jobs[j] = true
	return j, nil
}

// groupWindows puts windows of the same number of rows next to each other, so that each size is
// computed at once, and returns the groups. There are at most four sizes: those at the right and
// lower edges are smaller.
func (s *shape) groupWindows(d *description) (groups []group) {
	var order []int32
	var places, windows []int
	square := d.Merge * d.Merge
	for len(windows) < len(s.windows) {
		size := 0 // the next that is not among the groups
		for _, n := range s.windows {
			if !slices.ContainsFunc(groups, func(g group) bool { return g.n == n }) {
				size = n
				break
			}
		}
		g, at := group{first: len(order), n: size}, 0
		for _, n := range s.windows {
			if n == size {
				order = append(order, s.order[at:at+n]...)
				places = append(places, s.places[at/square:(at+n)/square]...)
				windows = append(windows, n)
				g.count++
			}
			at += n
		}
		groups = append(groups, g)
	}
	s.order, s.places, s.windows = order, places, windows
	return groups
}

// steps are the embedding, the blocks and the projectors of a batch.
func (j *graphJob) steps() int { return 2 + j.tower.info.Blocks }

// Progress implements [Job].
func (j *graphJob) Progress() (done, total int) { return j.done, len(j.batches) * j.steps() }

// Stage implements [Staged].
func (j *graphJob) Stage() Stage {
	switch {
	case j.at == len(j.batches) || j.step == j.steps()-1:
		return Projecting
	case j.step == 0:
		return Embedding
	}
	return InBlocks
}

// Advance implements [Job].
func (j *graphJob) Advance(ctx context.Context, steps int) error {
	if j.closed {
		return errJobClosed
	}
	t := j.tower
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return errClosed
	}
	_, total := j.Progress()
	for end := j.done + min(max(steps, 0), total-j.done); j.done < end; {
		if err := ctx.Err(); err != nil {
			return err
		}
		n := min(stepsOfGraph, end-j.done, j.steps()-j.step)
		if err := j.run(n); err != nil {
			return wrap(err)
		}
		j.done, j.step = j.done+n, j.step+n
		if j.step == j.steps() {
			j.at, j.step = j.at+1, 0
		}
	}
	return nil
}

// open moves what the batch in hand is made of to the device.
func (j *graphJob) open(b *graphBatch) error {
	t, d, s := j.tower, j.tower.d, b.shape
	tensors := 8 + len(t.chains)
	for _, c := range d.Chains {
		tensors += len(c.Reads)
	}
	store := t.backend.NewStore(tensors, true)
	j.store = store
	fill := &packer{tower: t, store: store}
	patches, side := s.cols*s.rows, d.PatchSize
	j.pixels = fill.floats(d.patchRows(s, j.in, b.first, b.tiles), 3*side*side, patches*b.tiles)
	j.classes = fill.floats(slices.Repeat(t.class, b.tiles), d.Hidden, 1, b.tiles)
	j.positions = fill.floats(s.positions(d, t.table), d.Hidden, s.length())
	j.cosines, j.sines = nil, nil
	if d.Rotary.Theta > 0 {
		cosines, sines := rotaryFactors(s.angles(d), d.Hidden/d.Heads)
		j.cosines = fill.floats(cosines, d.Hidden/d.Heads, 1, s.length())
		j.sines = fill.floats(sines, d.Hidden/d.Heads, 1, s.length())
	}
	j.state = store.Tensor(ggml.F32, d.Hidden, s.length()*b.tiles)
	j.kept, j.made = make([][]*graph.Tensor, len(t.chains)), make([]*graph.Tensor, len(t.chains))
	for i, c := range d.Chains {
		for range c.Reads {
			if len(c.Reads) > 1 {
				j.kept[i] = append(j.kept[i], store.Tensor(ggml.F32, d.Hidden,
					s.length()*b.tiles))
			}
		}
		j.made[i] = store.Tensor(ggml.F32, t.chains[i].out, patches/(d.Merge*d.Merge)*b.tiles)
	}
	return fill.finish()
}

// patchRows are the pixels of tiles as rows of a patch each, in the order of the tower's rows.
func (d *description) patchRows(s *shape, in *Input, first, tiles int) []float32 {
	width := 3 * d.PatchSize * d.PatchSize
	rows := ref.NewMatrix[float32](s.cols*s.rows, width)
	all := make([]float32, 0, tiles*len(rows.Data))
	for _, tile := range in.Tiles[first : first+tiles] {
		ref.Patchify(rows, tile, d.PatchSize, d.Mean, d.Std)
		if s.order == nil {
			all = append(all, rows.Data...)
			continue
		}
		for _, at := range s.order {
			all = append(all, rows.Row(int(at))...)
		}
	}
	return all
}

// rotaryFactors are what a head's numbers and those half a head apart are multiplied with, of
// angles of half as many: x cos a - y sin a, and y cos a + x sin a.
func rotaryFactors(angles []float64, width int) (cosines, sines []float32) {
	half := width / 2
	cosines, sines = make([]float32, 2*len(angles)), make([]float32, 2*len(angles))
	for i, a := range angles {
		at := i/half*width + i%half
		sin, cos := math.Sincos(a)
		cosines[at], cosines[at+half] = float32(cos), float32(cos)
		sines[at], sines[at+half] = float32(-sin), float32(sin)
	}
	return cosines, sines
}

// run computes the next n steps of the batch in hand.
func (j *graphJob) run(n int) error {
	t, d, batch := j.tower, j.tower.d, &j.batches[j.at]
	if j.step == 0 {
		j.store.Close()
		if err := j.open(batch); err != nil {
			j.store.Close()
			return err
		}
	}
	b := &graphBuilder{Graph: t.backend.NewGraph(), tower: t, shape: batch.shape,
		tiles: batch.tiles, groups: batch.groups, cosines: j.cosines, sines: j.sines}
	defer b.Close()
	kept := slices.Clone(j.kept) // with the states of this graph instead of those that were stored
	for i := range kept {
		kept[i] = slices.Clone(kept[i])
	}
	x, last := j.state, j.step+n == j.steps()
	for step := j.step; step < min(j.step+n, j.steps()-1); step++ {
		if step == 0 {
			x = b.embed(j.pixels, j.classes, j.positions)
		} else {
			x = b.block(&t.blocks[step-1], x, batch.groups != nil && !d.Full[step-1])
		}
		if t.post != nil && step == t.info.Blocks {
			x = b.norm(t.post, x)
		}
		for i, c := range d.Chains {
			for k, at := range c.Reads {
				switch {
				case at != step:
				case len(c.Reads) > 1:
					if kept[i][k] = x; !last {
						b.Copy(x, j.kept[i][k])
					}
				case step < t.info.Blocks:
					b.Copy(b.project(i, []*graph.Tensor{x}), j.made[i])
				}
			}
		}
	}
	if !last {
		b.Copy(x, j.state)
		return b.Compute()
	}
	for i, c := range d.Chains {
		switch {
		case len(c.Reads) > 1:
			b.Copy(b.project(i, kept[i]), j.made[i])
		case c.Reads[0] == t.info.Blocks:
			b.Copy(b.project(i, []*graph.Tensor{x}), j.made[i])
		}
	}
	if err := b.Compute(); err != nil {
		return err
	}
	return j.collect(batch)
}

// collect appends the batch's image tokens to the result.
func (j *graphJob) collect(b *graphBatch) error {
	t, width := j.tower, j.tower.info.Width
	tokens := b.shape.cols / t.d.Merge * (b.shape.rows / t.d.Merge)
	rows, column := make([]float32, b.tiles*tokens*width), 0
	for i := range t.chains {
		made, err := j.made[i].Floats()
		if err != nil {
			return err
		}
		out := t.chains[i].out
		for r := range b.tiles * tokens {
			copy(rows[r*width+column:], made[r*out:(r+1)*out])
		}
		column += out
	}
	for tile := range b.tiles {
		j.out = append(j.out, b.shape.tokens(t.d, rows[tile*tokens*width:][:tokens*width],
			t.rowEnd, width)...)
	}
	j.store.Close()
	j.store = nil
	return nil
}

// Rows implements [Job].
func (j *graphJob) Rows() ([]float32, error) {
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
func (j *graphJob) Close() error {
	j.tower.mu.Lock()
	defer j.tower.mu.Unlock()
	if !j.closed {
		j.closed = true
		delete(j.tower.jobs, j)
		j.store.Close()
		j.store, j.in, j.out = nil, nil, nil
	}
	return nil
}
