package nn

// #include "nn.h"
import "C"

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/eyelet-engine/eyelet/cgo/onednn"
)

// BlockWeights are the weights of one transformer block, normalised before attention and before the
// feed-forward network. They are read while a [Block] is made and not kept.
type BlockWeights struct {
	LN1, LN2   NormWeights
	Q, K, V, O LinearWeights // Hidden to Hidden
	Up, Down   LinearWeights // Hidden to FF and back
	Gate       LinearWeights // Hidden to FF, where the network is gated
	// norms that most towers lack: of each head's queries, keys and values, and of what attention
	// and the feed-forward network add; one without weights is left out
	Heads [3]NormWeights
	Added [2]NormWeights
}

// Block is one transformer block with packed weights.
type Block struct {
	plan    *Plan
	c       C.nn_block
	linears []*linear
	norms   []*onednn.Buffer
}

// NewBlock packs a block's weights. It may be called from several goroutines, but not while the
// plan runs.
func (p *Plan) NewBlock(w BlockWeights) (_ *Block, err error) {
	b := &Block{plan: p}
	defer func() {
		if err != nil {
			b.Close()
		}
	}()
	d := p.config.Hidden
	qkv := LinearWeights{In: d, Out: 3 * d, Weight: make([]float32, 0, 3*d*d),
		Bias: make([]float32, 3*d)}
	for i, l := range []LinearWeights{w.Q, w.K, w.V} {
		if err := l.check(); err != nil {
			return nil, err
		}
		if l.In != d || l.Out != d {
			return nil, fmt.Errorf("nn: an attention layer from %d to %d in a width of %d", l.In,
				l.Out, d)
		}
		qkv.Weight = append(qkv.Weight, l.Weight...)
		copy(qkv.Bias[i*d:], l.Bias)
	}
	up, upEnding := w.Up, ending{activation: p.config.Activation}
	if p.config.Gated {
		if up, err = gated(w.Gate, w.Up); err != nil {
			return nil, err
		}
		upEnding = ending{}
		b.c.feed = C.nn_between{gated: 1, activation: C.nn_activation(p.config.Activation)}
	}
	if w.O.In != d || w.O.Out != d || w.Up.In != d || w.Up.Out != p.config.FF ||
		w.Down.In != p.config.FF || w.Down.Out != d {
		return nil, fmt.Errorf(
			"nn: layers of %d to %d, %d to %d and %d to %d in a block of %d and %d",
			w.O.In, w.O.Out, w.Up.In, w.Up.Out, w.Down.In, w.Down.Out, d, p.config.FF)
	}
	if err := b.setNorms(&w); err != nil {
		return nil, err
	}
	for _, l := range []struct {
		w   LinearWeights
		e   ending
		dst *C.nn_linear
	}{
		{qkv, ending{}, &b.c.qkv}, {w.O, adding(w.Added[0]), &b.c.out},
		{up, upEnding, &b.c.up}, {w.Down, adding(w.Added[1]), &b.c.down},
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

// adding is the ending of a layer whose result is added to the residual stream, by the layer itself
// unless a norm comes between.
func adding(n NormWeights) ending {
	return ending{residual: n.Gain == nil, floats: n.Gain != nil}
}

// setNorms copies the norms of a block.
func (b *Block) setNorms(w *BlockWeights) error {
	d := b.plan.config.Hidden
	for _, n := range []struct {
		w     NormWeights
		width int
		dst   *C.nn_norm
	}{
		{w.LN1, d, &b.c.ln1}, {w.LN2, d, &b.c.ln2},
		{w.Heads[0], d / b.plan.config.Heads, &b.c.heads[0]},
		{w.Heads[1], d / b.plan.config.Heads, &b.c.heads[1]},
		{w.Heads[2], d / b.plan.config.Heads, &b.c.heads[2]},
		{w.Added[0], d, &b.c.added[0]}, {w.Added[1], d, &b.c.added[1]},
	} {
		if n.w.Gain == nil && n.dst != &b.c.ln1 && n.dst != &b.c.ln2 {
			continue
		}
		buffer, err := b.plan.newNorm(n.w, n.width, n.dst)
		if err != nil {
			return err
		}
		b.norms = append(b.norms, buffer)
	}
	if (w.Heads[0].Gain == nil) != (w.Heads[1].Gain == nil) ||
		w.Heads[0].Gain == nil && w.Heads[2].Gain != nil {
		return errors.New("nn: norms of some of queries, keys and values")
	}
	return nil
}

// gated puts the columns of a gate and those that it multiplies into one layer.
func gated(gate, up LinearWeights) (LinearWeights, error) {
	if err := gate.check(); err != nil {
		return gate, err
	}
	if gate.In != up.In || gate.Out != up.Out || len(up.Weight) != len(gate.Weight) ||
		up.Bias != nil && len(up.Bias) != up.Out {
		return gate, fmt.Errorf("nn: a gate of %d to %d for a layer of %d to %d", gate.In, gate.Out,
			up.In, up.Out)
	}
	w := LinearWeights{In: up.In, Out: 2 * up.Out, Weight: slices.Concat(gate.Weight, up.Weight),
		Bias: make([]float32, 2*up.Out)}
	copy(w.Bias, gate.Bias)
	copy(w.Bias[up.Out:], up.Bias)
	return w, nil
}

// newNorm copies the weights of a norm over n numbers to C's memory.
func (p *Plan) newNorm(w NormWeights, n int, dst *C.nn_norm) (*onednn.Buffer, error) {
	if len(w.Gain) != n || w.RMS && w.Bias != nil || !w.RMS && len(w.Bias) != n {
		return nil, fmt.Errorf("nn: a norm of %d and %d weights in a width of %d", len(w.Gain),
			len(w.Bias), n)
	}
	b, err := onednn.Alloc(8 * n)
	if err != nil {
		return nil, err
	}
	copy(b.Float32(), w.Gain)
	copy(b.Float32()[n:], w.Bias)
	*dst = C.nn_norm{n: C.int(n), gain: floats(b), bias: (*C.float)(addressOf(b.Float32()[n:])),
		eps: C.float(cmp.Or(w.Eps, p.config.Eps))}
	if w.RMS {
		dst.rms = 1
	}
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

// State is the activations of some rows.
type State struct {
	plan          *Plan
	c             C.nn_state
	x, qkv, mixed *onednn.Buffer
	hidden        int
}

// padded is the number of rows that whole blocks of rows take.
func (p *Plan) padded(rows int) int {
	block := int(p.team.block)
	return (rows + block - 1) / block * block
}

// NewState makes room for some rows, zeroed.
func (p *Plan) NewState(rows int) (_ *State, err error) {
	if rows < 1 || rows > maxRows {
		return nil, fmt.Errorf("nn: a state of %d rows", rows)
	}
	d := p.config.Hidden
	s := &State{plan: p, hidden: d}
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
	s.c = C.nn_state{rows: C.int(rows), x: floats(s.x), qkv: s.qkv.Pointer(),
		mixed: s.mixed.Pointer()}
	return s, nil
}

// X returns the residual stream: Hidden numbers for each row, in Go's order of a slice over C's
// memory, valid until Close.
func (s *State) X() []float32 { return s.x.Float32()[:int(s.c.rows)*s.hidden] }

// Rows returns the number of rows, 0 once closed.
func (s *State) Rows() int {
	if s == nil {
		return 0
	}
	return int(s.c.rows)
}

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

// RunBlockPart takes the residual stream through a block, in place:
//
//	x += o(attention(q(ln1 x), k(ln1 x), v(ln1 x)))
//	x += down(act(up(ln2 x)))    or, gated, down(act(gate(ln2 x)) * up(ln2 x))
//
// Rows attend as a says. r holds their rotary positions, nil for none. The work is cut into several
// parts, which take about equally long, and a call runs one of them. All have to be run, in order;
// between two of them the residual stream holds nothing of use.
func (p *Plan) RunBlockPart(b *Block, s *State, a *Attention, r *Rotary, part, parts int) error {
	if b.plan != p || s.plan != p || a.plan != p || b.linears == nil || s.c.rows == 0 ||
		a.rows == 0 {
		return errClosed
	}
	if a.rows != int(s.c.rows) {
		return fmt.Errorf("nn: attention of %d rows in a state of %d", a.rows, int(s.c.rows))
	}
	if part < 0 || part >= parts {
		return fmt.Errorf("nn: part %d of %d", part, parts)
	}
	var rotary C.nn_rotary
	if r != nil {
		if r.plan != p || r.rows < a.rows {
			return fmt.Errorf("nn: rotary positions of %d rows for %d", r.rows, a.rows)
		}
		rotary = r.c
	}
	share := p.share(a, part, parts)
	return p.run("a block", func() C.int {
		return C.nn_run_block(&p.team, (*C.nn_stretch)(a.stretches.Pointer()), &rotary, &b.c, &s.c,
			share)
	})
}

// BlockWork returns the floating-point operations of the matrix products of a block: 2mnk for m x k
// by k x n.
func (p *Plan) BlockWork(a *Attention) float64 {
	before, heads, after := p.work(a)
	return before + heads + after
}

// work is BlockWork by the three loops of a block.
func (p *Plan) work(a *Attention) (before, heads, after float64) {
	rows, d, ff := float64(a.rows), float64(p.config.Hidden), float64(p.config.FF)
	layers := 2.0
	if p.config.Gated {
		layers = 3
	}
	return 2 * rows * d * 3 * d, 4 * a.work * d, 2 * rows * d * (d + layers*ff)
}

// share cuts the work of a block. Each loop is cut at multiples of the threads, so that none waits
// for another for long.
func (p *Plan) share(a *Attention, part, parts int) C.nn_share {
	before, heads, after := p.work(a)
	all := before + heads + after
	// at is how far a loop of n items is done when all work is done to a certain part.
	at := func(part int, begin, work float64, n int) C.int {
		done := (all*float64(part)/float64(parts) - begin) / work
		switch {
		case part == parts || done >= 1:
			return C.int(n)
		case done <= 0:
			return 0
		}
		threads := p.config.Threads
		return C.int(min(int(math.Round(done*float64(n)/float64(threads)))*threads, n))
	}
	blocks, count := p.padded(a.rows)/int(p.team.block), a.count*p.config.Heads
	s := C.nn_share{
		rows_before: at(part, 0, before, blocks), rows_before_end: at(part+1, 0, before, blocks),
		heads: at(part, before, heads, count), heads_end: at(part+1, before, heads, count),
		rows_after: at(part, before+heads, after, blocks), rows_after_end: at(part+1, before+heads,
			after, blocks),
	}
	return s
}

// RunNorm normalises the rows of the residual stream in place.
func (p *Plan) RunNorm(n *Norm, s *State) error {
	if n.buffer.Len() == 0 || s.plan != p || s.c.rows == 0 {
		return errClosed
	}
	if int(n.c.n) != s.hidden {
		return fmt.Errorf("nn: a norm of %d over rows of %d", int(n.c.n), s.hidden)
	}
	return p.run("a norm", func() C.int { return C.nn_run_norm(&p.team, &n.c, s.c.x, s.c.rows) })
}

// Norm is a norm over the residual stream or the input of an [MLP].
type Norm struct {
	c      C.nn_norm
	buffer *onednn.Buffer
}

// NewNorm copies the weights of a norm.
func (p *Plan) NewNorm(w NormWeights) (*Norm, error) {
	n := &Norm{}
	var err error
	if len(w.Gain) < 1 || len(w.Gain) > maxWidth {
		return nil, fmt.Errorf("nn: a norm of %d weights", len(w.Gain))
	}
	n.buffer, err = p.newNorm(w, len(w.Gain), &n.c)
	if err == nil {
		err = p.reserve(C.size_t(4 * len(w.Gain)))
	}
	return n, err
}

// Close frees the weights. Closing again does nothing.
func (n *Norm) Close() {
	if n != nil {
		n.buffer.Close()
	}
}
