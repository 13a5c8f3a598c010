package vision

import (
	"errors"
	"fmt"
	"math"

	"github.com/eyelet-engine/eyelet/kernels/patch"
	"github.com/eyelet-engine/eyelet/kernels/ref"
	"github.com/eyelet-engine/eyelet/models/gguf"
)

// ErrUnknownTower says that a file holds no tower and projector of the kinds that
// this package knows. Another implementation may know it.
var ErrUnknownTower = errors.New("not a CLIP or SigLIP tower with LLaVA's projector")

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
		bias   []float32 // out
	}
	norm struct{ gain, bias []float32 }
)

// embedding makes the first hidden states, n = patches rows or 1 + patches.
type embedding struct {
	patch     linear    // hidden x 3·p²; the bias is nil in CLIP proper
	class     []float32 // hidden; nil where the family has none
	positions matrix    // n x hidden
	pre       *norm     // nil where the family has none
}

// block is one transformer block, normalised before attention and before the
// feed-forward network.
type block struct {
	ln1, ln2   norm
	q, k, v, o linear // hidden x hidden
	up, down   linear // ff x hidden, hidden x ff
}

// head takes the last hidden states to image tokens.
type head struct {
	post       *norm     // of the state after the last block; nil where there is none
	projection []linear  // one, or two with a GELU (the exact one) between them
	newline    []float32 // width; ends a row of tiles in LLaVA 1.6, else nil
}

// width is that of an image token.
func (h *head) width() int { return h.projection[len(h.projection)-1].weight.Rows }

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
func readTower(f *gguf.File, opt Options) (*hyperparameters, error) {
	hp, err := readHyperparameters(f, opt.Layout)
	if err != nil {
		return nil, fmt.Errorf("vision: %w", err)
	}
	return hp, nil
}

// walk reads the tensors and hands them to the sink, whose errors it returns as they
// are.
func (l *loader) walk(hp *hyperparameters, s sink) error {
	defer l.digests.wait() // nothing reads the file afterwards
	l.addMetadata(hp)
	e := l.readEmbedding(hp)
	if l.err != nil {
		return l.err
	}
	if err := s.embedding(e); err != nil {
		return err
	}
	for i := range hp.depth() {
		b := l.readBlock(hp, i)
		if l.err != nil {
			return l.err
		}
		if err := s.block(i, b); err != nil {
			return err
		}
	}
	h := l.readHead(hp)
	if l.err != nil {
		return l.err
	}
	return s.head(h)
}

func (l *loader) readEmbedding(hp *hyperparameters) *embedding {
	d, side := hp.Hidden, hp.PatchSize
	e := &embedding{patch: linear{weight: l.matrix("v.patch_embd.weight", d, 3*side*side, side, side, 3, d)}}
	if l.has("v.patch_embd.bias") {
		e.patch.bias = l.vector("v.patch_embd.bias", d)
	}
	rows := hp.patches()
	if hp.Family == "clip" {
		rows++
		e.class = l.vector("v.class_embd", d)
	}
	e.positions = l.readPositions(hp, rows)
	if hp.Family == "clip" || l.has("v.pre_ln.weight") {
		pre := l.norm("v.pre_ln", d)
		e.pre = &pre
	}
	return e
}

// readPositions reads the position embeddings, n rows. A file whose table was learned for another square grid of patches than its image
// size has means them to be interpolated, as Hugging Face's interpolate_pos_encoding does.
func (l *loader) readPositions(hp *hyperparameters, n int) matrix {
	const name = "v.position_embd.weight"
	extra := n - hp.patches()
	if t, ok := l.file.Tensor(name); ok && len(t.Dims) == 2 && t.Dims[1] > uint64(extra) && t.Dims[1] <= maxPatches {
		rows := int(t.Dims[1])
		from := int(math.Sqrt(float64(rows - extra)))
		if rows != n && from*from == rows-extra {
			learned := l.matrix(name, rows, hp.Hidden)
			if l.err != nil {
				return matrix{}
			}
			positions, err := patch.InterpolatePositions(learned.Data, hp.Hidden, extra, from, hp.ImageSize/hp.PatchSize)
			if err != nil {
				l.err = fmt.Errorf("vision: tensor %s: %w", name, err)
				return matrix{}
			}
			return ref.MatrixOf(n, hp.Hidden, positions)
		}
	}
	return l.matrix(name, n, hp.Hidden)
}

func (l *loader) readBlock(hp *hyperparameters, i int) *block {
	d := hp.Hidden
	name := func(part string) string { return fmt.Sprintf("v.blk.%d.%s", i, part) }
	up, down := name("ffn_up"), name("ffn_down")
	if t, ok := l.file.Tensor(up + ".weight"); ok && hp.FF != d && len(t.Dims) == 2 && t.Dims[0] == uint64(hp.FF) {
		// Converters up to early 2025 exchanged the two names.
		up, down = down, up
	}
	return &block{
		ln1: l.norm(name("ln1"), d), ln2: l.norm(name("ln2"), d),
		q: l.linear(name("attn_q"), d, d), k: l.linear(name("attn_k"), d, d),
		v: l.linear(name("attn_v"), d, d), o: l.linear(name("attn_out"), d, d),
		up: l.linear(up, hp.FF, d), down: l.linear(down, d, hp.FF),
	}
}

func (l *loader) readHead(hp *hyperparameters) *head {
	h := &head{}
	// CLIP's own norm after the last block is the class token's alone.
	if hp.Family == "siglip" && l.has("v.post_ln.weight") {
		post := l.norm("v.post_ln", hp.Hidden)
		h.post = &post
	}
	in := hp.Hidden * len(hp.Features)
	for _, name := range hp.projectorLayers(l.file) {
		out := l.outputs(name + ".weight")
		h.projection = append(h.projection, l.linear(name, out, in))
		in = out
	}
	for _, name := range newlineNames {
		if l.has(name) {
			h.newline = l.vector(name, in)
			break
		}
	}
	return h
}
