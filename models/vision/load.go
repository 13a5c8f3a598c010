package vision

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/eyelet-engine/eyelet/kernels/patch"
	"github.com/eyelet-engine/eyelet/kernels/ref"
	"github.com/eyelet-engine/eyelet/models/gguf"
)

// ErrUnknownTower says that a file holds no tower and projector of the kinds that
// this package knows. Another implementation may know it.
var ErrUnknownTower = errors.New("not a tower and projector of the kinds that the native encoder knows")

// Layout is the order of the tower's rows and the number of its blocks.
type Layout int

const (
	// AsTrained puts the class token first, runs every stored block (or to the depth
	// that clip.vision.feature_layer names), and gives the projector the patches.
	AsTrained Layout = iota
	// LibmtmdFault does as libmtmd of llama.cpp 0.7 does, for comparisons with it:
	// the class token stands after the patches while positions and the choice of
	// rows still count it first, so that each patch has its neighbour's position,
	// the first patch is lost and the class token takes the last place; and unless
	// clip.vision.feature_layer is given, the last stored block is left out
	// (llama.cpp #25814, #25817). A SigLIP tower whose file names no activation is run
	// with QuickGELU.
	LibmtmdFault
)

// Options are the choices in loading a tower; the zero value is the usual one.
type Options struct {
	Layout Layout
}

type (
	matrix = ref.Matrix[float32]
	linear struct {
		weight matrix    // out x in
		bias   []float32 // out, or nil
		source source    // where the weights lie in the file
	}
	norm struct {
		gain, bias []float32 // no bias: an RMS norm
		eps        float64   // 0 for the tower's
	}
)

// embedding makes the first hidden states, n = patches rows or 1 + patches.
type embedding struct {
	patch linear    // hidden x 3·p²; the bias is nil in CLIP proper
	class []float32 // hidden; nil where the family has none
	// n x hidden, or what they are interpolated from; no rows where there are none
	positions matrix
	patchNorm *norm // of patch embeddings before positions; nil where the family has none
	pre       *norm // nil where the family has none
}

// block is one transformer block, normalised before attention and before the
// feed-forward network.
type block struct {
	ln1, ln2   norm
	q, k, v, o linear // hidden x hidden
	gate       linear // ff x hidden, of gated networks
	up, down   linear // ff x hidden, hidden x ff
	// norms of a head's queries, keys and values, and of what attention and the feed-forward
	// network add; without gain where the family has none
	heads [3]norm
	added [2]norm
}

// head takes hidden states to image tokens.
type head struct {
	post    *norm // of the state after the last block; nil where there is none
	chains  []projection
	newline []float32 // width; ends a row of tiles in LLaVA 1.6, else nil
	rowEnd  []float32 // width; stands between the rows of a picture, or nil
}

// projection is a chain's norm, nil where it has none, and layers.
type projection struct {
	norm   *norm
	layers []layer
}

// layer is a layer of a chain, with the norm behind it and the gate, both empty where it has none.
type layer struct {
	linear
	norm norm
	gate linear
}

// width is that of an image token.
func (h *head) width() (n int) {
	for _, c := range h.chains {
		n += c.layers[len(c.layers)-1].weight.Rows
	}
	return n
}

// A sink takes a tower piece by piece: the embedding, the blocks in order, then the
// head. The pieces are the sink's own: it may keep their slices, or pack them and let
// go of them, so that only one piece need be in memory in float32.
type sink interface {
	embedding(e *embedding) error
	block(i int, b *block) error
	head(h *head) error
}

// readTower reads and checks what the metadata and the names of the tensors tell about
// a tower. It reads no tensor.
func readTower(f *gguf.File, opt Options) (*description, error) {
	d, err := describe(f, opt.Layout)
	if err != nil {
		return nil, fmt.Errorf("vision: %w", err)
	}
	return d, nil
}

// walk reads the tensors and hands them to the sink, whose errors it returns as they
// are.
func (l *loader) walk(d *description, s sink) error {
	defer l.digests.wait() // nothing reads the file afterwards
	l.addMetadata(d)
	e := l.readEmbedding(d)
	if l.err != nil {
		return l.err
	}
	if err := s.embedding(e); err != nil {
		return err
	}
	for i := range d.depth() {
		b := l.readBlock(d, i)
		if l.err != nil {
			return l.err
		}
		if err := s.block(i, b); err != nil {
			return err
		}
	}
	h := l.readHead(d)
	if l.err != nil {
		return l.err
	}
	return s.head(h)
}

func (l *loader) readEmbedding(d *description) *embedding {
	n, side := d.Hidden, d.PatchSize
	e := &embedding{}
	for i, name := range d.Patch {
		weight := l.matrix(name, n, 3*side*side, side, side, 3, n)
		if i == 0 {
			e.patch.weight = weight
			continue
		}
		for k, v := range weight.Data { // a still picture is in all frames
			e.patch.weight.Data[k] += v
		}
	}
	if l.has("v.patch_embd.bias") {
		e.patch.bias = l.vector("v.patch_embd.bias", n)
	}
	rows := d.patches()
	if d.Class {
		rows++
		e.class = l.vector("v.class_embd", n)
	}
	switch d.Positions {
	case learned:
		e.positions = l.readPositions(d, rows)
	case bilinear, bicubic:
		side := l.side("v.position_embd.weight")
		e.positions = l.matrix("v.position_embd.weight", side*side, n)
	case axial:
		e.positions = l.matrix("v.position_embd.weight", 2*d.MostAcross, n, n, d.MostAcross, 2)
	}
	if d.PatchNorm {
		e.patchNorm = l.norm("v.norm_embd", n, rmsNorm)
	}
	if d.Pre != noNorm {
		e.pre = l.norm("v.pre_ln", n, d.Pre)
	}
	return e
}

// side returns the side of the square of rows that a table is, 1 if it is none: the tensor's own
// check names what is wrong then.
func (l *loader) side(name string) int {
	if t, ok := l.file.Tensor(name); ok && len(t.Dims) >= 2 && t.Dims[1] <= 1<<20 {
		return max(1, int(math.Sqrt(float64(t.Dims[1]))))
	}
	return 1
}

// readPositions reads the position embeddings, n rows. A file whose table was learned for another
// square grid of patches than its image size has means them to be interpolated, as Hugging Face's
// interpolate_pos_encoding does.
func (l *loader) readPositions(d *description, n int) matrix {
	const name = "v.position_embd.weight"
	extra := n - d.patches()
	if t, ok := l.file.Tensor(name); ok && len(t.Dims) >= 2 && t.Dims[1] > uint64(extra) &&
		t.Dims[1] <= maxPatches {
		rows := int(t.Dims[1])
		from := int(math.Sqrt(float64(rows - extra)))
		if rows != n && from*from == rows-extra {
			learned := l.matrix(name, rows, d.Hidden)
			if l.err != nil {
				return matrix{}
			}
			side := d.ImageSize / d.PatchSize
			positions, err := patch.InterpolatePositions(learned.Data, d.Hidden, extra, from, side,
				side)
			if err != nil {
				l.err = fmt.Errorf("vision: tensor %s: %w", name, err)
				return matrix{}
			}
			return ref.MatrixOf(n, d.Hidden, positions)
		}
	}
	return l.matrix(name, n, d.Hidden)
}

func (l *loader) readBlock(d *description, i int) *block {
	n := d.Hidden
	name := func(part string) string { return fmt.Sprintf("v.blk.%d.%s", i, part) }
	layer := func(part, stored string, out, in int) linear {
		return l.linear(name(stored), out, in, slices.Contains(d.Biased, part))
	}
	up, down := "ffn_up", "ffn_down"
	if t, ok := l.file.Tensor(name(up) + ".weight"); ok && d.FF != n && len(t.Dims) == 2 &&
		t.Dims[0] == uint64(d.FF) {
		// Converters up to early 2025 exchanged the two names.
		up, down = down, up
	}
	b := &block{ln1: *l.norm(name("ln1"), n, d.Norm), ln2: *l.norm(name("ln2"), n, d.Norm)}
	if d.FusedQKV {
		b.q, b.k, b.v = layer("attn_qkv", "attn_qkv", 3*n, n).thirds()
	} else {
		b.q, b.k, b.v = layer("attn_q", "attn_q", n, n), layer("attn_k", "attn_k", n, n),
			layer("attn_v", "attn_v", n, n)
	}
	b.o = layer("attn_out", "attn_out", n, n)
	if d.Gated {
		b.gate = layer("ffn_gate", "ffn_gate", d.FF, n)
	}
	b.up, b.down = layer("ffn_up", up, d.FF, n), layer("ffn_down", down, n, d.FF)
	if d.Sandwich {
		l.readSandwich(d, b, name)
	}
	if pairs := d.Rotary.pairs(n / d.Heads); pairs != nil && l.err == nil {
		for _, part := range []*linear{&b.q, &b.k} {
			part.reorder(d.Heads, pairs)
		}
		for i := range 2 {
			b.heads[i].reorder(pairs)
		}
	}
	if d.Scaled {
		b.o.scale(l.vector(name("ls1.weight"), n))
		b.down.scale(l.vector(name("ls2.weight"), n))
	}
	return b
}

// readSandwich reads the norms of heads and of what is added.
func (l *loader) readSandwich(d *description, b *block, name func(part string) string) {
	dim := d.Hidden / d.Heads
	b.heads = [3]norm{*l.norm(name("attn_q_norm"), dim, rmsNorm),
		*l.norm(name("attn_k_norm"), dim, rmsNorm), plainNorm(dim)}
	b.added = [2]norm{*l.norm(name("attn_post_norm"), d.Hidden, rmsNorm),
		*l.norm(name("ffn_post_norm"), d.Hidden, rmsNorm)}
	for i := range b.heads[0].gain { // attention divides by the root
		b.heads[0].gain[i] *= float32(math.Sqrt(float64(dim)))
	}
}

func (l *loader) readHead(d *description) *head {
	h := &head{}
	if d.Post != noNorm {
		h.post = l.norm("v.post_ln", d.Hidden, d.Post)
	}
	for _, c := range d.Chains {
		h.chains = append(h.chains, l.readChain(d, &c))
	}
	if l.err != nil {
		return nil
	}
	if d.Tiling.MergeType != "" || d.Family == "clip" || d.Family == "siglip" {
		for _, name := range newlineNames {
			if l.has(name) {
				h.newline = l.vector(name, h.width())
				break
			}
		}
	}
	if d.RowEnd != "" {
		h.rowEnd = l.vector(d.RowEnd, h.width())
	}
	return h
}

func (l *loader) readChain(d *description, c *chain) (p projection) {
	in := d.Hidden * len(c.Reads)
	merged := in
	if !d.Pooled {
		merged *= d.Merge * d.Merge
	}
	if c.Norm.Kind != noNorm {
		n := in
		if c.Norm.Merged {
			n = merged
		}
		if c.Norm.Plain {
			plain := plainNorm(n)
			p.norm = &plain
		} else {
			p.norm = l.norm(c.Norm.Name, n, c.Norm.Kind)
		}
		p.norm.eps = c.Norm.Eps
	}
	at := merged
	for i := range c.Parts {
		next := l.readPart(d, &c.Parts[i], in, at)
		p.layers = append(p.layers, next)
		if at = next.weight.Rows; l.err != nil {
			break
		}
	}
	return p
}

// readPart reads a layer of a chain that takes rows of at numbers; in is that of one patch.
func (l *loader) readPart(d *description, part *part, in, at int) (y layer) {
	name := part.Name + ".weight"
	out := l.outputs(name, part.Transposed)
	t, _ := l.file.Tensor(name)
	switch {
	case part.Transposed:
		y.weight = transpose(l.matrix(name, at, out))
	case part.Interleave && t != nil && len(t.Dims) == 4:
		y.weight = l.matrix(name, out, at, d.Merge, d.Merge, in, out)
	default:
		y.weight, y.source = l.matrix(name, out, at), l.source(name)
	}
	if part.Bias {
		y.bias = l.vector(part.Name+".bias", y.weight.Rows)
	}
	if part.Interleave && l.err == nil {
		y.channelsLast(in)
	}
	if part.Norm != "" {
		y.norm = *l.norm(part.Norm, y.weight.Rows, layerNorm)
		y.norm.eps = 1e-5 // of torch's LayerNorm
	}
	if part.Gate != "" {
		y.gate = l.linear(part.Gate, y.weight.Rows, at, part.Bias)
	}
	return y
}
