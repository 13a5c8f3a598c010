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
		if l.bias != nil {
			to.bias = l.bias[i*n : (i+1)*n]
		}
	}
	return q, k, v
}

// parted reorders the outputs of each head from pairs side by side to the first numbers of all
// pairs, then the second ones.
func (l *linear) parted(heads int) {
	dim := l.weight.Rows / heads
	from := func(to int) int {
		head, i := to/dim*dim, to%dim
		if i < dim/2 {
			return head + 2*i
		}
		return head + 2*(i-dim/2) + 1
	}
	weight, bias := slices.Clone(l.weight.Data), slices.Clone(l.bias)
	for to := range l.weight.Rows {
		copy(l.weight.Row(to), weight[from(to)*l.weight.Cols:])
		if bias != nil {
			l.bias[to] = bias[from(to)]
		}
	}
}

// scale multiplies each output by a number. Nothing is done where either could not be read.
func (l *linear) scale(by []float32) {
	if len(by) != l.weight.Rows {
		return
	}
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
