package llama

// #include "shim.h"
import "C"

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"
	"unsafe"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
)

// FlashAttention says whether attention runs without writing its score matrix.
type FlashAttention int

// Choices of FlashAttention.
const (
	FlashAuto FlashAttention = iota // where the backend supports it
	FlashOff
	FlashOn
)

// Pooling says how embeddings of a sequence become one.
type Pooling int

// Choices of Pooling; PoolingModel takes what the model's file says.
const (
	PoolingModel Pooling = iota
	PoolingNone
	PoolingMean
	PoolingCLS
	PoolingLast
	PoolingRank
)

// ContextParams are the options of NewContext. The zero value is a context of the length the model
// was trained for, with one sequence, an F16 cache and libllama's number of threads.
type ContextParams struct {
	// cells of the KV cache, in tokens, over all sequences; 0 means the model's training length
	NCtx    int
	NBatch  int // most entries in one Decode; 0 means 2048
	NUBatch int // entries computed at once; 0 means 512
	NSeqMax int // sequences; 0 means 1

	Threads      int // threads for single tokens; 0 means libllama's default
	ThreadsBatch int // threads for prompts; 0 means Threads

	TypeK, TypeV ggml.Type // type of the cache; the zero value F32 stands for F16, see ExactCache
	ExactCache   bool      // take TypeK and TypeV as they are, F32 included
	// SplitKV gives each sequence its own part of NCtx instead of one pool of cells. Prefixes
	// cannot be shared in part then.
	SplitKV        bool
	FlashAttention FlashAttention
	// keep all cells of sliding-window layers, so that sequences can be cut and shared anywhere
	SWAFull bool

	Embeddings bool // extract embeddings, see Context.Embeddings
	Pooling    Pooling
	NonCausal  bool // attend to later tokens too; NBatch may not exceed NUBatch then

	RopeFreqBase, RopeFreqScale float32 // 0 means the model's
	YarnExtFactor               float32 // 0 means the model's

	KeepKVOnCPU bool // do not place the cache on GPUs
	NoOpOffload bool // do not copy large products of CPU layers to a GPU
	OutputsMax  int  // most outputs of a micro-batch; 0 means NBatch
	RecurrentRB int  // snapshots of recurrent state a sequence, for rolling back; 0 means none

	// Collector, if not nil, sees the inputs of all matrices. Computing is slower then. It must be
	// closed after the context.
	Collector *Collector
	// Steps lets decodes be computed bit by bit: see Context.Begin. It does not go together with a
	// Collector.
	Steps bool
}

const (
	maxThreads = C.GGML_MAX_N_THREADS // ggml asserts it
	// far more than any encoder takes at once; libllama allocates by it
	maxEntries = 1 << 20
)

// Context holds the KV cache and buffers of one Model. It belongs to one goroutine at a time,
// except that a Decode may be cancelled from anywhere through its context.Context.
type Context struct {
	c       *C.struct_llama_context
	model   *Model
	params  ContextParams
	abort   *C.shim_flag
	pool    *C.shim_pool
	steps   *C.shim_steps // nil without ContextParams.Steps
	started *Stepwise     // the decode that was begun and has not ended
	nBatch  int
	nUBatch int
	nSeq    int
	unified bool
	causal  bool
	// Facts about the model that every Decode needs.
	encoderOnly bool
	mrope       bool

	outputs  []int8    // which entries of the last batch have outputs
	next     []Pos     // scratch of check, a position a sequence
	yielded  time.Time // when run last let the scheduler count a turn
	adapters []*Adapter
	broken   error // why nothing can be computed any more
}

// NewContext makes a context of model.
func NewContext(model *Model, p ContextParams) (*Context, error) {
	if err := model.acquire(); err != nil {
		return nil, err
	}
	ctx, err := newContext(model, p)
	if err != nil {
		model.release()
		return nil, err
	}
	return ctx, nil
}

func newContext(model *Model, p ContextParams) (*Context, error) {
	if model.only {
		return nil, fmt.Errorf("llama: %s was loaded with VocabOnly and has no weights", model.path)
	}
	if p.Collector != nil && p.Steps {
		return nil, errors.New("llama: context: a Collector sees whole graphs, which Steps cuts")
	}
	if p.Collector != nil && p.Collector.c == nil {
		return nil, fmt.Errorf("llama: the collector: %w", ErrClosed)
	}
	c, err := p.toC(model)
	if err != nil {
		return nil, err
	}
	flag := C.shim_flag_new()
	if flag == nil {
		return nil, errors.New("llama: out of memory")
	}
	var steps *C.shim_steps
	if p.Steps {
		if steps = C.shim_steps_new(ggml.Fibers()); steps == nil {
			C.shim_flag_free(flag)
			return nil, errors.New("llama: out of memory")
		}
	}
	logged := ggml.CollectErrors()
	var out *C.struct_llama_context
	var eb errBuf
	ok := C.shim_init_context(model.c, c, flag, p.Collector.pointer(), steps, &out, eb.ptr(),
		eb.cap())
	if !bool(ok) {
		ggml.NoteLoss(model.gpus, eb.String())
	}
	lost := model.Lost()
	if lost != nil && out != nil {
		if !ggml.LostHere(model.gpus) {
			C.llama_free(out)
		}
		out = nil
	}
	if !bool(ok) || out == nil {
		C.shim_flag_free(flag)
		C.shim_steps_free(steps)
		if lost != nil {
			logged.Stop()
			return nil, lost
		}
		err := fmt.Errorf("llama: cannot make a context of %d tokens for %s", int(c.n_ctx),
			model.path)
		if !bool(ok) {
			err = fmt.Errorf("%w: %s", err, eb.String())
		}
		return nil, full(model.gpus, logged.Wrap(err))
	}
	logged.Stop()
	ctx := &Context{c: out, model: model, params: p, abort: flag, steps: steps,
		nBatch: int(C.llama_n_batch(out)), nUBatch: int(C.llama_n_ubatch(out)),
		nSeq: int(C.llama_n_seq_max(out)), unified: !p.SplitKV,
		causal: bool(C.llama_get_causal_attn(out))}
	ctx.encoderOnly = model.HasEncoder() && !model.HasDecoder()
	ctx.mrope = model.NPosPerEmbd() > 1
	ctx.next = make([]Pos, ctx.nSeq)
	ctx.attachPool()
	return ctx, nil
}

// check refuses numbers over which libllama aborts or that it would cut off.
func (p *ContextParams) check() error {
	for name, v := range map[string]int{"NCtx": p.NCtx, "NBatch": p.NBatch, "NUBatch": p.NUBatch,
		"NSeqMax": p.NSeqMax, "Threads": p.Threads,
		"ThreadsBatch": p.ThreadsBatch, "OutputsMax": p.OutputsMax, "RecurrentRB": p.RecurrentRB} {
		if v < 0 || v > math.MaxInt32/2 {
			return fmt.Errorf("llama: context: %s is %d", name, v)
		}
	}
	for name, v := range map[string]int{"Threads": p.Threads, "ThreadsBatch": p.ThreadsBatch} {
		if v > maxThreads {
			return fmt.Errorf("llama: context: %s is %d, at most %d are possible", name, v,
				maxThreads)
		}
	}
	for name, v := range map[string]float32{"RopeFreqBase": p.RopeFreqBase,
		"RopeFreqScale": p.RopeFreqScale, "YarnExtFactor": p.YarnExtFactor} {
		if !finite(v) || v < 0 {
			return fmt.Errorf("llama: context: %s is %v", name, v)
		}
	}
	if p.NonCausal && p.NBatch > maxEntries {
		return fmt.Errorf("llama: context: NBatch is %d, at most %d are possible", p.NBatch,
			maxEntries)
	}
	if p.Pooling < PoolingModel || p.Pooling > PoolingRank {
		return fmt.Errorf("llama: context: unknown Pooling %d", p.Pooling)
	}
	if n := max(p.NSeqMax, 1); n > MaxSequences() {
		return fmt.Errorf("llama: context: NSeqMax is %d, this libllama takes at most %d", n,
			MaxSequences())
	}
	return nil
}

// toC checks the parameters and translates them for libllama.
func (p *ContextParams) toC(model *Model) (C.struct_llama_context_params, error) {
	c := C.llama_context_default_params()
	if err := p.check(); err != nil {
		return c, err
	}
	c.n_ctx = C.uint32_t(p.NCtx)
	set := func(dst *C.uint32_t, v int) {
		if v > 0 {
			*dst = C.uint32_t(v)
		}
	}
	set(&c.n_batch, p.NBatch)
	set(&c.n_ubatch, p.NUBatch)
	set(&c.n_seq_max, max(p.NSeqMax, 1))
	set(&c.n_outputs_max, p.OutputsMax)
	set(&c.n_rs_seq, p.RecurrentRB)
	c.n_ubatch = min(c.n_ubatch, c.n_batch)
	if p.NonCausal {
		c.n_batch = c.n_ubatch
	}
	if p.Threads > 0 {
		c.n_threads = C.int32_t(p.Threads)
		c.n_threads_batch = c.n_threads
	}
	if p.ThreadsBatch > 0 {
		c.n_threads_batch = C.int32_t(p.ThreadsBatch)
	}
	var err error
	if c.type_k, err = p.cacheType("TypeK", p.TypeK, model); err != nil {
		return c, err
	}
	if c.type_v, err = p.cacheType("TypeV", p.TypeV, model); err != nil {
		return c, err
	}
	if err := p.checkMemory(model, ggml.Type(c.type_k), ggml.Type(c.type_v)); err != nil {
		return c, err
	}
	if c.flash_attn_type, err = p.flashAttention(model, ggml.Type(c.type_k),
		ggml.Type(c.type_v)); err != nil {
		return c, err
	}
	// llama_pooling_type counts from -1 (unspecified)
	c.pooling_type = C.enum_llama_pooling_type(p.Pooling) - 1
	if p.NonCausal {
		c.attention_type = C.LLAMA_ATTENTION_TYPE_NON_CAUSAL
	}
	c.rope_freq_base = C.float(p.RopeFreqBase)
	c.rope_freq_scale = C.float(p.RopeFreqScale)
	if p.YarnExtFactor != 0 {
		c.yarn_ext_factor = C.float(p.YarnExtFactor)
	}
	c.embeddings = C.bool(p.Embeddings)
	c.kv_unified = C.bool(!p.SplitKV)
	c.swa_full = C.bool(p.SWAFull)
	c.offload_kqv = C.bool(!p.KeepKVOnCPU)
	c.op_offload = C.bool(!p.NoOpOffload)
	c.no_perf = true
	return c, nil
}

// flashAttention says whether attention over a cache of these types is fused.
func (p *ContextParams) flashAttention(model *Model, k, v ggml.Type) (
	C.enum_llama_flash_attn_type, error) {
	switch p.FlashAttention {
	case FlashAuto:
		// libllama would try by laying out a graph, and switch flash attention off if the
		// accelerator takes it from the CPU, whose it is. Both have it; GPUs are asked.
		switch {
		case !ggml.AcceleratorState().Loaded || len(model.gpus) > 0 && !model.mixed:
			return C.LLAMA_FLASH_ATTN_TYPE_AUTO, nil
		case p.KeepKVOnCPU || model.attendOn(k, v):
			return C.LLAMA_FLASH_ATTN_TYPE_ENABLED, nil
		}
		return C.LLAMA_FLASH_ATTN_TYPE_DISABLED, nil
	case FlashOff:
		if p.TypeV.BlockSize() > 1 {
			return 0, errors.New("llama: context: a quantized TypeV needs flash attention")
		}
		return C.LLAMA_FLASH_ATTN_TYPE_DISABLED, nil
	case FlashOn:
		return C.LLAMA_FLASH_ATTN_TYPE_ENABLED, nil
	}
	return 0, fmt.Errorf("llama: context: unknown FlashAttention %d", p.FlashAttention)
}

// attendOn tells whether all GPUs that compute with layers of the model have flash attention over a
// cache of these types.
func (m *Model) attendOn(k, v ggml.Type) bool {
	for _, d := range m.gpus {
		if !d.Attends(m.NHead(), m.NHeadKV(), m.headWidth("key_length"),
			m.headWidth("value_length"), k, v) {
			return false
		}
	}
	return true
}

// cacheType checks that rows of the cache can be stored as t: quantized types need whole blocks in
// each head.
func (p *ContextParams) cacheType(name string, t ggml.Type,
	model *Model) (C.enum_ggml_type, error) {
	if t == ggml.F32 && !p.ExactCache {
		return C.GGML_TYPE_F16, nil
	}
	switch t {
	case ggml.F32, ggml.F16, ggml.BF16, ggml.Q8_0, ggml.Q4_0, ggml.Q4_1, ggml.Q5_0, ggml.Q5_1,
		ggml.IQ4_NL:
	default:
		return 0, fmt.Errorf("llama: context: %s cannot be %v; give F32, F16, BF16, Q8_0, Q5_0, Q5_1, Q4_0, Q4_1 or IQ4_NL", name, t)
	}
	if head := model.headWidth("key_length"); name == "TypeK" && head%t.BlockSize() != 0 {
		return 0, fmt.Errorf(
			"llama: context: %s cannot be %v: a head of %d is not a multiple of its block of %d",
			name, t, head, t.BlockSize())
	}
	if head := model.headWidth("value_length"); name == "TypeV" && head%t.BlockSize() != 0 {
		return 0, fmt.Errorf(
			"llama: context: %s cannot be %v: a head of %d is not a multiple of its block of %d",
			name, t, head, t.BlockSize())
	}
	return C.enum_ggml_type(t), nil
}

// Close frees the context.
func (c *Context) Close() error {
	if c.c == nil {
		return nil
	}
	if c.started != nil {
		c.started.Stop()
	}
	if !ggml.LostHere(c.model.gpus) {
		C.llama_free(c.c)
	}
	C.shim_steps_free(c.steps)
	C.shim_pool_free(c.pool)
	C.shim_flag_free(c.abort)
	c.c, c.pool, c.steps, c.abort, c.outputs = nil, nil, nil, nil, nil
	c.keepAdapters(nil)
	c.model.release()
	return nil
}

// Pointer is the llama_context, for other bindings in this module; nil after Close.
func (c *Context) Pointer() unsafe.Pointer { return unsafe.Pointer(c.c) }

// Model is the model that the context was made from.
func (c *Context) Model() *Model { return c.model }

// NCtx is the number of cells of the KV cache, 0 after Close.
func (c *Context) NCtx() int {
	if c.c == nil {
		return 0
	}
	return int(C.llama_n_ctx(c.c))
}

// NCtxSeq is the number of cells that one sequence can have.
func (c *Context) NCtxSeq() int {
	if c.c == nil {
		return 0
	}
	return int(C.llama_n_ctx_seq(c.c))
}

// NBatch is the most entries that a Decode takes, NUBatch how many are computed at once, NSeqMax
// the number of sequences.
func (c *Context) NBatch() int { return c.nBatch }

// NUBatch is the number of entries that are computed at once.
func (c *Context) NUBatch() int { return c.nUBatch }

// NSeqMax is the number of sequences.
func (c *Context) NSeqMax() int { return c.nSeq }

// HasMemory reports whether the context remembers what it decoded; encoders do not.
func (c *Context) HasMemory() bool { return c.c != nil && c.memory() != nil }

// SetThreads changes the number of threads for single tokens and for prompts.
func (c *Context) SetThreads(threads, threadsBatch int) error {
	if c.c == nil {
		return ErrClosed
	}
	if threads < 1 || threadsBatch < 1 || threads > maxThreads || threadsBatch > maxThreads {
		return fmt.Errorf("llama: SetThreads(%d, %d): give 1 to %d", threads, threadsBatch,
			maxThreads)
	}
	C.llama_set_n_threads(c.c, C.int32_t(threads), C.int32_t(threadsBatch))
	c.attachPool()
	return nil
}

// attachPool gives the context a pool of as many threads as it may use, as llama.cpp's own programs
// do. Without one the CPU backend makes a pool for each graph: over libgomp no difference was
// measured, but a backend built without it starts its threads anew each time.
func (c *Context) attachPool() {
	old := c.pool
	c.pool = C.shim_pool_attach(c.c, C.int(max(c.Threads())))
	if c.pool == nil {
		c.pool = old
		return
	}
	C.shim_pool_free(old)
}

// Threads returns the number of threads for single tokens and for prompts.
func (c *Context) Threads() (threads, threadsBatch int) {
	if c.c == nil {
		return 0, 0
	}
	return int(C.llama_n_threads(c.c)), int(C.llama_n_threads_batch(c.c))
}

// SetCausal switches causal attention on or off: pictures of some families attend to themselves in
// both directions.
func (c *Context) SetCausal(on bool) error {
	if c.c == nil {
		return ErrClosed
	}
	C.llama_set_causal_attn(c.c, C.bool(on))
	c.causal = on
	return nil
}

// cancelOn sets the abort flag once ctx is done, until the returned function is called.
func (c *Context) cancelOn(ctx context.Context) (stop func()) {
	if ctx.Done() == nil {
		return func() {}
	}
	flag := c.abort
	finished := make(chan struct{})
	unregister := context.AfterFunc(ctx, func() {
		C.shim_flag_set(flag, true)
		close(finished)
	})
	return func() {
		if !unregister() {
			<-finished // the flag must not be set after it is cleared for the next call
		}
		C.shim_flag_set(flag, false)
	}
}
