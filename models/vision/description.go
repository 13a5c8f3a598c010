package vision

import (
	"fmt"
	"slices"

	"github.com/eyelet-engine/eyelet/models/gguf"
)

// description says what a tower and its projector are made of: all that the metadata and the names
// of the tensors tell. Two executors, [Native] and [Graph], run every description, and [Plain]
// those without the parts that came after SigLIP. Families make one in files of their own
// (family_*.go), by setting what is not as in a plain transformer. All fields go into the identity.
type description struct {
	Layout    Layout
	Family    string // of the tower
	Projector string // as the file calls it

	// Pictures. A tower for tiles takes pictures of ImageSize alone; else ImageSize is what its
	// positions were learned for, if they were.
	ImageSize, PatchSize int
	AnySize              bool
	MostAcross           int // patches in a row or column, where the tower has a bound; else 0
	Mean, Std            [3]float32
	Tiling               tiling // of LLaVA 1.6

	// Hidden states.
	Hidden, FF, Heads int
	Blocks            int     // stored
	Eps               float64 // of norms
	// weights of the patch embedding, added up; the first one's bias goes with them
	Patch      []string
	Class      bool // a class token stands before the patches
	PatchNorm  bool // an RMS norm of patch embeddings, before positions are added
	Positions  positions
	Rotary     rotary
	Pre, Post  normKind // of the states before the first block, and behind the last
	Norm       normKind // in blocks
	Gated      bool     // the activation is a gate's
	Activation string   // of the blocks: a key of activations
	Biased     []string // parts of a block with a bias
	FusedQKV   bool
	Scaled     bool // what a block adds is scaled by ls1 and ls2
	// Sandwich says that RMS norms, without bias, take each head's queries, keys and, without
	// weights, values, and what attention and the feed-forward network add; and that scores are not
	// divided by the root of a head's width.
	Sandwich bool
	Window   int    // side in pixels of the windows that rows attend in; 0 for none
	Full     []bool // blocks that attend to the whole picture nevertheless

	// Projectors. A token is made of Merge x Merge patches, their rows side by side or, pooled,
	// their mean.
	Merge  int
	Pooled bool
	// a token's row is what all of them make, side by side; the first is the projector proper
	Chains []chain
	RowEnd string // tensor of the row that stands between the tokens of two rows of a picture

	// What the language model does with the rows.
	MRoPE bool // positions are rows and columns of the picture
	Whole bool // tokens of a picture attend to each other
}

// positions says how position embeddings come from the table v.position_embd.
type positions int

const (
	noPositions positions = iota
	learned               // a row a patch, resampled once where the table is for another tile
	bilinear              // interpolated for each picture, corners on corners
	bicubic               // interpolated for each picture, centres on centres
	axial                 // the sum of a row for the column and one for the row, in two tables
)

// rotary is rotary positions of two dimensions: the first half of a head's pairs is turned by the
// patch's row, the other by its column, pair i of n by position · Theta^(-i/n).
type rotary struct {
	Theta float64 // 0 for none
	// Staggered puts the columns' frequencies between those of the rows: (i + 1/2)/n.
	Staggered bool
	// Adjacent says that the weights have the numbers of a pair side by side, not half a head
	// apart.
	Adjacent bool
	// Quarters says that they are a quarter of a head apart: the first half of a head is turned by
	// the column, the other by the row.
	Quarters bool
}

// normKind is a layer norm or an RMS norm.
type normKind int

const (
	noNorm normKind = iota
	layerNorm
	rmsNorm
)

// chain is a norm and linear layers, from hidden states to a part of a token's row.
type chain struct {
	Reads []int // the states that it reads side by side: k is that after k blocks
	Norm  chainNorm
	Parts []part
}

// chainNorm is the norm before a chain's first layer.
type chainNorm struct {
	Name   string // "" for none
	Kind   normKind
	Merged bool    // of merged rows, not of those of patches
	Eps    float64 // 0 for the tower's
	// Plain says that it has no weights, and is no tensor of the file's.
	Plain bool
}

// part is one layer of a chain.
type part struct {
	Name       string // without ".weight"
	Bias       bool
	Norm       string // layer norm behind it, before the activation; "" for none
	Gate       string // layer whose result, activated, its own is multiplied by; "" for none
	Activation string // behind it; "" for none
	Transposed bool   // stored with outputs innermost
	// Interleave says that its inputs are the merged patches' innermost, not channels, as those of
	// a convolution, which may be stored in four dimensions.
	Interleave bool
}

// patches is the number of patches of one tile. Pixels beyond the last whole patch are
// not seen: SigLIP's 384 pixels make 27 patches of 14 in a row, and 6 are left.
func (d *description) patches() int {
	across := d.ImageSize / d.PatchSize
	return across * across
}

// depth is the number of blocks that are run: none beyond what the projectors read.
func (d *description) depth() (n int) {
	for _, c := range d.Chains {
		n = max(n, slices.Max(c.Reads))
	}
	return n
}

// Bounds that no tower comes near. They keep the work space of a hostile file, which
// grows with the square of the number of patches, below 300 MB.
const (
	maxSide    = 1 << 14
	maxWidth   = 1 << 16
	maxBlocks  = 1 << 10
	maxPatches = 1 << 13
	maxMerge   = 1 << 5
)

// describe makes the description of a file. The keys are llama.cpp's (tools/mtmd/clip-impl.h).
func describe(f *gguf.File, order Layout) (*description, error) {
	d := &description{Layout: order, Eps: 1e-5, Merge: 1, Patch: []string{"v.patch_embd.weight"},
		Norm: layerNorm}
	family, err := familyOf(f)
	if err != nil {
		return nil, err
	}
	if err := d.readSizes(f); err != nil {
		return nil, err
	}
	if eps, ok := f.Float("clip.vision.attention.layer_norm_epsilon"); ok {
		if !(eps > 0 && eps < 1) {
			return nil, fmt.Errorf("clip.vision.attention.layer_norm_epsilon = %v", eps)
		}
		d.Eps = eps
	}
	if err := d.readNormalisation(f); err != nil {
		return nil, err
	}
	d.Projector = f.ProjectorKind()
	d.Biased = biased(f)
	_, d.FusedQKV = f.Tensor("v.blk.0.attn_qkv.weight")
	if err := family(d, f); err != nil {
		return nil, err
	}
	if err := d.check(); err != nil {
		return nil, err
	}
	return d, d.refuseOtherTensors(f)
}

// check refuses what families may have set from a file's numbers.
func (d *description) check() error {
	across := d.ImageSize / d.PatchSize
	switch {
	case !d.AnySize && d.patches() > maxPatches:
		return fmt.Errorf("%d patches; at most %d are supported", d.patches(), maxPatches)
	case d.Merge < 1 || d.Merge > maxMerge || across%d.Merge != 0:
		return fmt.Errorf("%d x %d patches become a token of a tile of %d x %d", d.Merge, d.Merge,
			across, across)
	case d.Rotary.Theta > 0 && d.Hidden/d.Heads%4 != 0:
		return fmt.Errorf("heads of %d numbers, which rows and columns cannot turn in pairs",
			d.Hidden/d.Heads)
	case d.Window > 0 && d.Window/d.PatchSize/d.Merge < 1:
		return fmt.Errorf("windows of %d pixels of patches of %d", d.Window, d.PatchSize)
	}
	return nil
}

// readSizes reads the numbers that shapes are made of.
func (d *description) readSizes(f *gguf.File) error {
	for _, k := range []struct {
		key   string
		limit uint64
		dst   *int
	}{
		{"clip.vision.image_size", maxSide, &d.ImageSize},
		{"clip.vision.patch_size", maxSide, &d.PatchSize},
		{"clip.vision.embedding_length", maxWidth, &d.Hidden},
		{"clip.vision.feed_forward_length", maxWidth, &d.FF},
		{"clip.vision.attention.head_count", maxWidth, &d.Heads},
		{"clip.vision.block_count", maxBlocks, &d.Blocks},
	} {
		n, ok := f.Uint(k.key)
		if !ok {
			return fmt.Errorf("no %s", k.key)
		}
		if n == 0 || n > k.limit {
			return fmt.Errorf("%s = %d", k.key, n)
		}
		*k.dst = int(n)
	}
	switch {
	case d.PatchSize > d.ImageSize:
		return fmt.Errorf("patches of %d pixels in an image of %d", d.PatchSize, d.ImageSize)
	case d.Hidden%d.Heads != 0:
		return fmt.Errorf("%d attention heads do not divide a width of %d", d.Heads, d.Hidden)
	}
	return nil
}

func (d *description) readNormalisation(f *gguf.File) error {
	for _, k := range []struct {
		key string
		dst *[3]float32
	}{{"clip.vision.image_mean", &d.Mean}, {"clip.vision.image_std", &d.Std}} {
		v, ok := f.Floats(k.key)
		if !ok || len(v) != 3 {
			return fmt.Errorf("%s is not three numbers", k.key)
		}
		for c := range v {
			if !(v[c] >= -1e3 && v[c] <= 1e3) {
				return fmt.Errorf("%s = %v", k.key, v)
			}
			k.dst[c] = float32(v[c])
		}
	}
	if slices.ContainsFunc(d.Std[:], func(s float32) bool { return s < 1e-6 }) {
		return fmt.Errorf("clip.vision.image_std = %v", d.Std)
	}
	return nil
}

// number reads a small number that may be missing.
func number(f *gguf.File, key string, limit, otherwise int) (int, error) {
	key = "clip.vision." + key
	v, ok := f.Lookup(key)
	if !ok {
		return otherwise, nil
	}
	n, ok := v.Uint()
	if !ok || n < 1 || n > uint64(limit) {
		return 0, fmt.Errorf("%s is not between 1 and %d", key, limit)
	}
	return int(n), nil
}

// blockParts are the linear layers of a block.
var blockParts = []string{"attn_qkv", "attn_q", "attn_k", "attn_v", "attn_out", "ffn_gate",
	"ffn_up", "ffn_down"}

// biased lists the parts that have a bias in the first block.
func biased(f *gguf.File) (list []string) {
	for _, part := range blockParts {
		if _, ok := f.Tensor("v.blk.0." + part + ".bias"); ok {
			list = append(list, part)
		}
	}
	return list
}
