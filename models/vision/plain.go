package vision

import (
	"context"
	"fmt"
	"sync"

	"github.com/eyelet-engine/eyelet/kernels/ref"
	"github.com/eyelet-engine/eyelet/models/gguf"
)

// Plain is a vision transformer with LLaVA's projector (Liu et al. 2023) in float32,
// over kernels/ref: CLIP's (Radford et al. 2021), or SigLIP's (Zhai et al. 2023). It
// computes what Hugging Face's CLIPVisionModel or SiglipVisionModel and
// LlavaMultiModalProjector compute, and is written to be read and trusted: faster
// implementations are compared with it.
type Plain struct {
	front
	act       ref.Activation[float32] // of the blocks
	embedding embedding
	blocks    []block
	head      head

	mu      sync.Mutex // guards scratch, and the weights against Close
	scratch *scratch   // nil once closed
}

// scratch holds the buffers of one tile's step, n rows each, which jobs use in turn.
type scratch struct {
	patches              matrix // patches x 3·p²
	normed, q, k, v, att matrix // n x hidden
	scores               matrix // n x n
	ff                   matrix // n x ff
	projected            matrix // patches x projector's inner width
}

// activations are the activations of a block by their names in hyperparameters.
var activations = map[string]ref.Activation[float32]{
	"gelu": ref.GELU[float32], "gelu_tanh": ref.GELUTanh[float32],
	"quick_gelu": ref.QuickGELU[float32], "silu": ref.SiLU[float32],
}

// OpenPlain loads the tower in an mmproj file; see [LoadPlain].
func OpenPlain(path string, opt Options) (*Plain, error) {
	f, err := gguf.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	p, err := LoadPlain(f, opt)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return p, nil
}

// LoadPlain loads a CLIP or SigLIP tower and its projector, linear or MLP, with the
// metadata keys and tensor names of llama.cpp's converters (tools/mtmd/clip-impl.h).
// Every tensor's shape is checked, and that its numbers are finite; errors name the
// key or the tensor. Other towers and projectors give [ErrUnknownTower]. The weights
// are copied: the file may be closed afterwards.
func LoadPlain(f *gguf.File, opt Options) (*Plain, error) {
	d, err := readTower(f, opt)
	if err != nil {
		return nil, err
	}
	if d.Family != "clip" && d.Family != "siglip" || d.Merge > 1 {
		return nil, fmt.Errorf("vision: %w (the plain encoder has LLaVA's alone)", ErrUnknownTower)
	}
	p := &Plain{act: activations[d.Activation]}
	if p.front, err = newFront(f, d, "plain", "f32"); err != nil {
		return nil, err
	}
	// "1" stands for the arithmetic of this file: a change that alters the embeddings
	// counts it up.
	l := newLoader(f, opt, "plain f32 1")
	if err := l.walk(d, plainSink{p}); err != nil {
		return nil, err
	}
	p.info.Identity = l.identity()
	if err := p.setHead(&p.head); err != nil {
		return nil, err
	}
	p.scratch = p.newScratch()
	return p, nil
}

// plainSink keeps the pieces of a tower as they come.
type plainSink struct{ tower *Plain }

func (s plainSink) embedding(e *embedding) error { s.tower.embedding = *e; return nil }
func (s plainSink) block(_ int, b *block) error {
	s.tower.blocks = append(s.tower.blocks, *b)
	return nil
}
func (s plainSink) head(h *head) error { s.tower.head = *h; return nil }

// newScratch allocates the buffers for p's shapes.
func (p *Plain) newScratch() *scratch {
	n, patches, hidden := p.embedding.positions.Rows, p.d.patches(), p.d.Hidden
	s := &scratch{
		patches: ref.NewMatrix[float32](patches, p.embedding.patch.weight.Cols),
		scores:  ref.NewMatrix[float32](n, n),
		ff:      ref.NewMatrix[float32](n, p.d.FF),
	}
	for _, m := range []*matrix{&s.normed, &s.q, &s.k, &s.v, &s.att} {
		*m = ref.NewMatrix[float32](n, hidden)
	}
	if len(p.head.chains[0].layers) == 2 {
		s.projected = ref.NewMatrix[float32](patches, p.head.chains[0].layers[0].weight.Rows)
	}
	return s
}

// Close implements [Encoder].
func (p *Plain) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.scratch, p.blocks, p.head, p.embedding = nil, nil, head{}, embedding{}
	return nil
}

// plainJob is the encoding of one Input: a step for the embedding, one for each
// block, and one for the projector, each over all tiles.
type plainJob struct {
	tower    *Plain
	in       *Input
	x        matrix // tiles·n x hidden, the hidden states
	features matrix // tiles·n x hidden·len(features), what the projector reads
	out      matrix // tokens x width
	step     int    // steps done
	tile     int    // tiles done of the next step
	closed   bool
}

// Begin implements [Encoder].
func (p *Plain) Begin(in *Input, part int) (Job, error) {
	if err := p.check(in, part); err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.scratch == nil {
		return nil, errClosed
	}
	rows := len(in.Tiles) * p.embedding.positions.Rows
	return &plainJob{
		tower: p, in: in,
		x:        ref.NewMatrix[float32](rows, p.d.Hidden),
		features: ref.NewMatrix[float32](rows, p.d.Hidden*len(p.d.Chains[0].Reads)),
		out:      ref.NewMatrix[float32](len(in.Tiles)*p.info.TileTokens, p.info.Width),
	}, nil
}

// Progress implements [Job].
func (j *plainJob) Progress() (done, total int) { return j.step, j.tower.info.Blocks + 2 }

// Advance implements [Job].
func (j *plainJob) Advance(ctx context.Context, steps int) error {
	if j.closed {
		return errJobClosed
	}
	p := j.tower
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.scratch == nil {
		return errClosed
	}
	_, total := j.Progress()
	for end := j.step + min(max(steps, 0), total-j.step); j.step < end; {
		if err := ctx.Err(); err != nil {
			return err
		}
		j.run(j.tile)
		if j.tile++; j.tile == len(j.in.Tiles) {
			j.step, j.tile = j.step+1, 0
		}
	}
	return nil
}

// Stage implements [Staged].
func (j *plainJob) Stage() Stage {
	switch {
	case j.step == 0:
		return Embedding
	case j.step <= j.tower.info.Blocks:
		return InBlocks
	}
	return Projecting
}

// Rows implements [Job].
func (j *plainJob) Rows() ([]float32, error) {
	if j.closed {
		return nil, errJobClosed
	}
	if done, total := j.Progress(); done < total {
		return nil, errUnfinished
	}
	return j.tower.assemble(j.in, j.out.Data)
}

// Close implements [Job].
func (j *plainJob) Close() error {
	j.closed = true
	j.in, j.x, j.features, j.out = nil, matrix{}, matrix{}, matrix{}
	return nil
}

// run does the next step for one tile.
func (j *plainJob) run(tile int) {
	p := j.tower
	n, tokens := p.embedding.positions.Rows, p.info.TileTokens
	x, features := j.x.RowRange(tile*n, (tile+1)*n), j.features.RowRange(tile*n, (tile+1)*n)
	depth := j.step // blocks behind the state, once this step is done
	switch {
	case j.step == 0:
		p.embed(x, j.in, tile)
	case j.step <= p.info.Blocks:
		p.block(x, &p.blocks[j.step-1])
	default:
		p.project(j.out.RowRange(tile*tokens, (tile+1)*tokens), features)
		return
	}
	if post := p.head.post; post != nil && depth == p.info.Blocks {
		post.apply(x, x, p.d.Eps)
	}
	p.collect(features, x, depth)
}

// embed computes the hidden states that go into the first block: the patch
// embedding, a convolution whose stride is its kernel's size, with the class token
// before it if there is one, plus positions, normalised if the family does so.
func (p *Plain) embed(x matrix, in *Input, tile int) {
	e, s := &p.embedding, p.scratch
	patches := s.patches.Rows
	classRow, firstPatch := 0, x.Rows-patches
	if p.d.Layout == LibmtmdFault {
		classRow, firstPatch = patches, 0
	}
	ref.Patchify(s.patches, in.Tiles[tile], p.info.PatchSize, p.d.Mean, p.d.Std)
	e.patch.apply(x.RowRange(firstPatch, firstPatch+patches), s.patches)
	if e.class != nil {
		copy(x.Row(classRow), e.class)
	}
	ref.Add(x, e.positions)
	if e.pre != nil {
		e.pre.apply(x, x, p.d.Eps)
	}
}

// block runs one transformer block over x in place:
//
//	x += o(attention(q(ln1 x), k(ln1 x), v(ln1 x)))
//	x += down(act(up(ln2 x)))
func (p *Plain) block(x matrix, b *block) {
	s, eps := p.scratch, p.d.Eps
	b.ln1.apply(s.normed, x, eps)
	b.q.apply(s.q, s.normed)
	b.k.apply(s.k, s.normed)
	b.v.apply(s.v, s.normed)
	ref.Attention(s.att, s.q, s.k, s.v, p.d.Heads, s.scores)
	b.o.apply(s.normed, s.att)
	ref.Add(x, s.normed)

	b.ln2.apply(s.normed, x, eps)
	b.up.apply(s.ff, s.normed)
	p.act(s.ff)
	b.down.apply(s.normed, s.ff)
	ref.Add(x, s.normed)
}

// collect copies the hidden states into the columns of features that want them from
// this depth.
func (p *Plain) collect(features, x matrix, depth int) {
	for i, f := range p.d.Chains[0].Reads {
		if f != depth {
			continue
		}
		at := i * x.Cols
		for r := range x.Rows {
			copy(features.Row(r)[at:], x.Row(r))
		}
	}
}

// project computes the image tokens of one tile, a row a patch, from all rows but the
// class token's.
func (p *Plain) project(dst, features matrix) {
	layers := p.head.chains[0].layers
	features = features.RowRange(features.Rows-dst.Rows, features.Rows)
	if len(layers) == 1 {
		layers[0].apply(dst, features)
		return
	}
	inner := p.scratch.projected
	layers[0].apply(inner, features)
	ref.GELU(inner)
	layers[1].apply(dst, inner)
}

func (l linear) apply(dst, x matrix) { ref.Linear(dst, x, l.weight, l.bias) }

func (n norm) apply(dst, x matrix, eps float64) { ref.LayerNorm(dst, x, n.gain, n.bias, eps) }
