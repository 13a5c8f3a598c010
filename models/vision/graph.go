package vision

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
	"github.com/eyelet-engine/eyelet/cgo/ggml/graph"
	"github.com/eyelet-engine/eyelet/kernels/nn"
	"github.com/eyelet-engine/eyelet/models/gguf"
)

// ErrDevice is wrapped by errors of the device that a [Graph] computes on: it is out of memory, or
// lost.
var ErrDevice = graph.ErrDevice

// Graph is a vision transformer with its projector as graphs of ggml, which any of ggml's devices
// computes. It runs the descriptions that [Native] runs. Weights stay in the types that they have
// in the file, but for the few whose numbers stand in another order there, and those of types that
// the device lacks, which become float32.
//
// Advance must be called from the compute thread of the process. All else may be called from
// anywhere.
type Graph struct {
	front
	backend *graph.Backend
	device  string
	exact   bool   // in float32 throughout
	padded  bool   // see rowsOfMatrix
	table   matrix // of positions
	class   []float32
	patch   graphLinear
	first   *graphNorm // of patch embeddings before positions; nil where there is none
	pre     *graphNorm
	blocks  []graphBlock
	post    *graphNorm
	chains  []graphChain
	stores  []*graph.Store

	mu     sync.Mutex // guards all that is C's
	jobs   map[*graphJob]bool
	closed bool
}

// GraphOptions are the choices in loading a [Graph]; the zero value computes on the CPU.
type GraphOptions struct {
	Options
	// Precision is [nn.F32] for weights in float32, and products exact to float32's rounding as far
	// as the device goes; else weights keep their types.
	Precision nn.Precision
	Device    *ggml.Device // nil for the CPU
	Threads   int          // of the CPU; 0 means GOMAXPROCS
	// CPUBlocks is how many blocks the CPU computes, from the first on; the device computes the
	// others.
	CPUBlocks int
}

// graphLinear is a layer's weights; bias and scale are nil where it has none. On a device there may
// be rows of zeros behind those of its outputs (rowsOfMatrix).
type graphLinear struct {
	weight, bias, scale *graph.Tensor
	out                 int
}

// graphNorm is a norm's weights; bias is nil for an RMS norm.
type graphNorm struct {
	gain, bias *graph.Tensor
	eps        float64
}

// graphBlock is a block's weights.
type graphBlock struct {
	ln1, ln2                   *graphNorm
	q, k, v, o, gate, up, down graphLinear
	// of a head\'s queries, keys and values, and of what is added; nil where there are none
	heads [3]*graphNorm
	added [2]*graphNorm
}

// graphLayer is a layer of a chain; norm and gate are empty where it has none.
type graphLayer struct {
	graphLinear
	norm *graphNorm
	gate graphLinear
}

// graphChain is a chain's weights; norm is nil where it has none.
type graphChain struct {
	norm   *graphNorm
	layers []graphLayer
	out    int
}

// OpenGraph loads the tower in an mmproj file; see [LoadGraph].
func OpenGraph(path string, opt GraphOptions) (*Graph, error) {
	f, err := gguf.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	t, err := LoadGraph(f, opt)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return t, nil
}

// LoadGraph loads the tower and the projector of every family that this package describes into the
// memory of a device. It checks files as [LoadNative] does. Errors of the device wrap [ErrDevice].
func LoadGraph(f *gguf.File, opt GraphOptions) (*Graph, error) {
	d, err := readTower(f, opt.Options)
	if err != nil {
		return nil, err
	}
	t := &Graph{exact: opt.Precision == nn.F32, jobs: map[*graphJob]bool{}}
	precision := "f32"
	if !t.exact {
		precision = storedType(f)
	}
	if t.front, err = newFront(f, d, "ggml", precision); err != nil {
		return nil, err
	}
	threads := opt.Threads
	if threads < 1 {
		threads = defaultThreads()
	}
	if t.backend, err = graph.Open(opt.Device, threads); err != nil {
		return nil, wrap(err)
	}
	t.device, t.padded = t.backend.Name(), opt.Device != nil
	hardware := t.device
	if opt.Device != nil {
		hardware = opt.Device.Backend + " " + opt.Device.Description
	}
	// "1" stands for the arithmetic of these graphs: a change that alters the embeddings counts it
	// up.
	l := newLoader(f, opt.Options, fmt.Sprintf("graph 1 %s %s %d", precision, hardware,
		opt.CPUBlocks))
	s := &graphSink{tower: t, onCPU: opt.CPUBlocks}
	if err = l.walk(d, s); err != nil {
		t.Close()
		return nil, err
	}
	t.info.Identity = l.identity()
	return t, nil
}

// storedType is the type of the weights of a file's first block.
func storedType(f *gguf.File) string {
	for _, part := range []string{"ffn_up", "attn_out"} {
		if w, ok := f.Tensor("v.blk.0." + part + ".weight"); ok {
			return strings.ToLower(w.Type.String())
		}
	}
	return "file"
}

// graphSink moves the pieces of a tower to the device as they come.
type graphSink struct {
	tower *Graph
	onCPU int // blocks
}

func (s *graphSink) embedding(e *embedding) error {
	t := s.tower
	t.table, t.class = e.positions, e.class
	p := t.newPacker(8, s.onCPU == 0)
	t.patch = p.linear(linear{weight: e.patch.weight, bias: e.patch.bias})
	t.first, t.pre = p.norm(e.patchNorm), p.norm(e.pre)
	return p.finish()
}

func (s *graphSink) block(i int, b *block) error {
	p := s.tower.newPacker(48, i >= s.onCPU)
	s.tower.blocks = append(s.tower.blocks, graphBlock{ln1: p.norm(&b.ln1), ln2: p.norm(&b.ln2),
		q: p.linear(b.q), k: p.linear(b.k), v: p.linear(b.v), o: p.linear(b.o),
		gate: p.linear(b.gate), up: p.linear(b.up), down: p.linear(b.down),
		heads: [3]*graphNorm{p.norm(&b.heads[0]), p.norm(&b.heads[1]), p.norm(&b.heads[2])},
		added: [2]*graphNorm{p.norm(&b.added[0]), p.norm(&b.added[1])}})
	return p.finish()
}

func (s *graphSink) head(h *head) error {
	t, tensors := s.tower, 2
	for _, c := range h.chains {
		tensors += 2 + 8*len(c.layers)
	}
	p := t.newPacker(tensors, true)
	t.post = p.norm(h.post)
	for _, c := range h.chains {
		chain := graphChain{out: c.layers[len(c.layers)-1].weight.Rows}
		chain.norm = p.norm(c.norm)
		for _, l := range c.layers {
			chain.layers = append(chain.layers, graphLayer{p.linear(l.linear), p.norm(&l.norm),
				p.linear(l.gate)})
		}
		t.chains = append(t.chains, chain)
	}
	if err := p.finish(); err != nil {
		return err
	}
	return t.setHead(h)
}

// packer puts a piece's weights into a store of its own.
type packer struct {
	tower *Graph
	store *graph.Store
	fill  []func() error
}

func (t *Graph) newPacker(tensors int, onDevice bool) *packer {
	p := &packer{tower: t, store: t.backend.NewStore(tensors, onDevice)}
	t.stores = append(t.stores, p.store)
	return p
}

// floats is a tensor of float32, nil for no values.
func (p *packer) floats(values []float32, dims ...int) *graph.Tensor {
	if len(values) == 0 {
		return nil
	}
	t := p.store.Tensor(ggml.F32, dims...)
	p.fill = append(p.fill, func() error { return t.SetFloats(values) })
	return t
}

// linear is a layer; zero for none.
func (p *packer) linear(l linear) graphLinear {
	in, out := l.weight.Cols, l.weight.Rows
	if in == 0 || out == 0 {
		return graphLinear{}
	}
	w := graphLinear{bias: p.floats(l.bias, out), out: out}
	more := p.tower.padding(out)
	if stored := l.source.stored; !p.tower.exact && stored != nil {
		kind := ggml.Type(stored.Type)
		if kind != ggml.F32 && p.tower.backend.MultipliesBy(kind, in, out) {
			w.weight = p.store.Tensor(kind, in, out+more)
			w.scale = p.floats(l.source.scale, out)
			p.fill = append(p.fill, func() error {
				data := l.source.data(in)
				if more > 0 { // blocks of zeros are zeros in all types
					data = append(slices.Clone(data), make([]byte, len(data)/out*more)...)
				}
				return w.weight.SetBytes(data)
			})
			return w
		}
	}
	values := l.weight.Data
	if more > 0 {
		values = append(slices.Clone(values), make([]float32, more*in)...)
	}
	w.weight = p.floats(values, in, out+more)
	return w
}

// rowsOfMatrix divides the number of rows of what rows are multiplied with on a device. ggml's
// Vulkan backend (0.27, on Mesa's software driver) makes wrong products of matrices of any other
// number: findings/ggml-vulkan-products-of-odd-rows.sh.
const rowsOfMatrix = 8

// padding is how many rows are missing to a multiple of rowsOfMatrix, 0 on the CPU.
func (t *Graph) padding(rows int) int {
	if !t.padded {
		return 0
	}
	return -rows & (rowsOfMatrix - 1)
}

// norm is a norm; nil for none.
func (p *packer) norm(n *norm) *graphNorm {
	if n == nil || n.gain == nil {
		return nil
	}
	w := &graphNorm{gain: p.floats(n.gain, len(n.gain)), bias: p.floats(n.bias, len(n.bias)),
		eps: n.eps}
	if w.eps == 0 {
		w.eps = p.tower.d.Eps
	}
	return w
}

// finish moves the weights.
func (p *packer) finish() error {
	if err := p.store.Alloc(); err != nil {
		return wrap(err)
	}
	for _, f := range p.fill {
		if err := f(); err != nil {
			return wrap(err)
		}
	}
	return nil
}

// Device is where the tower is computed: a device's name as ggml has it, or "CPU".
func (t *Graph) Device() string { return t.device }

// WeightBytes returns the size of the weights in memory, on the device and on the CPU.
func (t *Graph) WeightBytes() (device, cpu int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, s := range t.stores {
		if s.OnDevice() {
			device += int64(s.Bytes())
		} else {
			cpu += int64(s.Bytes())
		}
	}
	return device, cpu
}

// Stats returns what was computed so far.
func (t *Graph) Stats() graph.Stats {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.backend.Stats()
}

// Close implements [Encoder].
func (t *Graph) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return nil
	}
	t.closed = true
	for j := range t.jobs {
		j.store.Close()
	}
	for _, s := range t.stores {
		s.Close()
	}
	t.stores, t.jobs = nil, nil
	t.backend.Close()
	return nil
}

// Lost returns why the tower encodes nothing any more, an error that wraps [ErrDevice]; nil while
// its device is there.
func (t *Graph) Lost() error {
	if err := t.backend.Lost(); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrDevice, t.device, err)
	}
	return nil
}
