package nn

// #include "nn.h"
import "C"

import (
	"fmt"

	"github.com/eyelet-engine/eyelet/cgo/onednn"
)

// BlockWeights are the weights of one transformer block, normalised before attention and before the feed-forward network. They are
// read while a [Block] is made and not kept.
type BlockWeights struct {
	LN1, LN2   NormWeights
	Q, K, V, O LinearWeights // Hidden to Hidden
	Up, Down   LinearWeights // Hidden to FF and back
}

// Block is one transformer block with packed weights.
type Block struct {
	plan    *Plan
	c       C.nn_block
	linears []*linear
	norms   []*onednn.Buffer
}

// NewBlock packs a block's weights. It may be called from several goroutines, but not while the plan runs.
func (p *Plan) NewBlock(w BlockWeights) (_ *Block, err error) {
	b := &Block{plan: p}
	defer func() {
		if err != nil {
			b.Close()
		}
	}()
	d := p.config.Hidden
	qkv := LinearWeights{In: d, Out: 3 * d, Weight: make([]float32, 0, 3*d*d), Bias: make([]float32, 3*d)}
	for i, l := range []LinearWeights{w.Q, w.K, w.V} {
		if err := l.check(); err != nil {
			return nil, err
		}
		if l.In != d || l.Out != d {
			return nil, fmt.Errorf("nn: an attention layer from %d to %d in a width of %d", l.In, l.Out, d)
		}
		qkv.Weight = append(qkv.Weight, l.Weight...)
		copy(qkv.Bias[i*d:], l.Bias)
	}
	if w.O.In != d || w.O.Out != d || w.Up.In != d || w.Up.Out != p.config.FF || w.Down.In != p.config.FF || w.Down.Out != d {
		return nil, fmt.Errorf("nn: layers of %d to %d, %d to %d and %d to %d in a block of %d and %d",
			w.O.In, w.O.Out, w.Up.In, w.Up.Out, w.Down.In, w.Down.Out, d, p.config.FF)
	}
	for _, n := range []struct {
		w   NormWeights
		dst *C.nn_norm
	}{{w.LN1, &b.c.ln1}, {w.LN2, &b.c.ln2}} {
		buffer, err := newNorm(n.w, d, n.dst)
		if err != nil {
			return nil, err
		}
		b.norms = append(b.norms, buffer)
	}
	for _, l := range []struct {
		w   LinearWeights
		e   ending
		dst *C.nn_linear
	}{
		{qkv, ending{}, &b.c.qkv}, {w.O, ending{residual: true}, &b.c.out},
		{w.Up, ending{activation: p.config.Activation}, &b.c.up}, {w.Down, ending{residual: true}, &b.c.down},
	} {
		packed, err := p.newLinear(l.w, l.e)
		if err != nil {
			return nil, err
		}
		b.linears = append(b.linears, packed)
		*l.dst = packed.c
	}
	return b, p.reserve(C.nn_block_scratch(&p.team, &b.c))
}

// newNorm copies the weights of a layer norm to C's memory.
func newNorm(w NormWeights, n int, dst *C.nn_norm) (*onednn.Buffer, error) {
	if len(w.Gain) != n || len(w.Bias) != n {
		return nil, fmt.Errorf("nn: a norm of %d and %d weights in a width of %d", len(w.Gain), len(w.Bias), n)
	}
	b, err := onednn.Alloc(8 * n)
	if err != nil {
		return nil, err
	}
	copy(b.Float32(), w.Gain)
	copy(b.Float32()[n:], w.Bias)
	*dst = C.nn_norm{gain: floats(b), bias: (*C.float)(addressOf(b.Float32()[n:]))}
	return b, nil
}

// Bytes returns the size of the packed weights.
func (b *Block) Bytes() (n int) {
	for _, l := range b.linears {
		n += l.bytes()
	}
	return n
}

// Close frees the weights. Closing again does nothing.
func (b *Block) Close() {
	for _, l := range b.linears {
		l.close()
	}
	for _, n := range b.norms {
		n.Close()
	}
	b.linears, b.norms = nil, nil
}

// State is the activations of a batch of tiles.
type State struct {
	plan           *Plan
	c              C.nn_state
	x, qkv, mixed  *onednn.Buffer
	tokens, hidden int
}

// padded is the number of rows that whole blocks of rows take.
func (p *Plan) padded(rows int) int {
	block := int(p.team.block)
	return (rows + block - 1) / block * block
}

// MaxTiles bounds the tiles of a state.
const MaxTiles = 64

// NewState makes room for some tiles, zeroed.
func (p *Plan) NewState(tiles int) (_ *State, err error) {
	if tiles < 1 || tiles > MaxTiles {
		return nil, fmt.Errorf("nn: a state of %d tiles", tiles)
	}
	rows, d := tiles*p.config.Tokens, p.config.Hidden
	s := &State{plan: p, tokens: p.config.Tokens, hidden: d}
	defer func() {
		if err != nil {
			s.Close()
		}
	}()
	n := p.padded(rows)
	if s.x, err = onednn.Alloc(4 * n * d); err != nil {
		return nil, err
	}
	if s.qkv, err = onednn.Alloc(p.store.Size() * n * 3 * d); err != nil {
		return nil, err
	}
	if s.mixed, err = onednn.Alloc(p.store.Size() * n * d); err != nil {
		return nil, err
	}
	s.c = C.nn_state{tiles: C.int(tiles), rows: C.int(rows), x: floats(s.x), qkv: s.qkv.Pointer(), mixed: s.mixed.Pointer()}
	return s, nil
}

// X returns the residual stream: a row of Hidden numbers for each token of each tile, in Go's order of a slice over C's memory, valid until
// Close.
func (s *State) X() []float32 { return s.x.Float32()[:int(s.c.rows)*s.hidden] }

// Tiles returns the number of tiles.
func (s *State) Tiles() int { return int(s.c.tiles) }

// Bytes returns the size of the state's memory.
func (s *State) Bytes() int { return s.x.Len() + s.qkv.Len() + s.mixed.Len() }

// Close frees the state. Closing again does nothing.
func (s *State) Close() {
	if s == nil {
		return
	}
	s.x.Close()
	s.qkv.Close()
	s.mixed.Close()
	s.c.rows = 0
}

// RunBlock takes the residual stream through a block, in place:
//
//	x += o(attention(q(ln1 x), k(ln1 x), v(ln1 x)))
//	x += down(act(up(ln2 x)))
func (p *Plan) RunBlock(b *Block, s *State) error {
	if b.plan != p || s.plan != p || b.linears == nil || s.c.rows == 0 {
		return errClosed
	}
	return p.run("a block", func() C.int {
		return C.nn_run_block(&p.team, &p.attention, &b.c, C.float(p.config.Eps), &s.c)
	})
}

// RunNorm normalises the rows of the residual stream in place.
func (p *Plan) RunNorm(n *Norm, s *State) error {
	if n.buffer.Len() == 0 || s.plan != p || s.c.rows == 0 {
		return errClosed
	}
	return p.run("a norm", func() C.int {
		return C.nn_run_norm(&p.team, &n.c, C.float(p.config.Eps), s.c.x, s.c.rows, C.int(s.hidden))
	})
}

// Norm is a layer norm over the residual stream.
type Norm struct {
	c      C.nn_norm
	buffer *onednn.Buffer
}

// NewNorm copies the weights of a layer norm.
func (p *Plan) NewNorm(w NormWeights) (*Norm, error) {
	n := &Norm{}
	var err error
	n.buffer, err = newNorm(w, p.config.Hidden, &n.c)
	if err == nil {
		err = p.reserve(C.size_t(4 * p.config.Hidden))
	}
	return n, err
}

// Close frees the weights. Closing again does nothing.
func (n *Norm) Close() {
	if n != nil {
		n.buffer.Close()
	}
}
