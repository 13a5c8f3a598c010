package vision

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/eyelet-engine/eyelet/kernels/imaging"
	"github.com/eyelet-engine/eyelet/kernels/ref"
	"github.com/eyelet-engine/eyelet/models/llava"
)

type (
	matrix = ref.Matrix[float32]
	linear struct {
		weight matrix    // out x in
		bias   []float32 // out
	}
	norm struct{ gain, bias []float32 }
)

// CLIP is a CLIP vision transformer (Radford et al. 2021) with LLaVA's projector
// (Liu et al. 2023), in float32. It computes what Hugging Face's CLIPVisionModel
// and LlavaMultiModalProjector compute.
type CLIP struct {
	info   Info
	layout llava.Layout
	order  Layout

	mean, std [3]float32
	heads     int
	eps       float64
	act       ref.Activation[float32] // of the blocks
	// features are the depths, in blocks, whose hidden states go to the projector,
	// side by side; one in LLaVA.
	features []int

	patch      linear    // hidden x 3·p²; no bias in CLIP proper
	class      []float32 // hidden
	positions  matrix    // (1 + patches) x hidden
	pre        norm
	blocks     []block
	projection []linear // one, or two with a GELU between them

	mu   sync.Mutex // guards work, and the weights against Close
	work *work      // nil once closed
}

// block is one transformer block, normalised before attention and before the
// feed-forward network.
type block struct {
	ln1, ln2   norm
	q, k, v, o linear // hidden x hidden
	up, down   linear // ff x hidden, hidden x ff
}

// work holds the buffers of a forward pass, n = 1 + patches rows each.
type work struct {
	patches                 matrix // patches x 3·p²
	x, normed, q, k, v, att matrix // n x hidden
	scores                  matrix // n x n
	ff                      matrix // n x ff
	features                matrix // n x hidden·len(features)
	projected               matrix // patches x projector's inner width
}

// Info implements [Encoder].
func (c *CLIP) Info() Info { return c.info }

// Preprocess implements [Encoder] with LLaVA 1.5's layout: see package llava.
func (c *CLIP) Preprocess(ctx context.Context, img *imaging.RGB) (*Input, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	tiles, err := c.layout.Tiles(img)
	if err != nil {
		return nil, err
	}
	return &Input{Tokens: len(tiles) * c.info.TileTokens, Tiles: tiles}, nil
}

// errClosed is what Encode returns after Close.
var errClosed = errors.New("vision: the tower is closed")

// Encode implements [Encoder].
func (c *CLIP) Encode(ctx context.Context, in *Input) ([]float32, error) {
	for i, tile := range in.Tiles {
		if err := tile.Check(); err != nil {
			return nil, fmt.Errorf("vision: tile %d: %w", i, err)
		}
		if s := c.info.ImageSize; tile.W != s || tile.H != s {
			return nil, fmt.Errorf("vision: tile %d has %d x %d pixels; the tower takes %d x %d", i, tile.W, tile.H, s, s)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.work == nil {
		return nil, errClosed
	}
	tileRows, width := c.info.TileTokens, c.info.Width
	out := ref.NewMatrix[float32](len(in.Tiles)*tileRows, width)
	for i, tile := range in.Tiles {
		if err := c.forward(ctx, out.RowRange(i*tileRows, (i+1)*tileRows), tile); err != nil {
			return nil, err
		}
	}
	return out.Data, nil
}

// Close implements [Encoder].
func (c *CLIP) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.work, c.blocks, c.projection = nil, nil, nil
	c.patch, c.class, c.positions = linear{}, nil, matrix{}
	return nil
}

// forward computes the image tokens of one tile, a row a patch.
func (c *CLIP) forward(ctx context.Context, dst matrix, tile *imaging.RGB) error {
	w := c.work
	n := w.x.Rows
	patches := n - 1

	// Patch embedding: a convolution whose stride is its kernel's size.
	classRow, firstPatch := 0, 1
	if c.order == LibmtmdFault {
		classRow, firstPatch = patches, 0
	}
	ref.Patchify(w.patches, tile, c.info.PatchSize, c.mean, c.std)
	c.patch.apply(w.x.RowRange(firstPatch, firstPatch+patches), w.patches)
	copy(w.x.Row(classRow), c.class)
	ref.Add(w.x, c.positions)
	c.pre.apply(w.x, w.x, c.eps)

	for depth := 0; ; depth++ {
		c.collect(depth)
		if depth == c.info.Blocks {
			break
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		c.block(&c.blocks[depth])
	}

	// The projector, over all rows but row 0: as trained, that is the class token's.
	features := w.features.RowRange(1, n)
	if len(c.projection) == 1 {
		c.projection[0].apply(dst, features)
		return nil
	}
	c.projection[0].apply(w.projected, features)
	ref.GELU(w.projected)
	c.projection[1].apply(dst, w.projected)
	return nil
}

// block runs one transformer block over work.x in place:
//
//	x += o(attention(q(ln1 x), k(ln1 x), v(ln1 x)))
//	x += down(act(up(ln2 x)))
func (c *CLIP) block(b *block) {
	w := c.work
	b.ln1.apply(w.normed, w.x, c.eps)
	b.q.apply(w.q, w.normed)
	b.k.apply(w.k, w.normed)
	b.v.apply(w.v, w.normed)
	ref.Attention(w.att, w.q, w.k, w.v, c.heads, w.scores)
	b.o.apply(w.normed, w.att)
	ref.Add(w.x, w.normed)

	b.ln2.apply(w.normed, w.x, c.eps)
	b.up.apply(w.ff, w.normed)
	c.act(w.ff)
	b.down.apply(w.normed, w.ff)
	ref.Add(w.x, w.normed)
}

// collect copies the hidden state into the places of work.features that want it
// from this depth.
func (c *CLIP) collect(depth int) {
	w := c.work
	for i, f := range c.features {
		if f != depth {
			continue
		}
		at := i * w.x.Cols
		for r := range w.x.Rows {
			copy(w.features.Row(r)[at:], w.x.Row(r))
		}
	}
}

func (l linear) apply(dst, x matrix) { ref.Linear(dst, x, l.weight, l.bias) }

func (n norm) apply(dst, x matrix, eps float64) { ref.LayerNorm(dst, x, n.gain, n.bias, eps) }

// newWork allocates the buffers for c's shapes.
func (c *CLIP) newWork() *work {
	n, patches, hidden := c.positions.Rows, c.positions.Rows-1, c.info.Hidden
	w := &work{
		patches:  ref.NewMatrix[float32](patches, c.patch.weight.Cols),
		scores:   ref.NewMatrix[float32](n, n),
		features: ref.NewMatrix[float32](n, hidden*len(c.features)),
	}
	for _, m := range []*matrix{&w.x, &w.normed, &w.q, &w.k, &w.v, &w.att} {
		*m = ref.NewMatrix[float32](n, hidden)
	}
	if len(c.blocks) > 0 {
		w.ff = ref.NewMatrix[float32](n, c.blocks[0].up.weight.Rows)
	}
	if len(c.projection) == 2 {
		w.projected = ref.NewMatrix[float32](patches, c.projection[0].weight.Rows)
	}
	return w
}
