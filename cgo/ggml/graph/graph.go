package graph

// #include "shim.h"
import "C"

import (
	"errors"
	"fmt"
	"math"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
)

// A Graph is a list of operations that is computed once.
type Graph struct {
	b       *Backend
	ctx     *C.struct_ggml_context
	c       *C.struct_ggml_cgraph
	tensors int
	err     error // the first mistake
}

// NewGraph begins a graph. It must be computed or closed.
func (b *Backend) NewGraph() *Graph {
	g := &Graph{b: b}
	if !b.open {
		g.err = errClosed
		return g
	}
	if g.ctx = C.shim_graph_context(mostTensors, true); g.ctx == nil {
		g.err = errors.New("ggml: no memory for a graph")
		return g
	}
	g.c = C.ggml_new_graph_custom(g.ctx, 2*mostTensors, false)
	return g
}

// Close frees the graph. Closing again does nothing.
func (g *Graph) Close() {
	if g.ctx != nil {
		C.ggml_free(g.ctx)
		g.ctx = nil
	}
	if g.err == nil {
		g.err = errors.New("ggml: the graph is closed")
	}
}

// Compute computes the graph, waits for its end, and closes it. It returns the first mistake in
// building it, or an error that wraps [ErrDevice].
func (g *Graph) Compute() error {
	defer g.Close()
	if g.err == nil && !g.b.open {
		g.err = errClosed
	}
	if g.err != nil {
		return g.err
	}
	var e cError
	var splits C.int
	errs := ggml.CollectErrors()
	if !C.shim_graph_compute(&g.b.c, g.c, &splits, &e[0], C.size_t(len(e))) {
		return errs.Wrap(g.b.failed(&e))
	}
	errs.Stop()
	g.b.stats.Graphs++
	g.b.stats.Splits += int64(splits)
	return nil
}

// Copy writes x to a tensor of a store when the graph is computed.
func (g *Graph) Copy(x, to *Tensor) {
	if !g.takes("copy", x, to) {
		return
	}
	if to.store == nil || x.elements() != to.elements() || to.kind != ggml.F32 ||
		!to.contiguous() {
		g.refuse("copy", x, to)
		return
	}
	C.ggml_build_forward_expand(g.c, C.ggml_cpy(g.ctx, x.c, to.c))
}

// takes tells whether operands are there, and whether the graph has room for one operation more.
func (g *Graph) takes(op string, operands ...*Tensor) bool {
	if g.err != nil {
		return false
	}
	for _, t := range operands {
		switch {
		case t == nil:
			g.err = fmt.Errorf("ggml: %s of nothing", op)
		case t.store != nil && (t.store.buffer == nil || t.store.b != g.b):
			g.err = fmt.Errorf("ggml: %s of a tensor without memory here", op)
		}
		if g.err != nil {
			return false
		}
	}
	if g.tensors++; g.tensors > mostTensors-2 {
		g.err = fmt.Errorf("ggml: a graph of more than %d tensors", mostTensors-2)
	}
	return g.err == nil
}

func (g *Graph) refuse(op string, operands ...*Tensor) *Tensor {
	text := ""
	for _, t := range operands {
		text += fmt.Sprintf(" %v%v", t.kind, t.dims)
	}
	g.err = fmt.Errorf("ggml: %s does not fit%s", op, text)
	return nil
}

// MulMat multiplies rows x (in, rows, …) by weights (in, out, …): the result is (out, rows, …).
// The third and fourth dimension of x are multiples of those of the weights. It is added up in
// float32.
func (g *Graph) MulMat(weights, x *Tensor) *Tensor {
	const op = "a product"
	if !g.takes(op, weights, x) {
		return nil
	}
	if weights.dims[0] != x.dims[0] || x.dims[2]%weights.dims[2] != 0 ||
		x.dims[3]%weights.dims[3] != 0 || x.kind != ggml.F32 || x.strides[0] != 4 ||
		weights.strides[0] != weights.kind.TypeSize() ||
		weights.strides[1] < weights.strides[0] {
		return g.refuse(op, weights, x)
	}
	t := C.ggml_mul_mat(g.ctx, weights.c, x.c)
	C.ggml_prec_set_acc(t, C.GGML_PREC_F32)
	return wrap(t)
}

// repeats tells whether an operand can be repeated along another. Both are float32 whose rows lie
// in one piece: ggml's CPU backend aborts on others when it computes them.
func repeats(x, y *Tensor) bool {
	for i := range x.dims {
		if x.dims[i]%y.dims[i] != 0 {
			return false
		}
	}
	return x.kind == ggml.F32 && y.kind == ggml.F32 && x.strides[0] == 4 && y.strides[0] == 4
}

// Add adds y to x, repeated along the dimensions in which it is shorter.
func (g *Graph) Add(x, y *Tensor) *Tensor {
	if !g.takes("a sum", x, y) {
		return nil
	}
	if !repeats(x, y) {
		return g.refuse("a sum", x, y)
	}
	return wrap(C.ggml_add(g.ctx, x.c, y.c))
}

// Mul multiplies the elements of x by those of y, repeated as in [Graph.Add].
func (g *Graph) Mul(x, y *Tensor) *Tensor {
	if !g.takes("a product of elements", x, y) {
		return nil
	}
	if !repeats(x, y) {
		return g.refuse("a product of elements", x, y)
	}
	return wrap(C.ggml_mul(g.ctx, x.c, y.c))
}

// Norm gives rows mean 0 and variance 1. eps, which is added to the variance, is not negative.
func (g *Graph) Norm(x *Tensor, eps float64) *Tensor {
	if !g.norms(x, eps) {
		return nil
	}
	return wrap(C.ggml_norm(g.ctx, x.c, C.float(eps)))
}

// RMSNorm gives rows mean square 1. eps, which is added to it, is not negative.
func (g *Graph) RMSNorm(x *Tensor, eps float64) *Tensor {
	if !g.norms(x, eps) {
		return nil
	}
	return wrap(C.ggml_rms_norm(g.ctx, x.c, C.float(eps)))
}

// norms tells whether the rows of an operand can be normed with eps.
func (g *Graph) norms(x *Tensor, eps float64) bool {
	if !g.rows("a norm", x) {
		return false
	}
	if !(eps >= 0) {
		g.err = fmt.Errorf("ggml: a norm with an epsilon of %v", eps)
		return false
	}
	return true
}

// rows tells whether an operand is float32 whose rows lie in one piece.
func (g *Graph) rows(op string, x *Tensor) bool {
	if !g.takes(op, x) {
		return false
	}
	if x.kind != ggml.F32 || x.strides[0] != 4 {
		g.refuse(op, x)
		return false
	}
	return true
}

// whole tells whether an operand is float32 that lies in one piece.
func (g *Graph) whole(op string, x *Tensor) bool {
	if !g.takes(op, x) {
		return false
	}
	if x.kind != ggml.F32 || !x.contiguous() {
		g.refuse(op, x)
		return false
	}
	return true
}

// GELU is x Φ(x) by the approximation with tanh. ggml's CPU backend looks it up at x rounded to
// float16.
func (g *Graph) GELU(x *Tensor) *Tensor {
	if !g.whole("gelu", x) {
		return nil
	}
	return wrap(C.ggml_gelu(g.ctx, x.c))
}

// GELUErf is x Φ(x).
func (g *Graph) GELUErf(x *Tensor) *Tensor {
	if !g.whole("gelu", x) {
		return nil
	}
	return wrap(C.ggml_gelu_erf(g.ctx, x.c))
}

// QuickGELU is x / (1 + exp(-1.702 x)). ggml's CPU backend looks it up at x rounded to float16.
func (g *Graph) QuickGELU(x *Tensor) *Tensor {
	if !g.whole("quick gelu", x) {
		return nil
	}
	return wrap(C.ggml_gelu_quick(g.ctx, x.c))
}

// SiLU is x / (1 + exp(-x)).
func (g *Graph) SiLU(x *Tensor) *Tensor {
	if !g.whole("silu", x) {
		return nil
	}
	return wrap(C.ggml_silu(g.ctx, x.c))
}

// Sigmoid is 1 / (1 + exp(-x)).
func (g *Graph) Sigmoid(x *Tensor) *Tensor {
	if !g.whole("a sigmoid", x) {
		return nil
	}
	return wrap(C.ggml_sigmoid(g.ctx, x.c))
}

// Square is x².
func (g *Graph) Square(x *Tensor) *Tensor {
	if !g.whole("a square", x) {
		return nil
	}
	return wrap(C.ggml_sqr(g.ctx, x.c))
}

// Scale is x · by + plus.
func (g *Graph) Scale(x *Tensor, by, plus float64) *Tensor {
	if !g.whole("a scale", x) {
		return nil
	}
	return wrap(C.ggml_scale_bias(g.ctx, x.c, C.float(by), C.float(plus)))
}

// SoftMax makes rows, scaled first, sum up to 1.
func (g *Graph) SoftMax(x *Tensor, scale float64) *Tensor {
	if !g.whole("softmax", x) {
		return nil
	}
	return wrap(C.ggml_soft_max_ext(g.ctx, x.c, nil, C.float(scale), 0))
}

// SumRows adds up each row: (n, …) becomes (1, …).
func (g *Graph) SumRows(x *Tensor) *Tensor {
	if !g.rows("a sum of rows", x) {
		return nil
	}
	return wrap(C.ggml_sum_rows(g.ctx, x.c))
}

// Concat puts y behind x along a dimension; the others are equal.
func (g *Graph) Concat(x, y *Tensor, dim int) *Tensor {
	const op = "joining"
	if !g.takes(op, x, y) {
		return nil
	}
	if dim < 0 || dim > 3 || x.kind != y.kind || x.kind != ggml.F32 {
		return g.refuse(op, x, y)
	}
	for i := range x.dims {
		if i != dim && x.dims[i] != y.dims[i] {
			return g.refuse(op, x, y)
		}
	}
	return wrap(C.ggml_concat(g.ctx, x.c, y.c, C.int(dim)))
}

// Pad puts zeros behind x, so many in each dimension.
func (g *Graph) Pad(x *Tensor, by [4]int) *Tensor {
	const op = "padding"
	if !g.whole(op, x) {
		return nil
	}
	for i, n := range by {
		if n < 0 || n > math.MaxInt32-x.dims[i] {
			return g.refuse(op, x)
		}
		by[i] += x.dims[i]
	}
	if sized(x.kind, by[:]) != nil {
		return g.refuse(op, x)
	}
	return wrap(C.ggml_pad(g.ctx, x.c, C.int(by[0]-x.dims[0]), C.int(by[1]-x.dims[1]),
		C.int(by[2]-x.dims[2]), C.int(by[3]-x.dims[3])))
}

// Reshape gives a tensor that lies in one piece other dimensions.
func (g *Graph) Reshape(x *Tensor, dims ...int) *Tensor {
	const op = "a shape"
	if !g.takes(op, x) {
		return nil
	}
	full := [4]int{1, 1, 1, 1}
	if copy(full[:], dims) < len(dims) || sized(x.kind, dims) != nil || !x.contiguous() ||
		full[0]*full[1]*full[2]*full[3] != x.elements() {
		return g.refuse(op, x)
	}
	return wrap(C.ggml_reshape_4d(g.ctx, x.c, C.int64_t(full[0]), C.int64_t(full[1]),
		C.int64_t(full[2]), C.int64_t(full[3])))
}

// View is a part of a tensor of float32: of the first dims elements in each dimension, from so many
// elements on. The strides are x's, so that the view has x's four dimensions.
func (g *Graph) View(x *Tensor, from, dims [4]int) *Tensor {
	const op = "a view"
	if !g.takes(op, x) {
		return nil
	}
	offset := 0
	for i := range dims {
		if from[i] < 0 || dims[i] < 1 || from[i] > x.dims[i]-dims[i] || x.kind != ggml.F32 ||
			x.strides[0] != 4 {
			return g.refuse(op, x)
		}
		offset += from[i] * x.strides[i]
	}
	return wrap(C.ggml_view_4d(g.ctx, x.c, C.int64_t(dims[0]), C.int64_t(dims[1]),
		C.int64_t(dims[2]), C.int64_t(dims[3]), C.size_t(x.strides[1]), C.size_t(x.strides[2]),
		C.size_t(x.strides[3]), C.size_t(offset)))
}

// Permute makes the i-th dimension of x the axes[i]-th.
func (g *Graph) Permute(x *Tensor, axes [4]int) *Tensor {
	const op = "a permutation"
	if !g.takes(op, x) {
		return nil
	}
	var seen [4]bool
	for _, a := range axes {
		if a < 0 || a > 3 || seen[a] {
			return g.refuse(op, x)
		}
		seen[a] = true
	}
	return wrap(C.ggml_permute(g.ctx, x.c, C.int(axes[0]), C.int(axes[1]), C.int(axes[2]),
		C.int(axes[3])))
}

// Cont puts a view or a permutation into one piece.
func (g *Graph) Cont(x *Tensor) *Tensor {
	if !g.takes("a copy", x) {
		return nil
	}
	if x.contiguous() {
		return x
	}
	return wrap(C.ggml_cont(g.ctx, x.c))
}
