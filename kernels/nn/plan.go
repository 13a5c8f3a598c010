package nn

// #cgo CFLAGS: -O3 -fopenmp
// #cgo LDFLAGS: -ldnnl -lgomp -lm
// #include "nn.h"
import "C"

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"unsafe"

	"github.com/eyelet-engine/eyelet/cgo/onednn"
)

// Config gives the shapes of a transformer.
type Config struct {
	Precision Precision
	Threads   int // 0 means GOMAXPROCS
	Rows      int // of a usual state, such as a tile's; 0 for many, or any number
	Hidden    int // width of the residual stream
	Heads     int // divides Hidden
	FF        int // width between the two layers of the feed-forward network
	// the network multiplies its inner rows by those of a gate, which has the activation
	Gated      bool
	Eps        float64
	Activation onednn.Activation
}

// Bounds that no tower comes near; they keep sizes of buffers within an int on any platform.
const (
	maxTokens  = 1 << 16
	maxRows    = 1 << 20
	maxWidth   = 1 << 17
	maxThreads = 1 << 10
)

func (c *Config) check() error {
	switch {
	case c.Rows < 0 || c.Rows > maxRows:
		return fmt.Errorf("nn: states of %d rows", c.Rows)
	case c.Hidden < 1 || c.Hidden > maxWidth || c.FF < 1 || c.FF > maxWidth:
		return fmt.Errorf("nn: rows of %d and %d numbers", c.Hidden, c.FF)
	case c.Heads < 1 || c.Hidden%c.Heads != 0:
		return fmt.Errorf("nn: %d attention heads do not divide a width of %d", c.Heads, c.Hidden)
	case c.Precision < Auto || c.Precision > Int16:
		return fmt.Errorf("nn: no such precision: %v", c.Precision)
	case c.Activation < onednn.None || c.Activation > onednn.SiLU:
		return fmt.Errorf("nn: no such activation: %d", c.Activation)
	}
	return nil
}

// A Plan holds what all blocks of a transformer share: the planned products, and the scratch memory
// of the threads. One Run method at a time may be called.
type Plan struct {
	config Config
	panels panels
	store  onednn.Type // of activations between products
	team   C.nn_team

	mu       sync.Mutex // guards what follows, while blocks are made
	products map[onednn.MatmulDesc]*onednn.Matmul
	packers  map[packerKey]*onednn.Packer
	slots    chan int // of the packers
	scratch  *onednn.Buffer
	closed   bool
}

type packerKey struct {
	product          *onednn.Matmul
	from             onednn.Type
	kStride, nStride int
}

// Row blocks have about this height: enough rows to reuse the weights that pass through the cache,
// few enough that the wide rows of a block stay in it.
const rowsOfBlock = 144

// blockHeight cuts rows into blocks of equal height whose number is a multiple of the threads'.
func blockHeight(rows, threads int) int {
	if rows == 0 {
		return rowsOfBlock
	}
	perThread := max(1, (rows+threads*rowsOfBlock/2)/(threads*rowsOfBlock))
	blocks := min(rows, threads*perThread)
	return (rows + blocks - 1) / blocks
}

// panels says which products run over weights packed in panels (panels.h) and which through oneDNN.
// Those of Int16 always do.
type panels struct{ float, integers bool }

// hasPanels tells whether the processor has the instructions for them.
func hasPanels() bool { return C.nn_panels_supported() != 0 }

// choosePanels takes panels where they are faster: on processors whose widest arithmetic is AVX2,
// of integers where it has no VNNI.
func choosePanels(cpu onednn.Processor) panels {
	avx2 := strings.HasPrefix(cpu.ISA, "avx2") && hasPanels()
	return panels{float: avx2, integers: avx2 && !cpu.VNNI}
}

// NewPlan plans the products of a transformer.
func NewPlan(c Config) (*Plan, error) {
	return newPlan(c, choosePanels(onednn.CPU()))
}

func newPlan(c Config, panels panels) (*Plan, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	c.Precision = c.Precision.Resolve()
	panels.integers = panels.integers || c.Precision == Int16
	if c.Threads <= 0 {
		c.Threads = runtime.GOMAXPROCS(0)
	}
	c.Threads = min(c.Threads, maxThreads)
	cpu := onednn.CPU()
	p := &Plan{
		config: c, panels: panels, store: onednn.F32, slots: make(chan int, runtime.GOMAXPROCS(0)),
		products: map[onednn.MatmulDesc]*onednn.Matmul{}, packers: map[packerKey]*onednn.Packer{},
	}
	for i := range cap(p.slots) {
		p.slots <- i
	}
	p.team = C.nn_team{threads: C.int(c.Threads), block: C.int(blockHeight(c.Rows, c.Threads)),
		store: C.NN_F32, limit8: 127}
	if cpu.VNNI {
		p.team.limit8 = 255
	}
	switch {
	case c.Precision != F32 && c.Precision != Int16 && cpu.BF16:
		p.store, p.team.store = onednn.BF16, C.NN_BF16
	case c.Precision == BF16:
		p.team.store = C.NN_ROUNDED
	}
	return p, nil
}

// product returns the planned product of a description, the same for the same one.
func (p *Plan) product(d onednn.MatmulDesc) (*onednn.Matmul, error) {
	if d.SrcStride == 0 {
		d.SrcStride = d.K
	}
	if d.DstStride == 0 {
		d.DstStride = d.N
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, errClosed
	}
	if m, ok := p.products[d]; ok {
		return m, nil
	}
	m, err := onednn.NewMatmul(d, p.config.Threads)
	if err == nil {
		p.products[d] = m
	}
	return m, err
}

func (p *Plan) packer(m *onednn.Matmul, from onednn.Type, kStride, nStride,
	slots int) (*onednn.Packer, error) {
	key := packerKey{m, from, kStride, nStride}
	p.mu.Lock()
	defer p.mu.Unlock()
	if k, ok := p.packers[key]; ok {
		return k, nil
	}
	k, err := m.NewPacker(from, kStride, nStride, slots)
	if err == nil {
		p.packers[key] = k
	}
	return k, err
}

// reserve makes sure that each thread has n bytes of scratch memory. Nothing runs while blocks are
// made.
func (p *Plan) reserve(n C.size_t) error {
	const line = 4096
	n = (n + line - 1) / line * line
	p.mu.Lock()
	defer p.mu.Unlock()
	if n <= p.team.scratch_bytes {
		return nil
	}
	b, err := onednn.Alloc(int(n) * p.config.Threads)
	if err != nil {
		return err
	}
	p.scratch.Close()
	p.scratch = b
	p.team.scratch, p.team.scratch_bytes = (*C.char)(b.Pointer()), n
	return nil
}

// open returns an error if the plan was closed.
func (p *Plan) open() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return errClosed
	}
	return nil
}

var errClosed = errors.New("nn: the plan is closed")

// Config returns what the plan was made for, defaults filled in.
func (p *Plan) Config() Config { return p.config }

// ScratchBytes returns the size of the threads' scratch memory in bytes.
func (p *Plan) ScratchBytes() int { return p.scratch.Len() }

// Close frees the plan; its blocks can no longer be run. Closing again does nothing.
func (p *Plan) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for _, k := range p.packers {
		k.Close()
	}
	for _, m := range p.products {
		m.Close()
	}
	clear(p.packers)
	clear(p.products)
	p.scratch.Close()
}

// run checks that the plan is open and words what went wrong.
func (p *Plan) run(what string, f func() C.int) error {
	if p.closed {
		return errClosed
	}
	if status := f(); status != 0 {
		return fmt.Errorf("nn: %s: oneDNN reports status %d", what, int(status))
	}
	return nil
}

func floats(b *onednn.Buffer) *C.float { return (*C.float)(b.Pointer()) }

func addressOf(v []float32) unsafe.Pointer { return unsafe.Pointer(unsafe.SliceData(v)) }
