package nn

// #include "nn.h"
import "C"

import (
	"errors"
	"fmt"

	"github.com/eyelet-engine/eyelet/cgo/onednn"
)

// MLP is a chain of linear layers with an activation between each two: a projector.
type MLP struct {
	plan    *Plan
	norm    *Norm // before the first layer, or nil
	layers  []C.nn_linear
	linears []*linear
}

// NewMLP packs a chain of layers. norm, where it is not nil, comes before the first; the MLP owns it from here on.
func (p *Plan) NewMLP(norm *Norm, layers []LinearWeights, activation onednn.Activation) (_ *MLP, err error) {
	m := &MLP{plan: p, norm: norm}
	defer func() {
		if err != nil {
			m.Close()
		}
	}()
	if len(layers) == 0 {
		return nil, errors.New("nn: an MLP of no layers")
	}
	if norm != nil && layers[0].In != p.config.Hidden {
		return nil, fmt.Errorf("nn: a norm of %d before a layer from %d", p.config.Hidden, layers[0].In)
	}
	for i, w := range layers {
		e := ending{activation: activation}
		if i == len(layers)-1 {
			e = ending{floats: true}
		} else if layers[i+1].In != w.Out {
			return nil, fmt.Errorf("nn: a layer to %d before one from %d", w.Out, layers[i+1].In)
		}
		l, err := p.newLinear(w, e)
		if err != nil {
			return nil, err
		}
		m.linears = append(m.linears, l)
		m.layers = append(m.layers, l.c)
	}
	return m, p.reserve(C.nn_mlp_scratch(&p.team, &m.layers[0], C.int(len(m.layers))))
}

// In and Out return the widths of the input's rows and the result's.
func (m *MLP) In() int { return int(m.layers[0].in) }

// Out returns the width of the result's rows.
func (m *MLP) Out() int { return int(m.layers[len(m.layers)-1].out) }

// Bytes returns the size of the packed weights.
func (m *MLP) Bytes() (n int) {
	for _, l := range m.linears {
		n += l.bytes()
	}
	return n
}

// Close frees the weights. Closing again does nothing.
func (m *MLP) Close() {
	if m == nil {
		return
	}
	for _, l := range m.linears {
		l.close()
	}
	m.linears = nil
	m.norm.Close()
}

// Rows says which rows of a matrix an MLP reads: of every group of Stride rows, the Count rows from Skip on. The patches of tiles whose
// first row is the class token are Rows{Stride: 577, Skip: 1, Count: 576}.
type Rows struct{ Stride, Skip, Count int }

// RunMLP computes the chain over the chosen rows of x, which has whole groups of In() wide rows, and returns the result in a buffer that
// the caller closes: as many rows as were chosen, then some more that mean nothing.
func (p *Plan) RunMLP(m *MLP, x *onednn.Buffer, groups int, r Rows) (*onednn.Buffer, error) {
	if m.plan != p || m.linears == nil {
		return nil, errClosed
	}
	if groups < 1 || groups > MaxTiles || r.Stride < 1 || r.Stride > maxTokens || r.Skip < 0 || r.Count < 1 || r.Skip+r.Count > r.Stride {
		return nil, fmt.Errorf("nn: %d groups of rows %+v", groups, r)
	}
	if need := 4 * groups * r.Stride * m.In(); x.Len() < need {
		return nil, fmt.Errorf("nn: %d bytes of rows, want %d", x.Len(), need)
	}
	rows := groups * r.Count
	y, err := onednn.Alloc(4 * p.padded(rows) * m.Out())
	if err != nil {
		return nil, err
	}
	norm := C.nn_norm{}
	if m.norm != nil {
		norm = m.norm.c
	}
	err = p.run("a projector", func() C.int {
		return C.nn_run_mlp(&p.team, &norm, C.float(p.config.Eps), &m.layers[0], C.int(len(m.layers)), floats(x), C.int(rows),
			C.int(r.Count), C.int(r.Stride), C.int(r.Skip), floats(y))
	})
	if err != nil {
		y.Close()
		return nil, err
	}
	return y, nil
}

// Buffer returns the residual stream as the buffer that [Plan.RunMLP] reads.
func (s *State) Buffer() *onednn.Buffer { return s.x }
