package nn

// #include "nn.h"
import "C"

import (
	"fmt"
	"unsafe"

	"github.com/eyelet-engine/eyelet/cgo/onednn"
)

// Attention says which rows of a state attend to each other, and has the products planned for it.
// Rows are cut into stretches, one behind the other, and those of a stretch attend to each other:
// tiles, or the windows of a picture.
type Attention struct {
	plan      *Plan
	rows      int
	lengths   map[int]*C.nn_attention // planned, by the length of a stretch
	stretches *onednn.Buffer          // of C.nn_stretch
	count     int
	work      float64 // sum of the squares of the lengths
	closers   []func()
}

// NewAttention plans attention within stretches of rows. It may enlarge the plan's scratch memory,
// and must not be called while the plan runs.
func (p *Plan) NewAttention(lengths []int) (_ *Attention, err error) {
	if err := p.open(); err != nil {
		return nil, err
	}
	a := &Attention{plan: p, lengths: map[int]*C.nn_attention{}, count: len(lengths)}
	defer func() {
		if err != nil {
			a.Close()
		}
	}()
	if len(lengths) < 1 || len(lengths) > maxRows {
		return nil, fmt.Errorf("nn: attention in %d stretches", len(lengths))
	}
	if a.stretches, err = onednn.Alloc(len(lengths) * int(unsafe.Sizeof(C.nn_stretch{}))); err !=
		nil {
		return nil, err
	}
	list := unsafe.Slice((*C.nn_stretch)(a.stretches.Pointer()), len(lengths))
	for i, n := range lengths {
		if n < 1 || n > maxTokens || a.rows > maxRows-n {
			return nil, fmt.Errorf("nn: a stretch of %d rows behind %d", n, a.rows)
		}
		planned := a.lengths[n]
		if planned == nil {
			if planned, err = a.planLength(n); err != nil {
				return nil, err
			}
			a.lengths[n] = planned
		}
		list[i] = C.nn_stretch{first: C.int(a.rows), attention: planned}
		a.rows += n
		a.work += float64(n) * float64(n)
	}
	return a, nil
}

// Queries attend in blocks of about rowsOfBlock, fewer in long stretches, so that a block of scores
// stays in the second cache.
const scoresOfBlock = 1 << 18

// rowsOfScores is about how many queries attend at a time over panels: their scores stay in the
// second cache, beside keys and values.
const rowsOfScores = 48

// planLength plans the products of one head: scores = q k', mixed = softmax(scores) v.
func (a *Attention) planLength(tokens int) (*C.nn_attention, error) {
	p, c := a.plan, a.plan.config
	height, stride := rowsOfBlock, 3*c.Hidden
	if p.panels.float {
		height = rowsOfScores
	}
	height = min(height, max(16, scoresOfBlock/tokens))
	blocks := (tokens + height - 1) / height
	height = (tokens + blocks - 1) / blocks
	memory, err := onednn.Alloc(int(unsafe.Sizeof(C.nn_attention{})))
	if err != nil {
		return nil, err
	}
	a.closers = append(a.closers, memory.Close)
	planned := (*C.nn_attention)(memory.Pointer())
	*planned = C.nn_attention{
		heads: C.int(c.Heads), head_dim: C.int(c.Hidden / c.Heads), tokens: C.int(tokens),
		block: C.int(height), stride: C.int(stride),
	}
	if !p.panels.float {
		if err := a.planScores(planned, height, stride); err != nil {
			return nil, err
		}
	}
	return planned, p.reserve(C.nn_attention_scratch(&p.team, planned))
}

// planScores plans attention through oneDNN for blocks of some queries.
func (a *Attention) planScores(planned *C.nn_attention, height, stride int) error {
	c, store, tokens := a.plan.config, a.plan.store, int(planned.tokens)
	dim := c.Hidden / c.Heads
	scores, err := a.product(onednn.MatmulDesc{M: height, N: tokens, K: dim, Src: store,
		Weights: store, Dst: onednn.F32, SrcStride: stride, DstStride: tokens})
	if err != nil {
		return err
	}
	mix, err := a.product(onednn.MatmulDesc{M: height, N: dim, K: tokens, Src: store,
		Weights: store, Dst: onednn.F32, SrcStride: tokens, DstStride: dim})
	if err != nil {
		return err
	}
	// The scores' right-hand side is k transposed: its element (d, token) stands at d + token *
	// stride.
	packK, err := a.packer(scores, 1, stride)
	if err != nil {
		return err
	}
	packV, err := a.packer(mix, stride, 1)
	if err != nil {
		return err
	}
	planned.scores, planned.mix = (*C.eyelet_matmul)(scores.Handle()),
		(*C.eyelet_matmul)(mix.Handle())
	planned.pack_k, planned.pack_v = (*C.eyelet_reorder)(packK.Handle()),
		(*C.eyelet_reorder)(packV.Handle())
	return nil
}

func (a *Attention) product(d onednn.MatmulDesc) (*onednn.Matmul, error) {
	m, err := onednn.NewMatmul(d, a.plan.config.Threads)
	if err == nil {
		a.closers = append(a.closers, m.Close)
	}
	return m, err
}

func (a *Attention) packer(m *onednn.Matmul, kStride, nStride int) (*onednn.Packer, error) {
	k, err := m.NewPacker(a.plan.store, kStride, nStride, a.plan.config.Threads)
	if err == nil {
		a.closers = append(a.closers, k.Close)
	}
	return k, err
}

// Rows returns the number of rows of all stretches.
func (a *Attention) Rows() int { return a.rows }

// Close frees what was planned. Closing again does nothing.
func (a *Attention) Close() {
	if a == nil {
		return
	}
	for i := len(a.closers) - 1; i >= 0; i-- {
		a.closers[i]()
	}
	a.closers = nil
	a.stretches.Close()
	a.rows = 0
}

// Rotary is rotary positions (Su et al. 2021): each pair of numbers of a head's queries and keys,
// (x[i], x[n + i]) of 2n, is turned by an angle that its row has for it.
type Rotary struct {
	plan   *Plan
	c      C.nn_rotary
	rows   int
	angles *onednn.Buffer
}

// NewRotary takes the cosines and sines of the angles of some rows, half as many a row as a head is
// wide.
func (p *Plan) NewRotary(cosines, sines []float32) (*Rotary, error) {
	dim := p.config.Hidden / p.config.Heads
	half := dim / 2
	if dim%2 != 0 || len(cosines) == 0 || len(cosines) != len(sines) || len(cosines)%half != 0 ||
		len(cosines)/half > maxRows {
		return nil, fmt.Errorf("nn: %d and %d rotary angles for heads of %d", len(cosines),
			len(sines), dim)
	}
	b, err := onednn.Alloc(8 * len(cosines))
	if err != nil {
		return nil, err
	}
	copy(b.Float32(), cosines)
	copy(b.Float32()[len(cosines):], sines)
	return &Rotary{plan: p, rows: len(cosines) / half, angles: b, c: C.nn_rotary{
		half: C.int(half), cosines: floats(b),
		sines: (*C.float)(addressOf(b.Float32()[len(cosines):])),
	}}, nil
}

// Close frees the angles. Closing again does nothing.
func (r *Rotary) Close() {
	if r != nil {
		r.angles.Close()
		r.rows = 0
	}
}
