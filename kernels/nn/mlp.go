package nn

// #include "nn.h"
import "C"

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/eyelet-engine/eyelet/cgo/onednn"
)

// MLP is a chain of linear layers with activations between them: a projector.
type MLP struct {
	plan    *Plan
	norm    *Norm // before the first layer, or nil
	layers  []C.nn_layer
	linears []*linear
	norms   []*onednn.Buffer // behind layers
}

// Layer is a linear layer of an [MLP] and what comes behind it: a norm if it has weights, then the
// activation; with a gate, of the gate's result, by which the layer's own is then multiplied. The
// last layer of an MLP has nothing behind it.
type Layer struct {
	LinearWeights
	Norm       NormWeights
	Gate       LinearWeights
	Activation onednn.Activation
}

// NewMLP packs a chain of layers. norm, where it is not nil, comes before the first; the MLP owns
// it from here on. It may be narrower than the layer's input, and is then applied to each part of
// it.
func (p *Plan) NewMLP(norm *Norm, layers []Layer) (_ *MLP, err error) {
	m := &MLP{plan: p, norm: norm}
	defer func() {
		if err != nil {
			m.Close()
		}
	}()
	if len(layers) == 0 {
		return nil, errors.New("nn: an MLP of no layers")
	}
	if norm != nil && (layers[0].In < 1 || layers[0].In%int(norm.c.n) != 0) {
		return nil, fmt.Errorf("nn: a norm of %d before a layer from %d", int(norm.c.n),
			layers[0].In)
	}
	for i, w := range layers {
		last := i == len(layers)-1
		if last && (w.Norm.Gain != nil || w.Gate.Out != 0 || w.Activation != onednn.None) {
			return nil, errors.New("nn: something behind the last layer of an MLP")
		}
		if !last && layers[i+1].In != w.Out {
			return nil, fmt.Errorf("nn: a layer to %d before one from %d", w.Out, layers[i+1].In)
		}
		if err := m.add(w, last); err != nil {
			return nil, err
		}
	}
	return m, p.reserve(C.nn_mlp_scratch(&p.team, &m.layers[0], C.int(len(m.layers))))
}

// add packs a layer.
func (m *MLP) add(w Layer, last bool) (err error) {
	c, e := C.nn_layer{}, ending{activation: w.Activation, floats: last}
	if w.Norm.Gain != nil || w.Gate.Out != 0 {
		e.activation, c.between.activation = onednn.None, C.nn_activation(w.Activation)
	}
	linear := w.LinearWeights
	if w.Gate.Out != 0 {
		if linear, err = gated(w.Gate, linear); err != nil {
			return err
		}
		c.between.gated = 1
	}
	if w.Norm.Gain != nil {
		b, err := m.plan.newNorm(w.Norm, linear.Out, &c.between.norm)
		if err != nil {
			return err
		}
		m.norms = append(m.norms, b)
	}
	l, err := m.plan.newLinear(linear, e)
	if err != nil {
		return err
	}
	m.linears = append(m.linears, l)
	c.linear = l.c
	m.layers = append(m.layers, c)
	return nil
}

// In and Out return the widths of the input's rows and the result's.
func (m *MLP) In() int { return int(m.layers[0].linear.in) }

// Out returns the width of the result's rows.
func (m *MLP) Out() int { return int(m.layers[len(m.layers)-1].linear.out) }

// Weights returns the number of weights, biases left out.
func (m *MLP) Weights() (n float64) {
	for _, l := range m.layers {
		n += float64(l.linear.in) * float64(l.linear.out)
	}
	return n
}

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
	for _, b := range m.norms {
		b.Close()
	}
	m.linears, m.norms = nil, nil
	m.norm.Close()
}

// Rows says which rows of a state, or of another matrix, an MLP reads. Of every group of Stride
// rows it reads those from Skip on, Count times as many as one of its inputs is made of. The
// patches of tiles whose first row is the class token are Rows{Stride: 577, Skip: 1, Count: 576}.
type Rows struct {
	Stride, Skip, Count int
	// Width is that of the matrix's rows, 0 for the MLP's In. Where In is a multiple of it, an
	// input is that many rows one behind the other.
	Width int
	// Pool is the number of inputs whose mean is taken, 0 or 1 for none.
	Pool int
}

// RunMLP computes the chain over the chosen rows of x, which has whole groups of them, and returns
// the result in a buffer that the caller closes: groups times Count rows, then some more that mean
// nothing.
func (p *Plan) RunMLP(m *MLP, x *onednn.Buffer, groups int, r Rows) (*onednn.Buffer, error) {
	if m.plan != p || m.linears == nil {
		return nil, errClosed
	}
	width, pool := cmp.Or(r.Width, m.In()), max(r.Pool, 1)
	if width < 1 || m.In()%width != 0 || pool > maxRows || r.Count > maxRows {
		return nil, fmt.Errorf("nn: inputs of %d from rows %+v", m.In(), r)
	}
	if groups < 1 || r.Stride < 1 || r.Stride > maxRows/groups || r.Skip < 0 || r.Count < 1 ||
		r.Skip+r.Count*pool*(m.In()/width) > r.Stride {
		return nil, fmt.Errorf("nn: %d groups of rows %+v", groups, r)
	}
	if need := 4 * groups * r.Stride * width; x.Len() < need {
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
	source := C.nn_source{
		x: floats(x), rows: C.int(rows), group: C.int(r.Count), stride: C.int(r.Stride),
		skip: C.int(r.Skip), unit: C.int(width), pool: C.int(pool),
	}
	err = p.run("a projector", func() C.int {
		return C.nn_run_mlp(&p.team, &norm, &m.layers[0], C.int(len(m.layers)), source, floats(y))
	})
	if err != nil {
		y.Close()
		return nil, err
	}
	return y, nil
}

// Buffer returns the residual stream as the buffer that [Plan.RunMLP] reads.
func (s *State) Buffer() *onednn.Buffer { return s.x }
