package vision

import (
	"slices"

	"github.com/eyelet-engine/eyelet/kernels/ref"
)

// thirds cuts a layer that makes queries, keys and values at once. It is zero where the layer could
// not be read.
func (l linear) thirds() (q, k, v linear) {
	n := l.weight.Rows / 3
	if n == 0 {
		return
	}
	for i, to := range []*linear{&q, &k, &v} {
		to.weight = l.weight.RowRange(i*n, (i+1)*n)
		to.source = l.source.reordered(n, func(row int) int { return i*n + row })
		if l.bias != nil {
			to.bias = l.bias[i*n : (i+1)*n]
		}
	}
	return q, k, v
}

// pairs tells where the numbers of a head of dim come from in the weights, so that the first
// numbers of all pairs come first, rows' pairs before columns', then the second ones; nil where
// they stand so.
func (r rotary) pairs(dim int) (from []int) {
	switch {
	case r.Adjacent:
		for i := range dim {
			from = append(from, i%(dim/2)*2+i/(dim/2))
		}
	case r.Quarters:
		n := dim / 4
		for _, quarter := range []int{2, 0, 3, 1} {
			for i := range n {
				from = append(from, quarter*n+i)
			}
		}
	}
	return from
}

// reorder puts the outputs of each head in another order.
func (l *linear) reorder(heads int, from []int) {
	dim := l.weight.Rows / heads
	weight, bias := slices.Clone(l.weight.Data), slices.Clone(l.bias)
	l.source = l.source.reordered(l.weight.Rows, func(to int) int {
		return to/dim*dim + from[to%dim]
	})
	for to := range l.weight.Rows {
		at := to/dim*dim + from[to%dim]
		copy(l.weight.Row(to), weight[at*l.weight.Cols:])
		if bias != nil {
			l.bias[to] = bias[at]
		}
	}
}

// reorder puts the weights of a norm of a head in another order; none where it has none.
func (n *norm) reorder(from []int) {
	gain := slices.Clone(n.gain)
	for to := range gain {
		n.gain[to] = gain[from[to]]
	}
}

// scale multiplies each output by a number. Nothing is done where either could not be read.
func (l *linear) scale(by []float32) {
	if len(by) != l.weight.Rows {
		return
	}
	l.source.scale = by
	for i, f := range by {
		for k, row := 0, l.weight.Row(i); k < len(row); k++ {
			row[k] *= f
		}
		if l.bias != nil {
			l.bias[i] *= f
		}
	}
}

// channelsLast reorders the inputs of a layer over merged rows: from all patches of a channel side
// by side, as a convolution has them, to all channels of a patch.
func (l *linear) channelsLast(channels int) {
	patches := l.weight.Cols / channels
	l.source = source{}
	row := make([]float32, l.weight.Cols)
	for i := range l.weight.Rows {
		copy(row, l.weight.Row(i))
		for c := range channels {
			for p := range patches {
				l.weight.Row(i)[p*channels+c] = row[c*patches+p]
			}
		}
	}
}

// transpose returns a matrix with rows and columns exchanged.
func transpose(m matrix) matrix {
	t := ref.NewMatrix[float32](m.Cols, m.Rows)
	for i := range m.Rows {
		for j, v := range m.Row(i) {
			t.Row(j)[i] = v
		}
	}
	return t
}
