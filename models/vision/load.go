package vision

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"math"
	"slices"

	"github.com/eyelet-engine/eyelet/kernels/ref"
	"github.com/eyelet-engine/eyelet/models/gguf"
	"github.com/eyelet-engine/eyelet/models/llava"
)

// ErrNotCLIP says that a file is no CLIP tower with a LLaVA projector. Another
// implementation of [Encoder] may know it.
var ErrNotCLIP = errors.New("not a CLIP/LLaVA projector")

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
	// (llama.cpp #25814, #25817).
	LibmtmdFault
)

// Options are the choices in loading a tower; the zero value is the usual one.
type Options struct {
	Layout Layout
	// Dequantize converts the data of a tensor type that this package does not
	// know itself (it knows F32, F16, BF16 and Q8_0). dst has the tensor's number of
	// elements. Nil refuses such files.
	Dequantize func(t gguf.Type, data []byte, dst []float32) error
}

// OpenCLIP loads the tower in an mmproj file; see [LoadCLIP].
func OpenCLIP(path string, opt Options) (*CLIP, error) {
	f, err := gguf.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	c, err := LoadCLIP(f, opt)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

// LoadCLIP loads a CLIP tower and its LLaVA projector, linear or MLP, with the
// metadata keys and tensor names of llama.cpp's converters (tools/mtmd/clip-impl.h).
// Every tensor's shape is checked, and that its numbers are finite; errors name the
// key or the tensor. Other towers and projectors give [ErrNotCLIP]. The weights are
// copied: the file may be closed afterwards.
func LoadCLIP(f *gguf.File, opt Options) (*CLIP, error) {
	hp, err := readHyperparameters(f, opt.Layout)
	if err != nil {
		return nil, fmt.Errorf("vision: %w", err)
	}
	l := &loader{file: f, dequantize: opt.Dequantize, sum: sha256.New()}
	// "1" stands for the arithmetic of this package: a change that alters the
	// embeddings counts it up.
	fmt.Fprintf(l.sum, "clip 1 %+v\n", *hp)
	c := &CLIP{
		order: opt.Layout, mean: hp.Mean, std: hp.Std, heads: hp.Heads, eps: hp.Eps, features: hp.Features,
		act: map[string]ref.Activation[float32]{
			"gelu": ref.GELU[float32], "silu": ref.SiLU[float32], "quick_gelu": ref.QuickGELU[float32],
		}[hp.Activation],
	}
	l.load(c, hp)
	if l.err != nil {
		return nil, fmt.Errorf("vision: %w", l.err)
	}
	if c.layout, err = llava.New(hp.ImageSize, hp.PatchSize, hp.Mean); err != nil {
		return nil, err
	}
	c.info = Info{
		Family: "clip", Projector: hp.Projector, ImageSize: hp.ImageSize, PatchSize: hp.PatchSize,
		TileTokens: c.layout.TileTokens(), Blocks: len(c.blocks), Hidden: hp.Hidden,
		Width:    c.projection[len(c.projection)-1].weight.Rows,
		Identity: hex.EncodeToString(l.sum.Sum(nil)),
	}
	c.work = c.newWork()
	return c, nil
}

// load reads all tensors, in an order that the identity hash depends on.
func (l *loader) load(c *CLIP, hp *hyperparameters) {
	d := hp.Hidden
	grid := hp.ImageSize / hp.PatchSize
	c.patch = linear{weight: l.matrix("v.patch_embd.weight", d, 3*hp.PatchSize*hp.PatchSize, hp.PatchSize, hp.PatchSize, 3, d)}
	if _, ok := l.file.Tensor("v.patch_embd.bias"); ok {
		c.patch.bias = l.vector("v.patch_embd.bias", d)
	}
	c.class = l.vector("v.class_embd", d)
	c.positions = l.matrix("v.position_embd.weight", grid*grid+1, d)
	c.pre = l.norm("v.pre_ln", d)
	for i := range slices.Max(hp.Features) {
		if l.err != nil {
			return
		}
		name := func(part string) string { return fmt.Sprintf("v.blk.%d.%s", i, part) }
		up, down := name("ffn_up"), name("ffn_down")
		if t, ok := l.file.Tensor(up + ".weight"); ok && hp.FF != d && len(t.Dims) == 2 && t.Dims[0] == uint64(hp.FF) {
			// Converters up to early 2025 exchanged the two names.
			up, down = down, up
		}
		c.blocks = append(c.blocks, block{
			ln1: l.norm(name("ln1"), d), ln2: l.norm(name("ln2"), d),
			q: l.linear(name("attn_q"), d, d), k: l.linear(name("attn_k"), d, d),
			v: l.linear(name("attn_v"), d, d), o: l.linear(name("attn_out"), d, d),
			up: l.linear(up, hp.FF, d), down: l.linear(down, d, hp.FF),
		})
	}
	in := d * len(hp.Features)
	if hp.Projector == "linear" {
		name := "mm.0"
		if _, ok := l.file.Tensor("mm.weight"); ok {
			name = "mm"
		}
		c.projection = []linear{l.linear(name, l.outputs(name+".weight"), in)}
		return
	}
	inner := l.outputs("mm.0.weight")
	c.projection = []linear{l.linear("mm.0", inner, in), l.linear("mm.2", l.outputs("mm.2.weight"), inner)}
}

// loader reads tensors and keeps the first error, so that loading reads as a list
// of what there is.
type loader struct {
	file       *gguf.File
	dequantize func(gguf.Type, []byte, []float32) error
	sum        hash.Hash
	err        error
}

// outputs returns the number of rows of a weight matrix, for widths that only the
// tensors tell.
func (l *loader) outputs(name string) int {
	if t, ok := l.file.Tensor(name); ok && len(t.Dims) == 2 && t.Dims[1] <= math.MaxInt32 {
		return int(t.Dims[1])
	}
	return 1 // the tensor's own check will name what is wrong
}

func (l *loader) linear(name string, out, in int) linear {
	return linear{l.matrix(name+".weight", out, in), l.vector(name+".bias", out)}
}

func (l *loader) norm(name string, n int) norm {
	return norm{l.vector(name+".weight", n), l.vector(name+".bias", n)}
}

// matrix reads a rows x cols matrix. Its dimensions in the file, fastest first, are
// cols and rows unless given.
func (l *loader) matrix(name string, rows, cols int, dims ...int) matrix {
	if len(dims) == 0 {
		dims = []int{cols, rows}
	}
	data := l.tensor(name, dims...)
	if l.err != nil {
		return matrix{}
	}
	return ref.MatrixOf(rows, cols, data)
}

func (l *loader) vector(name string, n int) []float32 { return l.tensor(name, n) }

// tensor reads a tensor as float32 and adds it to the identity.
func (l *loader) tensor(name string, dims ...int) []float32 {
	if l.err != nil {
		return nil
	}
	var values []float32
	values, l.err = l.read(name, dims)
	if l.err != nil {
		l.err = fmt.Errorf("tensor %s: %w", name, l.err)
	}
	return values
}

func (l *loader) read(name string, dims []int) ([]float32, error) {
	t, ok := l.file.Tensor(name)
	if !ok {
		return nil, errors.New("missing")
	}
	if !sameDims(t.Dims, dims) {
		return nil, fmt.Errorf("dimensions %v, want %v", t.Dims, dims)
	}
	data := t.Data()
	fmt.Fprintf(l.sum, "%s %v %v\n", name, t.Type, t.Dims)
	l.sum.Write(data)
	values := make([]float32, t.Elements())
	err := dequantize(t.Type, data, values)
	if errors.Is(err, errType) && l.dequantize != nil {
		err = l.dequantize(t.Type, data, values)
	}
	if err != nil {
		return nil, err
	}
	for i, v := range values {
		if v-v != 0 { // not so for finite numbers only
			return nil, fmt.Errorf("element %d is %v", i, v)
		}
	}
	return values, nil
}

// sameDims compares dimensions; trailing ones may be missing.
func sameDims(got []uint64, want []int) bool {
	if len(got) > len(want) {
		return false
	}
	for i, n := range want {
		have := uint64(1)
		if i < len(got) {
			have = got[i]
		}
		if have != uint64(n) {
			return false
		}
	}
	return true
}
