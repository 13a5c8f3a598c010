package vision

import (
	"fmt"
	"runtime"
	"sync"

	"github.com/eyelet-engine/eyelet/cgo/onednn"
	"github.com/eyelet-engine/eyelet/kernels/nn"
	"github.com/eyelet-engine/eyelet/kernels/patch"
	"github.com/eyelet-engine/eyelet/models/gguf"
)

// Native is a vision transformer with its projector over packed weights and the processor's matrix
// kernels (kernels/patch, kernels/nn). Of LLaVA's towers it computes what [Plain] computes, some
// tens of times faster.
//
// Advance computes on the OpenMP team of the calling thread, and must be called from the compute
// thread of the process. All else may be called from anywhere.
type Native struct {
	front
	plan    *nn.Plan
	patches *patch.Embedding
	table   matrix   // of positions
	first   *nn.Norm // of patch embeddings before positions; nil where the family has none
	pre     *nn.Norm // nil where the family has none
	blocks  []*nn.Block
	post    *nn.Norm // of the state after the last block; nil where there is none
	chains  []*nn.MLP

	batchLimit int     // tiles of a batch, in tests; 0 for what suits the threads
	stepLimit  float64 // operations of a step, in tests; 0 for workOfStep

	mu     sync.Mutex // guards the weights and the scratch memory
	tile   *prepared  // of a tower for tiles
	closed bool
}

// NativeOptions are the choices in loading a [Native] tower; the zero value is the usual one.
type NativeOptions struct {
	Options
	Precision nn.Precision
	Threads   int // 0 means GOMAXPROCS
}

// OpenNative loads the tower in an mmproj file; see [LoadNative].
func OpenNative(path string, opt NativeOptions) (*Native, error) {
	f, err := gguf.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	n, err := LoadNative(f, opt)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return n, nil
}

// nativeActivations are the activations of a block by their names in hyperparameters.
var nativeActivations = map[string]onednn.Activation{
	"gelu": onednn.GELU, "gelu_tanh": onednn.GELUTanh, "quick_gelu": onednn.QuickGELU,
	"silu": onednn.SiLU,
}

// LoadNative loads the tower and the projector of every family that this package describes, with
// the metadata keys and tensor names of llama.cpp's converters (tools/mtmd/clip-impl.h), and packs
// the weights on all cores. Every tensor's shape is checked, and that its numbers are finite;
// errors name the key or the tensor. Other towers and projectors give [ErrUnknownTower]. The
// float32 copies of no more than a few blocks exist at a time; the file may be closed afterwards.
func LoadNative(f *gguf.File, opt NativeOptions) (*Native, error) {
	d, err := readTower(f, opt.Options)
	if err != nil {
		return nil, err
	}
	precision := opt.Precision.Resolve()
	n := &Native{}
	if n.front, err = newFront(f, d, "native", precision.String()); err != nil {
		return nil, err
	}
	cpu := onednn.CPU()
	// What decides the numbers: a change of this package's or the kernels' arithmetic counts the
	// version up. The instruction set is part of it, since oneDNN adds up in another order in each.
	l := newLoader(f, opt.Options, fmt.Sprintf("native 3 %v %s", precision, cpu.ISA))
	s := &nativeSink{tower: n, config: nn.Config{
		Precision: precision, Threads: opt.Threads, Hidden: d.Hidden, Heads: d.Heads, FF: d.FF,
		Gated: d.Gated, Eps: d.Eps,
		Activation: nativeActivations[d.Activation],
	}, cores: make(chan struct{}, runtime.GOMAXPROCS(0))}
	n.blocks = make([]*nn.Block, d.depth())
	err = l.walk(d, s)
	s.packing.Wait()
	if err == nil {
		err = s.err
	}
	if err == nil && !d.AnySize {
		n.tile, err = n.prepare(d.ImageSize, d.ImageSize)
	}
	if err != nil {
		n.Close()
		return nil, err
	}
	n.info.Identity = l.identity()
	return n, nil
}

// nativeSink packs the pieces of a tower as they come, blocks in the background.
type nativeSink struct {
	tower   *Native
	config  nn.Config
	cores   chan struct{} // holds one for each block being packed
	packing sync.WaitGroup
	mu      sync.Mutex
	err     error // the first of packing
}

// embedding plans the products as well: not before tensors of the stated sizes were found, so that
// a file that lies about them costs no memory.
func (s *nativeSink) embedding(e *embedding) (err error) {
	n, d := s.tower, s.tower.d
	patches := 0
	if !d.AnySize {
		patches = d.patches()
		s.config.Rows = patches
		if d.Class {
			s.config.Rows++
		}
	}
	if n.plan, err = nn.NewPlan(s.config); err != nil {
		return wrap(err)
	}
	n.table = e.positions
	n.patches, err = patch.New(patch.Config{
		PatchSize: d.PatchSize, Hidden: d.Hidden, Mean: d.Mean, Std: d.Std, Patches: patches,
		Precision: n.plan.Config().Precision, Threads: n.plan.Config().Threads,
	}, patch.Weights{Patch: e.patch.weight.Data, Bias: e.patch.bias, Class: e.class,
		ClassLast: d.Layout == LibmtmdFault})
	if err == nil && e.patchNorm != nil {
		n.first, err = n.plan.NewNorm(normWeights(e.patchNorm))
	}
	if err == nil && e.pre != nil {
		n.pre, err = n.plan.NewNorm(normWeights(e.pre))
	}
	return wrap(err)
}

func (s *nativeSink) block(i int, b *block) error {
	s.cores <- struct{}{}
	s.mu.Lock()
	err := s.err
	s.mu.Unlock()
	if err != nil {
		<-s.cores
		return err
	}
	s.packing.Go(func() {
		defer func() { <-s.cores }()
		packed, err := s.tower.plan.NewBlock(nn.BlockWeights{
			LN1: normWeights(&b.ln1), LN2: normWeights(&b.ln2),
			Q: linearWeights(b.q), K: linearWeights(b.k), V: linearWeights(b.v),
			O:    linearWeights(b.o),
			Gate: linearWeights(b.gate), Up: linearWeights(b.up), Down: linearWeights(b.down),
			Heads: [3]nn.NormWeights{normWeights(&b.heads[0]), normWeights(&b.heads[1]),
				normWeights(&b.heads[2])},
			Added: [2]nn.NormWeights{normWeights(&b.added[0]), normWeights(&b.added[1])},
		})
		s.mu.Lock()
		defer s.mu.Unlock()
		s.tower.blocks[i] = packed
		if s.err == nil {
			s.err = wrap(err)
		}
	})
	return nil
}

func (s *nativeSink) head(h *head) (err error) {
	n := s.tower
	if h.post != nil {
		if n.post, err = n.plan.NewNorm(normWeights(h.post)); err != nil {
			return wrap(err)
		}
	}
	for i, c := range h.chains {
		var norm *nn.Norm
		if c.norm != nil {
			if norm, err = n.plan.NewNorm(normWeights(c.norm)); err != nil {
				return wrap(err)
			}
		}
		var layers []nn.Layer
		for k, l := range c.layers {
			layers = append(layers, nn.Layer{LinearWeights: linearWeights(l.linear),
				Norm: normWeights(&l.norm), Gate: linearWeights(l.gate),
				Activation: nativeActivations[n.d.Chains[i].Parts[k].Activation]})
		}
		m, err := n.plan.NewMLP(norm, layers)
		if err != nil {
			norm.Close()
			return wrap(err)
		}
		n.chains = append(n.chains, m)
	}
	return n.setHead(h)
}

func normWeights(w *norm) nn.NormWeights {
	return nn.NormWeights{Gain: w.gain, Bias: w.bias, RMS: w.bias == nil, Eps: w.eps}
}

func linearWeights(l linear) nn.LinearWeights {
	return nn.LinearWeights{Weight: l.weight.Data, Bias: l.bias, In: l.weight.Cols,
		Out: l.weight.Rows}
}

// wrap marks an error of the kernels as the tower's.
func wrap(err error) error {
	if err != nil {
		return fmt.Errorf("vision: %w", err)
	}
	return nil
}

// Work is the arithmetic of encoding a picture in floating-point operations, a multiplication and
// an addition counted as two: 2mnk for a product of m x k by k x n. Norms, softmax and activations
// are left out; they are below a hundredth.
type Work struct {
	Embedding, Blocks, Projector float64
	// of the tower: rows that attend to each other, width inside the feed-forward network
	Rows, FF int
}

// Work counts the arithmetic of a picture, or a tile, of a size that the tower takes.
func (n *Native) Work(width, height int) (Work, error) {
	d := n.d
	if err := d.checkSize(width, height); err != nil {
		return Work{}, fmt.Errorf("vision: %w", err)
	}
	s := d.newShape(width, height)
	rows, hidden, side := float64(s.length()), float64(d.Hidden), float64(d.PatchSize)
	w := Work{Rows: s.length(), FF: d.FF, Embedding: 2 * float64(s.cols*s.rows) * 3 * side * side *
		hidden}
	layers := 2.0
	if d.Gated {
		layers = 3
	}
	windows := rows * rows
	if s.windows != nil {
		windows = 0
		for _, n := range s.windows {
			windows += float64(n) * float64(n)
		}
	}
	for i := range d.depth() {
		attending := rows * rows
		if s.windows != nil && !d.Full[i] {
			attending = windows
		}
		w.Blocks += 2*rows*(4*hidden*hidden+layers*hidden*float64(d.FF)) + 4*attending*hidden
	}
	for _, c := range n.chains {
		w.Projector += 2 * float64(s.cols/d.Merge*(s.rows/d.Merge)) * c.Weights()
	}
	return w, nil
}

// WeightBytes returns the size of the packed weights in memory.
func (n *Native) WeightBytes() (size int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return 0
	}
	for _, b := range n.blocks {
		size += b.Bytes()
	}
	for _, c := range n.chains {
		size += c.Bytes()
	}
	return size + n.patches.Bytes()
}

// Close implements [Encoder].
func (n *Native) Close() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return nil
	}
	n.closed = true
	n.tile.close()
	if n.patches != nil {
		n.patches.Close()
	}
	for _, b := range n.blocks {
		if b != nil {
			b.Close()
		}
	}
	n.first.Close()
	n.pre.Close()
	n.post.Close()
	for _, c := range n.chains {
		c.Close()
	}
	if n.plan != nil {
		n.plan.Close()
	}
	return nil
}
