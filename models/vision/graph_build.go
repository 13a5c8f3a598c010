package vision

import (
	"math"

	"github.com/eyelet-engine/eyelet/cgo/ggml/graph"
)

// graphBuilder adds the parts of a tower to a graph, for a batch of tiles of one size. Hidden
// states are rows of the tower's width, tile after tile.
type graphBuilder struct {
	*graph.Graph
	tower   *Graph
	shape   *shape
	tiles   int
	groups  []group       // of the rows of windows; nil where there are none
	cosines *graph.Tensor // of rotary positions, or nil
	sines   *graph.Tensor // with the sign of what they are multiplied with
}

// group is count stretches of n rows, one behind the other, whose rows attend to each other.
type group struct{ first, n, count int }

// mostScores bounds the numbers of attention scores that are in memory at a time: 256 MB.
const mostScores = 64 << 20

// embed makes the first hidden states of pixels, rows of a patch each.
func (b *graphBuilder) embed(pixels, classes, positions *graph.Tensor) *graph.Tensor {
	d, s := b.tower.d, b.shape
	x := b.linear(&b.tower.patch, pixels)
	if b.tower.first != nil {
		x = b.norm(b.tower.first, x)
	}
	x = b.Reshape(x, d.Hidden, s.cols*s.rows, b.tiles)
	switch {
	case classes == nil:
	case d.Layout == LibmtmdFault:
		x = b.Concat(x, classes, 1)
	default:
		x = b.Concat(classes, x, 1)
	}
	if positions != nil {
		x = b.Add(x, positions)
	}
	if b.tower.pre != nil {
		x = b.norm(b.tower.pre, x)
	}
	return b.Reshape(x, d.Hidden, s.length()*b.tiles)
}

// block runs a transformer block.
func (b *graphBuilder) block(w *graphBlock, x *graph.Tensor, windows bool) *graph.Tensor {
	h := b.norm(w.ln1, x)
	h = b.linear(&w.o, b.attend(w, b.linear(&w.q, h), b.linear(&w.k, h), b.linear(&w.v, h),
		windows))
	if w.added[0] != nil {
		h = b.norm(w.added[0], h)
	}
	x = b.Add(x, h)
	h = b.norm(w.ln2, x)
	up := b.linear(&w.up, h)
	if w.gate.weight != nil {
		up = b.Mul(b.activate(b.tower.d.Activation, b.linear(&w.gate, h)), up)
	} else {
		up = b.activate(b.tower.d.Activation, up)
	}
	h = b.linear(&w.down, up)
	if w.added[1] != nil {
		h = b.norm(w.added[1], h)
	}
	return b.Add(x, h)
}

// attend is the attention of all heads, side by side, as queries, keys and values are.
func (b *graphBuilder) attend(w *graphBlock, q, k, v *graph.Tensor,
	windows bool) (all *graph.Tensor) {
	d, rows := b.tower.d, b.shape.length()
	width := d.Hidden / d.Heads
	heads := func(x *graph.Tensor) *graph.Tensor {
		return b.Reshape(x, width, d.Heads, rows, b.tiles)
	}
	q, k, v = heads(q), heads(k), heads(v)
	for i, x := range []**graph.Tensor{&q, &k, &v} {
		if w.heads[i] != nil {
			*x = b.norm(w.heads[i], *x)
		}
	}
	if b.cosines != nil {
		q, k = b.rotate(q), b.rotate(k)
	}
	if !windows {
		return b.attendWithin(q, k, v)
	}
	for _, g := range b.groups {
		part := func(x *graph.Tensor) *graph.Tensor {
			x = b.View(x, [4]int{0, 0, g.first, 0}, [4]int{width, d.Heads, g.n * g.count, 1})
			return b.Reshape(x, width, d.Heads, g.n, g.count)
		}
		made := b.attendWithin(part(q), part(k), part(v))
		if all == nil {
			all = made
		} else {
			all = b.Concat(all, made, 1)
		}
	}
	return all
}

// attendWithin is attention among the rows of each stretch: queries, keys and values are (width of
// a head, heads, rows, stretches).
func (b *graphBuilder) attendWithin(q, k, v *graph.Tensor) *graph.Tensor {
	d := b.tower.d
	width, rows, stretches := d.Hidden/d.Heads, 1, 1
	if q != nil {
		rows, stretches = q.Dim(2), q.Dim(3)
	}
	byHead := [4]int{0, 2, 1, 3}
	q, k = b.Permute(q, byHead), b.padRows(b.Permute(k, byHead))
	v = b.padRows(b.Cont(b.Permute(v, [4]int{1, 2, 0, 3}))) // rows innermost
	scale := 1 / math.Sqrt(float64(width))
	// Pictures of many patches have too many scores to keep them all: some rows at a time.
	step := max(64, mostScores/(rows*d.Heads*stretches))
	var all *graph.Tensor
	for first := 0; first < rows; first += step {
		some := q
		n := min(step, rows-first)
		if n < rows {
			some = b.View(q, [4]int{0, first, 0, 0}, [4]int{width, n, d.Heads, stretches})
		}
		scores := b.SoftMax(b.cut(b.MulMat(k, some), rows), scale)
		made := b.Cont(b.Permute(b.cut(b.MulMat(v, scores), width), byHead))
		if all == nil {
			all = made
		} else {
			all = b.Concat(all, made, 2)
		}
	}
	return b.Reshape(all, d.Hidden, rows*stretches)
}

// rotate turns the pairs of queries or keys, half a head apart, by the angles of their rows.
func (b *graphBuilder) rotate(x *graph.Tensor) *graph.Tensor {
	if x == nil {
		return nil
	}
	half := [4]int{x.Dim(0) / 2, x.Dim(1), x.Dim(2), x.Dim(3)}
	other := b.Concat(b.View(x, [4]int{half[0], 0, 0, 0}, half), b.View(x, [4]int{}, half), 0)
	return b.Add(b.Mul(x, b.cosines), b.Mul(other, b.sines))
}

// project runs a chain over the states that it reads: rows of tokens, tile after tile.
func (b *graphBuilder) project(i int, states []*graph.Tensor) *graph.Tensor {
	d, s, c, w := b.tower.d, b.shape, &b.tower.d.Chains[i], &b.tower.chains[i]
	x := states[0]
	for _, more := range states[1:] {
		x = b.Concat(x, more, 0)
	}
	width, patches, square := d.Hidden*len(states), s.cols*s.rows, d.Merge*d.Merge
	tokens := patches / square * b.tiles
	if s.classes > 0 {
		x = b.Reshape(x, width, s.length(), b.tiles)
		x = b.Cont(b.View(x, [4]int{0, s.classes, 0, 0}, [4]int{width, patches, b.tiles, 1}))
	}
	if w.norm != nil && !c.Norm.Merged && !d.Pooled {
		x = b.norm(w.norm, b.Reshape(x, width, patches*b.tiles))
	}
	if d.Pooled {
		x = b.Cont(b.Permute(b.Reshape(x, width, square, tokens), [4]int{1, 0, 2, 3}))
		x = b.Scale(b.Reshape(b.SumRows(x), width, tokens), 1/float64(square), 0)
	} else {
		x = b.Reshape(x, width*square, tokens)
	}
	if w.norm != nil && (c.Norm.Merged || d.Pooled) {
		x = b.norm(w.norm, x)
	}
	for k := range w.layers {
		x = b.layer(&w.layers[k], c.Parts[k].Activation, x)
	}
	return x
}

// layer runs a layer of a chain: what is activated is its gate's result where it has a gate.
func (b *graphBuilder) layer(w *graphLayer, activation string, x *graph.Tensor) *graph.Tensor {
	y := b.linear(&w.graphLinear, x)
	if w.norm != nil {
		y = b.norm(w.norm, y)
	}
	if w.gate.weight != nil {
		return b.Mul(b.activate(activation, b.linear(&w.gate, x)), y)
	}
	return b.activate(activation, y)
}

func (b *graphBuilder) linear(w *graphLinear, x *graph.Tensor) *graph.Tensor {
	x = b.cut(b.MulMat(w.weight, x), w.out)
	if w.scale != nil {
		x = b.Mul(x, w.scale)
	}
	if w.bias != nil {
		x = b.Add(x, w.bias)
	}
	return x
}

// padRows puts rows of zeros behind those of matrices, so that they are multiplied rightly.
func (b *graphBuilder) padRows(x *graph.Tensor) *graph.Tensor {
	if x == nil || b.tower.padding(x.Dim(1)) == 0 {
		return x
	}
	return b.Pad(b.Cont(x), [4]int{0, b.tower.padding(x.Dim(1)), 0, 0})
}

// cut takes away what zeros made behind the first numbers of each row.
func (b *graphBuilder) cut(x *graph.Tensor, width int) *graph.Tensor {
	if x == nil || x.Dim(0) == width {
		return x
	}
	return b.Cont(b.View(x, [4]int{}, [4]int{width, x.Dim(1), x.Dim(2), x.Dim(3)}))
}

func (b *graphBuilder) norm(w *graphNorm, x *graph.Tensor) *graph.Tensor {
	if w.bias == nil {
		return b.Mul(b.RMSNorm(x, w.eps), w.gain)
	}
	return b.Add(b.Mul(b.Norm(x, w.eps), w.gain), w.bias)
}

// activate applies an activation by its name in descriptions; "" is none. ggml's CPU backend looks
// two of them up in tables of float16: where float32 is asked for, they are made of other
// operations.
func (b *graphBuilder) activate(name string, x *graph.Tensor) *graph.Tensor {
	switch name {
	case "gelu":
		return b.GELUErf(x)
	case "gelu_tanh":
		if !b.tower.exact {
			return b.GELU(x)
		}
		// (1 + tanh u) / 2 is the sigmoid of 2u, and u = √(2/π) (x + 0.044715 x³).
		f := 2 * math.Sqrt(2/math.Pi)
		return b.Mul(x, b.Sigmoid(b.Mul(x, b.Scale(b.Square(x), 0.044715*f, f))))
	case "quick_gelu":
		if !b.tower.exact {
			return b.QuickGELU(x)
		}
		return b.Mul(x, b.Sigmoid(b.Scale(x, 1.702, 0)))
	case "silu":
		return b.SiLU(x)
	}
	return x
}
