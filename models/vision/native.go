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

// Native is a vision transformer with LLaVA's projector over packed weights and the processor's matrix kernels: what [Plain] computes,
// some tens of times faster (kernels/patch, kernels/nn).
//
// Advance computes on the OpenMP team of the calling thread, and must be called from the compute thread of the process. All else may be
// called from anywhere.
type Native struct {
	front
	hp      *hyperparameters
	plan    *nn.Plan
	patches *patch.Embedding
	pre     *nn.Norm // nil where the family has none
	blocks  []*nn.Block
	post    *nn.Norm // of the state after the last block; nil where there is none
	project *nn.MLP

	mu     sync.Mutex // guards the weights and the scratch memory
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
	"gelu": onednn.GELU, "gelu_tanh": onednn.GELUTanh, "quick_gelu": onednn.QuickGELU, "silu": onednn.SiLU,
}

// LoadNative loads a tower and its projector as [LoadPlain] does, and packs the weights on all cores. The float32 copies of no more than
// a few blocks exist at a time.
func LoadNative(f *gguf.File, opt NativeOptions) (*Native, error) {
	hp, err := readTower(f, opt.Options)
	if err != nil {
		return nil, err
	}
	precision := opt.Precision.Resolve()
	n := &Native{hp: hp}
	if n.front, err = newFront(hp, "native", precision.String()); err != nil {
		return nil, err
	}
	cpu := onednn.CPU()
	// What decides the numbers: a change of this package's or the kernels' arithmetic counts the version up. The instruction set is
	// part of it, since oneDNN adds up in another order in each.
	l := newLoader(f, opt.Options, fmt.Sprintf("native 1 %v %s", precision, cpu.ISA))
	s := &nativeSink{tower: n, config: nn.Config{
		Precision: precision, Threads: opt.Threads, Hidden: hp.Hidden, Heads: hp.Heads, FF: hp.FF, Eps: hp.Eps,
		Activation: nativeActivations[hp.Activation],
	}, cores: make(chan struct{}, runtime.GOMAXPROCS(0))}
	n.blocks = make([]*nn.Block, hp.depth())
	err = l.walk(hp, s)
	s.packing.Wait()
	if err == nil {
		err = s.err
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

// embedding plans the products as well: not before tensors of the stated sizes were found, so that a file that lies about them costs
// no memory.
func (s *nativeSink) embedding(e *embedding) (err error) {
	n, hp := s.tower, s.tower.hp
	s.config.Tokens = e.positions.Rows
	if n.plan, err = nn.NewPlan(s.config); err != nil {
		return wrap(err)
	}
	n.patches, err = patch.New(patch.Config{
		ImageSize: hp.ImageSize, PatchSize: hp.PatchSize, Hidden: hp.Hidden, Mean: hp.Mean, Std: hp.Std,
		Precision: n.plan.Config().Precision, Threads: n.plan.Config().Threads,
	}, patch.Weights{
		Patch: e.patch.weight.Data, Bias: e.patch.bias, Class: e.class, Positions: e.positions.Data, ClassLast: hp.Layout == LibmtmdFault,
	})
	if err == nil && e.pre != nil {
		n.pre, err = n.plan.NewNorm(nn.NormWeights{Gain: e.pre.gain, Bias: e.pre.bias})
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
			LN1: nn.NormWeights{Gain: b.ln1.gain, Bias: b.ln1.bias}, LN2: nn.NormWeights{Gain: b.ln2.gain, Bias: b.ln2.bias},
			Q: linearWeights(b.q), K: linearWeights(b.k), V: linearWeights(b.v), O: linearWeights(b.o),
			Up: linearWeights(b.up), Down: linearWeights(b.down),
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
		if n.post, err = n.plan.NewNorm(nn.NormWeights{Gain: h.post.gain, Bias: h.post.bias}); err != nil {
			return wrap(err)
		}
	}
	var layers []nn.LinearWeights
	for _, l := range h.projection {
		layers = append(layers, linearWeights(l))
	}
	if n.project, err = n.plan.NewMLP(nil, layers, onednn.GELU); err != nil {
		return wrap(err)
	}
	return n.setHead(h)
}

func linearWeights(l linear) nn.LinearWeights {
	return nn.LinearWeights{Weight: l.weight.Data, Bias: l.bias, In: l.weight.Cols, Out: l.weight.Rows}
}

// wrap marks an error of the kernels as the tower's.
func wrap(err error) error {
	if err != nil {
		return fmt.Errorf("vision: %w", err)
	}
	return nil
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
	return size + n.patches.Bytes() + n.project.Bytes()
}

// Close implements [Encoder].
func (n *Native) Close() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return nil
	}
	n.closed = true
	if n.patches != nil {
		n.patches.Close()
	}
	for _, b := range n.blocks {
		if b != nil {
			b.Close()
		}
	}
	n.pre.Close()
	n.post.Close()
	n.project.Close()
	if n.plan != nil {
		n.plan.Close()
	}
	return nil
}
